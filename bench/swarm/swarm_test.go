//go:build linux

package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// recorder is a role that writes down what happens to it.
type recorder struct {
	onOpen    func(c *Conn)
	onMessage func(c *Conn, p []byte)

	mu     sync.Mutex
	events []string // guarded by mu
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *recorder) Open(c *Conn) {
	r.note("open")
	if r.onOpen != nil {
		r.onOpen(c)
	}
}

func (r *recorder) Message(c *Conn, op frame.Opcode, p []byte) {
	r.note("message %d %s", op, p)
	if r.onMessage != nil {
		r.onMessage(c, p)
	}
}

func (r *recorder) Closed(_ *Conn, end End) {
	r.note("closed %v %d %s", end.Asked, end.Code, end.Reason)
}

func start(t *testing.T, cfg Config) *Swarm {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// one opens one connection and waits for the events.
func one(t *testing.T, target netip.AddrPort, r *recorder, want ...string) *Swarm {
	t.Helper()
	s := start(t, Config{Target: target})
	if err := s.Open(t.Context(), 1, func(*Loop, int) (Plan, bool) {
		return Plan{Role: r, Request: Request("h", "/", "", "")}, true
	}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, testkit.Patience, func() bool { return len(r.seen()) >= len(want) }, "the last event")
	if got := r.seen(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	return s
}

func TestEcho(t *testing.T) {
	testkit.NoLeaks(t)
	large := bytes.Repeat([]byte("0123456789"), 100_000) // more than a socket takes at once
	r := &recorder{
		onOpen: func(c *Conn) {
			c.Send(AppendFrame(nil, frame.OpText, []byte("one")))
			c.Send(AppendFrame(nil, frame.OpBinary, []byte("two")))
			c.Send(AppendFrame(nil, frame.OpBinary, large))
		},
		onMessage: func(c *Conn, p []byte) {
			if len(p) == len(large) {
				c.Close(frame.CloseNormal)
			}
		},
	}
	s := one(t, serve(t, echoServer()), r, "open", "message 1 one", "message 2 two", "message 2 "+string(large), "closed true 1000 closed by us")
	if c := s.Counts(); c.Opened != 1 || c.Open != 0 || len(c.Lost)+len(c.Failed) != 0 || c.Opening.Count() != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestPing(t *testing.T) {
	hello := frame.AppendFrame(nil, frame.OpPing, []byte("x"))
	var pings int
	r := &recorder{onMessage: func(c *Conn, _ []byte) { pings = c.Pings(); c.Close(frame.CloseNormal) }}
	s := one(t, serve(t, echoServer(hello...)), r, "open", "message 1 pong x", "closed true 1000 closed by us")
	if s.Counts().Pings != 1 || pings != 1 {
		t.Errorf("%d pings counted, %d of the connection", s.Counts().Pings, pings)
	}
}

// TestEndings: whatever the server does is counted under its own name.
func TestEndings(t *testing.T) {
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			io.ReadFull(c, make([]byte, len(Request("h", "/", "", ""))))
			io.WriteString(c, text)
		}
	}
	for _, tt := range []struct {
		name   string
		server func(net.Conn)
		events []string
		failed string
		lost   string
	}{
		{"refused", say("HTTP/1.1 503 Full\r\n\r\n"), []string{"closed false 0 handshake: HTTP 503"}, "handshake: HTTP 503", ""},
		{"no HTTP", say("hello\r\n\r\n"), []string{"closed false 0 handshake: not an HTTP answer"}, "handshake: not an HTTP answer", ""},
		{"no WebSocket", say("HTTP/1.1 101 X\r\nSec-WebSocket-Accept: x\r\n\r\n"),
			[]string{"closed false 0 handshake: wrong Sec-WebSocket-Accept"}, "handshake: wrong Sec-WebSocket-Accept", ""},
		{"endless", say("HTTP/1.1 101 " + strings.Repeat("x", maxHead)), []string{"closed false 0 handshake: endless answer"}, "handshake: endless answer", ""},
		{"gone in handshake", say("HTTP/1.1"), []string{"closed false 0 end of stream in handshake"}, "end of stream in handshake", ""},
		{"closed", say(upgraded + string(frame.AppendClose(nil, frame.CloseServiceRestart, "bye"))),
			[]string{"open", "closed false 1012 close 1012 service_restart"}, "", "close 1012 service_restart"},
		{"gone", say(upgraded), []string{"open", "closed false 0 end of stream while open"}, "", "end of stream while open"},
		{"masked frames", say(upgraded + "\x81\x81aaaab"), []string{"open", "closed false 0 protocol error of the server"}, "", "protocol error of the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := one(t, serve(t, tt.server), new(recorder), tt.events...).Counts()
			if sum := len(c.Failed) + len(c.Lost); sum != 1 || tt.failed != "" && c.Failed[tt.failed] != 1 || tt.lost != "" && c.Lost[tt.lost] != 1 {
				t.Errorf("failed %v, lost %v", c.Failed, c.Lost)
			}
		})
	}
}

