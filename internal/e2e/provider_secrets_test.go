package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sluice/internal/testkit"
)

// TestSecretsOfProviders: an identity provider that fails, and says in its errors all
// that it was asked with, as some do, has none of it logged, answered or shown: no
// secret of this system's as a client, no token, no code.
func TestSecretsOfProviders(t *testing.T) {
	v := &vault{t: t, secrets: map[string]string{}, seen: map[string]string{}}
	var asked atomic.Int64
	var base string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[2]s/authorize","token_endpoint":"%[2]s/token","jwks_uri":"%[2]s/keys"}`, base, base)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		id, secret, _ := r.BasicAuth()
		text := fmt.Sprintf("%q %q %q %q", r.Header, body, id, secret)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, text)
	})
	p := httptest.NewServer(mux)
	t.Cleanup(p.Close)
	base = p.URL

	dir := t.TempDir()
	file := filepath.Join(dir, "sluice.yaml")
	write(t, file, fmt.Sprintf(`
listen: ["127.0.0.1:0"]
ops: "127.0.0.1:0"
ops_login: {issuer: %q, client_id: ops, client_secret: %q, url: "http://localhost:1", allow: {emails: [ann@example.com]}, metrics_token: %q}
log: {level: debug, users: true}
engine: {log_lines_per_second: 1000000}
sse: {enable: true}
sockjs: {enable: true}
auth:
  keys: [{secret: %q}]
  issuers:
    - issuer: %q
      audience: [sluice]
      introspection: {url: %q, client_id: node, client_secret: %q}
hub:
  hubs:
    chat: {}
    bearer:
      issuers: [{issuer: %q, audience: [sluice], introspection: {url: %q, bearer_token: %q}}]
`, base, v.add("the secret of the login", "what-the-login-shows-the-provider"), v.add("the token for metrics", "what-prometheus-shows-and-nobody-sees"),
		v.add("the key", "the-key-of-the-house-that-nobody-sees"),
		base, base+"/introspect", v.add("the secret for introspection", "what-the-node-shows-the-provider"),
		base, base+"/introspect", v.add("the bearer token for introspection", "what-the-node-bears-to-the-provider")))
	n := await(start(t, sluice, "serve", "--config", file))

	opaque := v.add("an opaque token", "opaque-to-us-and-to-everybody-else")
	for _, hub := range []string{"chat", "bearer"} {
		for _, send := range []string{
			testkit.Head("/client/hubs/"+hub, "Authorization: Bearer "+opaque),
			testkit.Head("/client/hubs/" + hub + "?access_token=" + opaque),
			"GET /sse/hubs/" + hub + "?access_token=" + opaque + " HTTP/1.1\r\nHost: h\r\n\r\n",
			"POST /sockjs/hubs/" + hub + "/0/s/xhr?access_token=" + opaque + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		} {
			v.ask(n.addr, "a client of "+hub, send)
		}
	}
	if asked.Load() == 0 {
		t.Error("the provider was not asked about a token")
	}

	// A login that gets as far as the exchange of its code.
	noRedirects := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true}}
	code := v.add("a code", "a-code-of-the-provider-for-a-login")
	begin, err := http.NewRequest("GET", "http://"+n.ops+"/oauth/login?to=%2Fslow-consumers", nil)
	if err != nil {
		t.Fatal(err)
	}
	begin.Header.Set("Accept", "text/html")
	begun, err := noRedirects.Do(begin)
	if err != nil {
		t.Fatal(err)
	}
	begun.Body.Close()
	to, err := url.Parse(begun.Header.Get("Location"))
	if err != nil || to.Query().Get("state") == "" {
		t.Fatalf("no login begins: %s %v", begun.Status, begun.Header)
	}
	before := asked.Load()
	for _, state := range []string{to.Query().Get("state"), "another"} {
		back, err := http.NewRequest("GET", "http://"+n.ops+"/oauth/callback?code="+code+"&state="+url.QueryEscape(state), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range begun.Cookies() {
			v.add("the cookie "+c.Name, c.Value)
			back.AddCookie(c)
		}
		answer, err := noRedirects.Do(back)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		v.see("the end of a login", string(text))
	}
	if asked.Load() == before {
		t.Error("the provider was not asked about a code")
	}
	for _, path := range []string{"/", "/metrics", "/healthz", "/oauth/logout"} {
		_, body := n.get(path)
		v.see(path, body)
	}
	for _, format := range []string{"yaml", "json"} {
		out, errs, _ := run(t, sluice, "config", "--config", file, "--format", format)
		v.see("sluice config", out+errs)
	}
	n.signal(syscall.SIGQUIT)
	n.wait()
	v.see("the log", n.output())
	if !strings.Contains(n.output(), "handshake refused") {
		t.Error("nothing was refused")
	}
	v.check()
}
