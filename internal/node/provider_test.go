package node

import (
	"net/http"
	"strings"
	"testing"
	"time"

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
	// Made-up key names cause one request each 10 s, so it takes a while.
	testkit.Eventually(t, testkit.Patience, func() bool {
		switch got := clientStatus(t, n, fresh); got {
		case http.StatusSwitchingProtocols:
			return true
		case http.StatusUnauthorized, http.StatusServiceUnavailable:
			<-time.After(100 * time.Millisecond)
		default:
			t.Fatalf("with a new key: %d", got)
		}
		return false
	}, "a token of the new key lets in")
	if got := clientStatus(t, n, old.Access); got != http.StatusSwitchingProtocols {
		t.Errorf("with the key before, which is still published: %d", got)
	}
}