// TestHandshakeInPieces: the answer may be cut anywhere.
func TestHandshakeInPieces(t *testing.T) {
	c := &Conn{plan: Plan{Role: new(recorder)}, loop: &Loop{counts: newCounts(), swarm: new(Swarm)}, state: upgrading}
	head := []byte(upgraded + "rest")
	for i := range head[:len(upgraded)-1] {
		if rest := c.upgrade(head[i : i+1]); rest != nil {
			t.Fatalf("done after %d bytes", i+1)
		}
	}
	if rest := c.upgrade(head[len(upgraded)-1:]); string(rest) != "rest" || c.state != opened {
		t.Errorf("rest %q, state %v", rest, c.state)
	}
}

func TestPatience(t *testing.T) {
	silent := func(c net.Conn) { io.Copy(io.Discard, c) }
	s := start(t, Config{Target: serve(t, silent), Patience: time.Millisecond})
	r := new(recorder)
	if err := s.Open(t.Context(), 1, func(*Loop, int) (Plan, bool) { return Plan{Role: r, Request: []byte("x")}, true }); err != nil {
		t.Fatal(err)
	}
	if c := s.Counts(); c.Failed["timeout in handshake"] != 1 {
		t.Errorf("failed %v", c.Failed)
	}
}

// TestMany opens connections from several addresses on two loops, held until a
// message came, and closes them all.
func TestMany(t *testing.T) {
	const n = 200
	var mu sync.Mutex
	sources := map[string]bool{}
	echo := echoServer(frame.AppendFrame(nil, frame.OpText, []byte("connected"))...)
	target := serve(t, func(c net.Conn) {
		mu.Lock()
		sources[c.RemoteAddr().(*net.TCPAddr).IP.String()] = true
		mu.Unlock()
		echo(c)
	})
	s := start(t, Config{Target: target, Loops: 2, Sources: 3, Opening: 7})
	if err := s.Open(t.Context(), n, func(*Loop, int) (Plan, bool) {
		r := &recorder{onMessage: func(c *Conn, _ []byte) { c.Ready() }}
		return Plan{Role: r, Request: Request("h", "/", "p", "t"), Hold: true}, true
	}); err != nil {
		t.Fatal(err)
	}
	if open, failed := s.Progress(); open != n || failed != 0 {
		t.Errorf("%d open, %d failed", open, failed)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(sources) != 3 || !sources["127.0.0.2"] {
		t.Errorf("from %v", sources)
	}
	s.CloseAll()
	if c := s.Counts(); c.Open != 0 || c.Opened != n || len(c.Lost) != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestHopeless(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close()
	s := start(t, Config{Target: target})
	err = s.Open(t.Context(), 1_000_000, func(*Loop, int) (Plan, bool) { return Plan{Role: new(recorder)}, true })
	if !errors.Is(err, errHopeless) {
		t.Errorf("got %v", err)
	}
	if c := s.Counts(); c.Failed["connect: connection refused"] < hopeless {
		t.Errorf("failed %v", c.Failed)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := start(t, Config{Target: serve(t, echoServer()), Rate: 100})
	err := s.Open(ctx, 1_000_000, func(_ *Loop, i int) (Plan, bool) {
		if i == 2 {
			cancel()
		}
		return Plan{Role: new(recorder), Request: Request("h", "/", "", "")}, true
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestPause: what a paused connection does not read waits in the sockets.
func TestPause(t *testing.T) {
	resumed := make(chan struct{})
	r := &recorder{
		onOpen: func(c *Conn) {
			c.Pause(true)
			c.Send(AppendFrame(nil, frame.OpText, []byte("while paused")))
			c.Loop().At(Now()+int64(20*time.Millisecond), func(*Loop) {
				close(resumed)
				c.Pause(false)
			})
		},
		onMessage: func(c *Conn, _ []byte) {
			select {
			case <-resumed:
			default:
				t.Error("read while paused")
			}
			c.Abort(true)
		},
	}
	one(t, serve(t, echoServer()), r, "open", "message 1 while paused", "closed true 0 aborted by us")
}

func TestRawStream(t *testing.T) {
	target := serve(t, func(c net.Conn) { io.Copy(c, c) })
	s := start(t, Config{Target: target})
	r := &recorder{onOpen: func(c *Conn) { c.Send([]byte("no frames")) }}
	if err := s.Open(t.Context(), 1, func(*Loop, int) (Plan, bool) { return Plan{Role: r, Stream: true}, true }); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, testkit.Patience, func() bool { return strings.Contains(strings.Join(r.seen(), ""), "no frames") }, "the echo")
	s.CloseAll()
}

func TestTimers(t *testing.T) {
	var ts timers
	var order []int64
	for _, due := range []int64{5, 1, 3, 3, 9} {
		ts.add(due, func(*Loop) { order = append(order, due) })
	}
	for f := ts.take(5); f != nil; f = ts.take(5) {
		f(nil)
	}
	if want := []int64{1, 3, 3, 5}; !slices.Equal(order, want) || len(ts) != 1 {
		t.Errorf("ran %v, %d left; want %v", order, len(ts), want)
	}
}
