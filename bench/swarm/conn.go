package swarm

import (
	"fmt"
	"syscall"

	"sluice/frame"
)

// Role is what one connection does. Its methods run on the loop of the
// connection and must not block.
type Role interface {
	// Open runs when the handshake is done. Unless Plan.Hold is set the
	// connection is ready then.
	Open(c *Conn)

	// Message runs for each message; for each piece of the stream where
	// Plan.Stream is set. The payload is valid until it returns.
	Message(c *Conn, op frame.Opcode, payload []byte)

	// Closed runs once, last, also for a connection that never opened.
	Closed(c *Conn, end End)
}

// Plan is what one connection shall be.
type Plan struct {
	Role Role

	// Request is the head of the opening handshake; see Request. Without one
	// there is no handshake: the server talks frames, or a mere stream of
	// bytes, from the first byte.
	Request []byte

	// Stream means that the bytes that come are not frames.
	Stream bool

	// ReceiveBuffer is that of the socket in bytes, 0 for what the kernel thinks
	// fit. With a small one a connection that does not read is noticed early.
	ReceiveBuffer int

	// Hold keeps the connection from being ready until the role calls Ready.
	Hold bool
}

// End says how a connection ended.
type End struct {
	// Asked is set when we closed first.
	Asked bool

	// Code is that of the server's close frame, 0 without one.
	Code frame.CloseCode

	// Reason is a short label from a bounded set.
	Reason string

	// Err is the cause where there is one.
	Err error
}

type state uint8

const (
	connecting state = iota
	shaking          // hands, for TLS
	upgrading        // the request is sent
	opened           // frames come and go
	closing          // a close frame was sent
	ended
)

func (s state) String() string {
	return [...]string{"connecting", "in TLS handshake", "in handshake", "while open", "closing", "ended"}[s]
}

// Conn is one connection. It belongs to its loop.
type Conn struct {
	plan    Plan
	loop    *Loop
	opening *opening // whose place this connection holds, until it is ready
	began   int64
	reader  frame.Reader
	tls     *secure // nil for plain text

	fd        int
	state     state
	ready     bool
	queued    bool // is in loop.dirty
	wantWrite bool // waits for room to write
	paused    bool // does not read
	deadline  int64
	pings     int
	end       End

	head []byte // what has come of the handshake's answer, while it is not whole
	out  []byte // what waits to be written, nil when nothing does
}

// connect begins one connection.
func (l *Loop) connect(plan Plan, o *opening) {
	c := &Conn{plan: plan, loop: l, opening: o, began: Now(), fd: -1}
	c.deadline = c.began + int64(l.swarm.cfg.Patience)
	fd, err := connect(l.swarm.cfg.Target, l.nextSource(), plan.ReceiveBuffer)
	if err == nil {
		c.fd = fd
		if fd >= len(l.conns) {
			l.conns = append(l.conns, make([]*Conn, fd+1-len(l.conns))...)
		}
		l.conns[fd] = c
		l.live++
		err = l.poller.add(fd, true)
	}
	if err != nil {
		c.finish(failure("connect", err), false)
	}
}

// failure is an end with a label made of the step and the system's error.
func failure(step string, err error) End {
	reason := step
	if errno, ok := err.(interface{ Unwrap() error }); ok {
		err = errno.Unwrap()
	}
	if errno, ok := err.(syscall.Errno); ok {
		reason += ": " + errno.Error()
	}
	return End{Reason: reason, Err: err}
}

// Loop returns the loop of the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// Pings returns how many pings of the server's were answered.
func (c *Conn) Pings() int { return c.pings }

// Streams reports whether Plan.Stream is set.
func (c *Conn) Streams() bool { return c.plan.Stream }

// Live reports whether the connection is open in both directions.
func (c *Conn) Live() bool { return c.state == opened }

