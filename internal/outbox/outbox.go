// Package outbox is the sending half of a link whose client is served by net/http
// and not by an event loop: what the hub sends waits here, bounded, until a request
// takes it.
//
// An Outbox does not know the hub. It has the methods of hub.Link, which the hub
// calls on an event loop, and none of them blocks. The other methods are for the
// goroutines of requests; any number may call them.
package outbox

import (
	"sync"
	"time"

	"sluice/frame"
	"sluice/internal/budget"
)

// Options are what an Outbox is made with; all are needed.
type Options struct {
	// Limit is the most bytes that may wait.
	Limit int
	// Node is the budget of all outboxes of one kind.
	Node *budget.Budget
	// Dropped counts a message that was lost, by reason. It is called with the lock
	// held and must not block.
	Dropped func(reason string)
	// Closed is called once, when the link has been closed and not ended, by
	// whoever did it. It must not block.
	Closed func()
}

// Outbox holds text messages in their order. Its zero value is not of use.
type Outbox struct {
	// static
	o    Options
	wake chan struct{} // has an element when there may be something to take

	mu     sync.Mutex
	queue  []*frame.Message // guarded by mu
	bytes  int              // guarded by mu: in queue
	shared *budget.Budget   // guarded by mu: of the hub; nil before Share
	expiry *time.Timer      // guarded by mu: closes with the client's token
	closed bool             // guarded by mu: nothing more is queued
	code   frame.CloseCode  // guarded by mu: with closed
	reason string           // guarded by mu: with closed
}

// New returns an empty outbox.
func New(o Options) *Outbox { return &Outbox{o: o, wake: make(chan struct{}, 1)} }

// Send implements hub.Link: it queues a message, if need be at the cost of others
// where these allow that; else the message's rule for overflow says what happens,
// and the rule of most is that a client so slow is closed with 1008. Binary messages
// cannot be carried.
func (b *Outbox) Send(m *frame.Message) bool {
	if m.Op() != frame.OpText {
		return false
	}
	b.mu.Lock()
	taken, slow := false, false
	if !b.closed {
		if taken, slow = b.makeRoomLocked(m); taken {
			b.queue = append(b.queue, m)
			b.bookLocked(len(m.Payload()))
		}
		if slow {
			b.dropLocked()
			b.closeLocked(frame.ClosePolicyViolation, "slow consumer: too much was waiting to be read")
		}
	}
	b.mu.Unlock()
	if slow {
		b.o.Closed()
	}
	b.Signal()
	return taken
}

// Write implements hub.Link.
func (b *Outbox) Write(op frame.Opcode, payload []byte) bool {
	return b.Send(frame.Seal(op, append(make([]byte, frame.HeadRoom, frame.HeadRoom+len(payload)), payload...)))
}

// QueuedBytes implements hub.Backlog.
func (b *Outbox) QueuedBytes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// Expire implements hub.Link.
func (b *Outbox) Expire(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expiry != nil {
		b.expiry.Stop()
		b.expiry = nil
	}
	if !at.IsZero() && !b.closed {
		b.expiry = time.AfterFunc(time.Until(at), func() { b.Close(frame.CloseTokenExpired, "token expired") })
	}
}

// Close implements hub.Link; unlike the hub's other methods any goroutine may call
// it.
func (b *Outbox) Close(code frame.CloseCode, reason string) {
	b.mu.Lock()
	first := b.closeLocked(code, reason)
	b.mu.Unlock()
	if first {
		b.o.Closed()
		b.Signal()
	}
}

// End ends the link without its client, who has gone: what waits is dropped, and
// whoever takes from now on is told this close. True means that the link was not
// closed before, and then Options.Closed is not called: the caller sees to it.
func (b *Outbox) End(code frame.CloseCode, reason string) (first bool) {
	b.mu.Lock()
	b.dropLocked()
	first = b.closeLocked(code, reason)
	b.code, b.reason = code, reason
	b.mu.Unlock()
	b.Signal()
	return first
}

