package sockjs

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/engine"
	"sluice/internal/cors"
)

// TestPages is what belongs to no session.
func TestPages(t *testing.T) {
	r := newRig(t, Config{ClientURL: "/sockjs.min.js"})
	for _, tt := range []struct {
		method, path string
		status       int
		body         string // a pattern
		contentType  string
	}{
		{"GET", "", 200, `^Welcome to SockJS!\n$`, typeText},
		{"GET", "/", 200, `^Welcome to SockJS!\n$`, typeText},
		{"GET", "/info", 200, `^{"websocket":true,"cookie_needed":false,"origins":\["\*:\*"\],"entropy":\d+}$`, typeJSON},
		{"POST", "/info", 405, `^$`, ""},
		{"OPTIONS", "/info", 204, `^$`, ""},
		{"GET", "/iframe.html", 200, `<script src="/sockjs.min.js"></script>`, typeHTML},
		{"GET", "/iframe-a1.0.html?t=1", 200, `Don't panic!`, typeHTML},
		{"GET", "/iframe.htm", 404, `404`, typeText},
		{"GET", "/IFRAME.HTML", 404, `404`, typeText},
		{"GET", "/iframe-/.html", 404, `404`, typeText},
		{"GET", "/a.html", 404, `404`, typeText},
		{"GET", "//", 404, `404`, typeText},
		{"GET", "/websocket", 400, `Not a valid websocket request`, typeText},
		{"POST", "/websocket", 405, `^$`, ""},
		{"GET", "/0/a/websocket", 400, `Not a valid websocket request`, typeText},
		{"GET", "/0/a/xhr", 405, `^$`, ""},
		{"POST", "/0/a/eventsource", 405, `^$`, ""},
		{"GET", "/0/a/jsonp?c=x", 404, `404`, typeText},
		{"GET", "/0/a/htmlfile?c=x", 404, `404`, typeText},
		{"POST", "/0/a/jsonp_send", 404, `404`, typeText},
	} {
		resp, body := r.do(tt.method, tt.path, "")
		if resp.StatusCode != tt.status || !regexp.MustCompile(tt.body).MatchString(body) || resp.Header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s %s: %d %q %q", tt.method, tt.path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		if resp.StatusCode == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tt.method, tt.path)
		}
	}
	resp, _ := r.do("GET", "/iframe.html", "")
	if resp, body := r.do("GET", "/iframe.html", "", "If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != 304 || body != "" || resp.Header.Get("Content-Type") != "" {
		t.Errorf("the page again: %d %q", resp.StatusCode, body)
	}
}

func TestCORS(t *testing.T) {
	r := newRig(t, Config{})
	for _, tt := range []struct{ origin, allow, credentials string }{
		{"", "*", ""}, {"https://a.example", "https://a.example", "true"}, {"null", "null", "true"},
	} {
		headers := []string{"Access-Control-Request-Headers", "X-A, X-B"}
		if tt.origin != "" {
			headers = append(headers, "Origin", tt.origin)
		}
		for method, path := range map[string]string{"GET": "/info", "OPTIONS": "/0/a/xhr", "POST": "/0/a/xhr_send"} {
			resp, _ := r.do(method, path, "", headers...)
			h := resp.Header
			if h.Get("Access-Control-Allow-Origin") != tt.allow || h.Get("Access-Control-Allow-Credentials") != tt.credentials ||
				h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Headers") != "X-A, X-B" {
				t.Errorf("%s %s from %q: %v", method, path, tt.origin, h)
			}
			if want := map[bool]string{true: cors.CacheYear, false: cacheNever}[method == "OPTIONS"]; h.Get("Cache-Control") != want {
				t.Errorf("%s %s: Cache-Control %q", method, path, h.Get("Cache-Control"))
			}
		}
	}
	for path, methods := range map[string]string{"/info": "OPTIONS, GET", "/0/a/xhr": "OPTIONS, POST", "/0/a/xhr_send": "OPTIONS, POST"} {
		resp, _ := r.do("OPTIONS", path, "")
		if got := resp.Header.Get("Access-Control-Allow-Methods"); got != methods {
			t.Errorf("%s: %q", path, got)
		}
	}
	if resp, _ := r.do("GET", "/info", "", "Origin", "https://evil.example"); resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page that may not connect: %d %v", resp.StatusCode, resp.Header)
	}
}

// TestLegacy is the transports of old browsers, where they are switched on.
func TestLegacy(t *testing.T) {
	r := newRig(t, Config{Legacy: true, ResponseBytes: 1})
	r.expect("GET", "/0/a/jsonp", "", 500, `"callback" parameter required`)
	r.expect("GET", "/0/a/jsonp?c=a%3Balert(1)", "", 500, `invalid "callback" parameter`)
	r.expect("GET", "/0/a/jsonp?c=cb&access_token=good", "", 200, "/**/cb(\"o\");\r\n")
	r.expect("POST", "/0/a/jsonp_send?access_token=good", `[]`, 200, "ok")
	r.expect("POST", "/0/a/jsonp_send?access_token=good", ``, 500, "Payload expected.")
	if resp, body := r.do("POST", "/0/a/jsonp_send?access_token=good", "d=%5B%5D", "Content-Type", "application/x-www-form-urlencoded"); resp.StatusCode != 200 || body != "ok" {
		t.Errorf("a form: %d %q", resp.StatusCode, body)
	}
	r.say("x")
	r.expect("GET", "/0/a/jsonp?callback=cb&access_token=good", "", 200, `/**/cb("a[\"x\"]");`+"\r\n")
}

// TestIframePolicy: the page may run its own script, by its hash, and that of the
// client, and nothing else.
func TestIframePolicy(t *testing.T) {
	for clientURL, from := range map[string]string{
		"/sockjs.min.js":                       "'self'",
		"https://cdn.example.com/sockjs.js":    "https://cdn.example.com",
		"http://cdn.example.com:8080/s.js?v=1": "http://cdn.example.com:8080",
		"//cdn.example.com/sockjs.js":          "cdn.example.com",
	} {
		r := newRig(t, Config{ClientURL: clientURL})
		resp, body := r.do("GET", "/iframe.html", "")
		_, script, _ := strings.Cut(body, "<script>")
		script, _, _ = strings.Cut(script, "</script>")
		sum := sha256.Sum256([]byte(script))
		want := "default-src 'none'; connect-src 'self'; frame-src 'self'; script-src " + from + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if got := resp.Header.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: %q, want %q", clientURL, got, want)
		}
	}
}

// TestRetryAfter: who is banned is not told to come back before that is over.
func TestRetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	newRig(t, Config{}).server.refuse(w, &engine.Refusal{Status: http.StatusTooManyRequests, Label: "address_banned", RetryAfter: 1500 * time.Millisecond})
	if got := w.Header().Get("Retry-After"); got != "2" && got != "3" {
		t.Errorf("%q for a second and a half", got)
	}
}
