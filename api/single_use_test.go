package api

import (
	"net/http"
	"strings"
	"testing"

	"sluice/auth"
)

// TestSpendToken: a token that is good once is spent with the whole body, after all
// that is checked before the operation and before anything is done.
func TestSpendToken(t *testing.T) {
	for _, tt := range []struct {
		name, path, body string
		refusal          *auth.Refusal
		status           int
		spent, done      string
	}{
		{"good", "/api/hubs/chat/:send", "hello", nil, 202, "hello", `send all text "hello"`},
		{"without a body", "/api/hubs/chat/:closeConnections", "", nil, 204, "", `close all ""`},
		{"replayed", "/api/hubs/chat/:send", "hello", auth.Refuse(auth.CallReplayed, "used before"), 401, "hello", ""},
		{"full", "/api/hubs/chat/:send", "hello", auth.Refuse(auth.CallsFull, "no room"), 503, "hello", ""},
		{"no such hub", "/api/hubs/none/:send", "hello", nil, 404, "-", ""},
		{"no such version", "/api/hubs/chat/:send?api-version=1", "hello", nil, 400, "-", ""},
		{"too large", "/api/hubs/chat/:send", strings.Repeat("x", 61), nil, 413, "-", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, spent := &fakeHub{}, "-"
			d := dataOf(f)
			d.Authorize = func(*http.Request, string) (func([]byte) error, error) {
				return func(body []byte) error {
					spent = string(body)
					if tt.refusal != nil {
						return tt.refusal
					}
					return nil
				}, nil
			}
			w := ask(checked(t, NewData(d)), "POST", tt.path, "text/plain", tt.body)
			if w.Code != tt.status || spent != tt.spent || strings.Join(f.log, "; ") != tt.done {
				t.Errorf("status %d, spent %q, done %q: %s", w.Code, spent, f.log, w.Body)
			}
			if w.Code == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" || (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}
