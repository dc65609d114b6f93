package auth

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Introspection is how a provider is asked about its tokens (RFC 7662).
type Introspection struct {
	// URL is where the provider answers, https. Default: it is not asked, and its
	// opaque tokens let nobody in. Of a list of issuers one at most may have it: an
	// opaque token does not say whose it is, and must not be shown to anybody else.
	URL string `yaml:"url"`

	// ClientID is as whom the node asks: a client of the provider that may
	// introspect.
	ClientID string `yaml:"client_id"`

	// ClientSecret is the secret of that client, sent by HTTP Basic
	// authentication.
	ClientSecret Secret `yaml:"client_secret"`

	// BearerToken stands in place of ClientID and ClientSecret where the provider
	// wants a token from those who ask.
	BearerToken Secret `yaml:"bearer_token"`

	// JWTs has the provider asked about its JWTs too, after their signature was
	// found good: one that was revoked is then refused. Default: about opaque
	// tokens only.
	JWTs bool `yaml:"jwts"`

	// NoAudience takes opaque tokens whose audience the provider does not tell.
	// Some never do; whether a token is for this system is then for the provider to
	// judge, by who asks.
	NoAudience bool `yaml:"no_audience"`

	// Lifetime is how long the client of a token may stay whose end the provider
	// does not tell. Default 1h.
	Lifetime time.Duration `yaml:"lifetime"`

	// CacheTTL is how long the provider's yes is remembered, though not beyond the end
	// of the token: for so long a token that was revoked still lets clients in. At
	// most 1h; less than 2s is 2s, for those who have waited for the answer. Default
	// 1m.
	CacheTTL time.Duration `yaml:"cache_ttl"`

	// NegativeTTL is the same for its no. At most 1h. Default 10s.
	NegativeTTL time.Duration `yaml:"negative_ttl"`

	// CacheEntries bounds the answers that are remembered; the one that was not
	// used for the longest time goes first. Some 1 KiB each. Default 10000.
	CacheEntries int `yaml:"cache_entries"`

	// Workers is how many requests are under way at most. Default 16.
	Workers int `yaml:"workers"`

	// Queue is how many tokens may wait for a worker; the client of one more is
	// answered 503. Default 1000.
	Queue int `yaml:"queue"`

	// Timeout bounds one request; then it has failed. Default 5s.
	Timeout time.Duration `yaml:"timeout"`

	// BreakerFailures in a row open the breaker: for BreakerPause the provider is
	// not asked and its clients get 503 at once, then one request tries it. Default
	// 5.
	BreakerFailures int `yaml:"breaker_failures"`

	// BreakerPause is how long the breaker stays open. Default 10s.
	BreakerPause time.Duration `yaml:"breaker_pause"`
}

// maxRemembered bounds how long answers are remembered.
const maxRemembered = time.Hour

// maxLifetime bounds how long a client stays of whose token nobody knows the end.
const maxLifetime = 365 * 24 * time.Hour

// WithDefaults returns the configuration with every zero replaced.
func (c Introspection) WithDefaults() Introspection {
	c.Lifetime = cmp.Or(c.Lifetime, time.Hour)
	c.CacheTTL = cmp.Or(c.CacheTTL, time.Minute)
	c.NegativeTTL = cmp.Or(c.NegativeTTL, 10*time.Second)
	c.CacheEntries = cmp.Or(c.CacheEntries, 10_000)
	c.Workers = cmp.Or(c.Workers, 16)
	c.Queue = cmp.Or(c.Queue, 1000)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.BreakerFailures = cmp.Or(c.BreakerFailures, 5)
	c.BreakerPause = cmp.Or(c.BreakerPause, 10*time.Second)
	return c
}

// Validate reports every problem with its key, relative to this struct.
func (c *Introspection) Validate(report func(key, problem string)) {
	if c.URL == "" {
		if *c != (Introspection{}) {
			report("url", "is needed: where the provider answers")
		}
		return
	}
	if err := CheckIssuerURL(c.URL); err != nil {
		report("url", err.Error())
	}
	switch {
	case c.BearerToken != "" && (c.ClientID != "" || c.ClientSecret != ""):
		report("bearer_token", "stands beside client_id or client_secret; a provider wants one or the other")
	case c.BearerToken != "":
		if !isVisible(string(c.BearerToken)) {
			report("bearer_token", "has spaces or other characters that no token has")
		}
	case c.ClientID == "":
		report("client_id", "is needed, or bearer_token: no provider tells everybody about tokens")
	case c.ClientSecret == "":
		report("client_secret", "is needed beside client_id")
	}
	c.validateNumbers(report)
}

