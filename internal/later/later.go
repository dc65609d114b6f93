// Package later is for answers that are on their way, and for those who wait for
// them: an [Event] is what they wait for, and a [Room] bounds how many may.
//
// It knows nothing of what is asked and of whom. Waiting costs no goroutine, so
// that event loops can let clients wait.
package later

import (
	"context"
	"sync"
	"sync/atomic"
)

// Answer is something that will be there later. Several goroutines may wait for it.
type Answer interface {
	// Wait has wake called once as soon as it is worth asking again: at once where
	// it is already, else in the goroutine of whoever has the answer. wake must not
	// block. cancel takes the call back, as far as it is not under way; it may be
	// called at any time and more than once. ok is false where no more may wait;
	// then wake is not called and cancel is nil.
	Wait(wake func()) (cancel func(), ok bool)
}

// Room bounds those who wait, for one event or several. It is safe for concurrent
// use. The zero value has no place.
type Room struct {
	Most int64 // static
	here atomic.Int64
}

// Waiting returns how many wait.
func (r *Room) Waiting() int { return int(r.here.Load()) }

func (r *Room) enter() bool {
	if r.here.Add(1) > r.Most {
		r.here.Add(-1)
		return false
	}
	return true
}

// Event happens once, with Done. It is safe for concurrent use.
type Event struct {
	room *Room

	mu      sync.Mutex
	done    bool                 // guarded by mu
	waiting map[*func()]struct{} // guarded by mu; pointers, because functions cannot be compared
}

var _ Answer = (*Event)(nil)

// NewEvent returns an event that has not happened. Those who wait for it need a
// place in the room.
func NewEvent(room *Room) *Event { return &Event{room: room} }

// Wait implements Answer.
func (e *Event) Wait(wake func()) (cancel func(), ok bool) {
	key, ok := e.join(&wake)
	switch {
	case !ok:
		return nil, false
	case key == nil:
		wake()
		return func() {}, true
	}
	return func() { e.leave(key) }, true
}

// join puts one on the list; key is nil where the event has happened, and ok false
// where there is no place.
func (e *Event) join(wake *func()) (key *func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done {
		return nil, true
	}
	if !e.room.enter() {
		return nil, false
	}
	if e.waiting == nil {
		e.waiting = make(map[*func()]struct{})
	}
	e.waiting[wake] = struct{}{}
	return wake, true
}

func (e *Event) leave(key *func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, here := e.waiting[key]; here {
		delete(e.waiting, key)
		e.room.here.Add(-1)
	}
}

// Done makes the event happen and wakes everybody who waits for it.
func (e *Event) Done() {
	e.mu.Lock()
	woken := e.waiting
	e.done, e.waiting = true, nil
	e.mu.Unlock()
	e.room.here.Add(-int64(len(woken)))
	for wake := range woken { // without the lock: they may do as they like
		(*wake)()
	}
}

// Block waits in this goroutine until it is worth asking again. False means that
// there was no place, or that the context has ended.
func Block(ctx context.Context, a Answer) bool {
	woken := make(chan struct{})
	cancel, ok := a.Wait(func() { close(woken) })
	if !ok {
		return false
	}
	defer cancel()
	select {
	case <-woken:
		return true
	case <-ctx.Done():
		return false
	}
}
