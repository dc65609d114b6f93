package auth_test

import (
	"reflect"
	"testing"
	"time"

	"sluice/auth"
)

func TestMintedTokensAreAccepted(t *testing.T) {
	anywhere := newVerifier(t, nil)
	here := newVerifier(t, func(c *auth.Config) { c.Endpoints = []string{"https://chat.example.com"} })
	cases := []struct {
		claims         auth.Claims
		anywhere, here bool
	}{
		{auth.Claims{Hub: "chat", TTL: time.Hour}, true, false},
		{auth.Claims{Hub: "a`,.[b]", TTL: time.Hour, User: "ann", Groups: []string{"g"}, Roles: []string{"sluice.sendToGroup", "admin"}}, true, false},
		{auth.Claims{Hub: "chat", TTL: time.Hour, Endpoint: "https://chat.example.com/"}, true, true},
		{auth.Claims{Hub: "chat", TTL: time.Hour, Endpoint: "https://other.example.com"}, true, false},
	}
	for _, c := range cases {
		token, err := auth.Mint([]byte(key2), c.claims, now)
		if err != nil {
			t.Fatal(err)
		}
		id, err := anywhere.Verify(token, c.claims.Hub, now)
		if (err == nil) != c.anywhere {
			t.Errorf("%+v: %v", c.claims, err)
		}
		if id.User != c.claims.User || !reflect.DeepEqual(id.Groups, c.claims.Groups) || !id.Expires.Equal(now.Add(time.Hour+time.Minute)) {
			t.Errorf("%+v became %+v", c.claims, id)
		}
		if _, err := here.Verify(token, c.claims.Hub, now); (err == nil) != c.here {
			t.Errorf("with endpoints: %+v: %v", c.claims, err)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	good := auth.Claims{Hub: "chat", TTL: time.Hour}
	cases := []struct {
		name, key string
		change    func(*auth.Claims)
	}{
		{"short key", "short", func(*auth.Claims) {}},
		{"hub", key1, func(c *auth.Claims) { c.Hub = "a/b" }},
		{"group", key1, func(c *auth.Claims) { c.Groups = []string{" "} }},
		{"role", key1, func(c *auth.Claims) { c.Roles = []string{"sluice.sendToGrup"} }},
		{"ttl", key1, func(c *auth.Claims) { c.TTL = 0 }},
		{"endpoint", key1, func(c *auth.Claims) { c.Endpoint = "chat.example.com" }},
	}
	for _, c := range cases {
		claims := good
		c.change(&claims)
		if token, err := auth.Mint([]byte(c.key), claims, now); err == nil || token != "" {
			t.Errorf("%s: got %q, %v", c.name, token, err)
		}
	}
}
