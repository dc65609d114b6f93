package sockjs

import (
	"context"
	"net/http"
	"testing"
	"time"

	"sluice/engine"
	"sluice/internal/testkit"
)

// waitWaiting waits until so many clients wait to be judged.
func (r *rig) waitWaiting(n int) {
	r.Helper()
	testkit.Eventually(r, testkit.Patience, func() bool { return r.room.Waiting() == n }, "the number of clients that wait")
}

// TestClientsWaitForAProvider: a client over HTTP waits as one on a WebSocket does,
// while others come in.
func TestClientsWaitForAProvider(t *testing.T) {
	r := newRig(t, Config{})
	const slow = "?access_token=slow"
	statuses := make(chan int, 2)
	for _, session := range []string{"/0/aaaaaaaa", "/0/bbbbbbbb"} {
		go func() {
			resp, err := http.Post(r.base+session+"/xhr"+slow, "", nil)
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			resp.Body.Close()
			statuses <- resp.StatusCode
		}()
	}
	r.waitWaiting(2)
	r.expect("POST", "/0/abcdefgh/xhr?access_token=good", "", 200, "o\n")
	if resp, _ := r.do("POST", "/0/cccccccc/xhr"+slow, ""); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a client without a place to wait: %d", resp.StatusCode)
	}
	r.waitSessions(1)
	r.known.Store(true)
	r.answer.Done()
	for range 2 {
		if status := <-statuses; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	r.waitSessions(3)
	r.waitWaiting(0)
}

// TestWaitEnds: when the client goes, when its time is over, and when the node takes
// nobody any more.
func TestWaitEnds(t *testing.T) {
	const at = "/0/abcdefgh/xhr?access_token=slow"
	t.Run("with the client", func(t *testing.T) {
		r := newRig(t, Config{})
		ctx, stop := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+at, nil)
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() { defer close(gone); _, _ = http.DefaultClient.Do(req) }()
		r.waitWaiting(1)
		stop()
		<-gone
		r.waitWaiting(0)
	})
	t.Run("with its patience", func(t *testing.T) {
		r := newRig(t, Config{})
		r.server.options.Patience = time.Millisecond
		if resp, _ := r.do("POST", at, ""); resp.StatusCode != http.StatusServiceUnavailable || r.refused["issuer_unavailable"] != 1 {
			t.Errorf("status %d, refused %v", resp.StatusCode, r.refused)
		}
		r.waitWaiting(0)
	})
	t.Run("with the node", func(t *testing.T) {
		r := newRig(t, Config{})
		go func() {
			testkit.Eventually(t, testkit.Patience, func() bool { return r.room.Waiting() == 1 }, "one that waits")
			r.server.Drain(t.Context(), time.Millisecond, time.Second)
		}()
		if resp, _ := r.do("POST", at, ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
	t.Run("with a handler that never knows", func(t *testing.T) {
		r := newRig(t, Config{})
		r.answer.Done()
		if resp, _ := r.do("POST", at, ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("status %d", resp.StatusCode)
		}
	})
}

// TestWebSocketWaitsOnItsLoop: where nothing may block, the engine is told to wait.
func TestWebSocketWaitsOnItsLoop(t *testing.T) {
	r := newRig(t, Config{})
	req, err := http.NewRequest(http.MethodGet, r.base+"/0/abcdefgh/websocket?access_token=slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, refusal := r.server.Handler(nil).Upgrade(&engine.Conn{}, req); refusal == nil || refusal.Later != r.answer {
		t.Errorf("refusal %+v", refusal)
	}
}
