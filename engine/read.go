package engine

import (
	"errors"

	"sluice/frame"
)

// readFrames takes what the client sent after its opening handshake, cut
// anywhere, until the loop's work has reached limit; the rest is held. What a
// message makes the handler send may be written at once, and a failed write
// closes the connection: the state is looked at after each event.
func (c *Conn) readFrames(p []byte, limit uint64) {
	for len(p) > 0 && (c.state == stateOpen || c.state == stateClosing) {
		ev, n, err := c.reader.Next(c.loop.codec, p)
		if err != nil {
			c.onProtocolError(err)
			return
		}
		p = p[n:]
		if !c.reader.Pending() {
			// Whatever was unfinished is whole now; what follows has a time of
			// its own, or a busy client whose reads all end within a message
			// would run out of it.
			c.assembly = 0
		}
		if ev.Kind == frame.KindClose {
			c.onPeerClose(ev.Code)
			return
		}
		if c.state == stateOpen {
			c.onEvent(ev)
		}
		if c.loop.work >= limit && len(p) > 0 {
			c.hold(p)
			return
		}
	}
	// Also when the last thing was a whole frame: a ping may stand within an
	// unfinished message.
	c.armAssembly()
}

func (c *Conn) onEvent(ev frame.Event) {
	switch ev.Kind {
	case frame.KindMessage:
		c.countReceived(1, 0)
		c.lastMessage = c.loop.now
		c.endpoint.Message(ev.Op, ev.Payload)
	case frame.KindPing:
		c.pong(ev.Payload)
	}
}

// pong answers a ping. A client may send many and read no answer, so this is
// held against the queue's limit like any message.
func (c *Conn) pong(data []byte) {
	if !c.admit(len(data)+frame.HeadRoom, frame.OverflowClose) {
		return
	}
	if c.waits() {
		c.await(seal(frame.OpPong, data))
		return
	}
	out := c.buffer()
	before := len(out.B)
	out.B = frame.AppendFrame(out.B, frame.OpPong, data)
	c.countSent(0, len(out.B)-before)
	c.markDirty()
}

func (c *Conn) onProtocolError(err error) {
	code, reason := frame.CloseProtocolError, "protocol error"
	if fe, ok := errors.AsType[*frame.Error](err); ok {
		code, reason = fe.Code, fe.Reason
	}
	if c.state == stateClosing {
		c.finish() // our close frame is on its way already
		return
	}
	c.fail(CauseProtocolError, code, reason)
}
