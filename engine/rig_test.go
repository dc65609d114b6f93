package engine

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"sluice/frame"
	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// rig is one loop without a goroutine, without sockets and, in a synctest
// bubble, with a clock of its own: events happen when the test says so.
type rig struct {
	*Loop
	events events
	bell   *fakeBell
}

func newRig(cfg Config, h Handler) *rig { return newRigs(1, cfg, h)[0] }

// newRigs returns the loops of one engine.
func newRigs(loops int, cfg Config, h Handler) []*rig {
	cfg.Loops = loops
	e := New(cfg, metrics.New(), discard)
	e.handler = h
	var rigs []*rig
	for _, l := range e.loops {
		r := &rig{Loop: l, bell: &fakeBell{}}
		l.bell = r.bell
		r.events.loop = l
		l.poller = fakePoller{events: &r.events}
		rigs = append(rigs, r)
	}
	return rigs
}

// connect opens a connection that has said nothing yet.
func (r *rig) connect() (*Conn, *fakeConn) {
	r.engine.pending.Add(1)
	r.placed.Add(1)
	c := &Conn{loop: r.Loop}
	gc := &fakeConn{rig: r, ctx: c, room: -1}
	r.events.OnOpen(gc)
	return c, gc
}

// open opens a connection and upgrades it; the answer is taken off its output.
func (r *rig) open() (*Conn, *fakeConn) {
	c, gc := r.connect()
	gc.receive([]byte(testkit.Head("/")))
	gc.take()
	return c, gc
}

// turn is one turn of the bell.
func (r *rig) turn() {
	r.bell.rings = 0
	r.onBell()
}

// wait lets time pass, tick by tick. It needs a synctest bubble.
func (r *rig) wait(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(r.engine.cfg.tick)
		r.tick()
		r.turn()
	}
}

// fakeConn is the socket of one connection and what gnet keeps for it.
type fakeConn struct {
	gnet.Conn
	rig    *rig
	ctx    any
	in     []byte // what the client has sent
	out    []byte // what the client can read
	backed []byte // what the socket did not take
	writes int    // calls of Write and Writev
	writev int    // calls of Writev
	room   int    // bytes the socket takes; negative: any number
	broken bool   // the next write fails
	closed bool
	sink   bool // out is not kept
}

// receive is one readable event.
func (f *fakeConn) receive(b []byte) {
	if f.closed {
		panic("an event on a closed connection")
	}
	f.in = b
	f.rig.events.OnTraffic(f)
}

// hangUp is the end of file from the client.
func (f *fakeConn) hangUp() { f.end(io.EOF) }

// drain is a writable event: the client takes all that waits.
func (f *fakeConn) drain() {
	f.out, f.backed = append(f.out, f.backed...), nil
	f.room = -1
}

// accept lets the client read so many bytes of what waits.
func (f *fakeConn) accept(n int) {
	n = min(n, len(f.backed))
	f.out, f.backed = append(f.out, f.backed[:n]...), f.backed[n:]
}

// take returns what the client has read since the last time.
func (f *fakeConn) take() []byte {
	out := f.out
	f.out, f.writes, f.writev = nil, 0, 0
	return out
}

// frames returns what the client has read since the last time, as frames.
func (f *fakeConn) frames(t testing.TB) []frame.Event {
	t.Helper()
	codec, reader := frame.NewCodec(frame.Config{Client: true, MaxMessageSize: 1 << 30}), frame.Reader{}
	var all []frame.Event
	for p := f.take(); len(p) > 0; {
		ev, n, err := reader.Next(codec, p)
		if err != nil || ev.Kind == frame.KindNone {
			t.Fatalf("not whole frames: %q, error %v", p, err)
		}
		all = append(all, ev)
		p = p[n:]
	}
	return all
}

func (f *fakeConn) end(err error) {
	if !f.closed {
		f.rig.events.OnClose(f, err)
		f.closed = true
	}
}

func (f *fakeConn) alive() {
	if f.closed {
		panic("gnet.Conn used after its close")
	}
}

func (f *fakeConn) Context() any { return f.ctx }

func (f *fakeConn) Next(int) ([]byte, error) {
	f.alive()
	in := f.in
	f.in = nil
	return in, nil
}

func (f *fakeConn) Write(p []byte) (int, error) {
	f.alive()
	f.writes++
	if f.broken {
		f.end(errBroken)
		return 0, errBroken
	}
	if f.sink {
		return len(p), nil
	}
	n := len(p)
	if f.room >= 0 {
		n = min(n, f.room)
		f.room -= n
	}
	f.out = append(f.out, p[:n]...)
	f.backed = append(f.backed, p[n:]...)
	return len(p), nil
}

func (f *fakeConn) Writev(bs [][]byte) (int, error) {
	f.writev++
	return f.Write(bs[0])
}

func (f *fakeConn) OutboundBuffered() int { f.alive(); return len(f.backed) }

func (f *fakeConn) RemoteAddr() net.Addr { f.alive(); return fakeAddr }

// Fd is no descriptor: a graceful end goes straight to the close.
func (f *fakeConn) Fd() int { f.alive(); return -1 }

var discard = slog.New(slog.DiscardHandler)

var (
	fakeAddr  = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	errBroken = errors.New("broken pipe")
)

// fakePoller closes as gnet does: the handler hears of it first.
type fakePoller struct {
	gnet.EventLoop
	events *events
}

func (p fakePoller) Close(gc gnet.Conn) error { gc.(*fakeConn).end(nil); return nil }

// fakeBell counts the rings since the last turn.
type fakeBell struct {
	net.Conn
	rings int
}

func (b *fakeBell) Write(p []byte) (int, error) { b.rings += len(p); return len(p), nil }

// handlerFunc is a handler that is one function.
type handlerFunc func(c *Conn, r *http.Request) (Acceptance, *Refusal)

func (f handlerFunc) Upgrade(c *Conn, r *http.Request) (Acceptance, *Refusal) { return f(c, r) }

// endpoint is an endpoint made of functions; nil ones do nothing.
type endpoint struct {
	message func(op frame.Opcode, payload []byte)
	closed  func()
}

func (e *endpoint) Message(op frame.Opcode, payload []byte) {
	if e.message != nil {
		e.message(op, payload)
	}
}

func (e *endpoint) Closed() {
	if e.closed != nil {
		e.closed()
	}
}

// accept makes a handler of a function that opens endpoints.
func accept(open func(c *Conn) (Endpoint, error)) Handler {
	return handlerFunc(func(*Conn, *http.Request) (Acceptance, *Refusal) {
		return Acceptance{Open: open}, nil
	})
}

// echo sends every message back.
var echo = accept(func(c *Conn) (Endpoint, error) {
	return &endpoint{message: func(op frame.Opcode, p []byte) { c.Write(op, p) }}, nil
})

// taskFunc is a task that is one function.
type taskFunc func()

func (f taskFunc) Run() { f() }
