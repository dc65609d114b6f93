package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestLanding(t *testing.T) {
	why := "draining"
	pages := NewLanding(LandingConfig{DocsURL: `https://docs.example.com/?a=1&b="<`}, func() (bool, string) { return why == "", why })
	for _, tt := range []struct {
		path, why string
		status    int
		body      string
	}{
		{"/", "", 200, "/client/hubs/{hub}"},
		{"/", "draining", 200, `<a href="https://docs.example.com/?a=1&amp;b=&#34;&lt;" rel="noreferrer">`},
		{"/health", "", 200, "ready\n"},
		{"/health", "full", 503, "full\n"},
	} {
		why = tt.why
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s while %q: %d %s", tt.path, tt.why, w.Code, w.Body)
		}
		for key, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; ", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Connection": "close",
		} {
			if got := w.Header().Get(key); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", tt.path, key, got)
			}
		}
	}
	if page := (&LandingConfig{}).page(); strings.Contains(page, "DOCS") || strings.Contains(page, "href") {
		t.Errorf("without an address of documentation:\n%s", page)
	}
}

func TestServesLanding(t *testing.T) {
	for _, tt := range []struct {
		method, path, upgrade string
		want                  bool
	}{
		{"GET", "/", "", true},
		{"HEAD", "/", "", true},
		{"GET", "/?x=1", "", true},
		{"GET", "/health", "", true},
		{"POST", "/", "", false},
		{"GET", "/health/", "", false},
		{"GET", "/client/hubs/chat", "", false},
		{"GET", "/", "websocket", false},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		if tt.upgrade != "" {
			r.Header.Set("Upgrade", tt.upgrade)
		}
		if got := ServesLanding(r); got != tt.want {
			t.Errorf("%s %s %s: %v", tt.method, tt.path, tt.upgrade, got)
		}
	}
}

func TestLandingConfig(t *testing.T) {
	for address, want := range map[string][]string{
		"": nil, "https://docs.example.com/sluice": nil, "http://localhost:8000": nil,
		"javascript:alert(1)": {"docs_url"}, "docs.example.com": {"docs_url"}, "https://": {"docs_url"}, "https://%zz": {"docs_url"},
	} {
		var got []string
		(&LandingConfig{DocsURL: address}).Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
