package provider_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sluice/internal/testkit"
	"sluice/internal/testkit/provider"
)

var client = provider.Client{ID: "app", Secret: "s", RedirectURIs: []string{"https://app.test/back"}, Audience: []string{"app", "api"}}

var opaque = provider.Client{ID: "opaque", Secret: "o", RedirectURIs: client.RedirectURIs, Opaque: true}

// claims is what the tests look at.
type claims struct {
	jwt.Claims
	Name string `json:"preferred_username"`
}

// parse reads a token without checking it.
func parse(t *testing.T, token string) (kid string, c claims) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err == nil {
		err = parsed.UnsafeClaimsWithoutVerification(&c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID, c
}

func introspect(t *testing.T, p *provider.Provider, c provider.Client, token string) map[string]any {
	t.Helper()
	r, err := http.NewRequest("POST", p.URL+"/oauth/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, c.Secret)
	answer, err := p.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("introspection: %s", answer.Status)
	}
	var is map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

func TestTokens(t *testing.T) {
	testkit.NoLeaks(t)
	p := provider.Start(t, client, opaque)
	got := p.Login(t, client)
	for name, token := range map[string]string{"access": got.Access, "ID": got.ID} {
		_, claims := parse(t, token)
		if claims.Issuer != p.URL || claims.Subject != "u-1" || !claims.Audience.Contains("app") || claims.Name != "ann" {
			t.Errorf("%s token: %+v", name, claims)
		}
	}
	if _, claims := parse(t, p.ClientCredentials(t, client)); claims.Subject != "app" {
		t.Errorf("client credentials: %+v", claims)
	}

	p.SetUser(provider.User{Subject: "u-2", Name: "bob", Groups: []string{"dev"}})
	token := p.Login(t, opaque).Access
	if strings.Count(token, ".") == 2 {
		t.Errorf("the opaque token is a JWT")
	}
	if is := introspect(t, p, opaque, token); is["active"] != true || is["sub"] != "u-2" || is["username"] != "bob" {
		t.Errorf("introspection: %v", is)
	}
	p.Revoke(t, opaque, token)
	for _, token := range []string{token, "made up"} {
		if is := introspect(t, p, opaque, token); is["active"] != false || len(is) != 1 {
			t.Errorf("introspection of a token that is not good: %v", is)
		}
	}
	if n := p.Asked("/oauth/introspect"); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

// TestTrusted: code that knows nothing of the test trusts the provider.
func TestTrusted(t *testing.T) {
	p := provider.Start(t)
	c, err := tls.Dial("tcp", strings.TrimPrefix(p.URL, "https://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestRotate(t *testing.T) {
	p := provider.Start(t, client)
	before, _ := parse(t, p.Login(t, client).ID)
	kid := p.Rotate()
	if got, _ := parse(t, p.Login(t, client).ID); got != kid || got == before {
		t.Errorf("key %s, %s was before, want %s", got, before, kid)
	}
	if got := published(t, p); !slices.Equal(got, []string{before, kid}) {
		t.Errorf("published: %v", got)
	}
	p.Withdraw()
	if got := published(t, p); !slices.Equal(got, []string{kid}) {
		t.Errorf("published after that: %v", got)
	}
}

func published(t *testing.T, p *provider.Provider) []string {
	t.Helper()
	answer, err := p.Client().Get(p.URL + "/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	return ids
}

func TestFaults(t *testing.T) {
	p := provider.Start(t)
	p.SetDown(true)
	if answer, err := p.Client().Get(p.URL + "/keys"); err == nil {
		t.Errorf("away: %s", answer.Status)
	}
	p.SetDown(false)
	p.SetDelay(time.Hour)
	hurried := *p.Client()
	hurried.Timeout = 10 * time.Millisecond
	if answer, err := hurried.Get(p.URL + "/keys"); err == nil {
		t.Errorf("slow: %s", answer.Status)
	}
	p.SetDelay(0)
	published(t, p)
}
