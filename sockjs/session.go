package sockjs

import (
	"sync"
	"time"

	"sluice/frame"
	"sluice/hub"
	"sluice/internal/budget"
)

// session is one client over HTTP: a link of the hub. What the hub sends is queued
// here by the session's loop and taken by the request that waits for it, so a
// session between two polls has no goroutine.
type session struct {
	// static
	server    *Server
	key       string // in Server.sessions
	hubName   string // canonical
	transport string // a metric label
	proof     proof  // of the token it was opened with
	loop      hub.Loop
	wake      chan struct{} // has an element when there is something for the receiver

	// owned by the loop
	client *hub.Session // nil before it is open and when it is over

	mu       sync.Mutex
	queue    []*frame.Message // guarded by mu
	bytes    int              // guarded by mu: in queue
	budget   *budget.Budget   // guarded by mu: of the hub; nil before the session is open
	attached bool             // guarded by mu: a request waits for messages
	closed   bool             // guarded by mu: nothing more is queued
	code     frame.CloseCode  // guarded by mu: with closed
	reason   string           // guarded by mu: with closed
	silence  *time.Timer      // guarded by mu: ends a session without a receiver
	expiry   *time.Timer      // guarded by mu: ends it with its token
	window   time.Time        // guarded by mu: the second that sends are counted in
	sends    int              // guarded by mu: in it
	nextPoll time.Time        // guarded by mu: no poll is answered before
}

var _ hub.Link = (*session)(nil)

// task is a function as work for a loop.
type task func()

func (t task) Run() { t() }

