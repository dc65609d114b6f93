package engine

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/frame"
	"sluice/internal/testkit"
)

// mover is a handler that sends every client to the other one of two loops and
// echoes there.
type mover struct {
	strays atomic.Int64 // clients that were opened on another loop than asked for
}

func (m *mover) Upgrade(c *Conn, _ *http.Request) (Acceptance, *Refusal) {
	to := c.loop.engine.loops[1-c.loop.index]
	return Acceptance{Loop: to, Open: func(c *Conn) (Endpoint, error) {
		if c.Loop() != to {
			m.strays.Add(1)
		}
		return &endpoint{message: func(op frame.Opcode, p []byte) { c.Write(op, p) }}, nil
	}}, nil
}

// startMover runs an engine of two loops whose clients all move.
func startMover(t *testing.T, cfg Config) *node {
	t.Helper()
	m := &mover{}
	cfg.Loops = 2
	n := start(t, cfg, m)
	t.Cleanup(func() {
		if n := m.strays.Load(); n != 0 {
			t.Errorf("%d connections were opened on the wrong loop", n)
		}
	})
	return n
}

// descriptors returns how many the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	return len(open)
}

// TestMove: what a client sends with its head and after it arrives on the other
// loop, wherever it is cut, and the client's address goes with it.
func TestMove(t *testing.T) {
	n := startMover(t, Config{})
	input := []byte(testkit.Head("/"))
	head := len(input)
	input = append(input, testkit.MaskedFrame(0x81, []byte("glued to the head"))...)
	input = append(input, testkit.MaskedFrame(0x82, bytes.Repeat([]byte{7}, 30_000))...)
	want := switching("") + string(frame.AppendFrame(nil, frame.OpText, []byte("glued to the head"))) +
		string(frame.AppendFrame(nil, frame.OpBinary, bytes.Repeat([]byte{7}, 30_000)))

	unixAddr := n.listen("unix:" + filepath.Join(t.TempDir(), "s"))
	moved := uint64(0)
	for _, at := range []struct{ network, addr string }{{"tcp", n.addr}, {"unix", unixAddr}} {
		for _, cut := range []int{len(input), head, head / 2, head + 3, head + 20_000} {
			c := n.dialAt(at.network, at.addr)
			c.WriteBytes(input[:cut])
			if cut < head {
				n.eventually("half a head read", n.hasPartialHead)
			}
			c.WriteBytes(input[cut:])
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c.R, got); err != nil || string(got) != want {
				t.Fatalf("%s, cut at %d: got %d bytes, error %v", at.network, cut, len(got), err)
			}
			if at.network == "tcp" {
				n.with(c, func(c *Conn) {
					if c.input.bytes() != int64(len(input)) {
						t.Errorf("cut at %d: %d bytes counted, want %d", cut, c.input.bytes(), len(input))
					}
				})
			}
			c.WriteText("still here")
			c.ExpectText("still here")
			c.WriteClose(1000, "")
			c.ExpectClose(1000)
			c.Close()
			moved++
		}
	}
	n.closedBy(CauseClientClose, moved)
	if got := n.metrics.ConnectionsOpened.Get(); got != moved {
		t.Errorf("%d connections counted, want %d", got, moved)
	}
}

// hasPartialHead tells whether a client has sent a part of its head.
func (n *node) hasPartialHead() (found bool) {
	for _, l := range n.loops {
		n.on(l, func() {
			found = found || slices.ContainsFunc(l.conns, func(c *Conn) bool { return c.unread != nil })
		})
	}
	return found
}

// TestMoves: many moves at once, both ways, and nothing is left of them.
func TestMoves(t *testing.T) {
	const clients, rounds = 20, 50
	n := startMover(t, Config{})
	before := descriptors(t)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				nc, err := n.tryDial()
				if err != nil {
					t.Error(err)
					return
				}
				c := testkit.Wrap(t, nc)
				_, _ = nc.Write(append([]byte(testkit.Head("/")), testkit.MaskedFrame(0x81, []byte("hello"))...))
				answer := make([]byte, len(switching("")))
				if _, err := io.ReadFull(c.R, answer); err != nil || string(answer) != switching("") {
					t.Errorf("answer %q, error %v", answer, err)
				} else if f, err := c.TryReadFrame(); err != nil || string(f.Payload) != "hello" {
					t.Errorf("echo %q, error %v", f.Payload, err)
				}
				nc.Close()
			}
		})
	}
	wg.Wait()
	n.quiet()
	if got := n.metrics.ConnectionsOpened.Get(); got != clients*rounds {
		t.Errorf("%d connections opened, want %d", got, clients*rounds)
	}
	n.eventually("all descriptors closed", func() bool { return descriptors(t) <= before })
}

