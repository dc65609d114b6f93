package auth

import (
	"cmp"
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
	// discovery document says, {issuer}/.well-known/openid-configuration. "-" takes
	// no JWTs of the provider, for one that issues opaque tokens only.
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

	// Algorithms are those with which the provider's JWTs may be signed, such as
	// ES256. Default: all that its keys are for.
	Algorithms []string `yaml:"algorithms"`

	// Leeway is how far the clocks of node and provider may be apart, at most 10m.
	// Default: auth.leeway.
	Leeway time.Duration `yaml:"leeway"`

	// RequiredClaims must all be in a token. Default none.
	RequiredClaims []RequiredClaim `yaml:"required_claims"`

	// Introspection has the provider asked about tokens that only it can read.
	// Default: it is not.
	Introspection Introspection `yaml:"introspection"`
}

// NoJWKS as Issuer.JWKSURL means that the provider has no keys to fetch.
const NoJWKS = "-"

// RequiredClaim is a claim without which a token lets nobody in.
type RequiredClaim struct {
	// Claim is its name, or a JSON pointer such as /realm_access/roles.
	Claim string `yaml:"claim"`

	// Values are those of which it must have one: as its text, or among its texts
	// where it is a list; true, false and numbers as they stand in the token. Default:
	// any value but null.
	Values []string `yaml:"values"`
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
	// it may soon be, and then where it is worth waiting for: for the first answer of
	// the provider that comes after this call. later is nil where it is not.
	Missing(id string) (later Later, soon bool)
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
		if s.JWKSURL != "" && s.JWKSURL != NoJWKS {
			if err := CheckIssuerURL(s.JWKSURL); err != nil {
				report(at+".jwks_url", err.Error())
			}
		}
		if len(s.Audience) == 0 || slices.Contains(s.Audience, "") {
			report(at+".audience", "is needed: what the provider calls this system in the claim aud")
		}
		for j, role := range s.Grant {
			if p, ignored := CompileRoles([]string{role}); p == nil || len(ignored) > 0 {
				report(fmt.Sprintf("%s.grant[%d]", at, j), fmt.Sprintf("%q allows nothing; write it like sluice.joinLeaveGroup or sluice.sendToGroup.room", role))
			}
		}
		s.Claims.validate(at+".claims", report)
		s.validateRules(at, report)
	}
	opaque := -1
	for i, s := range issuers {
		switch {
		case s.Introspection.URL == "":
		case opaque < 0:
			opaque = i
		default:
			report(fmt.Sprintf("%s[%d].introspection", key, i), fmt.Sprintf("an opaque token does not say whose it is, and %s[%d] is asked about them", key, opaque))
		}
	}
}

// validateRules reports the problems of what is asked of tokens.
func (s *Issuer) validateRules(at string, report func(key, problem string)) {
	for i, name := range s.Algorithms {
		if !slices.Contains(publicAlgorithms, name) {
			report(fmt.Sprintf("%s.algorithms[%d]", at, i), "is none of "+strings.Join(publicAlgorithms, ", "))
		}
	}
	if s.Leeway < 0 || s.Leeway > maxLeeway {
		report(at+".leeway", fmt.Sprintf("%v is not between 0 and %v", s.Leeway, maxLeeway))
	}
	for i, c := range s.RequiredClaims {
		key := fmt.Sprintf("%s.required_claims[%d].claim", at, i)
		switch {
		case c.Claim == "":
			report(key, "is needed: the name of a claim")
		case !ValidClaim(c.Claim):
			report(key, "begins with a slash and is no JSON pointer (RFC 6901)")
		}
	}
	s.Introspection.Validate(func(key, problem string) { report(at+".introspection."+key, problem) })
	switch in := s.Introspection; {
	case s.JWKSURL == NoJWKS && in.URL == "":
		report(at+".jwks_url", `"-" takes no JWTs, and without introspection.url no other tokens either`)
	case s.JWKSURL == NoJWKS && in.JWTs:
		report(at+".introspection.jwts", `is of no use: jwks_url is "-", so no JWTs are taken`)
	}
}

func (c ClaimNames) validate(key string, report func(key, problem string)) {
	for name, claim := range map[string]string{"user": c.User, "roles": c.Roles, "groups": c.Groups} {
		if !ValidClaim(claim) {
			report(key+"."+name, "begins with a slash and is no JSON pointer (RFC 6901)")
		}
	}
}

// issuer is a compiled Issuer.
type issuer struct {
	// Static after NewVerifier; source after Tenants.Trust, introspector after
	// Tenants.Ask.
	Issuer
	user, roles, groups ClaimPath   // nil: not read
	required            []ClaimPath // of Issuer.RequiredClaims
	source              KeySource
	introspector        Introspector
}

func newIssuers(configured []Issuer) []*issuer {
	all := make([]*issuer, len(configured))
	for i, c := range configured {
		all[i] = &issuer{Issuer: c, user: PathOf(c.Claims.User), roles: PathOf(c.Claims.Roles), groups: PathOf(c.Claims.Groups)}
		if all[i].user == nil {
			all[i].user = ClaimPath{"sub"}
		}
		for _, r := range c.RequiredClaims {
			all[i].required = append(all[i].required, PathOf(r.Claim))
		}
	}
	return all
}

// asked returns the issuer that is asked about opaque tokens, nil for none.
func asked(all []*issuer) *issuer {
	for _, i := range all {
		if i.Introspection.URL != "" {
			return i
		}
	}
	return nil
}