func (c *Introspection) validateNumbers(report func(key, problem string)) {
	for _, f := range []struct {
		key  string
		d    time.Duration
		most time.Duration
	}{
		{"lifetime", c.Lifetime, maxLifetime},
		{"cache_ttl", c.CacheTTL, maxRemembered},
		{"negative_ttl", c.NegativeTTL, maxRemembered},
		{"timeout", c.Timeout, time.Minute},
		{"breaker_pause", c.BreakerPause, time.Hour},
	} {
		if f.d < 0 || f.d > f.most {
			report(f.key, fmt.Sprintf("%v is not between 0 and %v (0 means the default)", f.d, f.most))
		}
	}
	for _, f := range []struct {
		key     string
		n, most int
	}{
		{"cache_entries", c.CacheEntries, 1 << 24},
		{"workers", c.Workers, 1024},
		{"queue", c.Queue, 1 << 20},
		{"breaker_failures", c.BreakerFailures, 1 << 20},
	} {
		if f.n < 0 || f.n > f.most {
			report(f.key, fmt.Sprintf("%d is not between 1 and %d (0 means the default)", f.n, f.most))
		}
	}
}

// Introspector asks a provider about tokens. It is called on event loops: it must
// not block.
type Introspector interface {
	// Introspect returns what the provider says about a token, or has it asked.
	Introspect(token string) Introspected
}

// Introspected is what a provider says about a token.
type Introspected struct {
	// Known is false while the provider has not answered.
	Known bool
	// Active is its yes.
	Active bool
	// Claims is the whole of a yes, a JSON object. It is shared and read-only.
	Claims []byte
	// Later is where the answer will be, while it is not known; nil where none is
	// to be expected soon.
	Later Later
}

// ask returns what the provider says about a token, if it says yes.
func (i *issuer) ask(token string) (claims []byte, _ *Refusal) {
	if i.introspector == nil {
		return nil, Refuse(IssuerUnavailable, errAsking)
	}
	switch answer := i.introspector.Introspect(token); {
	case !answer.Known && answer.Later == nil:
		return nil, Refuse(IssuerUnavailable, "the token's issuer cannot be asked about it now; try again")
	case !answer.Known:
		refusal := Refuse(IssuerUnavailable, errAsking)
		refusal.Later = answer.Later
		return nil, refusal
	case !answer.Active:
		return nil, Refuse(TokenInactive, "the token's issuer says that it is not valid, or not any more")
	default:
		return answer.Claims, nil
	}
}

const errAsking = "the token's issuer is being asked about it; try again"

// identifyOpaque reads who the client is from what the provider says about a token
// that only it can read.
func (i *issuer) identifyOpaque(token string, now time.Time, v *Verifier) (Identity, *Refusal) {
	if len(token) > v.maxTokenSize {
		return Identity{}, v.tooLarge()
	}
	if !isVisible(token) {
		return Identity{}, Refuse(TokenMalformed, "the token has characters that no token has")
	}
	claims, refusal := i.ask(token)
	if refusal != nil {
		return Identity{}, refusal
	}
	p := &payload{}
	if err := p.UnmarshalJSON(claims); err != nil {
		return Identity{}, Refuse(TokenMalformed, "what the token's issuer says about it cannot be read")
	}
	if p.Issuing != "" && string(p.Issuing) != i.Issuer.Issuer {
		return Identity{}, Refuse(TokenClaim, "the token is of another issuer than the one that was asked about it")
	}
	if p.Expires.IsZero() {
		p.Expires.Time = now.Add(i.Introspection.WithDefaults().Lifetime - i.leeway(v))
	}
	anybody := i.Introspection.NoAudience && len(p.Audience) == 0
	return i.identify(claims, p, anybody, now, v)
}

// isOpaque reports whether a token is none that a node can read by itself: it has
// not the form of a JWT, nor that of one that a client has spoilt, by quotes for
// example: that may be good here and is nobody else's business.
func isOpaque(token string) bool {
	return token != "" && (strings.Count(token, ".") != 2 || !isCompactJWT(token) && !tokenLike.MatchString(token))
}

// isVisible reports whether a text is of visible ASCII, as every token is (RFC 6749
// appendix A.12).
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}
