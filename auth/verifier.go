package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	// Static after NewVerifier.
	parser       *jwt.Parser
	key          jwt.Keyfunc // a closure, so that printing a Verifier shows no key
	clientKey    jwt.Keyfunc // as key, and for the tokens of issuers
	audience     audience
	leeway       time.Duration
	maxTokenSize int

	issuers []*issuer
	opaque  *issuer // that is asked about tokens that only it can read; nil for none
	keyless bool    // there are no keys, only issuers

	permissions *interner
	calls       *callCache
}

// NewVerifier compiles the configuration of all hubs that have no keys of their
// own; see [NewTenants] for the others. The error names every problem that Validate reports.
func NewVerifier(cfg Config) (*Verifier, error) {
	var errs []error
	cfg.Validate(func(key, problem string) { errs = append(errs, fmt.Errorf("%s: %s", key, problem)) })
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	cfg = cfg.WithDefaults()
	v := &Verifier{
		// The parser checks the signature only: times depend on the now of the
		// caller and the audience on the hub.
		parser:       jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation()),
		issuers:      newIssuers(cfg.Issuers),
		leeway:       cfg.Leeway,
		maxTokenSize: cfg.MaxTokenSize,
		permissions:  &interner{},
		calls:        newCallCache(),
	}
	v.use(cfg.Keys)
	for _, e := range cfg.Endpoints {
		o, _ := parseEndpoint(e) // validated above
		v.audience.endpoints = append(v.audience.endpoints, o)
	}
	return v, nil
}

// withOwn returns a verifier for a hub that has keys or issuers of its own, and so
// takes no tokens of common issuers. Roles mean the same to both, so they share the
// memory of what was compiled.
func (v *Verifier) withOwn(common []Key, own Tenant) *Verifier {
	w := *v
	w.issuers = newIssuers(own.Issuers)
	if len(own.Keys) > 0 {
		common = own.Keys
	}
	w.use(common)
	w.calls = newCallCache()
	return &w
}

// use sets the keys of a verifier that has its issuers.
func (v *Verifier) use(configured []Key) {
	v.key = newKeys(configured).choose
	v.keyless = len(configured) == 0
	v.opaque = asked(v.issuers)
	v.clientKey = v.key
	if len(v.issuers) == 0 {
		return
	}
	own, issuers := v.key, v.issuers
	v.clientKey = func(t *jwt.Token) (any, error) {
		p := t.Claims.(*payload)
		for _, i := range issuers {
			if i.Issuer.Issuer == string(p.Issuing) {
				p.issuer = i
				return i.choose(t)
			}
		}
		return own(t)
	}
}

// Verify checks a token that was presented for a hub, and returns what it says.
// The error is a *Refusal. An empty token is refused as missing.
//
// A token whose claim iss is one of Config.Issuers is verified with the keys of that
// provider and read as Issuer says; one that is no JWT is shown to the provider that
// has an Introspection, if one has. Of all others it reads these claims and skips the
// rest:
//
//	exp                              required
//	nbf                              optional
//	iat                              optional, for revoking what was issued before
//	aud                              {endpoint}/client/hubs/{hub}, see Config.Endpoints; several: one must fit
//	sub                              the user, or the long claim name nameidentifier of .NET
//	role                             one or several, and those of the long claim name role of .NET; see CompileRoles
//	sluice.group, webpubsub.group    one or several, both together
//	jti                              optional
func (v *Verifier) Verify(token, hub string, now time.Time) (Identity, error) {
	if v.opaque != nil && isOpaque(token) {
		return orError(v.opaque.identifyOpaque(token, now, v))
	}
	p, refusal := v.open(token, v.clientKey)
	if refusal == nil && p.issuer != nil {
		return orError(p.issuer.identifyJWT(token, p, now, v))
	}
	if refusal == nil {
		refusal = v.check(p, hub, now)
	}
	if refusal != nil {
		return Identity{}, refusal
	}
	groups, refusal := p.groups()
	if refusal != nil {
		return Identity{}, refusal
	}
	permissions := v.permissions.compile(p.roles())
	return Identity{
		User:         p.user(),
		Groups:       groups,
		Permissions:  permissions.permissions,
		Expires:      p.Expires.Add(v.leeway),
		TokenID:      p.ID,
		IssuedAt:     p.IssuedAt.Time,
		IgnoredRoles: permissions.ignored,
	}, nil
}

