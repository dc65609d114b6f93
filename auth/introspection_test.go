package auth_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/auth"
)

var introspecting = auth.Introspection{URL: "https://login.example.com/introspect", ClientID: "sluice", ClientSecret: "secret"}

// oracle is an Introspector that knows what the test has told it.
type oracle struct {
	says  map[string]auth.Introspected
	asked []string
}

func (o *oracle) Introspect(token string) auth.Introspected {
	o.asked = append(o.asked, token)
	return o.says[token]
}

func active(claims string) auth.Introspected {
	return auth.Introspected{Known: true, Active: true, Claims: []byte(claims)}
}

// asking returns hubs that ask the oracle.
func asking(t testing.TB, o auth.Introspector, issuer auth.Issuer, p auth.KeySource) *auth.Tenants {
	t.Helper()
	if issuer.Introspection.URL == "" {
		issuer.Introspection = introspecting
	}
	tenants := trusting(t, p, issuer, nil)
	tenants.Ask(func(auth.Issuer) auth.Introspector { return o })
	return tenants
}

func TestOpaqueTokens(t *testing.T) {
	with := func(change func(*auth.Introspection)) auth.Issuer {
		i := introspecting
		change(&i)
		return auth.Issuer{Introspection: i}
	}
	mapped := auth.Issuer{
		Claims:         auth.ClaimNames{User: "username", Roles: "/ext/roles", Groups: "groups"},
		Grant:          []string{"sluice.sendToGroup.x"},
		RequiredClaims: []auth.RequiredClaim{{Claim: "client_id", Values: []string{"app"}}},
	}
	const good = `"active":true,"sub":"ann","aud":"sluice","exp":4102444800`
	for name, c := range map[string]struct {
		issuer auth.Issuer
		says   auth.Introspected
		want   auth.Reason
		user   string
		waits  bool
	}{
		"active":                {says: active(`{` + good + `}`), user: "ann"},
		"of the issuer":         {says: active(`{` + good + `,"iss":"` + issuerName + `"}`), user: "ann"},
		"of another":            {says: active(`{` + good + `,"iss":"https://evil.example.com"}`), want: auth.TokenClaim},
		"inactive":              {says: auth.Introspected{Known: true}, want: auth.TokenInactive},
		"being asked":           {says: auth.Introspected{Later: always{}}, want: auth.IssuerUnavailable, waits: true},
		"away":                  {says: auth.Introspected{}, want: auth.IssuerUnavailable},
		"for another system":    {says: active(`{"sub":"ann","aud":["other systems"],"exp":4102444800}`), want: auth.TokenAudience},
		"for nobody":            {says: active(`{"sub":"ann","exp":4102444800}`), want: auth.TokenAudience},
		"for nobody, allowed":   {issuer: with(func(i *auth.Introspection) { i.NoAudience = true }), says: active(`{"sub":"ann","exp":4102444800}`), user: "ann"},
		"for another, allowed":  {issuer: with(func(i *auth.Introspection) { i.NoAudience = true }), says: active(`{"sub":"ann","aud":"x","exp":4102444800}`), want: auth.TokenAudience},
		"expired all the same":  {says: active(`{"sub":"ann","aud":"sluice","exp":1}`), want: auth.TokenExpired},
		"not yet valid":         {says: active(`{` + good + `,"nbf":4102444800}`), want: auth.TokenNotYetValid},
		"no user":               {says: active(`{"aud":"sluice","exp":4102444800}`), want: auth.TokenMalformed},
		"a claim of wrong kind": {says: active(`{"sub":"ann","aud":7,"exp":4102444800}`), want: auth.TokenMalformed},
		"mapped":                {issuer: mapped, says: active(`{` + good + `,"username":"bob","ext":{"roles":"sluice.joinLeaveGroup.room"},"groups":["b","a"],"client_id":"app"}`), user: "bob"},
		"of another app":        {issuer: mapped, says: active(`{` + good + `,"username":"bob","client_id":"x"}`), want: auth.TokenClaim},
	} {
		t.Run(name, func(t *testing.T) {
			o := &oracle{says: map[string]auth.Introspected{"opaque": c.says}}
			id, err := asking(t, o, c.issuer, nil).Verify("opaque", "chat", now)
			if reason := reasonOf(t, err); reason != c.want || id.User != c.user {
				t.Fatalf("user %q, %v; want %q, %q", id.User, err, c.user, c.want)
			}
			if r, ok := errors.AsType[*auth.Refusal](err); ok && (r.Later != nil) != c.waits {
				t.Errorf("waits: %v, want %v", !c.waits, c.waits)
			}
			if c.user == "bob" && (!slices.Equal(id.Groups, []string{"a", "b"}) ||
				!id.Permissions.Allowed(auth.JoinLeaveGroup, []byte("room")) || !id.Permissions.Allowed(auth.SendToGroup, []byte("x"))) {
				t.Errorf("got %+v", id)
			}
		})
	}
}

