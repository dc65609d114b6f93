package engine

import (
	"cmp"
	"slices"

	"github.com/valyala/bytebufferpool"

	"sluice/frame"
)

// The outbound queue of a connection has two parts. Ours holds what was sent
// since the last flush: either one shared frame by reference or a buffer of
// joined frames. gnet's holds what the socket did not take; it has no limit and
// does not tell when it has drained, so we measure it: after each flush, before
// a verdict, and once per tick for the connections in Loop.backlog.

const (
	// joinBytes is where a queue stops growing within a turn and is written at
	// once: more would gain nothing in system calls and cost memory for every
	// member of a large group. The connection whose event is being handled is
	// spared: it is one, and flushed as soon as the event is done.
	joinBytes = 16 << 10

	// writevBytes is the size above which Writev is used: a larger Write would
	// leave a ring buffer of the next power of two in gnet's pool, for any
	// connection to pick up and keep.
	writevBytes = 32 << 10
)

// pingFrame is an empty ping, FIN and opcode 9 (RFC 6455 §5.5.2).
var pingFrame = frame.AppendFrame(nil, frame.OpPing, nil)

// Send queues a message that other connections get too: its bytes are shared,
// and the first one pending is not even copied. It is written at the end of
// this turn of the loop, together with whatever else was sent meanwhile. False
// means that it was not queued, because the connection is not open or its queue
// is full; the latter is counted and starts the close.
func (c *Conn) Send(m *frame.Message) bool {
	if c.state != stateOpen {
		return false
	}
	if c.deflate.Takeover() {
		return c.Write(m.Op(), m.Payload())
	}
	b := m.Deflated(c.loop.codec, c.deflate)
	if !c.admit(len(b)) {
		return false
	}
	if c.single == nil && c.out == nil {
		c.single = m
	} else {
		c.join(b)
	}
	c.sent(len(b))
	return true
}

// Write queues a message for this connection alone, copying the payload. It
// answers as Send does.
func (c *Conn) Write(op frame.Opcode, payload []byte) bool {
	if c.state != stateOpen || !c.admit(len(payload)+frame.HeadRoom) {
		return false
	}
	out := c.buffer()
	before := len(out.B)
	out.B = c.loop.codec.AppendMessage(out.B, op, payload, c.deflate)
	c.sent(len(out.B) - before)
	return true
}

// sent books a queued message and sees that it is flushed.
func (c *Conn) sent(n int) {
	l := c.loop
	l.work++
	c.countSent(1, n)
	c.lastMessage = l.now
	c.markDirty()
	if c.out != nil && len(c.out.B) >= joinBytes && c != l.current {
		c.write()
	}
}

// control queues bytes of the engine's own: control frames and HTTP answers.
// They are small and few, and never refused: what may be repeated by a client
// (pongs) goes through admit before.
func (c *Conn) control(b []byte) {
	c.join(b)
	c.countSent(0, len(b))
	c.markDirty()
}

func (c *Conn) join(b []byte) {
	out := c.buffer()
	out.B = append(out.B, b...)
}

// buffer returns the joined frames, taking a shared one in by copy.
func (c *Conn) buffer() *bytebufferpool.ByteBuffer {
	if c.out == nil {
		c.out = c.loop.buffers.get()
		if c.single != nil {
			c.out.B = append(c.out.B, c.single.Deflated(c.loop.codec, c.deflate)...)
			c.single = nil
		}
	}
	return c.out
}

// QueuedBytes returns the bytes not yet taken by the socket.
func (c *Conn) QueuedBytes() int {
	if c.unsent > 0 && c.state != stateClosed {
		c.measure()
	}
	return c.queued()
}

// queued returns the bytes not yet taken by the socket, as far as known.
func (c *Conn) queued() int {
	n := int(c.unsent)
	if c.single != nil {
		n += len(c.single.Deflated(c.loop.codec, c.deflate))
	} else if c.out != nil {
		n += len(c.out.B)
	}
	return n
}

// admit decides whether n more bytes may be queued. A verdict is passed only
// on bytes the socket has refused, never on bytes that merely wait for the end
// of the turn. An empty queue admits any message.
func (c *Conn) admit(n int) bool {
	high := c.loop.engine.cfg.MaxQueueBytes
	if q := c.queued(); q == 0 || q+n <= high {
		return true
	}
	c.write()
	if c.state != stateOpen {
		return false
	}
	c.measure() // also when there was nothing to write: the last look may be old
	if c.unsent == 0 || int(c.unsent)+n <= high {
		return true
	}
	c.loop.engine.metrics.DroppedMessages.With("slow_consumer").Inc()
	c.shed(CauseSlowConsumer)
	return false
}

// shed closes a connection that does not read. What it was not given yet is
// given up, so that the reason is the next thing it reads, should it ever read
// again.
func (c *Conn) shed(cause Cause) {
	c.dropOutput()
	c.fail(cause, frame.ClosePolicyViolation, "slow consumer: too much was waiting to be read")
}