// orError returns a refusal as an error, and none as none.
func orError(id Identity, refusal *Refusal) (Identity, error) {
	if refusal != nil {
		return Identity{}, refusal
	}
	return id, nil
}

func (v *Verifier) tooLarge() *Refusal {
	return Refuse(TokenTooLarge, fmt.Sprintf("the token is longer than %d bytes", v.maxTokenSize))
}

// open parses a token and checks its signature.
func (v *Verifier) open(token string, key jwt.Keyfunc) (*payload, *Refusal) {
	switch {
	case token == "":
		return nil, Refuse(TokenMissing, "the request carries no token")
	case len(token) > v.maxTokenSize:
		return nil, v.tooLarge()
	case !isCompactJWT(token):
		return nil, Refuse(TokenMalformed, "the token is not a JWT")
	}
	p := &payload{}
	parsed, err := v.parser.ParseWithClaims(token, p, key)
	if away, ok := errors.AsType[keysAway](err); ok {
		refusal := Refuse(IssuerUnavailable, away.Error()+"; try again")
		refusal.Later = away.later
		return nil, refusal
	}
	switch {
	case err == nil:
		return p, nil
	case badClaim(err) != "":
		return nil, Refuse(TokenMalformed, "the token's claim "+badClaim(err)+" is not what it must be")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, Refuse(TokenMalformed, "the token is not a JWT")
	case errors.Is(err, errCritical):
		return nil, Refuse(TokenMalformed, errCritical.Error())
	case errors.Is(err, errNoJWTs):
		return nil, Refuse(TokenAlgorithm, errNoJWTs.Error())
	case errors.Is(err, errUnknownKey):
		return nil, Refuse(TokenSignature, errUnknownKey.Error())
	case errors.Is(err, errNoKey) || !knows(parsed.Method):
		return nil, Refuse(TokenAlgorithm, "the token is signed with an algorithm that none of the keys is for")
	}
	return nil, Refuse(TokenSignature, "the token is signed with none of the keys")
}

// check judges the claims of a token that is known to be genuine.
func (v *Verifier) check(p *payload, hub string, now time.Time) *Refusal {
	if refusal := p.checkTimes(now, v.leeway); refusal != nil {
		return refusal
	}
	if !v.audience.admits(p.Audience, hub) {
		return Refuse(TokenAudience, "the token's claim aud is not the address of this hub: {endpoint}"+hubPath+"{hub}")
	}
	return nil
}

// checkTimes judges from when to when the token is valid.
func (p *payload) checkTimes(now time.Time, leeway time.Duration) *Refusal {
	switch {
	case p.Expires.IsZero():
		return Refuse(TokenMalformed, "the token has no claim exp")
	case !now.Before(p.Expires.Add(leeway)):
		return Refuse(TokenExpired, "the token expired at "+p.Expires.UTC().Format(time.RFC3339))
	case now.Before(p.NotBefore.Add(-leeway)):
		return Refuse(TokenNotYetValid, "the token is not valid before "+p.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

var errCritical = errors.New("the token's header crit asks for an extension that is not known here")

// isCompactJWT reports whether s has the alphabet of a JWT in its compact form.
// The decoder of the library skips line ends, so that one token could be
// written in many ways.
func isCompactJWT(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// knows reports whether a parsed token names an algorithm of ours. m is nil for a
// name that the library does not know.
func knows(m jwt.SigningMethod) bool { return m != nil && slices.Contains(algorithms, m.Alg()) }