// leeway is how far the clocks of node and issuer may be apart.
func (i *issuer) leeway(v *Verifier) time.Duration { return cmp.Or(i.Leeway, v.leeway) }

var (
	errUnknownKey = errors.New("the token names a key that its issuer does not publish")
	errNoJWTs     = errors.New("JWTs of the token's issuer are not taken")
)

// keysAway means that the key of a token may come.
type keysAway struct{ later Later }

func (keysAway) Error() string { return "the keys of the token's issuer are being fetched" }

// choose is the jwt.Keyfunc for tokens of the issuer.
func (i *issuer) choose(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical // RFC 7515 section 4.1.11
	}
	algorithm := t.Method.Alg()
	switch {
	case i.JWKSURL == NoJWKS:
		return nil, errNoJWTs
	case len(i.Algorithms) > 0 && !slices.Contains(i.Algorithms, algorithm):
		return nil, errNoKey
	case i.source == nil:
		return nil, keysAway{}
	}
	id, _ := t.Header["kid"].(string)
	set, err := i.find(id, algorithm)
	if !errors.Is(err, errUnknownKey) {
		return set, err
	}
	later, soon := i.source.Missing(id)
	// Once more: the provider may have answered before Missing, and then it would
	// be its next answer that is waited for.
	if set, err = i.find(id, algorithm); !errors.Is(err, errUnknownKey) {
		return set, err
	}
	if _, known := i.source.Keys(); soon || !known {
		return nil, keysAway{later}
	}
	return nil, err
}

// find returns the keys for a token; errUnknownKey where it names one that is not
// there, or none are.
func (i *issuer) find(id, algorithm string) (any, error) {
	all, known := i.source.Keys()
	if !known {
		return nil, errUnknownKey
	}
	named := false
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
	}
	return nil, errUnknownKey
}

// identifyJWT reads who the client is from a JWT that is known to be genuine. Where
// the issuer is to be asked about it too, that comes last: it is what costs most.
func (i *issuer) identifyJWT(token string, p *payload, now time.Time, v *Verifier) (Identity, *Refusal) {
	claims, err := rawClaims(token)
	if err != nil {
		return Identity{}, Refuse(TokenMalformed, "the token is not a JWT")
	}
	id, refusal := i.identify(claims, p, false, now, v)
	if refusal == nil && i.Introspection.JWTs {
		_, refusal = i.ask(token)
	}
	if refusal != nil {
		return Identity{}, refusal
	}
	return id, nil
}

// identify reads who the client is from the claims of a token that is known to be
// genuine; anybody means that they need not tell for whom it is.
func (i *issuer) identify(claims jsontext.Value, p *payload, anybody bool, now time.Time, v *Verifier) (Identity, *Refusal) {
	if refusal := p.checkTimes(now, i.leeway(v)); refusal != nil {
		return Identity{}, refusal
	}
	if !anybody && !slices.ContainsFunc(p.Audience, func(a string) bool { return slices.Contains(i.Audience, a) }) {
		return Identity{}, Refuse(TokenAudience, "the token's claim aud has nothing that is in the audience of its issuer here")
	}
	if refusal := i.checkRequired(claims); refusal != nil {
		return Identity{}, refusal
	}
	user, errUser := textsAt(claims, i.user)
	roles, errRoles := textsAt(claims, i.roles)
	groups, errGroups := textsAt(claims, i.groups)
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
		Expires:      p.Expires.Add(i.leeway(v)),
		TokenID:      p.ID,
		IssuedAt:     p.IssuedAt.Time,
		IgnoredRoles: permissions.ignored,
	}, nil
}

// checkRequired judges the claims that must be there.
func (i *issuer) checkRequired(claims jsontext.Value) *Refusal {
	for n, path := range i.required {
		c := i.RequiredClaims[n]
		if v := path.In(claims); !c.satisfied(v) {
			return Refuse(TokenClaim, "the token's claim "+c.Claim+" has not what is required of tokens of its issuer here")
		}
	}
	return nil
}

// satisfied tells whether a claim, nil for none, has a value that will do.
func (c *RequiredClaim) satisfied(v jsontext.Value) bool {
	if v == nil || v.Kind() == 'n' {
		return false
	}
	if len(c.Values) == 0 {
		return true
	}
	elements := []jsontext.Value{v}
	if v.Kind() == '[' && json.Unmarshal(v, &elements) != nil {
		return false
	}
	return slices.ContainsFunc(elements, func(e jsontext.Value) bool {
		text := string(e) // of a number, true or false
		switch e.Kind() {
		case '"':
			if json.Unmarshal(e, &text) != nil {
				return false
			}
		case '{', '[', 'n':
			return false
		}
		return slices.Contains(c.Values, text)
	})
}

// rawClaims returns the claims of a token as JSON.
func rawClaims(token string) (jsontext.Value, error) {
	_, rest, _ := strings.Cut(token, ".")
	claims, _, _ := strings.Cut(rest, ".")
	return base64.RawURLEncoding.Strict().DecodeString(claims)
}

// textsAt returns the string or the strings at a path, none where there is nothing.
func textsAt(claims jsontext.Value, path ClaimPath) (texts, error) {
	v := path.In(claims)
	if v == nil || v.Kind() == 'n' {
		return nil, nil
	}
	var t texts
	err := json.Unmarshal(v, &t)
	return t, err
}
