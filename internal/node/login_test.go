package node

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"sluice/api/login"
	"sluice/internal/config"
	"sluice/internal/testkit"
	idp "sluice/internal/testkit/provider"
)

// TestOpsLogin: an operator gets to the pages of a node through a real provider,
// which may be away when the node starts.
func TestOpsLogin(t *testing.T) {
	testkit.NoLeaks(t)
	const address = "http://localhost:1" // where browsers find the node, by their proxy
	p := idp.Start(t)
	p.Register(idp.Client{ID: "ops", Secret: "s3cret", RedirectURIs: []string{address + "/oauth/callback"}})
	p.SetDown(true)
	n := startNode(t, func(c *config.Config) {
		c.OpsPprof = true
		c.OpsLogin = login.Config{
			Issuer: p.URL, ClientID: "ops", ClientSecret: "s3cret", URL: address,
			Allow: login.Allow{Emails: []string{"ann@example.com"}},
		}
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		if "http://"+to == address {
			to = n.OpsAddr().String()
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	browser := &http.Client{Jar: jar, Transport: transport}
	ask := func(path, accept string) (int, string) {
		t.Helper()
		r, err := http.NewRequest("GET", address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", accept)
		answer, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}

	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/api/openapi.json": 200,
		"/slow-consumers": 401, "/debug/pprof/symbol": 401, "/": 401,
	} {
		if got, body := ask(path, "*/*"); got != want {
			t.Errorf("%s before: %d %s", path, got, body)
		}
	}
	p.SetDown(false)
	if got, body := ask("/slow-consumers", "text/html"); got != http.StatusOK || body != `{"value":[]}` {
		t.Fatalf("after the login: %d %s", got, body)
	}
	for _, path := range []string{"/", "/debug/pprof/symbol"} {
		if got, body := ask(path, "*/*"); got != http.StatusOK {
			t.Errorf("%s after: %d %s", path, got, body)
		}
	}
	if _, page := ask("/metrics", "*/*"); !strings.Contains(page, `sluice_ops_logins_total{result="ok"} 1`) {
		t.Errorf("the login is not counted")
	}
}
