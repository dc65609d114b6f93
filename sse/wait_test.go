package sse

import (
	"net/http"
	"testing"

	wait "sluice/internal/later"
	"sluice/internal/testkit"
)

// TestStreamWaitsForAProvider: until the client may be known, or the node takes
// nobody any more.
func TestStreamWaitsForAProvider(t *testing.T) {
	const slow = "/sse/hubs/chat?token=slow"
	r := newRig(t, Config{}, nil)
	status := make(chan int)
	ask := func() {
		resp, err := http.Get(r.base + slow)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		status <- resp.StatusCode
		resp.Body.Close()
	}
	waiting := func(n int) {
		testkit.Eventually(t, testkit.Patience, func() bool { return r.room.Waiting() == n }, "the number of clients that wait")
	}
	go ask()
	waiting(1)
	r.stream(good) // others come in
	r.known.Store(true)
	r.answer.Done()
	if got := <-status; got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	r.known.Store(false)
	r.answer = wait.NewEvent(&r.room)
	go ask()
	waiting(1)
	go r.server.Drain(t.Context(), 1, 1)
	if got := <-status; got != http.StatusServiceUnavailable {
		t.Errorf("status %d while the node goes away", got)
	}
	waiting(0)
}
