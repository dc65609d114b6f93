package node

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/api/login"
	"sluice/auth"
	"sluice/internal/config"
	"sluice/internal/testkit"
	idp "sluice/internal/testkit/provider"
)

// guards are the headers of an answer, where a row of the table says nothing else.
var guards = map[string]string{
	"Cache-Control":           "no-store",
	"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":         "no-referrer",
	"X-Content-Type-Options":  "nosniff",
}

// revealing is what tells strangers about the insides of a program.
var revealing = regexp.MustCompile(`goroutine \d|\.go:\d|runtime\.|/usr/local/go`)

// TestHeadersOfEveryAnswer walks through every kind of answer that a node gives, in
// plain text and over TLS, by the event loops, by net/http and by each handler.
func TestHeadersOfEveryAnswer(t *testing.T) {
	const (
		never = "no-store, no-cache, no-transform, must-revalidate, max-age=0"
		year  = "public, max-age=31536000"
	)
	testkit.NoLeaks(t)
	s := startSecure(t, func(c *config.Config) {
		c.API.Public = true
		c.SockJS.Enable, c.SockJS.Legacy, c.SockJS.ClientURL = true, true, "https://cdn.example.com/sockjs.js"
		c.SSE.Enable, c.Landing.Enable = true, true
		c.Auth.Origins = []string{"https://app.example.com"}
		c.TLS.HSTS = 24 * time.Hour
		c.OpsPprof = true
	})
	token := mint(t, auth.Claims{})
	get := func(path string, headers ...string) string { return request("GET", path, "", headers...) }
	post := func(path, body string, headers ...string) string { return request("POST", path, body, headers...) }
	const health = "HEAD /api/health HTTP/1.1\r\nHost: h\r\n\r\n"
	call := "Authorization: Bearer " + func() string {
		token, err := auth.MintCall([]byte(testKey), "/api", time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return token
	}()
	iframe := "default-src 'none'; connect-src 'self'; frame-src 'self'; script-src https://cdn.example.com 'sha256-"

	client := []struct {
		name, send string
		status     int
		instead    map[string]string // of guards; a value that ends in "…" is a beginning
	}{
		// The event loops.
		{"not a handshake", get("/elsewhere"), 426, nil},
		{"another method", request("DELETE", "/", ""), 405, nil},
		{"OPTIONS *", request("OPTIONS", "*", ""), 405, nil},
		{"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405, nil},
		{"malformed", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400, nil},
		{"too large", get("/", "X: "+strings.Repeat("x", 30<<10)), 431, nil},
		{"no token", testkit.Head("/client/hubs/chat", subprotocol), 401, nil},
		{"a bad token", testkit.Head("/client/hubs/chat?access_token=x.y.z", subprotocol), 401, nil},
		{"no such path", testkit.Head("/elsewhere"), 404, nil},
		{"a stranger's page", testkit.Head("/client/hubs/chat?access_token="+token, subprotocol, "Origin: https://evil.example.com"), 403, nil},

		// net/http by itself, which sees only what comes after a request of its own.
		{"second request malformed", health + "x\r\n\r\n", 400, nil},
		{"second request too large", health + get("/", "Cookie: "+strings.Repeat("x", 30<<10)), 431, nil},
		{"second request of HTTP/3", health + "GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505, nil},
		{"another transfer encoding", health + "POST /api/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501, nil},
		{"another expectation", health + post("/api/x", "x", "Expect: magic"), 417, nil},
		{"second request of HTTP/2", health + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, nil},
		{"second request for the loops", health + get("/elsewhere"), 426, nil},
		{"second request for the loops, with a body", health + post("/elsewhere", "x"), 404, nil},

		// The data plane.
		{"health", health, 200, nil},
		{"no operation", get("/api/x"), 404, nil},
		{"no call token", post("/api/hubs/chat/:send?api-version=2024-01-01", "x"), 401, nil},
		{"a bad body", post("/api/hubs/chat/:send?api-version=2024-01-01", "x", call, "Content-Type: application/x-nothing"), 415, nil},
		{"too large a body", post("/api/hubs/chat/:send?api-version=2024-01-01", strings.Repeat("x", 2<<20), call, "Content-Type: text/plain"), 413, nil},
		{"accepted", post("/api/hubs/chat/:send?api-version=2024-01-01", "x", call, "Content-Type: text/plain"), 202, nil},
		{"nobody", request("HEAD", "/api/hubs/chat/connections/x?api-version=2024-01-01", "", call), 404, nil},
		{"a list", get("/api/hubs/chat/groups/g/connections?api-version=2024-12-01", call), 200, nil},
		{"the description", get("/api/openapi.json"), 200, nil},
		{"a path that is not clean", get("/api//hubs/../x"), 307, nil},

		// The landing page and Server-Sent Events.
		{"landing", get("/"), 200, map[string]string{
			"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"}},
		{"events", get("/sse/hubs/chat?access_token=" + token), 200, map[string]string{"Cache-Control": "no-store, no-transform"}},
		{"events, preflight", request("OPTIONS", "/sse/hubs/chat", ""), 204, map[string]string{"Cache-Control": year}},
		{"events, no more", get("/sse/hubs/chat", "Last-Event-ID: over"), 204, nil},
		{"events, no token", get("/sse/hubs/chat"), 401, nil},
		{"events, no hub", get("/sse/hubs/9"), 400, nil},
		{"events, no path", get("/sse/hubs/chat%2fx"), 404, nil},
		{"events, method", request("DELETE", "/sse/hubs/chat", ""), 405, nil},
		{"events, stranger", get("/sse/hubs/chat", "Origin: https://evil.example.com"), 403, nil},

		// SockJS.
		{"greeting", get("/sockjs/hubs/chat"), 200, nil},
		{"info", get("/sockjs/hubs/chat/info"), 200, map[string]string{"Cache-Control": never}},
		{"preflight", request("OPTIONS", "/sockjs/hubs/chat/info", ""), 204, map[string]string{"Cache-Control": year}},
		{"iframe", get("/sockjs/hubs/chat/iframe.html"), 200, map[string]string{"Cache-Control": year, "Content-Security-Policy": iframe + "…"}},
		{"SockJS, nothing there", get("/sockjs/hubs/chat/a/b/c/d"), 404, nil},
		{"SockJS, method", request("DELETE", "/sockjs/hubs/chat/info", ""), 405, nil},
		{"SockJS, stranger", get("/sockjs/hubs/chat/info", "Origin: https://evil.example.com"), 403, map[string]string{"Cache-Control": never}},
		{"SockJS, no token", post("/sockjs/hubs/chat/0/s1/xhr", ""), 401, map[string]string{"Cache-Control": never}},
		{"SockJS, open", post("/sockjs/hubs/chat/0/s2/xhr?access_token="+token, ""), 200, map[string]string{"Cache-Control": never}},
		{"SockJS, no session", post("/sockjs/hubs/chat/0/s3/xhr_send?access_token="+token, "[]"), 404, map[string]string{"Cache-Control": never}},
		{"SockJS, no callback", get("/sockjs/hubs/chat/0/s4/jsonp?access_token=" + token), 500, map[string]string{"Cache-Control": never}},
		{"SockJS, jsonp", get("/sockjs/hubs/chat/0/s5/jsonp?c=x&access_token=" + token), 200, map[string]string{"Cache-Control": never}},
		{"SockJS, htmlfile", get("/sockjs/hubs/chat/0/s6/htmlfile?c=x&access_token=" + token), 200,
			map[string]string{"Cache-Control": never, "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'"}},
	}
	for _, tt := range client {
		t.Run(tt.name, func(t *testing.T) {
			for _, secure := range []bool{false, true} {
				c, send := (*testkit.Conn)(nil), tt.send
				if secure {
					c = s.dial(s.client("localhost"))
					send = strings.Replace(send, "/chat/0/s", "/chat/0/secure", 1) // a session of its own
				} else {
					c = testkit.Dial(t, "tcp", s.Addrs()[0].String())
				}
				checkAnswer(t, c, send, tt.status, tt.instead, secure)
				c.Close()
			}
		})
	}
	t.Run("plain text to TLS", func(t *testing.T) {
		c := testkit.Dial(t, "tcp", s.Addrs()[1].String())
		checkAnswer(t, c, get("/"), 400, nil, false)
	})

	for _, tt := range []struct {
		name, send string
		status     int
	}{
		{"list", get("/"), 200},
		{"health", get("/healthz"), 200},
		{"ready", get("/readyz"), 200},
		{"metrics", get("/metrics"), 200},
		{"slow consumers", get("/slow-consumers"), 200},
		{"slow consumers, bad", get("/slow-consumers?n=x"), 400},
		{"no page", get("/x"), 404},
		{"method", post("/metrics", "x"), 405},
		{"another method", post("/slow-consumers", "x"), 404},
		{"profiles", get("/debug/pprof/"), 200},
		{"no profile", get("/debug/pprof/x"), 404},
		{"no call token", post("/api/hubs/chat/:send?api-version=2024-01-01", "x"), 401},
		{"OPTIONS *", request("OPTIONS", "*", ""), 400},
		{"malformed", "x\r\n\r\n", 400},
		{"traversal", get("/api/../../etc/passwd"), 307},
		{"absolute address", get("http://elsewhere/healthz"), 200},
		{"handshake", testkit.Head("/client/hubs/chat"), 404},
	} {
		t.Run("operations/"+tt.name, func(t *testing.T) {
			checkAnswer(t, testkit.Dial(t, "tcp", s.OpsAddr().String()), tt.send, tt.status, nil, false)
		})
	}
}

// request returns a whole request.
func request(method, path, body string, headers ...string) string {
	text := method + " " + path + " HTTP/1.1\r\nHost: h\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	return text + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// checkAnswer sends and holds the last answer against what every answer must have.
func checkAnswer(t *testing.T, c *testkit.Conn, send string, status int, instead map[string]string, secure bool) {
	t.Helper()
	go func() { _, _ = io.WriteString(c.Conn, send) }() // may be refused before all of it is read
	resp := c.ReadResponse()
	noBody := strings.HasPrefix(send, "HEAD ")
	if _, second, _ := strings.Cut(send, "\r\n\r\n"); noBody && second != "" {
		noBody = false
		resp.Body = http.NoBody
		resp = c.ReadResponse()
	}
	if resp.StatusCode != status {
		t.Fatalf("status %s, want %d", resp.Status, status)
	}
	for name, want := range guards {
		if other, ok := instead[name]; ok {
			want = other
		}
		got := resp.Header.Values(name)
		beginning, isBeginning := strings.CutSuffix(want, "…")
		if len(got) != 1 || got[0] != want && !(isBeginning && strings.HasPrefix(got[0], beginning)) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := ""
	if secure {
		want = "max-age=86400"
	}
	if got := resp.Header.Get("Strict-Transport-Security"); got != want {
		t.Errorf("Strict-Transport-Security: %q, want %q", got, want)
	}
	for _, name := range []string{"Server", "X-Powered-By", "Via"} {
		if got := resp.Header.Values(name); len(got) > 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if noBody {
		return
	}
	body := make([]byte, 16<<10)
	n, _ := resp.Body.Read(body) // a stream does not end
	if found := revealing.Find(body[:n]); found != nil && resp.Header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("the body shows %q: %.200s", found, body[:n])
	}
}

// TestHeadersOfLogins: pages behind a login have them too, and those of the login.
func TestHeadersOfLogins(t *testing.T) {
	const policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	p := idp.Start(t)
	n := startNode(t, func(c *config.Config) {
		c.OpsLogin = login.Config{
			Issuer: p.URL, ClientID: "ops", ClientSecret: "s3cret", URL: "http://localhost:1",
			Allow: login.Allow{Emails: []string{"ann@example.com"}},
		}
	})
	for _, tt := range []struct {
		path, accept string
		status       int
		instead      map[string]string
	}{
		{"/healthz", "*/*", 200, nil},
		{"/slow-consumers", "*/*", 401, map[string]string{"Content-Security-Policy": policy}},
		{"/", "text/html", 302, map[string]string{"Content-Security-Policy": policy}},
		{"/oauth/callback?code=x&state=y", "text/html", 400, map[string]string{"Content-Security-Policy": policy}},
		{"/oauth/logout", "text/html", 200, map[string]string{"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			checkAnswer(t, testkit.Dial(t, "tcp", n.OpsAddr().String()), request("GET", tt.path, "", "Accept: "+tt.accept), tt.status, tt.instead, false)
		})
	}
}
