package node

import (
	"net/http"
	"strings"
	"testing"

	"sluice/auth"
	"sluice/internal/config"
	"sluice/internal/testkit"
	idp "sluice/internal/testkit/provider"
)

// clientStatus opens a WebSocket with a token and returns how that was answered.
func clientStatus(t *testing.T, n *Node, token string) int {
	t.Helper()
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	defer c.Close()
	c.WriteString(testkit.Head("/client/hubs/chat", "Authorization: Bearer "+token, subprotocol))
	return c.ReadResponse().StatusCode
}

// TestRealProvider: what a real OpenID provider gives its clients lets them in, by
// discovery alone, while it is away as well, and after it has changed its key.
func TestRealProvider(t *testing.T) {
	p := idp.Start(t)
	n := startNode(t, func(c *config.Config) {
		c.Auth.Issuers = []auth.Issuer{{
			Issuer: p.URL, Audience: []string{idp.DefaultClient.ID},
			Claims: auth.ClaimNames{User: "preferred_username", Groups: "groups"},
		}}
		c.Engine.HandshakeTimeout = 2 * testkit.Patience
	})
	testkit.Eventually(t, testkit.Patience, func() bool {
		_, page := get(t, n, "/metrics")
		return strings.Contains(page, `sluice_issuer_key_fetches_total{result="ok"} 1`)
	}, "the keys are fetched")

	old := p.Login(t, idp.DefaultClient)
	for name, token := range map[string]string{"access": old.Access, "ID": old.ID} {
		c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat", "Authorization: Bearer "+token, subprotocol)
		if got := c.ReadText(); !strings.Contains(got, `"userId":"ann"`) {
			t.Errorf("with the %s token: %s", name, got)
		}
	}
	foreign := idp.Client{ID: "elsewhere", Secret: "s", RedirectURIs: []string{"https://elsewhere.test/"}}
	p.Register(foreign)
	if got := clientStatus(t, n, p.Login(t, foreign).Access); got != http.StatusUnauthorized {
		t.Errorf("a token for another system: %d", got)
	}
	if got := clientStatus(t, n, p.ClientCredentials(t, idp.DefaultClient)); got != http.StatusUnauthorized {
		t.Errorf("a token of nobody: %d", got)
	}

	p.SetDown(true)
	if got := clientStatus(t, n, old.Access); got != http.StatusSwitchingProtocols {
		t.Errorf("while the provider is away: %d", got)
	}
	p.SetDown(false)
	p.Rotate()
	fresh := p.Login(t, idp.DefaultClient).Access
	// Made-up key names cause one request each 10 s, so the client waits for a while.
	if got := clientStatus(t, n, fresh); got != http.StatusSwitchingProtocols {
		t.Errorf("with a new key: %d", got)
	}
	if got := clientStatus(t, n, old.Access); got != http.StatusSwitchingProtocols {
		t.Errorf("with the key before, which is still published: %d", got)
	}
}

// TestRealProviderIsAsked: tokens that only the provider can read let clients in, and
// what it has revoked does not, a JWT of its no more than an opaque token.
func TestRealProviderIsAsked(t *testing.T) {
	opaque := idp.Client{ID: "opaque", Secret: "the secret: of an opaque client", RedirectURIs: idp.DefaultClient.RedirectURIs, Opaque: true}
	p := idp.Start(t, idp.DefaultClient, opaque)
	node := func() *Node {
		return startNode(t, func(c *config.Config) {
			c.Auth.Issuers = []auth.Issuer{{
				Issuer: p.URL, Audience: []string{idp.DefaultClient.ID, opaque.ID},
				Claims: auth.ClaimNames{User: "sub"},
				Introspection: auth.Introspection{
					URL: p.URL + "/oauth/introspect", ClientID: opaque.ID, ClientSecret: auth.Secret(opaque.Secret), JWTs: true,
				},
			}}
			c.Engine.HandshakeTimeout = 2 * testkit.Patience
		})
	}
	n := node()
	good, jwt := p.Login(t, opaque).Access, p.Login(t, idp.DefaultClient).Access
	expect := func(n *Node, what, token string, want int) {
		t.Helper()
		if got := clientStatus(t, n, token); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	for range 3 {
		expect(n, "an opaque token", good, http.StatusSwitchingProtocols)
		expect(n, "a made-up one", "made-up", http.StatusUnauthorized)
	}
	if asked := p.Asked("/oauth/introspect"); asked != 2 {
		t.Errorf("asked %d times about two tokens", asked)
	}
	p.SetDown(true)
	expect(n, "one that is remembered, while the provider is away", good, http.StatusSwitchingProtocols)
	expect(n, "another one", "another", http.StatusServiceUnavailable)
	p.SetDown(false)

	expect(n, "a JWT", jwt, http.StatusSwitchingProtocols)
	p.Revoke(t, opaque, good)
	p.Revoke(t, idp.DefaultClient, jwt)
	fresh := node() // that remembers nothing
	expect(fresh, "a revoked token", good, http.StatusUnauthorized)
	expect(fresh, "a revoked JWT", jwt, http.StatusUnauthorized)
}
