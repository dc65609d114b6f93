package engine

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"sluice/frame"
)

// drain is one step of a loop's part in the drain of the node, as a task. It
// waits its turn in the inbox: what was published, and perhaps acknowledged,
// before the step reaches its members before they are closed.
type drain struct {
	loop    *Loop
	posted  bool    // it is in the inbox
	begun   bool    // the first step was made
	leaving []*Conn // whom to close, in this order
}

// post puts the next step into the inbox; called once per tick.
func (d *drain) post() {
	if d.posted || d.loop.engine.drainUntil.Load() == 0 {
		return
	}
	d.posted = d.loop.inbox.put(d) // else at the next tick
}

// Run closes the share of the connections that is due by now, so that the last
// one is closed at the end of the drain.
func (d *drain) Run() {
	l := d.loop
	d.posted = false
	if !d.begun {
		d.begun = true
		l.refusePending()
	}
	if len(d.leaving) == 0 { // at first, and for those who came in the last moment
		d.leaving = l.idleFirst()
	}
	quota := d.quota()
	for quota > 0 && len(d.leaving) > 0 {
		c := d.leaving[0]
		d.leaving[0], d.leaving = nil, d.leaving[1:]
		if c.state == stateOpen {
			c.leave()
			quota--
		}
	}
}

// quota returns how many to close at this step. A remainder is left to chance, so
// that a few connections are spread over the window as well as many.
func (d *drain) quota() int {
	n := len(d.leaving)
	left := int(int32(d.loop.engine.drainUntil.Load()) - int32(d.loop.now)) // ticks
	if left <= 0 {
		return n
	}
	quota := n / left
	if rand.IntN(left) < n%left {
		quota++
	}
	return quota
}

// idleFirst returns the open connections, those on which nothing was said for
// the longest time first: who is in the middle of something gets the most time.
func (l *Loop) idleFirst() []*Conn {
	open := make([]*Conn, 0, len(l.conns))
	for _, c := range l.conns {
		if c.state == stateOpen {
			open = append(open, c)
		}
	}
	slices.SortStableFunc(open, func(a, b *Conn) int { return cmp.Compare(a.lastMessage, b.lastMessage) })
	return open
}

// leave tells the client that the node goes away and when to come back.
func (c *Conn) leave() {
	l := c.loop
	defer l.recover(c)
	wait := l.engine.reconnectAfter()
	if d, ok := c.endpoint.(Drainer); ok {
		d.Draining(wait)
	}
	c.end(CauseDraining, frame.CloseServiceRestart, fmt.Sprintf("service restart; reconnect in %.1fs", wait.Seconds()))
}

// reconnectAfter returns how long a client shall wait: some time up to
// RetryAfter, in tenths of seconds, so that clients do not come back together.
func (e *Engine) reconnectAfter() time.Duration {
	const step = 100 * time.Millisecond
	return step + rand.N(e.cfg.RetryAfter).Truncate(step)
}

// refusePending answers every handshake that is not finished: nobody would take
// the connection.
func (l *Loop) refusePending() {
	for _, c := range slices.Clone(l.conns) {
		if c.state == stateHead {
			c.refuse(l.engine.goingAway(), nil)
		}
	}
}

func (e *Engine) goingAway() *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Label: "draining",
		Reason: "this node is going away, connect to another one", RetryAfter: e.cfg.RetryAfter}
}

// finishTasks waits until the loops have run what was posted before.
func (e *Engine) finishTasks(ctx context.Context) {
	for _, l := range e.loops {
		last := barrier(make(chan struct{}))
		if !l.Post(last) {
			continue
		}
		select {
		case <-last:
		case <-ctx.Done():
			return
		}
	}
}

// barrier is a task that tells that everything before it has run.
type barrier chan struct{}

func (b barrier) Run() { close(b) }
