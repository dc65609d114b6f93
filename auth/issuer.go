package auth

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// maxIssuers bounds the providers of one list.
const maxIssuers = 16

// Issuer is an identity provider whose tokens let clients in, besides those that
// services of the house sign with a key.
type Issuer struct {
	// Issuer is the provider's name for itself, an https URL: the claim iss of its
	// tokens, letter by letter.
	Issuer string `yaml:"issuer"`

	// JWKSURL is where the provider publishes its keys. Default: what its
	// discovery document says, {issuer}/.well-known/openid-configuration.
	JWKSURL string `yaml:"jwks_url"`

	// Audience is what tokens must be made for, one of these at the least in their
	// claim aud: what the provider calls this system. Required, or tokens for any
	// other system of the same provider would do.
	Audience []string `yaml:"audience"`

	// Claims says where tokens tell about the client.
	Claims ClaimNames `yaml:"claims"`

	// Grant lists roles that every client of the provider has, such as
	// sluice.joinLeaveGroup. Default none.
	Grant []string `yaml:"grant"`
}

// ClaimNames are names of claims; one that begins with a slash is a JSON pointer
// into a claim, such as /realm_access/roles.
type ClaimNames struct {
	// User is the claim with the user; a token without it is refused. Users of the
	// same name from two providers, or from a provider and a key, are one user.
	// Default sub.
	User string `yaml:"user"`

	// Roles is the claim with the client's roles, a string or several, as they are
	// in the tokens of the house; others are ignored. Default: none is read.
	Roles string `yaml:"roles"`

	// Groups is the claim with the groups that the client joins at once, a string
	// or several. Default: none is read.
	Groups string `yaml:"groups"`
}

// IssuerKey is a public key of an identity provider.
type IssuerKey struct {
	id string // "" where it has none
	verificationKey
}

// NewIssuerKey returns a key for the algorithms of its kind, or for one of them.
// The error says what is wrong with it.
func NewIssuerKey(id, algorithm string, public crypto.PublicKey) (IssuerKey, error) {
	all, err := algorithmsOf(public)
	switch {
	case err != nil:
		return IssuerKey{}, err
	case algorithm == "":
	case !slices.Contains(all, algorithm):
		return IssuerKey{}, fmt.Errorf("not a key for %q", algorithm)
	default:
		all = []string{algorithm}
	}
	return IssuerKey{id, verificationKey{public, all}}, nil
}

// ID returns the name of the key, "" where it has none.
func (k IssuerKey) ID() string { return k.id }

// Algorithms returns what the key verifies.
func (k IssuerKey) Algorithms() []string { return k.algorithms }

// KeySource has the keys of an issuer. It is called on event loops: it must not
// block.
type KeySource interface {
	// Keys returns the keys, which nobody changes; known is false until the
	// provider has answered.
	Keys() (keys []IssuerKey, known bool)
	// Missing says that a token names a key that is not there, and returns whether
	// it may soon be.
	Missing() (soon bool)
}

// ValidateIssuers reports every problem of the issuers that stand at a key of the
// configuration. None at all is none.
func ValidateIssuers(key string, issuers []Issuer, report func(key, problem string)) {
	if n := len(issuers); n > maxIssuers {
		report(key, fmt.Sprintf("%d issuers; at most %d", n, maxIssuers))
	}
	seen := make(map[string]bool, len(issuers))
	for i, s := range issuers {
		at := fmt.Sprintf("%s[%d]", key, i)
		if err := CheckIssuerURL(s.Issuer); err != nil {
			report(at+".issuer", err.Error())
		} else if seen[s.Issuer] {
			report(at+".issuer", "stands in the list already")
		}
		seen[s.Issuer] = true
		if s.JWKSURL != "" {
			if err := CheckIssuerURL(s.JWKSURL); err != nil {
				report(at+".jwks_url", err.Error())
			}
		}
		if len(s.Audience) == 0 || slices.Contains(s.Audience, "") {
			report(at+".audience", "is needed: what the provider calls this system in the claim aud")
		}
		s.Claims.validate(at+".claims", report)
	}
}

func (c ClaimNames) validate(key string, report func(key, problem string)) {
	for name, claim := range map[string]string{"user": c.User, "roles": c.Roles, "groups": c.Groups} {
		if strings.HasPrefix(claim, "/") && !jsontext.Pointer(claim).IsValid() {
			report(key+"."+name, "begins with a slash and is no JSON pointer (RFC 6901)")
		}
	}
}

