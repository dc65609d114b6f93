package sockjs

import (
	"sync"
	"time"

	"sluice/frame"
	"sluice/hub"
	"sluice/internal/outbox"
)

// session is one client over HTTP: a link of the hub. What the hub sends is queued
// in its outbox by the session's loop and taken by the request that waits for it, so
// a session between two polls has no goroutine.
type session struct {
	*outbox.Outbox // static

	// static
	server    *Server
	key       string // in Server.sessions
	hubName   string // canonical
	transport string // a metric label
	proof     proof  // of the token it was opened with
	left      func() // ends what Options.Enter has begun
	loop      hub.Loop

	// owned by the loop
	client *hub.Session // nil before it is open and when it is over

	mu       sync.Mutex
	attached bool        // guarded by mu: a request waits for messages
	silence  *time.Timer // guarded by mu: ends a session without a receiver
	window   time.Time   // guarded by mu: the second that sends are counted in
	sends    int         // guarded by mu: in it
	nextPoll time.Time   // guarded by mu: no poll is answered before
}

var (
	_ hub.Link    = (*session)(nil)
	_ hub.Backlog = (*session)(nil)
)

// task is a function as work for a loop.
type task func()

func (t task) Run() { t() }

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
		s.Share(client.QueueBudget())
		if s.Closed() { // by somebody who did not know yet that there is a client
			s.leave(false)
		}
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
	if s.End(codeInterrupted, "Connection interrupted") {
		s.leave(true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silence != nil {
		s.silence.Stop()
	}
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
	s.Signal() // there may be something already
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
	queue, end := s.Take()
	switch {
	case len(queue) > 0:
		if end.Code != 0 {
			s.Signal() // the close is next
		}
		for i, m := range queue {
			dst = appendMessage(dst, i == 0, m.Payload())
		}
		return append(dst, ']'), false
	case end.Code != 0:
		return appendClose(dst, end.Code, end.Reason), true
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
