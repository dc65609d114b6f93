package engine

import (
	"slices"

	"github.com/valyala/bytebufferpool"

	"sluice/frame"
)

// The outbound queue of a connection has up to three parts, and its bytes leave
// in this order. gnet's own buffer holds what the socket did not take; it has no
// limit and does not tell when it has drained, so we measure it: after each
// flush, before a verdict, and once per tick for the connections in
// Loop.backlog. Then comes what was sent since the last flush: either a piece of
// the loop's series of shared frames or a buffer of joined ones. Last are the
// messages that
// wait, by reference, because the client does not read and they, or some before
// them, may be lost; see backlog.go.

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
// and so is what comes of joining it with those before, where others were sent
// the same. It is written at the end of this turn of the loop, together with
// whatever else was sent meanwhile. False
// means that it was not queued, because the connection is not open or its queue
// is full; the latter is counted, and starts the close unless the message may be
// lost.
//
// Where the socket takes no more, a message that may be lost waits: from the
// first unsent byte on to be conflated, above a window otherwise. One with the
// conflation key of another that waits replaces it, at the end of the queue.
// Over MaxQueueBytes the message's policy applies; room for a message that must
// not be lost is made too, at the cost of those that may.
func (c *Conn) Send(m *frame.Message) bool {
	if c.state != stateOpen {
		return false
	}
	if c.backlog != nil && c.mustWait(m) {
		return c.sendLater(m)
	}
	d := c.reader.Deflate()
	if d.Takeover() {
		if !c.admit(len(m.Frame()), m.Overflow()) {
			return false
		}
		c.sent(c.encode(m.Op(), m.Payload()))
		return true
	}
	b := m.Deflated(c.loop.codec, d)
	if !c.admit(len(b), m.Overflow()) {
		return false
	}
	c.share(b)
	c.sent(len(b))
	return true
}

// Write queues a message for this connection alone, copying the payload. It
// answers as Send does.
func (c *Conn) Write(op frame.Opcode, payload []byte) bool {
	if c.state != stateOpen {
		return false
	}
	if c.waits() {
		return c.sendLater(seal(op, payload))
	}
	if !c.admit(len(payload)+frame.HeadRoom, frame.OverflowClose) {
		return false
	}
	c.sent(c.encode(op, payload))
	return true
}

// sent books a queued message and sees that it is flushed.
func (c *Conn) sent(n int) {
	l := c.loop
	l.work++
	c.countSent(1, n)
	c.lastMessage = l.now
	c.markDirty()
	if c != l.current && c.joinedBytes() >= joinBytes {
		c.write()
	}
}

// control queues bytes of the engine's own: control frames and HTTP answers.
// They are small and few, and never refused: what may be repeated by a client
// (pongs) goes through admit before.
func (c *Conn) control(b []byte) {
	if c.waits() {
		c.await(sealControl(b))
		return
	}
	c.join(b)
	c.countSent(0, len(b))
	c.markDirty()
}

// share puts a shared frame behind what is to be written.
func (c *Conn) share(b []byte) {
	switch {
	case c.series == nil && c.out == nil:
		c.loop.begin(c, b)
	case c.series != nil && c.series.follows(c.to, b):
		c.to++
	default:
		c.join(b)
	}
}

func (c *Conn) join(b []byte) {
	out := c.buffer()
	out.B = append(out.B, b...)
}

// encode puts a message behind what is to be written that is for this
// connection alone, and returns its length.
func (c *Conn) encode(op frame.Opcode, payload []byte) int {
	out := c.buffer()
	before := len(out.B)
	out.B = c.loop.codec.AppendMessage(out.B, op, payload, c.reader.Deflate())
	return len(out.B) - before
}

// buffer returns the joined frames, taking shared ones in by copy.
func (c *Conn) buffer() *bytebufferpool.ByteBuffer {
	if c.out == nil {
		c.out = c.loop.buffers.get()
		if c.series != nil {
			c.out.B = c.series.appendPiece(c.out.B, c.from, c.to)
			c.loop.endPiece(c)
		}
	}
	return c.out
}

