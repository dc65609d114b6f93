package api

import (
	"testing"
	"time"
)

// TestCallRates: the calls about one hub take nothing from another, and come
// again as time goes on.
func TestCallRates(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	c := newCallRates(2, func() time.Time { return now })
	for i, tt := range []struct {
		hub   string
		after time.Duration
		want  bool
	}{
		{"chat", 0, true}, {"Chat", 0, true}, {"chat", 0, false}, {"other", 0, true},
		{"chat", 500 * time.Millisecond, true}, {"chat", 0, false},
	} {
		now = now.Add(tt.after)
		if got := c.admit(tt.hub); got != tt.want {
			t.Errorf("call %d: %v", i, got)
		}
	}
	if !newCallRates(0, time.Now).admit("chat") {
		t.Error("a call is refused without a limit")
	}
}

// TestTooManyCalls: the answer, and that nothing is done.
func TestTooManyCalls(t *testing.T) {
	f := &fakeHub{}
	d := dataOf(f)
	d.MaxCallsPerSecond = 1
	h := checked(t, NewData(d))
	for calls := range 1000 { // two of them within a second
		w := ask(h, "POST", "/api/hubs/chat/:send", "text/plain", "x")
		if w.Code != 429 {
			continue
		}
		if calls == 0 || w.Header().Get("Retry-After") == "" || len(f.log) != calls {
			t.Errorf("after %d calls: %v, %q", calls, w.Header(), f.log)
		}
		return
	}
	t.Error("no call is refused")
}
