package engine

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"sluice/frame"
)

// A session that outlives its connection lives on one loop, and the client that
// comes back to it may have been put on another. Its socket then moves before it
// is answered: the loop that has read the head duplicates the descriptor, lets
// gnet close its own, which says nothing to the client, and sends the rest to
// the other loop. There it is enrolled like any socket, by a goroutine that
// waits for the loop where no loop may, and the handshake is completed.

// maxArriving bounds the sockets on their way to one loop. Each may have up to a
// whole read of input with it.
const maxArriving = 256

// errClientGone is the end of a client that left while its socket was handed
// on. It is nobody's fault.
var errClientGone = errors.New("the client is gone")

// opening is an opening handshake that was accepted and is not answered yet.
type opening struct {
	Acceptance
	key        string
	deflate    *frame.Deflate
	extensions string
	request    *http.Request // for the log
	client     net.Addr      // who the request is from, where that is not the socket's address
}

// arrival is a socket on its way to another loop. Whoever has it owns the
// descriptor. The socket counts as a pending handshake throughout.
type arrival struct {
	opening
	conn  *Conn // on the new loop, not yet open
	fd    int
	over  over
	peer  netip.Addr // Conn.peer
	since uint32     // as Conn.since
	input traffic    // what the client has sent so far
	rest  []byte     // of that: what follows the head
}

// move sends the socket to the loop that the handler has named. rest is what
// followed the head; it is copied.
func (c *Conn) move(o opening, rest []byte) {
	to := o.Loop
	if to.arriving.Add(1) > maxArriving {
		to.arriving.Add(-1)
		c.refuse(c.loop.engine.busy("move_queue_full", "too many clients come back at once"), o.request)
		return
	}
	a := &arrival{
		opening: o,
		conn:    &Conn{loop: to},
		peer:    c.peer(),
		since:   c.since,
		input:   c.input,
		rest:    append([]byte(nil), rest...),
	}
	var err error
	if a.fd, a.over, err = c.takeSocket(); err != nil {
		to.arriving.Add(-1)
		c.refuse(c.loop.engine.moveFailed(), o.request)
		return
	}
	to.arrivals <- a // now owned by takeIn; there is room, or it would not have been counted
}

// takeSocket takes the socket off its loop and returns a descriptor of it that
// the caller owns, with what lies over it. The connection is closed thereby, but
// no account is settled: that is for the new owner.
func (c *Conn) takeSocket() (fd int, o over, err error) {
	if fd, err = c.gc.Dup(); err != nil {
		return -1, over{}, os.NewSyscallError("dup", err)
	}
	o = c.over()
	c.set(flagHandedOver)
	c.closeNow()
	if o.tls != nil {
		o.tls.leave()
	}
	return fd, o, nil
}

// busy is the refusal of a client that should try again.
func (e *Engine) busy(label, reason string) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Label: label, Reason: reason, RetryAfter: e.cfg.RetryAfter}
}

// takeIn enrols the sockets that other loops send here, until the engine stops.
// One goroutine for each loop, so that a loop that is late holds up nobody but
// its own clients.
func (l *Loop) takeIn() {
	for {
		select {
		case <-l.engine.stopTakers:
			return
		case a := <-l.arrivals:
			a.enrol()
			l.arriving.Add(-1)
		}
	}
}

// enrol puts the socket on the new loop, or answers the client that it cannot
// be done.
func (a *arrival) enrol() {
	l := a.conn.loop
	f := os.NewFile(uintptr(a.fd), "client")
	defer f.Close() // last: until then an answer can be written
	nc, err := socketOf(f)
	if err == nil {
		// Go has turned it on; here heartbeats see dead peers earlier.
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetKeepAlive(false)
		}
		err = l.enrol(nc, a.conn, a)
	}
	if err != nil {
		l.engine.leave(a.peer)
		l.lost(a.fd, a.over, err, l.engine.moveFailed(), a.request)
	}
}

func (e *Engine) moveFailed() *Refusal { return e.busy("move_failed", "cannot move the connection") }

// lost tells a client that its socket could not be handed on, as far as the
// socket takes it, and counts it. It closes nothing. Any goroutine.
func (l *Loop) lost(fd int, o over, err error, r *Refusal, request *http.Request) {
	if errors.Is(err, errClientGone) {
		r.Label = CauseClientGone.String()
	} else {
		_, _ = unix.Write(fd, o.answer(l.engine.appendRefusal(nil, r, o.tls != nil))) // nobody would wait for more
		r.Reason += ": " + err.Error()
		l.logRefused(r, nil, request)
	}
	l.engine.metrics.HandshakeRejections.With(r.Label).Inc()
}

// dropArrivals closes the sockets that came when the engine was stopped.
func (l *Loop) dropArrivals() {
	for {
		select {
		case a := <-l.arrivals:
			_ = unix.Close(a.fd)
			l.engine.leave(a.peer)
			l.engine.metrics.HandshakeRejections.With(CauseDraining.String()).Inc()
		default:
			return
		}
	}
}

// onArrival completes a handshake that another loop has begun.
func (l *Loop) onArrival(a *arrival) {
	c := a.conn
	c.since, c.input = a.since, a.input
	l.current = c
	l.complete(a)
	l.current = nil
	l.flush(c)
	if a.over.tls != nil && c.state < stateFlushing {
		a.over.tls.pump() // what was not decrypted where it came from
	}
}

func (l *Loop) complete(a *arrival) {
	c := a.conn
	defer l.recover(c)
	// It may be another node than it was when the handshake was accepted.
	if refusal := l.engine.checkCapacity(); refusal != nil {
		c.refuse(refusal, a.request)
		return
	}
	c.upgrade(&a.opening)
	c.readFrames(a.rest, l.work+workPerTurn)
}

// socketOf returns the socket behind a file as package net knows it. It takes a
// second descriptor; the file stays the caller's.
func socketOf(f *os.File) (net.Conn, error) {
	nc, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("adopt: %w", err)
	}
	if nc.RemoteAddr() == nil { // the client has reset the connection
		_ = nc.Close()
		return nil, errClientGone
	}
	return nc, nil
}
