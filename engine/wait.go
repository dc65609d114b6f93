package engine

import (
	"context"
	"net/http"
	"time"

	"sluice/internal/later"
)

// Whether a client may come in may be known to somebody who has to be asked first:
// an identity provider. A handler then refuses for now (Refusal.Later), and the
// client waits on its loop, without a goroutine and without an answer. When it is
// woken the handler is asked again, about everything: whatever has changed while
// the client waited counts. The client's handshake deadline goes on all the time.

// maxAsked bounds how often the handler is asked about one handshake: whatever it
// waits for, there is an end.
const maxAsked = 16

// parked is an opening handshake that waits to be judged. It belongs to the loop,
// and is the task that ends the wait. Each wait has one of its own, so that a
// wake that comes too late is of one that nobody knows any more.
type parked struct {
	// static
	conn    *Conn
	opening *opening // but for the Acceptance
	asked   int      // times that the handler has judged it
	refusal *Refusal // the answer where it waits in vain

	cancel func()
}

// judge asks the handler about a correct opening handshake, for the asked-th time.
// Afterwards the connection is open, on its way out, elsewhere with rest, or waits
// to be judged again.
func (c *Conn) judge(o *opening, asked int, rest []byte) {
	l := c.loop
	if refusal := l.engine.checkCapacity(); refusal != nil {
		c.refuse(refusal, o.request)
		return
	}
	accept, refusal := l.engine.handler.Upgrade(c, o.request)
	switch {
	case refusal == nil:
		o.Acceptance = accept
		c.accept(o, rest)
	case refusal.Later != nil && asked < maxAsked:
		c.waitFor(refusal.Later, &parked{conn: c, opening: o, asked: asked, refusal: refusal})
	default:
		c.refuse(refusal, o.request)
	}
}

// waitedKey finds in the context of a request that it has waited.
type waitedKey struct{}

// Waited returns the request as it is after a wait.
func Waited(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), waitedKey{}, true))
}

// HasWaited reports whether somebody was asked about the request before and has had
// it wait: what is counted once for each has been counted.
func HasWaited(r *http.Request) bool { return r.Context().Value(waitedKey{}) != nil }

// waitFor lets the client wait, if there is room for one more.
func (c *Conn) waitFor(answer later.Answer, w *parked) {
	l := c.loop
	e := l.engine
	if e.waiting.Add(1) > int64(e.cfg.MaxWaitingHandshakes) {
		e.waiting.Add(-1)
		c.refuse(e.tooManyWait(), w.opening.request)
		return
	}
	// Before Wait: the task may be in the inbox when that returns.
	c.set(flagWaiting)
	l.parked[c] = w
	cancel, ok := answer.Wait(func() {
		// With a full inbox the client waits until its deadline: the loop is
		// overloaded, and this is the work that can be left undone.
		l.Post(w)
	})
	if !ok {
		c.stopWaiting()
		c.refuse(e.tooManyWait(), w.opening.request)
		return
	}
	w.cancel = cancel
	c.dropUnread() // the head; what follows it is kept from now on
}

func (e *Engine) tooManyWait() *Refusal {
	return e.busy("waiting_limit", "too many clients wait for their identity provider")
}

// stopWaiting takes the connection off the list of those who wait, if it is on it.
func (c *Conn) stopWaiting() {
	if !c.has(flagWaiting) {
		return
	}
	l := c.loop
	w := l.parked[c]
	delete(l.parked, c)
	c.clear(flagWaiting)
	l.engine.waiting.Add(-1)
	if w.cancel != nil {
		w.cancel()
	}
}

// keepEarly keeps what a client sends before it is answered: no more than a head
// may be. A client must wait for the answer (RFC 6455 §4.1), but where it comes at
// once nobody notices if one does not, and neither should it here.
func (c *Conn) keepEarly(p []byte) {
	if len(p) == 0 {
		return
	}
	c.keep(p)
	if limit := c.loop.engine.cfg.MaxHeadBytes; len(c.unread.B) > limit {
		c.refuse(badRequest("early_input", "sent too much before the handshake was answered"), c.loop.parked[c].opening.request)
	}
}

// Run goes on with the handshake.
func (w *parked) Run() {
	c := w.conn
	l := c.loop
	if l.parked[c] != w {
		return // it has gone, or was answered
	}
	c.stopWaiting()
	early := c.unread
	c.unread = nil
	l.current = c
	if early == nil {
		w.goOn(nil)
	} else {
		w.goOn(early.B)
		unreadPool.Put(early)
	}
	l.current = nil
	l.flush(c)
}

// goOn judges the client anew and handles what it has sent meanwhile.
func (w *parked) goOn(early []byte) {
	c := w.conn
	l := c.loop
	defer l.recover(c)
	if w.asked == 1 {
		w.opening.request = Waited(w.opening.request)
	}
	c.judge(w.opening, w.asked+1, early)
	if c.has(flagWaiting) {
		c.keepEarly(early)
		return
	}
	c.readFrames(early, l.work+workPerTurn)
	if s, ok := c.gc.(*session); ok && c.state == stateOpen {
		letGo(s.tls) // as after any upgrade
	}
}

// Patiently is for requests that net/http serves: it asks judge, and where that
// refuses for now waits in this goroutine and asks again, for most at the longest and
// until the context ends or the client has gone.
func Patiently[A any](until context.Context, r *http.Request, most time.Duration, judge func(*http.Request) (A, *Refusal)) (A, *Refusal) {
	a, refusal := judge(r)
	if refusal == nil || refusal.Later == nil {
		return a, refusal
	}
	ctx, cancel := context.WithTimeout(r.Context(), most)
	defer cancel()
	stop := context.AfterFunc(until, cancel)
	defer stop()
	r = Waited(r)
	for range maxAsked {
		if !later.Block(ctx, refusal.Later) {
			break
		}
		if a, refusal = judge(r); refusal == nil || refusal.Later == nil {
			break
		}
	}
	return a, refusal
}
