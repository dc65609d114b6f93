package engine

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sluice/internal/later"
	"sluice/internal/testkit"
)

// TestJudgeOverHTTP: a request waits for as long as it is worth it, whatever time
// the server gives a client to send it.
func TestJudgeOverHTTP(t *testing.T) {
	testkit.NoLeaks(t)
	for name, c := range map[string]struct {
		most   time.Duration
		good   int // the time that the answer is yes; 0 for never
		happen func(p *Patience, e *later.Event)
		status int
		asked  int
	}{
		"known":               {0, 1, nil, 200, 1},
		"known later":         {0, 2, func(_ *Patience, e *later.Event) { time.AfterFunc(50*time.Millisecond, e.Done) }, 200, 2},
		"not in time":         {10 * time.Millisecond, 2, nil, 503, 1},
		"nobody is let in":    {0, 2, func(p *Patience, _ *later.Event) { p.End() }, 503, 1},
		"never, but at once":  {0, 0, func(_ *Patience, e *later.Event) { e.Done() }, 503, maxAsked},
		"no place to wait in": {0, 2, func(_ *Patience, e *later.Event) { e.Wait(func() {}) }, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPatience(c.most)
			defer p.End()
			event := later.NewEvent(&later.Room{Most: 1})
			asked := 0
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, refusal := Judge(p, r, func(r *http.Request) (struct{}, *Refusal) {
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
			s.Config.ReadTimeout = 10 * time.Millisecond
			s.Start()
			defer s.Close()
			if c.happen != nil {
				c.happen(p, event)
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
