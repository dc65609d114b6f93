package engine

import (
	"sluice/engine/wheel"
	"sluice/frame"
	"sluice/internal/budget"
)

const (
	// windowBytes is how much of what waits is given to gnet at a time: enough
	// for the socket to have something to take between two looks at it. What
	// gnet has cannot be taken back, and goes stale there.
	windowBytes = 64 << 10

	// maxWaiting bounds the messages that wait for one connection, because tiny
	// ones cost more memory than their bytes.
	maxWaiting = 64 << 10
)

// backlog is what a connection has from when its socket refuses bytes until all
// are gone: the messages that gnet has not been given, and how old the bytes
// are that it has. It belongs to the loop.
//
// Messages begin to wait here, instead of in gnet's buffer, with the first one
// that may be lost. From then on everything waits, control frames too, so that
// nothing overtakes anything.
type backlog struct {
	first, last *waiting
	expendable  *waiting            // the first that may be lost
	keys        map[string]*waiting // by conflation key; nil until there is one

	count  int // messages
	spares int // of these, the ones that may be lost
	bytes  int // of all; uncompressed, because that is the memory
	spare  int // bytes of those that may be lost

	budget *budget.Budget // what the endpoint shares with others, nil for nothing

	age
}

// waiting is a message in a backlog.
type waiting struct {
	message    *frame.Message
	prev, next *waiting
}

func (w *waiting) bytes() int { return len(w.message.Frame()) }

func (w *waiting) expendable() bool { return w.message.Overflow() != frame.OverflowClose }

// conflationKey returns the key under which the message replaces others, "" for
// none.
func conflationKey(m *frame.Message) string {
	if m.Overflow() != frame.OverflowConflate {
		return ""
	}
	return m.Key()
}

// push puts a message at the end. No other with its conflation key may be there.
func (b *backlog) push(w *waiting) {
	w.prev, w.next = b.last, nil
	if b.last == nil {
		b.first = w
	} else {
		b.last.next = w
	}
	b.last = w
	b.account(w, 1)
	if b.expendable == nil && w.expendable() {
		b.expendable = w
	}
	if key := conflationKey(w.message); key != "" {
		if b.keys == nil {
			b.keys = map[string]*waiting{}
		}
		b.keys[key] = w
	}
}