func (c *Conn) dropOutput() {
	c.single = nil
	if c.out != nil {
		c.loop.buffers.put(c.out)
		c.out = nil
	}
}

// write gives our part of the queue to gnet. It may end with the connection
// closed.
func (c *Conn) write() {
	l := c.loop
	var b []byte
	switch {
	case c.out != nil:
		b = c.out.B
	case c.single != nil:
		b = c.single.Deflated(l.codec, c.deflate)
	default:
		return
	}
	if len(b) > writevBytes {
		l.iov[0] = b
		_, _ = c.gc.Writev(l.iov[:])
		l.iov[0] = nil
	} else {
		_, _ = c.gc.Write(b) // an error has closed the connection already
	}
	c.dropOutput()
	if c.state != stateClosed {
		c.measure()
	}
}

// measure asks gnet what it still holds and books the difference.
func (c *Conn) measure() {
	n := int32(c.gc.OutboundBuffered())
	if n == c.unsent {
		return
	}
	l := c.loop
	c.book(n)
	if n == 0 {
		c.setSlow(false)
		return
	}
	if !c.has(flagBacklog) {
		c.set(flagBacklog)
		l.backlog = append(l.backlog, c)
	}
	if int(n) > l.engine.cfg.SlowConsumerBytes {
		c.setSlow(true)
	}
}

// setSlow says whether the connection counts as a slow consumer.
func (c *Conn) setSlow(slow bool) {
	e := c.loop.engine
	switch {
	case slow == c.has(flagSlow):
	case slow:
		c.set(flagSlow)
		e.slow.Add(1)
		e.metrics.SlowConsumers.Inc()
	default:
		c.clear(flagSlow)
		e.slow.Add(-1)
	}
}

// book sets the connection's unsent bytes in all the books. The list of
// backlogs loses an empty one at the next tick.
func (c *Conn) book(n int32) {
	l := c.loop
	change := int64(n - c.unsent)
	c.unsent = n
	l.queued += change
	if l.engine.queued.Add(change) > int64(l.engine.cfg.MaxNodeQueueBytes) {
		l.overBudget = true
	}
}

// checkBacklogs measures every connection that had bytes in gnet's buffer and
// lets those go on that wait for it to drain.
func (l *Loop) checkBacklogs() {
	if l.engine.queued.Load() > int64(l.engine.cfg.MaxNodeQueueBytes) {
		l.overBudget = true // perhaps another loop saw it and left it to us
	}
	l.backlog = slices.DeleteFunc(l.backlog, func(c *Conn) bool {
		if c.state != stateClosed {
			c.measure()
		}
		if c.unsent > 0 {
			return false
		}
		c.clear(flagBacklog)
		c.markDirty()
		return true
	})
	if l.overBudget {
		l.shedWorst()
	}
}

// shedWorst closes the longest queues of this loop until all queues are a
// tenth below the budget of the node again, or this loop is below its share of
// that: then it is for the others, who see it at their next tick, or the loop
// that happens to look first would close short queues for others' long ones.
func (l *Loop) shedWorst() {
	target := int64(l.engine.cfg.MaxNodeQueueBytes) / 10 * 9
	share := target / int64(len(l.engine.loops))
	enough := func() bool { return l.engine.queued.Load() <= target || l.queued <= share }
	if !enough() {
		for _, c := range l.backlog {
			if c.state != stateClosed {
				c.measure()
			}
		}
		slices.SortFunc(l.backlog, func(a, b *Conn) int { return cmp.Compare(b.unsent, a.unsent) })
	}
	l.overBudget = false
	for _, c := range l.backlog {
		if enough() {
			return
		}
		if c.state == stateOpen {
			c.shed(CauseNodeQueueBudget)
		}
		c.closeNow() // nothing less gives the memory back
	}
}

// markDirty has the connection flushed at the end of this turn.
func (c *Conn) markDirty() {
	l := c.loop
	if c.has(flagDirty) || c == l.current {
		return
	}
	c.set(flagDirty)
	l.dirty = append(l.dirty, c)
	l.nextTurn()
}

// flushDirty flushes a bounded number of connections and tells whether there
// are more.
func (l *Loop) flushDirty() (more bool) {
	n := min(flushesPerTurn, len(l.dirty))
	for i := range n {
		c := l.dirty[i] // flush may append to the list
		c.clear(flagDirty)
		l.flush(c)
	}
	l.dirty = slices.Delete(l.dirty, 0, n) // at once: under load the list is never empty
	l.flushed(n)
	return len(l.dirty) > 0
}

// flush ends a connection's turn: the endpoint of one that left the open state
// hears of it, output is written, and a finished close goes on.
func (l *Loop) flush(c *Conn) {
	defer l.recover(c)
	if c.state > stateOpen {
		c.detach()
	}
	if c.state == stateClosed {
		return
	}
	c.write()
	if c.state == stateFlushing && c.unsent == 0 {
		c.shutdown()
	}
	if l.overBudget {
		l.shedWorst()
	}
}
