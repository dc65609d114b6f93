package engine

import (
	"net"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/valyala/bytebufferpool"

	"sluice/engine/wheel"
	"sluice/frame"
)

// state is where a connection is in its life. It only grows; from
// stateFlushing on, what the client sends is discarded unread.
type state uint8

const (
	stateHead      state = iota // the opening handshake is being read, or waits to be judged
	stateOpen                   // messages flow
	stateClosing                // our close frame is queued, the client's is awaited
	stateFlushing               // all is said; the output is on its way
	stateLingering              // our end of file is sent, the client's is awaited
	stateClosed                 // the socket is gone; gc must not be touched
)

// Conn is one client connection. All of it, every exported method included,
// belongs to the goroutine of its loop. A *Conn may be kept by others as a
// name to post tasks about: it is never reused, so a stale one is simply
// closed and refuses everything.
//
// While idle it holds no buffer.
type Conn struct {
	timer wheel.Node[Conn]
	gc    gnet.Conn // or what lies over it; see over.go
	loop  *Loop

	endpoint Endpoint     // nil before stateOpen, and when the socket is gone and Closed was called
	reader   frame.Reader // knows the compression that was negotiated

	// output of this turn, which gnet has not seen; see queue.go. Never both.
	series *series                    // shared frames: those from Conn.from to Conn.to
	out    *bytebufferpool.ByteBuffer // joined frames

	backlog *backlog // nil while gnet holds nothing of it; see backlog.go

	unread *bytebufferpool.ByteBuffer // input that waits: part of a request head, or see wait.go and work.go

	input, output traffic

	slot   int32 // index in Loop.conns
	unsent int32 // bytes in gnet's buffer when last measured

	// since is the clock in microseconds when the socket came; from the upgrade
	// on, the tick of that.
	since uint32

	// deadlines; 0 means none
	lastSeen    wheel.Tick // bytes came from the client
	lastMessage wheel.Tick // a message went either way
	pinged      wheel.Tick // a ping is unanswered since then
	assembly    wheel.Tick // the unfinished frame or message must be whole by then
	expires     wheel.Tick // Acceptance.Expires

	state    state
	cause    Cause // why it left stateOpen or stateHead
	flags    connFlags
	from, to uint8           // the piece of series that is to be written
	code     frame.CloseCode // of the first close frame, whoever sent it; 0 for none
}

// connFlags are single facts about a connection.
type connFlags uint8

const (
	flagUpgraded   connFlags = 1 << iota // answered 101
	flagDirty                            // in Loop.dirty
	flagSlow                             // over SlowConsumerBytes, counted
	flagHeld                             // in Loop.held
	flagDetached                         // the endpoint knows that it is over
	flagHandedOver                       // the socket lives on elsewhere
	flagWaiting                          // in Loop.parked
)

func (c *Conn) has(f connFlags) bool { return c.flags&f != 0 }
func (c *Conn) set(f connFlags)      { c.flags |= f }
func (c *Conn) clear(f connFlags)    { c.flags &^= f }

// WheelNode gives the timing wheel its place in the connection.
func (c *Conn) WheelNode() *wheel.Node[Conn] { return &c.timer }

// Loop returns the loop that owns the connection. It may be called from any
// goroutine.
func (c *Conn) Loop() *Loop { return c.loop }

// RemoteAddr returns the address of the client, nil once the connection is
// closed.
func (c *Conn) RemoteAddr() net.Addr {
	if c.state == stateClosed || c.gc == nil {
		return nil
	}
	return c.gc.RemoteAddr()
}

// opened starts the life of the connection on its loop: the client has
// HandshakeTimeout for its request head.
func (c *Conn) opened(gc gnet.Conn) {
	l := c.loop
	c.gc = gc
	l.add(c)
	c.since = l.engine.micros()
	c.lastSeen = l.now
	c.wait(l.engine.cfg.HandshakeTimeout)
}

// openedAfter is opened for a connection that has a history.
func (c *Conn) openedAfter(gc gnet.Conn, o over) { c.opened(o.wrap(c, gc)) }

// closed ends the life of the connection: the socket is gone, by whichever
// path; err is what the socket said, nil when we closed it. The endpoint hears
// of it at the end of this turn, because the close may have come from a write
// in the middle of a handler's work.
func (c *Conn) closed(err error) {
	l := c.loop
	c.stopWaiting()
	if _, ok := c.gc.(*session); ok {
		l.engine.secured.Add(-1)
	}
	if c.has(flagHandedOver) {
		c.state = stateClosed // the socket's accounts go with it
	} else {
		c.settle(err)
	}
	c.dropUnread()
	c.reader.Release()
	c.dropOutput()
	c.book(0)
	if c.backlog != nil {
		c.endBacklog()
	}
	l.wheel.Disarm(c)
	l.remove(c)
	l.placed.Add(-1)
	switch {
	case c.has(flagDetached):
		c.endpoint = nil
	case c.endpoint != nil:
		c.markDirty()
	}
}

// settle books the end of the socket.
func (c *Conn) settle(err error) {
	l := c.loop
	switch {
	case c.cause != causeNone:
	case err != nil:
		c.cause = CauseClientGone
	default:
		c.cause = CauseDraining // the loop is stopped with the connection on it
	}
	addr, peer := c.RemoteAddr(), c.peer()
	if c.state == stateHead {
		l.engine.metrics.HandshakeRejections.With(c.cause.String()).Inc()
		c.logVanished(addr)
	}
	c.state = stateClosed
	if c.has(flagUpgraded) {
		c.logClosed(addr)
		l.engine.connections.Add(-1)
		l.engine.moveOut(addr)
		l.engine.metrics.ConnectionsClosed.With(c.cause.String(), c.cause.Initiator()).Inc()
	} else {
		l.engine.leave(peer)
	}
}

// blame notes why the connection ends, if nothing else has ended it before.
func (c *Conn) blame(cause Cause) {
	if c.cause == causeNone {
		c.cause = cause
	}
}

// detach tells the endpoint, once, that the connection has left the open
// state. Called only between handlers, never within one.
func (c *Conn) detach() {
	e := c.endpoint
	if e == nil || c.has(flagDetached) {
		return
	}
	c.set(flagDetached)
	if c.state == stateClosed {
		c.endpoint = nil // else it is kept for the last line in the log
	}
	defer c.loop.recover(nil)
	e.Closed()
}

// alive notes a sign of life: bytes from the client.
func (c *Conn) alive() {
	c.lastSeen = c.loop.now
	c.pinged = 0
}

// wait gives the present state, other than stateOpen, its end.
func (c *Conn) wait(d time.Duration) {
	c.loop.wheel.Arm(c, c.loop.after(d))
}
