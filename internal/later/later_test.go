package later_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/internal/later"
)

func TestEventWakesOnceWhoWaits(t *testing.T) {
	room := &later.Room{Most: 2}
	e := later.NewEvent(room)
	var first, second, after int
	cancel, ok := e.Wait(func() { first++ })
	if !ok {
		t.Fatal("no place for the first")
	}
	if _, ok := e.Wait(func() { second++ }); !ok {
		t.Fatal("no place for the second")
	}
	if cancel, ok := e.Wait(func() { t.Error("woken without a place") }); ok || cancel != nil {
		t.Error("there is a place for a third")
	}
	if cancel(); room.Waiting() != 1 {
		t.Errorf("%d wait after one has left", room.Waiting())
	}
	if cancel(); room.Waiting() != 1 {
		t.Error("who leaves twice is counted twice")
	}
	e.Done()
	e.Done()
	if cancel, ok := e.Wait(func() { after++ }); !ok {
		t.Error("what has happened needs no place")
	} else {
		cancel()
	}
	if first != 0 || second != 1 || after != 1 || room.Waiting() != 0 {
		t.Errorf("woken %d, %d and %d times, %d wait; want 0, 1, 1, and nobody", first, second, after, room.Waiting())
	}
}

// TestWakeMayWaitAgain: whoever is woken can turn to the next event, or the same.
func TestWakeMayWaitAgain(t *testing.T) {
	room := &later.Room{Most: 1}
	e, next := later.NewEvent(room), later.NewEvent(room)
	ok := false
	e.Wait(func() { _, ok = next.Wait(func() {}) })
	e.Done()
	if !ok || room.Waiting() != 1 {
		t.Errorf("place for the next event: %v; %d wait, want 1", ok, room.Waiting())
	}
}

// TestEventUnderRaces: everybody with a place is woken or has left, whatever comes
// first, and every place is free again.
func TestEventUnderRaces(t *testing.T) {
	room := &later.Room{Most: 40}
	e := later.NewEvent(room)
	var woken, placed, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			cancel, ok := e.Wait(func() { woken.Add(1) })
			switch {
			case !ok:
				refused.Add(1)
			case i%4 == 0:
				cancel()
			default:
				placed.Add(1)
			}
		})
	}
	all.Go(e.Done)
	all.Wait()
	e.Done()
	if room.Waiting() != 0 || woken.Load() < placed.Load() {
		t.Errorf("%d wait; %d were woken and %d stayed; %d refused", room.Waiting(), woken.Load(), placed.Load(), refused.Load())
	}
}

func TestBlock(t *testing.T) {
	room := &later.Room{Most: 1}
	e := later.NewEvent(room)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if later.Block(ctx, e) || room.Waiting() != 0 {
		t.Error("waited beyond the end of the context, or left something")
	}
	if _, ok := e.Wait(func() {}); !ok {
		t.Fatal("no place")
	}
	if later.Block(t.Context(), e) {
		t.Error("waited without a place")
	}
	e.Done()
	if !later.Block(t.Context(), e) {
		t.Error("what has happened is waited for")
	}
}
