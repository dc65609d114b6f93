package sse

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/engine"
	"sluice/frame"
	"sluice/hub"
	"sluice/internal/outbox"
)

// stream is one client: a link of the hub. What the hub sends is queued in its
// outbox by the stream's loop and taken by the goroutine of the request.
type stream struct {
	*outbox.Outbox // static

	// static
	server  *Server
	hubName string // canonical
	loop    hub.Loop

	// owned by the loop
	client *hub.Session // nil before it is open and when it is over

	retry atomic.Int64 // a time.Duration, for the last event; 0 for the usual one
}

var (
	_ hub.Link    = (*stream)(nil)
	_ hub.Backlog = (*stream)(nil)
)

// task is a function as work for a loop.
type task func()

func (t task) Run() { t() }

// opened is what came of opening a stream.
type opened struct {
	hello   []*frame.Message // `connected`
	past    []hub.Recollection
	refusal *engine.Refusal // nil where it is open
}

// open makes the stream a session of the hub, on its loop, and waits for that.
func (s *stream) open(a Admission, l hub.Listening) opened {
	done := make(chan opened, 1)
	if !s.loop.Post(task(func() { done <- s.listen(&a, l) })) {
		return opened{refusal: later("stream_limit", "the event loop is overloaded")}
	}
	select {
	case o := <-done:
		return o
	case <-s.server.stopped:
		return opened{refusal: later("draining", "the node is going away")}
	}
}

// listen is open on the loop.
func (s *stream) listen(a *Admission, l hub.Listening) (o opened) {
	client, past, err := a.Listen(s.loop, s, l)
	if err != nil {
		return opened{refusal: refused(err)}
	}
	s.client = client
	o.hello, _ = s.Take() // the past comes between this and anything else
	o.past = past
	s.Share(client.QueueBudget())
	if s.Closed() { // by somebody who did not know yet that there is a client
		s.leave()
	}
	s.Expire(a.Expires)
	return o
}

// refused answers a client whom the hub did not take.
func refused(err error) *engine.Refusal {
	r := &engine.Refusal{Status: http.StatusInternalServerError, Label: "stream_refused", Reason: "internal error"}
	if e, ok := errors.AsType[*frame.Error](err); ok {
		r.Reason = e.Reason
		switch {
		case e.Code == frame.CloseTryAgainLater:
			r.Status, r.RetryAfter = http.StatusServiceUnavailable, time.Second
		case !e.Code.Reconnect():
			r.Status = http.StatusForbidden
		}
	}
	return r
}

// leave has the loop end the stream with the hub, now or, where the loop is
// overloaded, a little later.
func (s *stream) leave() {
	over := task(func() {
		if client := s.client; client != nil {
			s.client = nil
			client.Closed()
		}
	})
	if s.loop.Post(over) {
		return
	}
	select {
	case <-s.server.stopped: // the hub is gone too
	default:
		time.AfterFunc(100*time.Millisecond, s.leave)
	}
}

// end ends the stream for good: its request is over.
func (s *stream) end() {
	s.server.forget(s)
	if s.End(frame.CloseAbnormal, "") {
		s.leave()
	}
}

// drain tells the client that the node goes away.
func (s *stream) drain(reconnectAfter time.Duration) {
	wait := time.Millisecond + rand.N(max(time.Millisecond, reconnectAfter))
	s.loop.Post(task(func() {
		s.retry.Store(int64(wait))
		if s.client != nil {
			s.client.Draining(wait)
		}
		s.Close(frame.CloseServiceRestart, "service restart")
	}))
}