// remove takes a message out, wherever it is.
func (b *backlog) remove(w *waiting) {
	if w.prev == nil {
		b.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		b.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	b.account(w, -1)
	if b.expendable == w {
		// Only ever forwards: what stands before it cannot be lost.
		for b.expendable = w.next; b.expendable != nil && !b.expendable.expendable(); {
			b.expendable = b.expendable.next
		}
	}
	if key := conflationKey(w.message); key != "" {
		delete(b.keys, key)
	}
}

// account adds a message to the sums, or takes it off them.
func (b *backlog) account(w *waiting, sign int) {
	b.count += sign
	b.bytes += sign * w.bytes()
	if w.expendable() {
		b.spares += sign
		b.spare += sign * w.bytes()
	}
}

// age follows how old the oldest byte in gnet's buffer is, which keeps no times,
// with two marks: the byte is never older than age says, and younger by no more
// than the time in which the client has read up to a mark.
type age struct {
	given  int64      // bytes given to gnet since the backlog began
	since  wheel.Tick // no byte that is still there was given before
	mark   int64      // a value of given
	marked wheel.Tick // when it had that value
}

// begin starts with what gnet holds already.
func (a *age) begin(unsent int32, now wheel.Tick) {
	*a = age{given: int64(unsent), since: now, mark: int64(unsent), marked: now}
}

// look takes note of what gnet holds now.
func (a *age) look(unsent int32, now wheel.Tick) {
	if a.given-int64(unsent) >= a.mark { // all up to the mark has gone
		a.since, a.mark, a.marked = a.marked, a.given, now
	}
}

// waits tells whether messages wait that gnet has not been given.
func (c *Conn) waits() bool { return c.backlog != nil && c.backlog.first != nil }

// mustWait decides about a message for a connection that has a backlog.
func (c *Conn) mustWait(m *frame.Message) bool {
	switch {
	case c.waits():
		return true
	case m.Overflow() == frame.OverflowClose:
		return false
	}
	c.measure()
	return int(c.unsent) > c.loop.engine.window() || c.fresh(m)
}

// fresh tells whether the message shall not join what gnet holds now: who wants
// the newest and nothing else does not want it to wait there.
func (c *Conn) fresh(m *frame.Message) bool {
	return m.Overflow() == frame.OverflowConflate && c.unsent > 0
}

// window returns windowBytes, or less where a queue may not be much longer.
func (e *Engine) window() int { return min(windowBytes, e.cfg.MaxQueueBytes/4) }

// sendLater is Send for a message that must wait.
func (c *Conn) sendLater(m *frame.Message) bool {
	if key := conflationKey(m); key != "" {
		if old := c.backlog.keys[key]; old != nil {
			c.lose(old, frame.OverflowConflate)
		}
	}
	if !c.admit(len(m.Frame()), m.Overflow()) {
		return false
	}
	c.await(m)
	c.loop.work++
	c.lastMessage = c.loop.now
	return true
}

// await puts a message, or a control frame, behind those that wait.
func (c *Conn) await(m *frame.Message) {
	w := c.loop.waitings.get()
	w.message = m
	c.backlog.push(w)
	c.charge(w.bytes())
	c.markDirty()
}

// takeOut takes a message out of those that wait; it is sent or lost.
func (c *Conn) takeOut(w *waiting) *frame.Message {
	m := w.message
	c.backlog.remove(w)
	c.charge(-w.bytes())
	*w = waiting{}
	c.loop.waitings.put(w)
	return m
}

// lose drops a message that waits, for the reason of that name.
func (c *Conn) lose(w *waiting, why frame.Overflow) {
	c.takeOut(w)
	c.loop.engine.metrics.DroppedMessages.With(why.String()).Inc()
}

// makeRoom drops what may be lost, the oldest first, until n bytes more fit. If
// they would not even then, nothing is dropped.
func (c *Conn) makeRoom(n int) bool {
	b := c.backlog
	if b == nil {
		return false
	}
	stays := c.QueuedBytes() - b.spare
	if stays > 0 && stays+n > c.loop.engine.cfg.MaxQueueBytes || b.count-b.spares >= maxWaiting {
		return false
	}
	for !c.fits(n) {
		c.lose(b.expendable, frame.OverflowDropOldest)
	}
	return true
}

// refill gives gnet up to a window of the messages that wait, and tells whether
// the socket takes more at once. They are compressed now, in the order in which
// they leave. It may end with the connection closed.
func (c *Conn) refill() (more bool) {
	if c.state == stateClosed || !c.waits() {
		return false
	}
	c.measure()
	free := c.loop.engine.window() - int(c.unsent)
	for free > 0 && c.waits() && !c.fresh(c.backlog.first.message) {
		free -= c.give(c.takeOut(c.backlog.first))
	}
	c.write()
	return c.state != stateClosed && c.waits() && c.unsent == 0
}

// give puts a message that has waited behind what is to be written, and returns
// its length.
func (c *Conn) give(m *frame.Message) (n int) {
	if d := c.reader.Deflate(); d.Takeover() {
		n = c.encode(m.Op(), m.Payload())
	} else {
		b := m.Deflated(c.loop.codec, d)
		c.share(b)
		n = len(b)
	}
	if m.Op().IsControl() {
		c.countSent(0, n)
	} else {
		c.countSent(1, n)
	}
	return n
}

// endBacklog gives back what only a connection with a backlog has.
func (c *Conn) endBacklog() {
	*c.backlog = backlog{}
	c.loop.backlogs.put(c.backlog)
	c.backlog = nil
}

// seal makes a message of a payload, which is copied.
func seal(op frame.Opcode, payload []byte) *frame.Message {
	return frame.Seal(op, append(make([]byte, frame.HeadRoom, frame.HeadRoom+len(payload)), payload...))
}

// sealControl makes a message of a control frame: two bytes of header, then at
// most 125 of payload (RFC 6455 §5.5).
func sealControl(b []byte) *frame.Message { return seal(frame.Opcode(b[0]&0x0f), b[2:]) }

// freeList keeps a bounded number of things for use again. Get returns one that
// is zero, as put must be given it.
type freeList[T any] struct {
	free []*T
}

// maxFree bounds each list: some hundred kilobytes.
const maxFree = 4096

func (f *freeList[T]) get() *T {
	last := len(f.free) - 1
	if last < 0 {
		return new(T)
	}
	v := f.free[last]
	f.free[last] = nil
	f.free = f.free[:last]
	return v
}

func (f *freeList[T]) put(v *T) {
	if len(f.free) < maxFree {
		f.free = append(f.free, v)
	}
}
