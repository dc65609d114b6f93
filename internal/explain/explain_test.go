package explain

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/access"
	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
)

const (
	common = "0123456789abcdef0123456789abcdef"
	own    = "a key of the office alone, long enough"
)

func TestExplain(t *testing.T) {
	cfg := config.Config{
		Auth: auth.Config{Keys: []auth.Key{{Secret: "an older one that is long enough too"}, {ID: "new", Secret: common}}, Origins: []string{"https://app.example.com"}},
		Hub: hub.Config{Hubs: map[string]hub.Tenant{
			"chat":    {},
			"vault":   {ClientCert: auth.ClientCert{Required: true}},
			"devices": {ClientCert: auth.ClientCert{User: "dns"}},
			"Office":  {Keys: []auth.Key{{Secret: own}}, Origins: []string{"https://office.example.com"}, Addresses: access.Rules{Allow: []string{"192.0.2.0/24"}}},
		}},
		Access: access.Config{Rules: access.Rules{Deny: []string{"198.51.100.0/24"}, Shadow: access.ShadowRules{Deny: []string{"203.0.113.0/24"}}}},
	}
	if err := config.Check(&cfg); err != nil {
		t.Fatal(err)
	}
	n, err := New(cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	token := func(key, hub string) string {
		s, err := auth.Mint([]byte(key), auth.Claims{Hub: hub, User: "alice", TTL: time.Hour,
			Roles: []string{"sluice.joinLeaveGroup.room", "sluice.sendToGroups.news.*"}}, now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		name string
		q    Question
		want []string // parts of the findings, one each
	}{
		{"all is well", Question{Hub: "chat", Token: token(common, "chat"), Address: netip.MustParseAddr("192.0.2.1"), Origin: "https://app.example.com", Action: "joinGroup", Group: "room"},
			[]string{"address true access.rules: nothing", "origin true auth.origins: https://app.example.com is in the list", `token true auth.keys[1] (new): user "alice"`, "hub true hub.hubs.chat", "action true roles of the token: the role sluice.joinLeaveGroup.room "}},
		{"a pattern", Question{Hub: "chat", Token: token(common, "chat"), Action: "sendToGroup", Group: "news.x"},
			[]string{"origin true", "token true", "hub true", "sluice.sendToGroups.news.* allows"}},
		{"no role", Question{Hub: "chat", Token: token(common, "chat"), Action: "sendToGroup", Group: "room"},
			[]string{"origin true", "token true", "hub true", "action false roles of the token: no role allows"}},
		{"denied", Question{Hub: "chat", Address: netip.MustParseAddr("198.51.100.7")},
			[]string{"address false access.rules.deny: 198.51.100.7 is in 198.51.100.0/24", "origin true", "token false auth: token_missing", "hub true"}},
		{"shadow", Question{Hub: "chat", Address: netip.MustParseAddr("203.0.113.7"), Origin: "https://evil.example.com"},
			[]string{"address true access.rules: nothing speaks against 203.0.113.7; the rules that are tried out would refuse it (shadow_deny)", "origin false auth.origins", "token false", "hub true"}},
		{"a hub of its own", Question{Hub: "OFFICE", Token: token(own, "office"), Address: netip.MustParseAddr("192.0.2.1"), Origin: "https://office.example.com"},
			[]string{"address true access.rules: ", "address true hub.hubs.Office.addresses.allow: 192.0.2.1 is in 192.0.2.0/24", "origin true hub.hubs.Office.origins", "token true hub.hubs.Office.keys[0]", "hub true"}},
		{"another hub's token", Question{Hub: "office", Token: token(common, "office"), Address: netip.MustParseAddr("10.0.0.1")},
			[]string{"address true", "address false hub.hubs.Office.addresses.allow: 10.0.0.1 is in none", "origin true", "token false auth: token_signature", "hub true"}},
		{"no such hub", Question{Hub: "lobby", Token: token(common, "lobby"), Origin: "https://x.example.com", Host: "x.example.com"},
			[]string{"origin true auth.origins: https://x.example.com is the host", "token true", `hub false hub.hubs: "lobby" is not declared`}},
		{"no such hub and no token", Question{Hub: "lobby", Action: "joinGroup", Group: "room"},
			[]string{"origin true", "token false auth: token_missing", `hub false hub.hubs: "lobby" is not declared`}},
		{"a certificate is needed", Question{Hub: "vault", Token: token(common, "vault")},
			[]string{"origin true", "token true", "cert true hub.hubs.vault.client_cert.required: if the client shows a certificate", "hub true"}},
		{"a certificate will do", Question{Hub: "devices"},
			[]string{"origin true", "token false auth: token_missing", "cert true hub.hubs.devices.client_cert.user: a client with a certificate", "hub true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := n.Explain(t.Context(), tt.q, now)
			if len(got) != len(tt.want) {
				t.Fatalf("%d findings, want %d: %+v", len(got), len(tt.want), got)
			}
			for i, f := range got {
				line := f.Subject + " false "
				if f.Allowed {
					line = f.Subject + " true "
				}
				if line += f.Rule + ": " + f.Why; !strings.Contains(line, tt.want[i]) {
					t.Errorf("got %s\nwant %s", line, tt.want[i])
				}
			}
		})
	}
}

// TestExplainOpaqueTokens: the provider is asked, and its answer waited for.
func TestExplainOpaqueTokens(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("token") == "good" {
			fmt.Fprintf(w, `{"active":true,"sub":"alice","aud":"sluice"}`)
			return
		}
		fmt.Fprint(w, `{"active":false}`)
	}))
	defer provider.Close()
	cfg := config.Config{
		Auth: auth.Config{Issuers: []auth.Issuer{{
			Issuer: provider.URL, JWKSURL: auth.NoJWKS, Audience: []string{"sluice"},
			Introspection: auth.Introspection{URL: provider.URL + "/introspect", ClientID: "id", ClientSecret: "secret"},
		}}},
		Hub: hub.Config{CreateOnFirstUse: true},
	}
	if err := config.Check(&cfg); err != nil {
		t.Fatal(err)
	}
	n, err := New(cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"good": `user "alice"`, "bad": "token_inactive"} {
		_, f := n.token(t.Context(), Question{Token: token, Hub: "chat"}, time.Now())
		if f.Allowed && f.Rule != fmt.Sprintf("auth.issuers[0].introspection (%s)", provider.URL) {
			t.Errorf("%s: the rule is %s", token, f.Rule)
		}
		if f.Allowed != (token == "good") || !strings.Contains(f.Why, want) {
			t.Errorf("%s: %+v", token, f)
		}
	}
}