// issuer is a compiled Issuer.
type issuer struct {
	// Static after NewVerifier, source after Tenants.Trust.
	Issuer
	user, roles, groups []string // paths of claims; nil: not read
	source              KeySource
}

func newIssuers(configured []Issuer) []*issuer {
	all := make([]*issuer, len(configured))
	for i, c := range configured {
		all[i] = &issuer{Issuer: c, user: claimPath(c.Claims.User), roles: claimPath(c.Claims.Roles), groups: claimPath(c.Claims.Groups)}
		if all[i].user == nil {
			all[i].user = []string{"sub"}
		}
	}
	return all
}

// claimPath returns the names that lead to a claim.
func claimPath(name string) []string {
	switch {
	case name == "":
		return nil
	case strings.HasPrefix(name, "/"):
		return slices.Collect(jsontext.Pointer(name).Tokens())
	}
	return []string{name}
}

// errKeysAway means that the key of a token may come.
var errKeysAway = errors.New("the keys of the token's issuer are being fetched")

// choose is the jwt.Keyfunc for tokens of the issuer.
func (i *issuer) choose(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical // RFC 7515 section 4.1.11
	}
	if i.source == nil {
		return nil, errKeysAway
	}
	all, known := i.source.Keys()
	if !known {
		i.source.Missing() // or a provider that is back is asked minutes later
		return nil, errKeysAway
	}
	id, _ := t.Header["kid"].(string)
	algorithm, named := t.Method.Alg(), false
	var fitting jwt.VerificationKeySet
	for _, k := range all {
		if id != "" && k.id != id {
			continue
		}
		named = true
		if slices.Contains(k.algorithms, algorithm) {
			fitting.Keys = append(fitting.Keys, k.key)
		}
	}
	switch {
	case len(fitting.Keys) > 0:
		return fitting, nil
	case named:
		return nil, errNoKey
	case i.source.Missing():
		return nil, errKeysAway
	}
	return nil, errUnknownKey
}

var errUnknownKey = errors.New("the token names a key that its issuer does not publish")

// identify reads who the client is from a token that is known to be genuine.
func (i *issuer) identify(token string, p *payload, now time.Time, v *Verifier) (Identity, *Refusal) {
	if refusal := p.checkTimes(now, v.leeway); refusal != nil {
		return Identity{}, refusal
	}
	if !slices.ContainsFunc(p.Audience, func(a string) bool { return slices.Contains(i.Audience, a) }) {
		return Identity{}, Refuse(TokenAudience, "the token's claim aud has nothing that is in the audience of its issuer here")
	}
	claims, err := rawClaims(token)
	if err != nil {
		return Identity{}, Refuse(TokenMalformed, "the token is not a JWT")
	}
	user, errUser := claimAt(claims, i.user)
	roles, errRoles := claimAt(claims, i.roles)
	groups, errGroups := claimAt(claims, i.groups)
	switch {
	case errUser != nil || len(user) != 1 || user[0] == "":
		return Identity{}, Refuse(TokenMalformed, "the token has no user where the claims of its issuer say")
	case errRoles != nil:
		return Identity{}, Refuse(TokenMalformed, "the token's roles are neither a string nor several")
	case errGroups != nil:
		return Identity{}, Refuse(TokenMalformed, "the token's groups are neither a string nor several")
	}
	joined, refusal := validGroups(groups)
	if refusal != nil {
		return Identity{}, refusal
	}
	permissions := v.permissions.compile(append(roles, i.Grant...))
	return Identity{
		User:         user[0],
		Groups:       joined,
		Permissions:  permissions.permissions,
		Expires:      p.Expires.Add(v.leeway),
		TokenID:      p.ID,
		IssuedAt:     p.IssuedAt.Time,
		IgnoredRoles: permissions.ignored,
	}, nil
}

// rawClaims returns the claims of a token as JSON.
func rawClaims(token string) (jsontext.Value, error) {
	_, rest, _ := strings.Cut(token, ".")
	claims, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.Strict().DecodeString(claims)
}

// claimAt returns the string or the strings at a path, none where there is nothing.
func claimAt(v jsontext.Value, path []string) (texts, error) {
	if path == nil {
		return nil, nil
	}
	for _, name := range path {
		var members map[string]jsontext.Value
		if v.Kind() != '{' || json.Unmarshal(v, &members) != nil {
			return nil, nil
		}
		v = members[name]
	}
	if v == nil || v.Kind() == 'n' {
		return nil, nil
	}
	var t texts
	err := json.Unmarshal(v, &t)
	return t, err
}
