package login

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sluice/auth"
)

const (
	defaultSessionLife = 8 * time.Hour
	maxSessionLife     = 30 * 24 * time.Hour

	// minMetricsToken is too long to be guessed, in bytes.
	minMetricsToken = 16
)

// Config turns the login for the operations pages. The zero value of a field
// means its default.
type Config struct {
	// Issuer is the identity provider, an https URL, as its discovery document
	// names it (OpenID Connect). Default none: the operations pages ask for no
	// credentials.
	Issuer string `yaml:"issuer"`

	// ClientID is what the provider calls this system.
	ClientID string `yaml:"client_id"`

	// ClientSecret is what the provider gave this system to prove itself with.
	// Default none, for a client that the provider calls public.
	ClientSecret auth.Secret `yaml:"client_secret"`

	// URL is where browsers find the operations pages, such as
	// https://ops.example.com: https, for cookies must not be seen on the way,
	// except on this machine. The provider must know {url}/oauth/callback.
	URL string `yaml:"url"`

	// Scopes is what the provider is asked to tell. Default openid, email, profile;
	// others often have to be asked for the groups of a user.
	Scopes []string `yaml:"scopes"`

	// Allow says who may see the pages. Required: not everybody whom the provider
	// knows should.
	Allow Allow `yaml:"allow"`

	// SessionLife is how long a login lasts, at most 720h. What changes at the
	// provider meanwhile is seen at the next login. Default 8h. Sessions end with
	// the process.
	SessionLife time.Duration `yaml:"session_life"`

	// MetricsToken, when set, is asked for by /metrics as well, as
	// "Authorization: Bearer …", at least 16 bytes; a session does as well. It
	// counts without an issuer too. Default none: scrapers cannot log in, so
	// /metrics stays open, as /healthz and /readyz always do.
	MetricsToken auth.Secret `yaml:"metrics_token"`
}

// Allow is a choice of users. It is enough to be in one of the lists.
type Allow struct {
	// Emails are addresses that the provider has verified (the claims email and
	// email_verified); "@example.com" is everybody there. Small and capital letters
	// are the same.
	Emails []string `yaml:"emails"`

	// Subjects are the provider's own names for users (the claim sub). "*" is
	// everybody who can log in at the provider for this client.
	Subjects []string `yaml:"subjects"`

	// Claim is where the ID token says what a user is, such as groups; one that
	// begins with a slash is a JSON pointer, such as /realm_access/roles.
	Claim string `yaml:"claim"`

	// Values are those of the claim of which a user needs one.
	Values []string `yaml:"values"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	if len(c.Scopes) == 0 {
		c.Scopes = []string{scopeOpenID, "email", "profile"}
	}
	c.SessionLife = cmp.Or(c.SessionLife, defaultSessionLife)
	return c
}

// scopeOpenID is what makes a login of an authorization (OpenID Connect Core 1.0
// section 3.1.2.1).
const scopeOpenID = "openid"

// Enabled tells whether somebody has to log in.
func (c *Config) Enabled() bool { return c.Issuer != "" }

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if n := len(c.MetricsToken); n > 0 && n < minMetricsToken {
		report("metrics_token", fmt.Sprintf("has %d bytes; at least %d", n, minMetricsToken))
	}
	if !c.Enabled() {
		c.validateDisabled(report)
		return
	}
	if err := auth.CheckIssuerURL(c.Issuer); err != nil {
		report("issuer", err.Error())
	}
	if c.ClientID == "" {
		report("client_id", "is needed: what the provider calls this system")
	}
	if _, err := origin(c.URL); err != nil {
		report("url", err.Error())
	}
	if len(c.Scopes) > 0 && !slices.Contains(c.Scopes, scopeOpenID) {
		report("scopes", `lacks "openid", without which there is no login`)
	}
	if c.SessionLife < 0 || c.SessionLife > maxSessionLife {
		report("session_life", fmt.Sprintf("%v is not between 0 and %v (0 means the default)", c.SessionLife, maxSessionLife))
	}
	c.Allow.validate(report)
}

// validateDisabled reports what means nothing without an issuer, which somebody
// must have forgotten.
func (c *Config) validateDisabled(report func(key, problem string)) {
	if c.ClientID != "" || c.ClientSecret != "" || c.URL != "" || !c.Allow.nobody() {
		report("issuer", "is needed: without it the operations pages ask for no login")
	}
}

// origin returns an address as browsers name it, or why they cannot be sent there.
func origin(address string) (string, error) {
	if address == "" {
		return "", errors.New("is needed: where browsers find the operations pages, such as https://ops.example.com")
	}
	if err := auth.CheckIssuerURL(address); err != nil { // the same rules
		return "", err
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return "", err
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("has a path; the pages need a host of their own, such as https://ops.example.com")
	}
	return u.Scheme + "://" + u.Host, nil
}

func (a *Allow) nobody() bool {
	return len(a.Emails) == 0 && len(a.Subjects) == 0 && a.Claim == "" && len(a.Values) == 0
}

func (a *Allow) validate(report func(key, problem string)) {
	if a.nobody() {
		report("allow", `lets nobody in; name emails, subjects, or a claim and its values (subjects: ["*"] is everybody)`)
	}
	if (a.Claim == "") != (len(a.Values) == 0) {
		report("allow.claim", "and allow.values are needed together")
	}
	if !auth.ValidClaim(a.Claim) {
		report("allow.claim", "begins with a slash and is no JSON pointer (RFC 6901)")
	}
	for i, e := range a.Emails {
		if at := strings.IndexByte(e, '@'); at < 0 || at == len(e)-1 {
			report(fmt.Sprintf("allow.emails[%d]", i), "is no address and no @domain")
		}
	}
	for i, s := range a.Subjects {
		if s == "" {
			report(fmt.Sprintf("allow.subjects[%d]", i), "is empty")
		}
	}
}