func (b *Outbox) closeLocked(code frame.CloseCode, reason string) (first bool) {
	if b.closed {
		return false
	}
	b.closed, b.code, b.reason = true, code, reason
	if b.expiry != nil {
		b.expiry.Stop()
	}
	return true
}

// Share has what waits counted for the hub too, from now on.
func (b *Outbox) Share(hub *budget.Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared = hub
	b.shared.Add(b.bytes)
}

// Close tells how a link has ended.
type Close struct {
	Code   frame.CloseCode // 0 while it has not
	Reason string
}

// Take returns all that waits, which is the caller's from now on, and how the link
// ended: nothing comes after these messages then.
func (b *Outbox) Take() ([]*frame.Message, Close) {
	b.mu.Lock()
	defer b.mu.Unlock()
	queue := b.queue
	b.bookLocked(-b.bytes)
	b.queue = nil
	return queue, Close{b.code, b.reason}
}

// Ended tells how the link has ended, and takes nothing.
func (b *Outbox) Ended() Close {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Close{b.code, b.reason}
}

// Closed tells whether the link is closed.
func (b *Outbox) Closed() bool { return b.Ended().Code != 0 }

// Wake returns the channel that has an element when there may be something to take,
// or the link has ended.
func (b *Outbox) Wake() <-chan struct{} { return b.wake }

// Signal puts an element there.
func (b *Outbox) Signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// makeRoomLocked sees that one more message fits, at the cost of others where the
// messages allow that, and else answers as the message's rule for overflow says.
func (b *Outbox) makeRoomLocked(m *frame.Message) (fits, slow bool) {
	n := len(m.Payload())
	if b.fitsLocked(n) {
		return true, false
	}
	switch m.Overflow() {
	case frame.OverflowDropNewest:
		b.o.Dropped(m.Overflow().String())
		return false, false
	case frame.OverflowConflate:
		b.loseLocked(frame.OverflowConflate, func(old *frame.Message) bool { return m.Key() != "" && old.Key() == m.Key() }, n)
		fallthrough
	case frame.OverflowDropOldest:
		b.loseLocked(frame.OverflowDropOldest, expendable, n)
		if b.fitsLocked(n) {
			return true, false
		}
		b.o.Dropped(frame.OverflowDropOldest.String())
		return false, false
	}
	b.loseLocked(frame.OverflowDropOldest, expendable, n)
	if b.fitsLocked(n) {
		return true, false
	}
	b.o.Dropped(SlowConsumer)
	return false, true
}

// SlowConsumer is the reason of a message that was lost together with its client.
const SlowConsumer = "slow_consumer"

// expendable tells whether a message may make room for another one.
func expendable(m *frame.Message) bool { return m.Overflow() >= frame.OverflowDropOldest }

// fitsLocked tells whether so many bytes more may be queued.
func (b *Outbox) fitsLocked(n int) bool {
	return b.bytes+n <= b.o.Limit &&
		b.o.Node.Used()+int64(n) <= b.o.Node.Limit() &&
		(b.shared == nil || b.shared.Used()+int64(n) <= b.shared.Limit())
}

// loseLocked drops what may be lost, the oldest first, until n bytes fit.
func (b *Outbox) loseLocked(as frame.Overflow, may func(*frame.Message) bool, n int) {
	kept := b.queue[:0]
	for _, old := range b.queue {
		if b.fitsLocked(n) || !may(old) {
			kept = append(kept, old)
			continue
		}
		b.bookLocked(-len(old.Payload()))
		b.o.Dropped(as.String())
	}
	clear(b.queue[len(kept):])
	b.queue = kept
}

// bookLocked counts n bytes more, or less, in the queue.
func (b *Outbox) bookLocked(n int) {
	b.bytes += n
	b.o.Node.Add(n)
	if b.shared != nil {
		b.shared.Add(n)
	}
}

// dropLocked empties the queue.
func (b *Outbox) dropLocked() {
	b.bookLocked(-b.bytes)
	b.queue = nil
}
