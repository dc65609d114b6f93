package engine

import (
	"github.com/valyala/bytebufferpool"

	"sluice/frame"
)

// One read is at most 64 KiB, but what it asks for is not bounded by that: a
// thousand small messages to a group of ten thousand are ten million copies.
// So a loop counts the messages it queues for clients, and when one event, or
// the tasks of one turn, have made it queue workPerTurn of them, the rest waits
// for the next turn, behind the other sockets.

const (
	// workPerTurn is some milliseconds of queueing. Much less would keep
	// messages for one connection from joining into one write.
	workPerTurn = 64 << 10

	// maxHeld bounds the input of a connection that waits for its turn: gnet
	// cannot be told to stop reading.
	maxHeld = 1 << 20
)

// unreadPool holds the buffers of input that waits.
var unreadPool bytebufferpool.Pool

// keep appends input that cannot be used yet to what waits already.
func (c *Conn) keep(p []byte) {
	if c.unread == nil {
		c.unread = unreadPool.Get()
	}
	c.unread.B = append(c.unread.B, p...)
}

// hold keeps frames for the next turn. A client that goes on sending faster than
// its messages can be delivered is closed.
func (c *Conn) hold(p []byte) {
	if c.state > stateClosing {
		return
	}
	c.keep(p)
	if len(c.unread.B) > maxHeld {
		c.fail(CauseInputBacklog, frame.ClosePolicyViolation, "sent more than can be delivered")
		return
	}
	if !c.has(flagHeld) {
		l := c.loop
		c.set(flagHeld)
		l.held = append(l.held, c)
		l.nextTurn()
	}
}

// resumeHeld goes on with the input that waits, connection after connection,
// until the loop's work has reached limit, and tells whether there is more. One
// event at least is handled, even where tasks use up every turn.
func (l *Loop) resumeHeld(limit uint64) (more bool) {
	limit = max(limit, l.work+1)
	for n := len(l.held); n > 0 && l.work < limit; n-- {
		c := l.held[0]
		l.held = l.held[1:] // one that is held again comes last
		c.clear(flagHeld)
		if c.unread == nil {
			continue // closed meanwhile
		}
		input := c.unread
		c.unread = nil
		l.current = c
		l.readOn(c, input.B, limit)
		l.current = nil
		l.flush(c)
		unreadPool.Put(input)
	}
	if len(l.held) == 0 {
		l.held = nil
	}
	return len(l.held) > 0
}

func (l *Loop) readOn(c *Conn, p []byte, limit uint64) {
	defer l.recover(c)
	c.readFrames(p, limit)
}

// dropUnread gives the buffer of input that waits back.
func (c *Conn) dropUnread() {
	if c.unread != nil {
		unreadPool.Put(c.unread)
		c.unread = nil
	}
}
