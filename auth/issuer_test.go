package auth_test

import (
	"crypto"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/auth"
)

const issuerName = "https://login.example.com"

// provider is a KeySource whose keys change by hand.
type provider struct {
	keys  []auth.IssuerKey
	known bool
	soon  bool // the answer of Missing

	missed  int
	missing func() // nil, or what happens while Missing runs
}

func (p *provider) Keys() ([]auth.IssuerKey, bool) { return p.keys, p.known }

func (p *provider) Missing(string) (auth.Later, bool) {
	p.missed++
	if p.missing != nil {
		p.missing()
	}
	if !p.soon {
		return nil, false
	}
	return always{}, true
}

// always is an answer that is there.
type always struct{}

func (always) Wait(wake func()) (func(), bool) { wake(); return func() {}, true }

func (p *provider) publish(t testing.TB, id, algorithm string, key crypto.Signer) {
	t.Helper()
	k, err := auth.NewIssuerKey(id, algorithm, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p.keys, p.known = append(p.keys, k), true
}

// trusting returns hubs that take the tokens of the issuer.
func trusting(t testing.TB, p auth.KeySource, issuer auth.Issuer, hubs map[string]auth.Tenant) *auth.Tenants {
	t.Helper()
	issuer.Issuer, issuer.Audience = issuerName, []string{"other", "sluice"}
	tenants, err := auth.NewTenants(auth.Config{Keys: []auth.Key{{Secret: key1}}, Issuers: []auth.Issuer{issuer}}, hubs)
	if err != nil {
		t.Fatal(err)
	}
	if p != nil {
		tenants.Trust(func(auth.Issuer) auth.KeySource { return p })
	}
	return tenants
}

// issued makes a token as the provider does, with claims changed; nil takes one out.
func issued(t testing.TB, algorithm, kid string, key any, change jwt.MapClaims) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": issuerName, "sub": "ann", "aud": "sluice", "exp": now.Add(time.Hour).Unix()}
	for name, v := range change {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIssuerClaims(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{}
	p.publish(t, "k", "", key)
	nested := auth.Issuer{
		Claims: auth.ClaimNames{User: "https://example.com/name", Roles: "/realm/a~1b/roles", Groups: "groups"},
		Grant:  []string{"sluice.sendToGroup.x"},
	}
	roles := func(v any) map[string]any { return map[string]any{"a/b": map[string]any{"roles": v}} }
	for name, c := range map[string]struct {
		issuer auth.Issuer
		change jwt.MapClaims
		reason auth.Reason
		user   string
		groups []string
		join   bool // room
	}{
		"defaults":            {reason: "", user: "ann"},
		"roles are not read":  {change: jwt.MapClaims{"role": "sluice.joinLeaveGroup", "sluice.group": "g"}, user: "ann"},
		"several audiences":   {change: jwt.MapClaims{"aud": []string{"a", "sluice"}}, user: "ann"},
		"mapped":              {issuer: nested, change: jwt.MapClaims{"https://example.com/name": "bob", "groups": []string{"b", "a", "b"}, "realm": roles([]string{"admin", "sluice.joinLeaveGroup.room"})}, user: "bob", groups: []string{"a", "b"}, join: true},
		"one of each":         {issuer: nested, change: jwt.MapClaims{"https://example.com/name": "bob", "groups": "a", "realm": roles("sluice.joinLeaveGroup.room")}, user: "bob", groups: []string{"a"}, join: true},
		"nothing there":       {issuer: nested, change: jwt.MapClaims{"https://example.com/name": "bob", "realm": "roles"}, user: "bob"},
		"no user":             {change: jwt.MapClaims{"sub": nil}, reason: auth.TokenMalformed},
		"empty user":          {issuer: nested, change: jwt.MapClaims{"https://example.com/name": ""}, reason: auth.TokenMalformed},
		"two users":           {issuer: nested, change: jwt.MapClaims{"https://example.com/name": []string{"a", "b"}}, reason: auth.TokenMalformed},
		"user is a number":    {issuer: nested, change: jwt.MapClaims{"https://example.com/name": 7}, reason: auth.TokenMalformed},
		"roles are a number":  {issuer: nested, change: jwt.MapClaims{"https://example.com/name": "bob", "realm": roles(7)}, reason: auth.TokenMalformed},
		"groups are objects":  {issuer: nested, change: jwt.MapClaims{"https://example.com/name": "bob", "groups": []any{roles(1)}}, reason: auth.TokenMalformed},
		"group of no name":    {issuer: nested, change: jwt.MapClaims{"https://example.com/name": "bob", "groups": []string{""}}, reason: auth.TokenGroupInvalid},
		"for another system":  {change: jwt.MapClaims{"aud": "another"}, reason: auth.TokenAudience},
		"for the hub's URL":   {change: jwt.MapClaims{"aud": "/client/hubs/chat"}, reason: auth.TokenAudience},
		"for nobody":          {change: jwt.MapClaims{"aud": nil}, reason: auth.TokenAudience},
		"expired":             {change: jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()}, reason: auth.TokenExpired},
		"without end":         {change: jwt.MapClaims{"exp": nil}, reason: auth.TokenMalformed},
		"not yet valid":       {change: jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()}, reason: auth.TokenNotYetValid},
		"of another issuer":   {change: jwt.MapClaims{"iss": "https://login.example.org"}, reason: auth.TokenAlgorithm},
		"a slash more":        {change: jwt.MapClaims{"iss": issuerName + "/"}, reason: auth.TokenAlgorithm},
		"of no issuer":        {change: jwt.MapClaims{"iss": nil}, reason: auth.TokenAlgorithm},
		"issuer in two cases": {change: jwt.MapClaims{"iss": strings.ToUpper(issuerName)}, reason: auth.TokenAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := trusting(t, p, c.issuer, nil).Verify(issued(t, "ES256", "k", key, c.change), "chat", now)
			if reason := reasonOf(t, err); reason != c.reason {
				t.Fatalf("got %v, want %q", err, c.reason)
			}
			if err != nil {
				return
			}
			if id.User != c.user || !slices.Equal(id.Groups, c.groups) || !id.Expires.Equal(now.Add(time.Hour+time.Minute)) {
				t.Errorf("got %+v", id)
			}
			granted := len(c.issuer.Grant) > 0
			if id.Permissions.Allowed(auth.JoinLeaveGroup, []byte("room")) != c.join || id.Permissions.Allowed(auth.SendToGroup, []byte("x")) != granted {
				t.Errorf("join allowed is not %v, or send to x not %v", c.join, granted)
			}
		})
	}
}

