package engine

import (
	"golang.org/x/sys/unix"

	"sluice/frame"
)

// Close starts the closing handshake (RFC 6455 §7.1.2): what was sent before
// goes out first, then the close frame. The endpoint's Closed follows at the
// end of the turn. A connection that is not open is left alone.
func (c *Conn) Close(code frame.CloseCode, reason string) {
	c.end(CauseServerClose, code, reason)
}

// Broken reports whether the connection ended without anybody having meant it to
// end: the network failed, or the client went away without a proper close. It is
// valid from Endpoint.Closed on.
func (c *Conn) Broken() bool {
	switch c.cause {
	case CauseClientGone, CauseHeartbeatTimeout:
		return true
	case CauseClientClose:
		return c.code != frame.CloseNormal && c.code != frame.CloseNoStatus
	}
	return false
}

// end queues the close frame and waits for the client's.
func (c *Conn) end(cause Cause, code frame.CloseCode, reason string) {
	if c.state != stateOpen {
		return
	}
	c.cause, c.code = cause, code
	c.state = stateClosing
	c.control(frame.AppendClose(nil, code, reason))
	c.wait(c.loop.engine.cfg.CloseTimeout)
}

// fail ends a connection from which nothing more is expected: the close frame
// goes out, what comes in is discarded (RFC 6455 §7.1.7).
func (c *Conn) fail(cause Cause, code frame.CloseCode, reason string) {
	if c.state != stateOpen {
		return
	}
	c.end(cause, code, reason)
	c.finish()
}

// onPeerClose answers the client's close frame, or takes it as the answer to
// ours.
func (c *Conn) onPeerClose(code frame.CloseCode) {
	if c.state == stateOpen {
		c.cause, c.code = CauseClientClose, code
		c.control(frame.AppendClose(nil, code, ""))
	}
	c.finish()
}

// finish leaves the connection nothing to do but to send what is queued.
func (c *Conn) finish() {
	c.state = stateFlushing
	c.reader.Release()
	c.wait(c.loop.engine.cfg.CloseTimeout)
	c.markDirty()
}

// shutdown sends our end of file and waits for the client's. Closing at once
// would let the kernel answer bytes still on their way with a reset, which can
// overtake and destroy the close frame.
func (c *Conn) shutdown() {
	if s, ok := c.gc.(*session); ok && !s.sayGoodbye() {
		return // until the socket has taken that too
	}
	c.state = stateLingering
	if err := unix.Shutdown(c.gc.Fd(), unix.SHUT_WR); err != nil {
		c.closeNow() // the client has reset the connection
		return
	}
	c.wait(c.loop.engine.cfg.LingerTimeout)
}

// closeNow closes the socket; gnet calls closed before it returns. Unread and
// unsent bytes are lost.
func (c *Conn) closeNow() {
	if c.state == stateClosed {
		return
	}
	_ = c.loop.poller.Close(c.socket())
}