// Send implements hub.Link. Binary messages cannot be carried.
func (s *session) Send(m *frame.Message) bool {
	if m.Op() != frame.OpText {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.makeRoomLocked(m) {
		return false
	}
	s.queue = append(s.queue, m)
	s.bookLocked(len(m.Payload()))
	s.signal()
	return true
}

// Write implements hub.Link.
func (s *session) Write(op frame.Opcode, payload []byte) bool {
	return s.Send(frame.Seal(op, append(make([]byte, frame.HeadRoom, frame.HeadRoom+len(payload)), payload...)))
}

// QueuedBytes implements hub.Backlog.
func (s *session) QueuedBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Expire implements hub.Link.
func (s *session) Expire(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if !at.IsZero() && !s.closed {
		s.expiry = time.AfterFunc(time.Until(at), func() { s.Close(frame.CloseTokenExpired, "token expired") })
	}
}

// Close implements hub.Link; unlike the other methods any goroutine may call it.
func (s *session) Close(code frame.CloseCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(code, reason)
}

func (s *session) closeLocked(code frame.CloseCode, reason string) {
	if s.closed {
		return
	}
	s.closed, s.code, s.reason = true, code, reason
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.signal()
	s.leave(false)
}

// makeRoomLocked sees that one more message fits, at the cost of others where the
// messages allow that, and else answers as the message's rule for overflow says.
func (s *session) makeRoomLocked(m *frame.Message) bool {
	n := len(m.Payload())
	if s.fitsLocked(n) {
		return true
	}
	dropped := s.server.dropped
	switch m.Overflow() {
	case frame.OverflowDropNewest:
		dropped(m.Overflow().String())
		return false
	case frame.OverflowConflate:
		s.loseLocked(frame.OverflowConflate, func(old *frame.Message) bool { return m.Key() != "" && old.Key() == m.Key() }, n)
		fallthrough
	case frame.OverflowDropOldest:
		s.loseLocked(frame.OverflowDropOldest, expendable, n)
		if s.fitsLocked(n) {
			return true
		}
		dropped(frame.OverflowDropOldest.String())
		return false
	}
	s.loseLocked(frame.OverflowDropOldest, expendable, n)
	if s.fitsLocked(n) {
		return true
	}
	dropped("slow_consumer")
	s.dropLocked()
	s.closeLocked(frame.ClosePolicyViolation, "slow consumer: too much was waiting to be read")
	return false
}

// expendable tells whether a message may make room for another one.
func expendable(m *frame.Message) bool { return m.Overflow() >= frame.OverflowDropOldest }

// fitsLocked tells whether so many bytes more may be queued.
func (s *session) fitsLocked(n int) bool {
	return s.bytes+n <= s.server.cfg.MaxQueueBytes &&
		s.server.queued.Used()+int64(n) <= s.server.queued.Limit() &&
		(s.budget == nil || s.budget.Used()+int64(n) <= s.budget.Limit())
}

// loseLocked drops what may be lost, the oldest first, until n bytes fit.
func (s *session) loseLocked(as frame.Overflow, may func(*frame.Message) bool, n int) {
	kept := s.queue[:0]
	for _, old := range s.queue {
		if s.fitsLocked(n) || !may(old) {
			kept = append(kept, old)
			continue
		}
		s.bookLocked(-len(old.Payload()))
		s.server.dropped(as.String())
	}
	clear(s.queue[len(kept):])
	s.queue = kept
}

// bookLocked counts n bytes more, or less, in the queue.
func (s *session) bookLocked(n int) {
	s.bytes += n
	s.server.queued.Add(n)
	if s.budget != nil {
		s.budget.Add(n)
	}
}

// dropLocked empties the queue.
func (s *session) dropLocked() {
	s.bookLocked(-s.bytes)
	s.queue = nil
}

// signal wakes the receiver, if there is one.
func (s *session) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// open makes the session one of the hub, on its loop, and waits for that. False
// means that the loop is overloaded. What the hub has against the client is told it
// as the close of the session.
func (s *session) open(open func(hub.Loop, hub.Link) (*hub.Session, error), expires time.Time) bool {
	opened := make(chan struct{})
	ok := s.loop.Post(task(func() {
		defer close(opened)
		client, err := open(s.loop, s)
		if err != nil {
			code, reason := closeOf(err)
			s.Close(code, reason)
			return
		}
		s.client = client
		s.mu.Lock()
		s.budget = client.QueueBudget()
		s.budget.Add(s.bytes)
		if s.closed { // by somebody who did not know yet that there is a client
			s.leave(false)
		}
		s.mu.Unlock()
		s.Expire(expires)
	}))
	if !ok {
		return false
	}
	select {
	case <-opened:
		return true
	case <-s.server.stopped:
		return false
	}
}

// leave has the loop end the session with the hub, now or, where the loop is
// overloaded, a little later. mayReturn: the client may come back to a reliable
// session.
func (s *session) leave(mayReturn bool) {
	over := task(func() {
		client := s.client
		s.client = nil
		switch {
		case client == nil:
		case client.Lasting():
			client.Left(s, mayReturn)
		default:
			client.Closed()
		}
	})
	if s.loop.Post(over) {
		return
	}
	select {
	case <-s.server.stopped: // the hub is gone too
	default:
		time.AfterFunc(100*time.Millisecond, func() { s.leave(mayReturn) })
	}
}

// end ends the session for good: its client has gone, or did not fetch the close.
func (s *session) end() {
	s.server.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
	if !s.closed {
		s.leave(true)
	}
	s.closed, s.code, s.reason = true, codeInterrupted, "Connection interrupted"
	for _, t := range []*time.Timer{s.silence, s.expiry} {
		if t != nil {
			t.Stop()
		}
	}
	s.signal()
}

// codeInterrupted is what the protocol tells who comes back to a session that has
// ended.
const codeInterrupted frame.CloseCode = 1002

// attach makes a request the one that gets the messages; false if there is one.
func (s *session) attach() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached {
		return false
	}
	s.attached = true
	if s.silence != nil {
		s.silence.Stop()
	}
	s.signal() // there may be something already
	return true
}

// detach ends what attach has begun: the client has DisconnectDelay to come again.
func (s *session) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attached = false
	s.silence = time.AfterFunc(s.server.cfg.DisconnectDelay, func() {
		if s.attach() {
			s.end()
		}
	})
}

// next appends the next frame for the client and tells whether it is the last one;
// an empty one means that there is none yet. Everything that waits goes into one.
func (s *session) next(dst []byte) (_ []byte, last bool) {
	s.mu.Lock()
	queue := s.queue
	s.bookLocked(-s.bytes)
	s.queue = nil
	closed, code, reason := s.closed, s.code, s.reason
	s.mu.Unlock()
	switch {
	case len(queue) > 0:
		if closed {
			s.signal() // the close is next
		}
		for i, m := range queue {
			dst = appendMessage(dst, i == 0, m.Payload())
		}
		return append(dst, ']'), false
	case closed:
		return appendClose(dst, code, reason), true
	}
	return dst, false
}

// sent counts one more request with messages; false means that there were too many
// in this second.
func (s *session) sent(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.window) >= time.Second {
		s.window, s.sends = now, 0
	}
	s.sends++
	return s.sends <= s.server.cfg.MaxRequestsPerSecond
}

// poll returns how long one more poll has to wait.
func (s *session) poll(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := max(0, s.nextPoll.Sub(now))
	s.nextPoll = now.Add(wait + time.Second/time.Duration(s.server.cfg.MaxRequestsPerSecond))
	return wait
}
