package api_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/api"
)

func notReady() (bool, string) { return false, "draining" }

func page(w io.Writer) { fmt.Fprintln(w, "sluice_connections 3") }

func fine() (bool, string) { return true, "" }

func ops(ready func() (bool, string)) api.Ops {
	return api.Ops{Healthy: fine, Ready: ready, WriteMetrics: page}
}

func TestUnhealthy(t *testing.T) {
	o := ops(fine)
	o.Healthy = func() (bool, string) { return false, "stuck" }
	w := httptest.NewRecorder()
	api.NewOps(o).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Code != 503 || w.Body.String() != "stuck\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestPprof: the profiles are there when they are switched on, and only then.
func TestPprof(t *testing.T) {
	for _, on := range []bool{false, true} {
		o := ops(fine)
		o.Pprof = on
		h := api.NewOps(o)
		want := map[bool]int{false: 404, true: 200}[on]
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap?debug=1", "/debug/pprof/symbol"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if w.Code != want {
				t.Errorf("%s, pprof %v: %d, want %d", path, on, w.Code, want)
			}
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/cmdline", nil))
		if w.Code != 404 {
			t.Errorf("the command line, with the keys that may be in it: %d", w.Code)
		}
		w = httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if strings.Contains(w.Body.String(), "pprof") != on {
			t.Errorf("pprof %v: the list is %q", on, w.Body)
		}
	}
}

func TestOps(t *testing.T) {
	ready := func() (bool, string) { return true, "" }
	for _, tt := range []struct {
		method, path string
		ready        func() (bool, string)
		status       int
		body         string
	}{
		{"GET", "/healthz", notReady, 200, "ok\n"},
		{"GET", "/readyz", ready, 200, "ready\n"},
		{"GET", "/readyz", notReady, 503, "draining\n"},
		{"GET", "/metrics", notReady, 200, "sluice_connections 3\n"},
		{"GET", "/metrics?name=x", ready, 200, "sluice_connections 3\n"},
		{"POST", "/metrics", ready, 405, "this page takes GET and HEAD only\n"},
		{"DELETE", "/healthz", ready, 405, "this page takes GET and HEAD only\n"},
		{"GET", "/", ready, 200, "/healthz\n/readyz\n/metrics\n/slow-consumers\n"},
		{"GET", "/healthz/", ready, 404, "there is no such page; this listener has:\n/healthz\n/readyz\n/metrics\n/slow-consumers\n"},
		{"POST", "/client/hubs/chat", ready, 404, "there is no such page; this listener has:\n/healthz\n/readyz\n/metrics\n/slow-consumers\n"},
	} {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			w := httptest.NewRecorder()
			api.NewOps(ops(tt.ready)).ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
			}
			if allow := w.Header().Get("Allow"); (allow != "") != (tt.status == 405) {
				t.Errorf("%d with Allow %q", w.Code, allow)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control: %q", got)
			}
		})
	}
}

func TestMetricsContentType(t *testing.T) {
	w := httptest.NewRecorder()
	api.NewOps(ops(notReady)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("Content-Type: %q", got)
	}
}

// TestServer goes through a real server: HEAD has no body, and a head over the
// limit is refused.
func TestServer(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = api.NewServer(api.ServerOptions{Handler: api.NewOps(ops(notReady))}).Server
	srv.Start()
	defer srv.Close()

	ask := func(head string) (*http.Response, string) {
		t.Helper()
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		req := &http.Request{Method: head[:strings.IndexByte(head, ' ')]}
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp, body.String()
	}

	resp, body := ask("HEAD /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if resp.StatusCode != 503 || body != "" || resp.ContentLength != int64(len("draining\n")) {
		t.Errorf("HEAD: %s %q, length %d", resp.Status, body, resp.ContentLength)
	}
	resp, _ = ask("GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n")
	if resp.StatusCode != 431 {
		t.Errorf("a head of 16 KiB: %s", resp.Status)
	}
}

func TestSlowConsumersPage(t *testing.T) {
	asked := 0
	o := api.Ops{SlowConsumers: func(_ context.Context, n int) []api.SlowConsumer {
		asked = n
		return []api.SlowConsumer{{"127.0.0.2:5", 4096, 1.5, map[string]string{"hub": "chat"}}}
	}}
	for _, tt := range []struct {
		query  string
		status int
		n      int
		want   string
	}{
		{"", 200, 20, `{"value":[{"remote":"127.0.0.2:5","queuedBytes":4096,"ageSeconds":1.5,"about":{"hub":"chat"}}]}`},
		{"?n=3", 200, 3, `{"value":[{"remote":"127.0.0.2:5","queuedBytes":4096,"ageSeconds":1.5,"about":{"hub":"chat"}}]}`},
		{"?n=0", 400, 0, "n must be 1 to 1000\n"},
		{"?n=x", 400, 0, "n must be 1 to 1000\n"},
	} {
		asked = 0
		w := httptest.NewRecorder()
		api.NewOps(o).ServeHTTP(w, httptest.NewRequest("GET", "/slow-consumers"+tt.query, nil))
		if w.Code != tt.status || asked != tt.n || w.Body.String() != tt.want {
			t.Errorf("%q: status %d, asked for %d: %s", tt.query, w.Code, asked, w.Body)
		}
	}
}

// guard is a Login that lets nobody in.
type guard struct{}

func (guard) Pages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "login") })
}
func (guard) Protect(http.Handler) http.Handler { return http.HandlerFunc(refuse(401)) }
func (guard) ProtectMetrics(http.Handler) http.Handler {
	return http.HandlerFunc(refuse(403))
}

func refuse(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }
}

// TestOpsLogin: a login guards every page but those for probes, and the data plane,
// which has its own tokens; no way of writing a path leads past it.
func TestOpsLogin(t *testing.T) {
	o := ops(fine)
	o.Pprof, o.Login = true, guard{}
	o.Data = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "data") })
	h := api.NewOps(o)
	for path, want := range map[string]int{
		"/healthz":                      200,
		"/readyz":                       200,
		"/api/hubs/chat":                200,
		"/oauth/login":                  200,
		"/metrics":                      403,
		"/":                             401,
		"/slow-consumers":               401,
		"/debug/pprof/":                 401,
		"/debug/pprof/heap":             401,
		"/debug/pprof/cmdline":          401,
		"/nowhere":                      401,
		"/healthz/x":                    401,
		"/api%2F..%2Fdebug/pprof/":      401,
		"/healthz%2F..%2Fdebug%2Fpprof": 401,
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "CONNECT"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, "http://ops.test"+path, nil))
			got := w.Code
			if got == 405 && want == 200 || got == 401 && method == "CONNECT" {
				continue // not for that method; a CONNECT names no page
			}
			if got != want {
				t.Errorf("%s %s: %d %s", method, path, got, w.Body)
			}
		}
	}
	for _, path := range []string{"//debug/pprof/heap", "/api/../debug/pprof/heap", "/healthz/../slow-consumers", "/api/%2e%2e/debug/pprof/cmdline"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://ops.test"+path, nil))
		if w.Code == 200 && w.Body.String() != "data" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
