// Package testkit is what tests across the project share: a WebSocket client so
// plain that it has no bugs in common with the code under test, a wait, and a
// check for leaked goroutines. It imports nothing of ours and only tests import
// it.
package testkit

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// Patience bounds every wait: it is reached only when something is broken.
const Patience = 20 * time.Second

// Eventually waits until cond holds. It is for what another goroutine or
// process will do in its own time; what says whether it has must be cheap.
func Eventually(t testing.TB, patience time.Duration, cond func() bool, what string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen in %v: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// NoLeaks fails the test if, when it ends, goroutines run that did not run at
// the call. Call it first, so that it looks after every other clean-up.
func NoLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		if t.Failed() {
			return // what failed may well have left something behind
		}
		deadline := time.Now().Add(Patience)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				buf = buf[:runtime.Stack(buf, true)]
				t.Errorf("%d goroutines, %d before the test:\n%s", runtime.NumGoroutine(), before,
					strings.TrimSpace(string(buf)))
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}
