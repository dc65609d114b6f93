package cors

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		name, method, origin, headers string
		allowed, credentials, asked   string
		preflight                     bool
	}{
		{"no page", "GET", "", "", "*", "", "", false},
		{"a page", "GET", "https://app.example.com", "", "https://app.example.com", "true", "", false},
		{"a page that asks first", "OPTIONS", "https://app.example.com", "authorization", "https://app.example.com", "true", "authorization", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", nil)
			for key, value := range map[string]string{"Origin": tt.origin, "Access-Control-Request-Headers": tt.headers} {
				if value != "" {
					r.Header.Set(key, value)
				}
			}
			w := httptest.NewRecorder()
			if done := Preflight(w, r, "GET"); done != tt.preflight {
				t.Fatalf("answered: %v", done)
			}
			if !tt.preflight {
				Allow(w, r)
			} else if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Methods") != "OPTIONS, GET" {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			for key, want := range map[string]string{
				"Access-Control-Allow-Origin": tt.allowed, "Access-Control-Allow-Credentials": tt.credentials,
				"Access-Control-Allow-Headers": tt.asked, "Vary": "Origin",
			} {
				if got := w.Header().Get(key); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
		})
	}
}
