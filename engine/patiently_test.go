package engine

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sluice/internal/later"
	"sluice/internal/testkit"
)

// TestPatiently: a request waits for as long as it is worth it, and no longer.
func TestPatiently(t *testing.T) {
	testkit.NoLeaks(t)
	for name, c := range map[string]struct {
		most   time.Duration
		good   int // the time that the answer is yes; 0 for never
		happen func(end context.CancelFunc, e *later.Event)
		status int
		asked  int
	}{
		"known":               {testkit.Patience, 1, nil, 200, 1},
		"known later":         {testkit.Patience, 2, func(_ context.CancelFunc, e *later.Event) { time.AfterFunc(50*time.Millisecond, e.Done) }, 200, 2},
		"not in time":         {10 * time.Millisecond, 2, nil, 503, 1},
		"nobody is let in":    {testkit.Patience, 2, func(end context.CancelFunc, _ *later.Event) { end() }, 503, 1},
		"never, but at once":  {testkit.Patience, 0, func(_ context.CancelFunc, e *later.Event) { e.Done() }, 503, 1 + maxAsked},
		"no place to wait in": {testkit.Patience, 2, func(_ context.CancelFunc, e *later.Event) { e.Wait(func() {}) }, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			until, end := context.WithCancel(t.Context())
			defer end()
			event := later.NewEvent(&later.Room{Most: 1})
			asked := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, refusal := Patiently(until, r, c.most, func(r *http.Request) (struct{}, *Refusal) {
					if HasWaited(r) != (asked > 0) {
						t.Errorf("asked %d times before, has waited: %v", asked, HasWaited(r))
					}
					if asked++; asked == c.good {
						return struct{}{}, nil
					}
					return struct{}{}, &Refusal{Status: 503, Later: event}
				})
				if refusal != nil {
					w.WriteHeader(refusal.Status)
				}
			}))
			defer s.Close()
			if c.happen != nil {
				c.happen(end, event)
			}
			resp, err := s.Client().Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status || asked != c.asked {
				t.Errorf("status %d after asking %d times; want %d, %d", resp.StatusCode, asked, c.status, c.asked)
			}
		})
	}
}