// TestLifetimeOfEndless: a token whose end nobody tells lets a client stay for a
// while only.
func TestLifetimeOfEndless(t *testing.T) {
	o := &oracle{says: map[string]auth.Introspected{"opaque": active(`{"sub":"ann","aud":"sluice"}`)}}
	long := introspecting
	long.Lifetime = 5 * time.Hour
	for want, in := range map[time.Duration]auth.Introspection{time.Hour: introspecting, 5 * time.Hour: long} {
		id, err := asking(t, o, auth.Issuer{Introspection: in}, nil).Verify("opaque", "chat", now)
		if err != nil || !id.Expires.Equal(now.Add(want)) {
			t.Errorf("until %v, %v; want %v", id.Expires, err, now.Add(want))
		}
	}
}

// TestWhoIsAskedAboutWhat: nothing but opaque tokens leaves the node, unless the
// provider is to be asked about its JWTs too, and then good ones only.
func TestWhoIsAskedAboutWhat(t *testing.T) {
	key := generate(t)["P-256"]
	p := &provider{}
	p.publish(t, "k", "", key)
	jwts := introspecting
	jwts.JWTs = true
	good := issued(t, "ES256", "k", key, nil)
	forged := issued(t, "ES256", "k", generate(t)["P-256"], nil)
	house := issued(t, "HS256", "", []byte(key1), map[string]any{"iss": nil, "aud": "/client/hubs/chat"})
	yes, no := active(`{}`), auth.Introspected{Known: true}
	for name, c := range map[string]struct {
		in    auth.Introspection
		token string
		says  auth.Introspected
		want  auth.Reason
		asked bool
	}{
		"a JWT":                    {introspecting, good, no, "", false},
		"a JWT, asked":             {jwts, good, yes, "", true},
		"a revoked JWT":            {jwts, good, no, auth.TokenInactive, true},
		"a forged JWT":             {jwts, forged, yes, auth.TokenSignature, false},
		"a JWT of the house":       {jwts, house, no, "", false},
		"one with more behind it":  {jwts, house + "=", no, auth.TokenMalformed, false},
		"one in quotes":            {jwts, `"` + house + `"`, no, auth.TokenMalformed, false},
		"no token":                 {jwts, "", no, auth.TokenMissing, false},
		"a ticket":                 {jwts, "slt_x", yes, auth.TicketUnknown, false},
		"dots":                     {jwts, "a.b", no, auth.TokenInactive, true},
		"two dots, no JWT":         {jwts, "a.b.+", no, auth.TokenInactive, true},
		"two dots, nearly one":     {jwts, "a.b.c", yes, auth.TokenMalformed, false},
		"more than a token may be": {jwts, strings.Repeat("a", 8<<10+1), yes, auth.TokenTooLarge, false},
		"a line end":               {jwts, "a\nb", yes, auth.TokenMalformed, false},
		"not ASCII":                {jwts, "a\xc3\xa4", yes, auth.TokenMalformed, false},
		"a space":                  {jwts, "a b", yes, auth.TokenMalformed, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := &oracle{says: map[string]auth.Introspected{c.token: c.says}}
			_, err := asking(t, o, auth.Issuer{Introspection: c.in}, p).Verify(c.token, "chat", now)
			if reason := reasonOf(t, err); reason != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if (len(o.asked) > 0) != c.asked {
				t.Errorf("asked about %q", o.asked)
			}
		})
	}
	_, err := trusting(t, p, auth.Issuer{}, nil).Verify("opaque", "chat", now)
	if reasonOf(t, err) != auth.TokenMalformed {
		t.Errorf("without introspection: %v", err)
	}
	_, err = trusting(t, p, auth.Issuer{Introspection: introspecting}, nil).Verify("opaque", "chat", now)
	if reasonOf(t, err) != auth.IssuerUnavailable {
		t.Errorf("before anybody can be asked: %v", err)
	}
}