// TestMoveWithoutDescriptors: with none left for the move, at whichever step, the
// client is told so and everybody else is served.
func TestMoveWithoutDescriptors(t *testing.T) {
	for spare := range 2 { // none for the loop that sends, then none for the one that receives
		n := startMover(t, Config{})
		before := descriptors(t)
		nb := n.neighbour()
		c := n.dial()
		n.eventually("both clients on their loops", func() bool { return descriptors(t) == before+4 })
		restore := limitDescriptors(t, spare)
		c.WriteString(testkit.Head("/"))
		got, err := readAll(c)
		restore()
		if err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Retry-After: ") {
			t.Errorf("%d descriptors: got %q, error %v", spare, got, err)
		}
		n.rejected("move_failed", 1)
		c.Close()
		n.eventually("the client forgotten", func() bool { return n.pending.Load() == 0 })
		nb.check()
		n.neighbour()
		n.eventually("the client's descriptors closed", func() bool { return descriptors(t) == before+4 })
	}
}

// TestMoveQueueFull: a loop takes in a bounded number at a time.
func TestMoveQueueFull(t *testing.T) {
	n := startMover(t, Config{})
	for _, l := range n.loops {
		l.arriving.Store(maxArriving)
	}
	c := n.dial()
	c.WriteString(testkit.Head("/"))
	if got, err := readAll(c); err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q, error %v", got, err)
	}
	n.rejected("move_queue_full", 1)
	c.Close()
	for _, l := range n.loops {
		l.arriving.Store(0)
	}
	n.neighbour()
}

// block keeps a loop from doing anything until release is called.
func (n *node) block(l *Loop) (release func()) {
	n.t.Helper()
	began, until := make(chan struct{}), make(chan struct{})
	if !l.Post(taskFunc(func() { close(began); <-until })) {
		n.t.Fatal("the loop refuses a task")
	}
	<-began
	return sync.OnceFunc(func() { close(until) })
}

// onTheWay sends a handshake to a loop that is blocked, and returns the client
// when its socket waits there.
func (n *node) onTheWay() (c *testkit.Conn, to *Loop, release func()) {
	n.t.Helper()
	c = n.dial() // on the first loop: both are empty
	n.eventually("the client known", func() bool { return n.loops[0].placed.Load() == 1 })
	to = n.loops[1]
	release = n.block(to)
	n.t.Cleanup(release)
	c.WriteString(testkit.Head("/"))
	n.eventually("the socket on its way", func() bool { return to.arriving.Load() == 1 && n.loops[0].placed.Load() == 0 })
	return c, to, release
}

// TestMoveClientGone: a client that leaves on the way is forgotten.
func TestMoveClientGone(t *testing.T) {
	n := startMover(t, Config{})
	before := descriptors(t)
	c, _, release := n.onTheWay()
	c.Reset()
	release()
	n.quiet()
	n.eventually("all descriptors closed", func() bool { return descriptors(t) <= before })
	n.neighbour()
}

// TestMoveWhileFull: the place that there was when the handshake was accepted
// may be taken on arrival.
func TestMoveWhileFull(t *testing.T) {
	n := startMover(t, Config{MaxConnections: 1})
	c, _, release := n.onTheWay()
	n.connections.Add(1)
	release()
	if got, err := readAll(c); err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q, error %v", got, err)
	}
	n.rejected("capacity", 1)
	n.connections.Add(-1)
}

// TestMoveWhileDraining: a client that arrives on a node that goes away is told
// to try another one, and the node waits for it.
func TestMoveWhileDraining(t *testing.T) {
	n := startMover(t, Config{})
	c, _, release := n.onTheWay()
	var wg sync.WaitGroup
	wg.Go(func() { n.shutdown(n.cfg.tick) })
	n.eventually("the drain begun", n.draining.Load)
	release()
	if got, err := readAll(c); err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q, error %v", got, err)
	}
	c.Close()
	wg.Wait()
	n.rejected("draining", 1)
}

// TestDropArrivals: what is on its way when the engine has stopped is closed.
func TestDropArrivals(t *testing.T) {
	r := newRig(Config{}, echo)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	r.engine.pending.Add(1)
	r.arrivals <- &arrival{fd: fds[1]}
	r.dropArrivals()
	if n, err := unix.Read(fds[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read %d bytes, error %v; want the end of the stream", n, err)
	}
	if n := r.engine.pending.Load(); n != 0 {
		t.Errorf("%d pending", n)
	}
}

// TestSocketOfReset: a socket that its client has reset has no address any more,
// which nobody who keeps addresses expects.
func TestSocketOfReset(t *testing.T) {
	ln, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := testkit.Dial(t, "tcp", ln.Addr().String())
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c.Reset()
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Fatal("the reset has not arrived")
	}
	nc.Close()
	if got, err := socketOf(f); err != errClientGone {
		t.Errorf("got %v, error %v", got, err)
	}
}
