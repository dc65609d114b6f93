package auth_test

import (
	"errors"
	"strings"
	"testing"

	"sluice/auth"
)

// TestTenants: a hub with keys or origins of its own takes those and no others,
// and every other hub what the configuration has.
func TestTenants(t *testing.T) {
	own := strings.Repeat("o", auth.MinKeySize)
	tenants, err := auth.NewTenants(
		auth.Config{Keys: []auth.Key{{Secret: auth.Secret(key1)}}, Origins: []string{"https://all.example"}},
		map[string]auth.Tenant{
			"Keys":    {Keys: []auth.Key{{Secret: auth.Secret(own)}}},
			"origins": {Origins: []string{"https://own.example"}},
			"plain":   {},
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hub, key, origin string // the key and origin that it takes
	}{
		{"keys", own, "https://all.example"},
		{"KEYS", own, "https://all.example"},
		{"origins", key1, "https://own.example"},
		{"plain", key1, "https://all.example"},
		{"unknown", key1, "https://all.example"},
	} {
		for _, key := range []string{key1, own} {
			token := sign("HS256", `{"alg":"HS256"}`, `{"exp":1700003600,"aud":"/client/hubs/`+c.hub+`"}`, key)
			_, err := tenants.Verifier(c.hub).Verify(token, c.hub, now)
			if good := err == nil; good != (key == c.key) {
				t.Errorf("hub %s, key %.3s…: %v", c.hub, key, err)
			}
			if r := (*auth.Refusal)(nil); err != nil && (!errors.As(err, &r) || r.Reason != auth.TokenSignature) {
				t.Errorf("hub %s: %v", c.hub, err)
			}
		}
		for _, origin := range []string{"https://all.example", "https://own.example"} {
			if tenants.Origins(c.hub).Allow(origin, "here.example") != (origin == c.origin) {
				t.Errorf("hub %s, page of %s: not as wanted", c.hub, origin)
			}
		}
	}
}

func TestTenantsRefused(t *testing.T) {
	good := auth.Config{Keys: []auth.Key{{Secret: auth.Secret(key1)}}}
	if _, err := auth.NewTenants(auth.Config{}, nil); err == nil {
		t.Error("no key is taken")
	}
	_, err := auth.NewTenants(good, map[string]auth.Tenant{"chat": {Origins: []string{"nowhere"}}})
	if err == nil || !strings.Contains(err.Error(), "chat") {
		t.Errorf("a bad origin: %v", err)
	}
}