func TestValidateIntrospection(t *testing.T) {
	with := func(change func(*auth.Introspection)) auth.Introspection {
		i := introspecting
		change(&i)
		return i
	}
	for name, c := range map[string]struct {
		in   auth.Introspection
		want []string
	}{
		"none":           {auth.Introspection{}, nil},
		"good":           {introspecting, nil},
		"bearer":         {auth.Introspection{URL: introspecting.URL, BearerToken: "t"}, nil},
		"no address":     {auth.Introspection{ClientID: "a"}, []string{"url"}},
		"plain":          {with(func(i *auth.Introspection) { i.URL = "http://login.example.com/i" }), []string{"url"}},
		"nobody":         {auth.Introspection{URL: introspecting.URL}, []string{"client_id"}},
		"no secret":      {with(func(i *auth.Introspection) { i.ClientSecret = "" }), []string{"client_secret"}},
		"both":           {with(func(i *auth.Introspection) { i.BearerToken = "t" }), []string{"bearer_token"}},
		"a bad token":    {auth.Introspection{URL: introspecting.URL, BearerToken: "a\r\nb"}, []string{"bearer_token"}},
		"remembers long": {with(func(i *auth.Introspection) { i.CacheTTL, i.NegativeTTL = 2*time.Hour, -1 }), []string{"cache_ttl", "negative_ttl"}},
		"negative":       {with(func(i *auth.Introspection) { i.CacheEntries, i.Workers, i.Queue = -1, -1, -1 }), []string{"cache_entries", "workers", "queue"}},
	} {
		var got []string
		c.in.Validate(func(key, _ string) { got = append(got, key) })
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	two := []auth.Issuer{
		{Issuer: issuerName, Audience: []string{"a"}, Introspection: introspecting},
		{Issuer: issuerName + "/b", Audience: []string{"a"}, Introspection: introspecting},
	}
	var got []string
	auth.ValidateIssuers("issuers", two, func(key, _ string) { got = append(got, key) })
	if !slices.Equal(got, []string{"issuers[1].introspection"}) {
		t.Errorf("two that are asked about opaque tokens: %v", got)
	}
}

// FuzzOpaqueTokens: whatever a client and its provider say, nobody comes in without
// a user, and what is shown to the provider is the token as it was sent.
func FuzzOpaqueTokens(f *testing.F) {
	f.Add("opaque", `{"sub":"ann","aud":"sluice","exp":4102444800}`)
	f.Add("a.b.c", `{"sub":["ann"],"aud":"sluice"}`)
	f.Add("a\x00", `[]`)
	f.Fuzz(func(t *testing.T, token, claims string) {
		o := &oracle{says: map[string]auth.Introspected{token: active(claims)}}
		id, err := asking(t, o, auth.Issuer{}, nil).Verify(token, "chat", now)
		if err == nil && id.User == "" || len(o.asked) > 1 {
			t.Errorf("came in as %q, asked about %q", id.User, o.asked)
		}
	})
}