func TestParseAction(t *testing.T) {
	for text, ok := range map[string]bool{
		"joinGroup:room": true, "leaveGroup:a:b": true, "sendToGroup:x": true,
		"joinGroup": false, "joinGroup:": false, "shout:x": false, "": false,
	} {
		if _, _, err := ParseAction(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestExplainUnavailable: a provider that cannot be asked is told with why, so that
// an operator finds a wrong address or a certificate that is not trusted.
func TestExplainUnavailable(t *testing.T) {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "broken", http.StatusBadGateway)
	}))
	defer provider.Close()
	cfg := config.Config{
		Auth: auth.Config{Issuers: []auth.Issuer{{
			Issuer: provider.URL, Audience: []string{"sluice"},
			Introspection: auth.Introspection{URL: provider.URL + "/introspect", ClientID: "id", ClientSecret: "secret"},
		}}},
		Hub: hub.Config{CreateOnFirstUse: true},
	}
	if err := config.Check(&cfg); err != nil {
		t.Fatal(err)
	}
	n, err := New(cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	jwt := part(`{"alg":"RS256","kid":"1"}`) + "." + part(fmt.Sprintf(`{"iss":%q,"aud":"sluice","sub":"a","exp":9999999999}`, provider.URL)) + "." + part("signature")
	for token, what := range map[string]string{jwt: "; the keys of ", "opaque": "; the word of "} {
		_, f := n.token(t.Context(), Question{Token: token, Hub: "chat"}, time.Now())
		if f.Allowed || !strings.Contains(f.Why, what+provider.URL) || !strings.Contains(f.Why, "502") {
			t.Errorf("%s: %+v", token, f)
		}
	}
}