// TestIssuerKeys: which key verifies what, whatever a token says of itself.
func TestIssuerKeys(t *testing.T) {
	ours, theirs := generate(t), generate(t)
	p := &provider{}
	p.publish(t, "rsa", "PS256", ours["RSA"])
	p.publish(t, "ec", "", ours["P-256"])
	p.publish(t, "", "", ours["Ed25519"])
	tenants := trusting(t, p, auth.Issuer{}, nil)
	public := []byte(publicPEM(t, ours["RSA"]))
	for name, c := range map[string]struct {
		algorithm, kid string
		key            any
		reason         auth.Reason
		missed         int
	}{
		"named":                   {"PS256", "rsa", ours["RSA"], "", 0},
		"not named":               {"ES256", "", ours["P-256"], "", 0},
		"nameless":                {"EdDSA", "", ours["Ed25519"], "", 0},
		"another's":               {"ES256", "ec", theirs["P-256"], auth.TokenSignature, 0},
		"key for another":         {"RS256", "rsa", ours["RSA"], auth.TokenAlgorithm, 0},
		"kind of another key":     {"ES256", "rsa", ours["P-256"], auth.TokenAlgorithm, 0},
		"unknown key":             {"ES256", "new", ours["P-256"], auth.TokenSignature, 1},
		"public key as a secret":  {"HS256", "rsa", public, auth.TokenAlgorithm, 0},
		"the house's own secret":  {"HS256", "", []byte(key1), auth.TokenAlgorithm, 0},
		"unsigned":                {"none", "rsa", jwt.UnsafeAllowNoneSignatureType, auth.TokenAlgorithm, 0},
		"unsigned, without a key": {"none", "", jwt.UnsafeAllowNoneSignatureType, auth.TokenAlgorithm, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p.missed = 0
			_, err := tenants.Verify(issued(t, c.algorithm, c.kid, c.key, nil), "chat", now)
			if reason := reasonOf(t, err); reason != c.reason || p.missed != c.missed {
				t.Errorf("got %v, %d missed; want %q, %d", err, p.missed, c.reason, c.missed)
			}
		})
	}
}