// QueuedBytes returns the bytes not yet taken by the socket, as far as known.
func (c *Conn) QueuedBytes() int {
	return c.backlogBytes() + c.joinedBytes()
}

// joinedBytes returns the output of this turn.
func (c *Conn) joinedBytes() int {
	switch {
	case c.series != nil:
		return c.series.bytes(c.from, c.to)
	case c.out != nil:
		return len(c.out.B)
	}
	return 0
}

// backlogBytes returns those of them that do not just wait for the end of the
// turn.
func (c *Conn) backlogBytes() int {
	n := int(c.unsent)
	if c.backlog != nil {
		n += c.backlog.bytes
	}
	return n
}

// admit decides whether n more bytes, a message of such a policy, may be queued.
// A verdict is passed only on bytes the socket has refused, never on bytes that
// merely wait for the end of the turn.
func (c *Conn) admit(n int, o frame.Overflow) bool {
	if c.backlog == nil && c.series == nil && c.out == nil || c.fits(n) {
		return true
	}
	c.write()
	for c.refill() {
	}
	if c.state != stateOpen {
		return false
	}
	c.measure() // also when there was nothing to write: the last look may be old
	if c.fits(n) || o != frame.OverflowDropNewest && c.makeRoom(n) {
		return true
	}
	dropped := c.loop.engine.metrics.DroppedMessages
	switch o {
	case frame.OverflowClose:
		dropped.With("slow_consumer").Inc()
		c.shed(CauseSlowConsumer)
	case frame.OverflowDropNewest:
		dropped.With(o.String()).Inc()
	default:
		dropped.With(frame.OverflowDropOldest.String()).Inc()
	}
	return false
}

// fits tells whether a message of n bytes may be queued, nothing being lost. An
// empty queue takes one of any size.
func (c *Conn) fits(n int) bool {
	if c.backlog != nil && c.backlog.count >= maxWaiting {
		return false
	}
	q := c.QueuedBytes()
	return q == 0 || q+n <= c.loop.engine.cfg.MaxQueueBytes
}

// shed closes a connection that does not read. What it was not given yet is
// given up, so that the reason is the next thing it reads, should it ever read
// again.
func (c *Conn) shed(cause Cause) {
	c.dropOutput()
	c.fail(cause, frame.ClosePolicyViolation, "slow consumer: too much was waiting to be read")
}

// dropOutput gives up what gnet has not been given.
func (c *Conn) dropOutput() {
	c.dropJoined()
	for c.waits() {
		c.takeOut(c.backlog.first)
	}
}

// dropJoined forgets the output of this turn.
func (c *Conn) dropJoined() {
	if c.series != nil {
		c.loop.endPiece(c)
	}
	if c.out != nil {
		c.loop.buffers.put(c.out)
		c.out = nil
	}
}

// write gives gnet the output of this turn. It may end with the connection
// closed.
func (c *Conn) write() {
	l := c.loop
	var b []byte
	switch {
	case c.out != nil:
		b = c.out.B
	case c.series != nil:
		b = c.series.piece(c.from, c.to)
	default:
		return
	}
	n := 0 // bytes as gnet counts them; an error has closed the connection already
	if len(b) > writevBytes {
		l.iov[0] = b
		n, _ = c.gc.Writev(l.iov[:])
		l.iov[0] = nil
	} else {
		n, _ = c.gc.Write(b)
	}
	if c.backlog != nil {
		c.backlog.given += int64(n)
	}
	c.dropJoined()
	if c.state != stateClosed {
		c.measure()
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
	if c.backlog != nil && c.refill() {
		c.markDirty()
	}
	if c.state == stateFlushing && c.unsent == 0 && !c.waits() {
		c.shutdown()
	}
	l.shedWorst()
}
