package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Tenants says which tokens and web pages each hub takes: a hub may have keys
// and origins of its own, and all others share those of the configuration. It
// is safe for concurrent use and knows no hub that has nothing of its own, so
// its answer does not tell whether a hub exists.
type Tenants struct {
	// Static after NewTenants.
	common tenant
	own    map[string]tenant // by canonical name

	endpoint string // that tokens are made for; "" where any will do

	revocations Revocations
	tickets     tickets
}

// ErrNoSecret means that the keys of a hub, if it has any, can check tokens and make
// none.
var ErrNoSecret = errors.New("the hub has no secret key, so its tokens are made elsewhere")

type tenant struct {
	verifier *Verifier
	origins  *Origins
	certs    *certRule // nil where certificates do not matter
	signing  Secret    // "" where all keys are public
}

// Tenant is what is a hub's own; what is empty is taken from the configuration.
type Tenant struct {
	Keys       []Key
	Issuers    []Issuer
	Origins    []string
	ClientCert ClientCert
}

// NewTenants compiles the configuration and what the hubs of those names have of
// their own. The error names every problem.
func NewTenants(cfg Config, hubs map[string]Tenant) (*Tenants, error) {
	verifier, err := NewVerifier(cfg)
	if err != nil {
		return nil, err
	}
	origins, err := ParseOrigins(cfg.Origins)
	if err != nil {
		return nil, fmt.Errorf("origins: %w", err)
	}
	t := &Tenants{common: tenant{verifier, origins, nil, signing(cfg.Keys)}, own: make(map[string]tenant)}
	if len(cfg.Endpoints) > 0 {
		t.endpoint = cfg.Endpoints[0]
	}
	for name, h := range hubs {
		own := t.common
		if len(h.Keys) > 0 || len(h.Issuers) > 0 {
			own.verifier = verifier.withOwn(cfg.Keys, h)
		}
		if len(h.Keys) > 0 {
			own.signing = signing(h.Keys)
		}
		if len(h.Origins) > 0 {
			if own.origins, err = ParseOrigins(h.Origins); err != nil {
				return nil, fmt.Errorf("origins of hub %s: %w", name, err)
			}
		}
		own.certs = h.ClientCert.compile()
		if own != t.common {
			t.own[CanonicalHub(name)] = own
		}
	}
	return t, nil
}

// Trust gives every issuer the source of its keys; until then its tokens are refused
// for now. Call it once, before any Verify.
func (t *Tenants) Trust(source func(Issuer) KeySource) {
	t.eachIssuer(func(i *issuer) {
		if i.JWKSURL != NoJWKS {
			i.source = source(i.Issuer)
		}
	})
}

// Ask gives every issuer that has an Introspection whom to ask; until then its opaque
// tokens are refused for now. Call it once, before any Verify.
func (t *Tenants) Ask(introspector func(Issuer) Introspector) {
	t.eachIssuer(func(i *issuer) {
		if i.Introspection.URL != "" {
			i.introspector = introspector(i.Issuer)
		}
	})
}

func (t *Tenants) eachIssuer(f func(*issuer)) {
	each := func(v *Verifier) {
		for _, i := range v.issuers {
			f(i)
		}
	}
	each(t.common.verifier)
	for _, own := range t.own {
		if own.verifier != t.common.verifier {
			each(own.verifier)
		}
	}
}

// Verify is [Verifier.Verify] with what verifies the tokens for the hub, whose
// name may be in any case. A ticket counts as a token, once. What was revoked is
// refused.
func (t *Tenants) Verify(token, hub string, now time.Time) (Identity, error) {
	id, err := t.identify(token, hub, now)
	if err == nil && t.Revoked(hub, &id, now) {
		return Identity{}, Refuse(TokenRevoked, "the token was revoked")
	}
	return id, err
}

func (t *Tenants) identify(token, hub string, now time.Time) (Identity, error) {
	if !strings.HasPrefix(token, ticketPrefix) {
		return t.of(hub).verifier.Verify(token, hub, now)
	}
	id, refusal := t.tickets.redeem(CanonicalHub(hub), token, now)
	if refusal != nil {
		return Identity{}, refusal
	}
	return id, nil
}

// Revoked reports whether the token that the identity comes from was revoked for the
// hub since Verify has let it in.
func (t *Tenants) Revoked(hub string, id *Identity, now time.Time) bool {
	return t.revocations.Revoked(hub, Origin{id.TokenID, id.User, id.IssuedAt}, now)
}

// Revoke is [Revocations.Revoke] for what Verify lets in from now on.
func (t *Tenants) Revoke(hub string, what Revocation, now time.Time, keep time.Duration) error {
	return t.revocations.Revoke(hub, what, now, keep)
}

// Verifier returns what verifies the tokens for a hub, whose name may be in any
// case.
func (t *Tenants) Verifier(hub string) *Verifier { return t.of(hub).verifier }

// Origins returns which pages may connect to a hub, whose name may be in any
// case.
func (t *Tenants) Origins(hub string) *Origins { return t.of(hub).origins }

// Mint makes a token for a client of the hub in c, signed with the first of the
// hub's keys, for the first of Config.Endpoints.
func (t *Tenants) Mint(c Claims, now time.Time) (string, error) {
	key := t.of(c.Hub).signing
	if key == "" {
		return "", ErrNoSecret
	}
	c.Endpoint = t.endpoint
	return Mint([]byte(key), c, now)
}

func (t *Tenants) of(hub string) tenant {
	if len(t.own) > 0 {
		if own, ok := t.own[CanonicalHub(hub)]; ok {
			return own
		}
	}
	return t.common
}