// TestIssuerAway: a key that may come makes a client come again, and keys that are
// here go on working.
func TestIssuerAway(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{soon: true}
	tenants := trusting(t, p, auth.Issuer{}, nil)
	expect := func(tenants *auth.Tenants, kid string, want auth.Reason) {
		t.Helper()
		_, err := tenants.Verify(issued(t, "ES256", kid, key, nil), "chat", now)
		if reason := reasonOf(t, err); reason != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	expect(trusting(t, nil, auth.Issuer{}, nil), "a", auth.IssuerUnavailable)
	expect(tenants, "a", auth.IssuerUnavailable)
	p.publish(t, "a", "", key)
	expect(tenants, "a", "")
	expect(tenants, "b", auth.IssuerUnavailable)
	expect(tenants, "a", "")
	p.publish(t, "b", "", key)
	expect(tenants, "b", "")
	p.keys = p.keys[1:] // rotated
	p.soon = false
	expect(tenants, "a", auth.TokenSignature)

	// The provider answers between the look at its keys and the plan to wait.
	p.missing = func() { p.missing = nil; p.publish(t, "c", "", key) }
	expect(tenants, "c", "")
}

// TestIssuerIsWaitedFor: whoever may come in later is told where to wait, and nobody
// else is.
func TestIssuerIsWaitedFor(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{soon: true}
	tenants := trusting(t, p, auth.Issuer{}, nil)
	waits := func(token string) bool {
		_, err := tenants.Verify(token, "chat", now)
		r, ok := errors.AsType[*auth.Refusal](err)
		return ok && r.Later != nil
	}
	if !waits(issued(t, "ES256", "a", key, nil)) {
		t.Error("nobody waits for keys that are not here")
	}
	p.publish(t, "a", "", key)
	if !waits(issued(t, "ES256", "b", key, nil)) {
		t.Error("nobody waits for a key that may have been rotated")
	}
	if waits(issued(t, "ES256", "a", generate(t)["P-256"], nil)) {
		t.Error("a forged token waits")
	}
	if waits(issued(t, "ES256", "a", key, jwt.MapClaims{"aud": "another"})) {
		t.Error("a token for another system waits")
	}
}

func TestIssuerRules(t *testing.T) {
	keys := generate(t)
	p := &provider{}
	p.publish(t, "ec", "", keys["P-256"])
	p.publish(t, "rsa", "", keys["RSA"])
	required := func(claim string, values ...string) auth.Issuer {
		return auth.Issuer{RequiredClaims: []auth.RequiredClaim{{Claim: claim, Values: values}}}
	}
	late := jwt.MapClaims{"exp": now.Add(-2 * time.Minute).Unix()}
	for name, c := range map[string]struct {
		issuer    auth.Issuer
		algorithm string
		change    jwt.MapClaims
		want      auth.Reason
	}{
		"allowed algorithm":   {auth.Issuer{Algorithms: []string{"PS256", "ES256"}}, "ES256", nil, ""},
		"other algorithm":     {auth.Issuer{Algorithms: []string{"PS256", "ES256"}}, "RS256", nil, auth.TokenAlgorithm},
		"common leeway":       {auth.Issuer{}, "ES256", late, auth.TokenExpired},
		"leeway":              {auth.Issuer{Leeway: 3 * time.Minute}, "ES256", late, ""},
		"less leeway":         {auth.Issuer{Leeway: time.Second}, "ES256", jwt.MapClaims{"exp": now.Add(-2 * time.Second).Unix()}, auth.TokenExpired},
		"required":            {required("email"), "ES256", jwt.MapClaims{"email": ""}, ""},
		"required and away":   {required("email"), "ES256", nil, auth.TokenClaim},
		"text":                {required("tier", "gold", "silver"), "ES256", jwt.MapClaims{"tier": "silver"}, ""},
		"other text":          {required("tier", "gold", "silver"), "ES256", jwt.MapClaims{"tier": "Silver"}, auth.TokenClaim},
		"in a list":           {required("/realm/roles", "staff"), "ES256", jwt.MapClaims{"realm": map[string]any{"roles": []string{"a", "staff"}}}, ""},
		"not in the list":     {required("/realm/roles", "staff"), "ES256", jwt.MapClaims{"realm": map[string]any{"roles": []string{"a"}}}, auth.TokenClaim},
		"true":                {required("email_verified", "true"), "ES256", jwt.MapClaims{"email_verified": true}, ""},
		"false":               {required("email_verified", "true"), "ES256", jwt.MapClaims{"email_verified": false}, auth.TokenClaim},
		"number":              {required("level", "3"), "ES256", jwt.MapClaims{"level": 3}, ""},
		"an object is no one": {required("level", "{}"), "ES256", jwt.MapClaims{"level": map[string]any{}}, auth.TokenClaim},
		"a list within":       {required("level", "a"), "ES256", jwt.MapClaims{"level": []any{[]any{"a"}}}, auth.TokenClaim},
		"no JWTs":             {auth.Issuer{JWKSURL: auth.NoJWKS, Introspection: introspecting}, "ES256", nil, auth.TokenAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			key, kid := keys["P-256"], "ec"
			if c.algorithm == "RS256" {
				key, kid = keys["RSA"], "rsa"
			}
			_, err := trusting(t, p, c.issuer, nil).Verify(issued(t, c.algorithm, kid, key, c.change), "chat", now)
			if reason := reasonOf(t, err); reason != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestIssuersAlone: without keys of the house providers let clients in, and nobody
// else does anything.
func TestIssuersAlone(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{}
	p.publish(t, "", "", key)
	tenants, err := auth.NewTenants(auth.Config{Issuers: []auth.Issuer{{Issuer: issuerName, Audience: []string{"sluice"}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tenants.Trust(func(auth.Issuer) auth.KeySource { return p })
	if _, err := tenants.Verify(issued(t, "ES256", "", key, nil), "chat", now); err != nil {
		t.Errorf("a client of the provider: %v", err)
	}
	none := jwt.MapClaims{"iss": nil, "aud": []string{"/client/hubs/chat", "/api"}}
	_, err = tenants.Verify(issued(t, "HS256", "", []byte(""), none), "chat", now)
	if reasonOf(t, err) != auth.TokenAlgorithm {
		t.Errorf("a token of nobody: %v", err)
	}
	for _, token := range []string{"", issued(t, "HS256", "", []byte(""), none), issued(t, "ES256", "", key, none)} {
		r := httptest.NewRequest(http.MethodGet, "/api/hubs/chat/groups/g", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		err := tenants.Verifier("chat").VerifyCall(r, now)
		if reasonOf(t, err) != auth.TokenAlgorithm || !strings.Contains(err.Error(), "auth.keys") {
			t.Errorf("a call with %.10q: %v", token, err)
		}
	}
	if _, err := tenants.Mint(auth.Claims{Hub: "chat", TTL: time.Hour}, now); !errors.Is(err, auth.ErrNoSecret) {
		t.Errorf("made a token: %v", err)
	}
}

// TestIssuersOfHubs: common issuers stay out of a hub that has its own.
func TestIssuersOfHubs(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{}
	p.publish(t, "", "", key)
	other := auth.Issuer{Issuer: "https://login.example.org", Audience: []string{"sluice"}}
	tenants := trusting(t, p, auth.Issuer{}, map[string]auth.Tenant{
		"keys":    {Keys: []auth.Key{{Secret: key2}}},
		"both":    {Keys: []auth.Key{{Secret: key2}}, Issuers: []auth.Issuer{other}},
		"issuers": {Issuers: []auth.Issuer{other}},
		"origins": {Origins: []string{"https://example.com"}},
	})
	for hub, want := range map[string]struct{ common, own, secret1, secret2 bool }{
		"any":     {common: true, secret1: true},
		"origins": {common: true, secret1: true},
		"keys":    {secret2: true},
		"both":    {own: true, secret2: true},
		"issuers": {own: true, secret1: true},
	} {
		aud := jwt.MapClaims{"iss": nil, "aud": "/client/hubs/" + hub}
		for what, c := range map[string]struct {
			token string
			ok    bool
		}{
			"common":  {issued(t, "ES256", "", key, nil), want.common},
			"own":     {issued(t, "ES256", "", key, jwt.MapClaims{"iss": other.Issuer}), want.own},
			"secret1": {issued(t, "HS256", "", []byte(key1), aud), want.secret1},
			"secret2": {issued(t, "HS256", "", []byte(key2), aud), want.secret2},
		} {
			if _, err := tenants.Verify(c.token, hub, now); (err == nil) != c.ok {
				t.Errorf("%s at %s: %v", what, hub, err)
			}
		}
	}
}

// TestIssuersCallNoAPI: clients of a provider are no back ends, whatever their
// tokens are for.
func TestIssuersCallNoAPI(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{}
	p.publish(t, "", "", key)
	r := httptest.NewRequest(http.MethodGet, "/api/hubs/chat/groups/g", nil)
	r.Header.Set("Authorization", "Bearer "+issued(t, "ES256", "", key, jwt.MapClaims{"aud": []string{"sluice", "/api/hubs/chat"}}))
	err := trusting(t, p, auth.Issuer{}, nil).Verifier("chat").VerifyCall(r, now)
	if reasonOf(t, err) != auth.TokenAlgorithm {
		t.Errorf("got %v", err)
	}
}

func TestValidateIssuers(t *testing.T) {
	good := auth.Issuer{Issuer: issuerName, Audience: []string{"sluice"}}
	with := func(change func(*auth.Issuer)) []auth.Issuer {
		i := good
		change(&i)
		return []auth.Issuer{i}
	}
	for name, c := range map[string]struct {
		issuers []auth.Issuer
		want    []string
	}{
		"good":         {[]auth.Issuer{good}, nil},
		"nothing":      {[]auth.Issuer{{}}, []string{"issuers[0].issuer", "issuers[0].audience"}},
		"plain HTTP":   {with(func(i *auth.Issuer) { i.Issuer = "http://login.example.com" }), []string{"issuers[0].issuer"}},
		"loopback":     {with(func(i *auth.Issuer) { i.Issuer = "http://127.0.0.1:8080" }), nil},
		"plain keys":   {with(func(i *auth.Issuer) { i.JWKSURL = "http://login.example.com/keys" }), []string{"issuers[0].jwks_url"}},
		"any audience": {with(func(i *auth.Issuer) { i.Audience = []string{""} }), []string{"issuers[0].audience"}},
		"bad pointer":  {with(func(i *auth.Issuer) { i.Claims.Roles = "/a~2" }), []string{"issuers[0].claims.roles"}},
		"twice":        {[]auth.Issuer{good, good}, []string{"issuers[1].issuer"}},
		"a secret's":   {with(func(i *auth.Issuer) { i.Algorithms = []string{"ES256", "HS256"} }), []string{"issuers[0].algorithms[1]"}},
		"unsigned":     {with(func(i *auth.Issuer) { i.Algorithms = []string{"none"} }), []string{"issuers[0].algorithms[0]"}},
		"leeway":       {with(func(i *auth.Issuer) { i.Leeway = time.Hour }), []string{"issuers[0].leeway"}},
		"no claim":     {with(func(i *auth.Issuer) { i.RequiredClaims = []auth.RequiredClaim{{}, {Claim: "/~"}} }), []string{"issuers[0].required_claims[0].claim", "issuers[0].required_claims[1].claim"}},
		"bad grant":    {with(func(i *auth.Issuer) { i.Grant = []string{"sluice.sendToGroup.a", "admin", "sluice.shout"} }), []string{"issuers[0].grant[1]", "issuers[0].grant[2]"}},
		"no tokens":    {with(func(i *auth.Issuer) { i.JWKSURL = auth.NoJWKS }), []string{"issuers[0].jwks_url"}},
		"opaque only":  {with(func(i *auth.Issuer) { i.JWKSURL, i.Introspection = auth.NoJWKS, introspecting }), nil},
	} {
		var got []string
		auth.ValidateIssuers("issuers", c.issuers, func(key, _ string) { got = append(got, key) })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	var got []string
	auth.ValidateIssuers("issuers", make([]auth.Issuer, 17), func(key, _ string) { got = append(got, key) })
	if !slices.Contains(got, "issuers") {
		t.Error("17 issuers are not too many")
	}
}

func TestCheckIssuerURL(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://login.example.com":     true,
		"https://login.example.com/a/b": true,
		"http://127.0.0.1:8080/keys":    true,
		"http://localhost/keys":         true,
		"http://[::1]/keys":             true,
		"http://login.example.com":      false,
		"http://localhost.example.com":  false,
		"https://a:b@login.example.com": false,
		"https://login.example.com/#a":  false,
		"https://":                      false,
		"login.example.com":             false,
		"ftp://login.example.com":       false,
		"":                              false,
	} {
		if err := auth.CheckIssuerURL(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// FuzzIssuerClaims: whatever a provider signs, nobody comes in without a user.
func FuzzIssuerClaims(f *testing.F) {
	p := &provider{}
	key := generate(f)["Ed25519"]
	p.publish(f, "", "", key)
	tenants := trusting(f, p, auth.Issuer{Claims: auth.ClaimNames{User: "/u/name", Roles: "r", Groups: "g"}}, nil)
	f.Add(`{"u":{"name":"ann"},"r":["a"],"g":"b"}`)
	f.Add(`{"u":["name"],"r":null,"g":[""]}`)
	f.Fuzz(func(t *testing.T, more string) {
		claims, ok := strings.CutPrefix(strings.TrimSpace(more), "{")
		if !ok {
			return
		}
		text := `{"iss":"` + issuerName + `","aud":"sluice","exp":4102444800,` + claims
		token := signRaw(t, text, key)
		if id, err := tenants.Verify(token, "chat", now); err == nil && id.User == "" {
			t.Errorf("came in without a user: %s", text)
		}
	})
}

func signRaw(t testing.TB, claims string, key crypto.Signer) string {
	t.Helper()
	text := encode(`{"alg":"EdDSA"}`) + "." + encode(claims)
	signature, err := key.Sign(nil, []byte(text), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encode(string(signature))
}