// Ready says that a connection held by Plan.Hold is ready.
func (c *Conn) Ready() {
	if c.ready || c.state != opened {
		return
	}
	c.ready = true
	c.deadline = 0
	counts := &c.loop.counts
	counts.Opened++
	counts.Open++
	counts.Opening.Record(since(c.began))
	c.loop.swarm.open.Add(1)
	c.giveUpPlace(true)
}

func (c *Conn) giveUpPlace(success bool) {
	if c.opening == nil {
		return
	}
	c.opening.active--
	c.opening.failures++
	if success {
		c.opening.failures = 0
	}
	c.opening = nil
}

// Send queues bytes, which are whole frames unless Plan.Stream is set. They are
// copied, and written once at the end of the loop's turn with everything else
// for this connection.
func (c *Conn) Send(p []byte) {
	if c.state == opened {
		c.queue(p)
	}
}

func (c *Conn) queue(p []byte) {
	if s := c.tls; s != nil {
		if s.pending == nil {
			s.pending = c.loop.buffer()
		}
		s.pending = append(s.pending, p...)
	} else {
		c.append(p)
	}
	c.markDirty()
}

// append puts bytes behind those that are to be written as they are.
func (c *Conn) append(p []byte) {
	if c.out == nil {
		c.out = c.loop.buffer()
	}
	c.out = append(c.out, p...)
}

func (c *Conn) markDirty() {
	if !c.queued && !c.wantWrite {
		c.queued = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// Pause stops or resumes reading: a client that stalls.
func (c *Conn) Pause(paused bool) {
	if c.state != opened || c.paused == paused {
		return
	}
	c.paused = paused
	c.watch()
}

// Paused reports whether the connection does not read.
func (c *Conn) Paused() bool { return c.paused }

// Close sends a close frame and waits for the server's, and for the end of the
// stream. Where there are no frames it ends the connection at once.
func (c *Conn) Close(code frame.CloseCode) {
	if c.state != opened || c.plan.Request == nil {
		c.Abort(false)
		return
	}
	c.Pause(false)
	c.end = End{Asked: true, Reason: "closed by us"}
	c.goodbye(code)
}

// goodbye sends a close frame, ours or the answer to the server's.
func (c *Conn) goodbye(code frame.CloseCode) {
	var body [2]byte
	p := frame.AppendCloseBody(body[:0], code, "")
	c.loop.scratchFrame(c, frame.OpClose, p)
	c.state = closing
	c.deadline = Now() + int64(c.loop.swarm.cfg.Patience)
}

// Abort ends the connection without a close frame, with a reset if so asked.
func (c *Conn) Abort(reset bool) {
	c.finish(End{Asked: true, Reason: "aborted by us"}, reset)
}

// finish ends the connection, once.
func (c *Conn) finish(end End, reset bool) {
	if c.state == ended {
		return
	}
	l := c.loop
	if c.fd >= 0 {
		closeSocket(c.fd, reset)
		l.conns[c.fd] = nil
		l.live--
	}
	c.state = ended
	c.reader.Release()
	if c.out != nil {
		l.release(c.out)
		c.out = nil
	}
	if c.tls != nil {
		c.tls.end()
	}
	switch {
	case c.ready:
		l.counts.Open--
		l.swarm.open.Add(-1)
		if !end.Asked {
			l.counts.Lost[end.Reason]++
		}
	case !end.Asked:
		l.counts.Failed[end.Reason]++
		l.swarm.failed.Add(1)
	}
	c.giveUpPlace(c.ready || end.Asked)
	c.plan.Role.Closed(c, end)
	l.checkEmpty()
}

// lost ends the connection on a failure of the transport. What a close frame
// has said before counts more.
func (c *Conn) lost(end End) {
	if c.state == closing {
		end = c.end
	}
	c.finish(end, false)
}

// closeReason is the label of a close frame from the server.
func closeReason(code frame.CloseCode) string {
	return fmt.Sprintf("close %d %v", uint16(code), code)
}
