package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

func TestServerClose(t *testing.T) {
	n := start(t, Config{}, echo)
	c := n.open()
	n.with(c, func(conn *Conn) {
		conn.Write(frame.OpText, []byte("before"))
		conn.Close(frame.CloseGoingAway, "bye")
		conn.Close(frame.CloseInternalError, "the first one counts")
		if conn.Write(frame.OpText, []byte("after")) {
			t.Error("Write after Close is true")
		}
		if conn.Send(frame.Seal(frame.OpText, make([]byte, frame.HeadRoom))) {
			t.Error("Send after Close is true")
		}
	})
	c.ExpectText("before")
	if reason := c.ExpectClose(uint16(frame.CloseGoingAway)); reason != "bye" {
		t.Errorf("reason %q", reason)
	}
	c.Close()
	n.closedBy(CauseServerClose, 1)
}

func TestClientClose(t *testing.T) {
	tests := []struct {
		name string
		body []byte
		want []byte // body of the answer
	}{
		{"normal", closeBody(1000, "done"), closeBody(1000, "")},
		{"application's", closeBody(4321, ""), closeBody(4321, "")},
		{"empty", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, Config{}, echo)
			c := n.open()
			c.WriteFrame(0x88, tt.body)
			if f := c.ReadFrame(); f.Op != 8 || !bytes.Equal(f.Payload, tt.want) {
				t.Fatalf("got %s, want a close with %q", f, tt.want)
			}
			c.ExpectEOF()
			c.Close()
			n.closedBy(CauseClientClose, 1)
		})
	}
}

func closeBody(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}

// TestSimultaneousClose: both sides close before they have seen the other's
// frame. Neither answers, and the server's word counts.
func TestSimultaneousClose(t *testing.T) {
	r := newRig(Config{}, echo)
	c, gc := r.open()
	c.Close(frame.CloseNormal, "ours")
	gc.receive(testkit.MaskedFrame(0x88, closeBody(4000, "theirs")))
	got := gc.frames(t)
	if len(got) != 1 || got[0].Code != frame.CloseNormal || string(got[0].Payload) != "ours" {
		t.Errorf("got %+v, want our close frame alone", got)
	}
	if c.cause != CauseServerClose {
		t.Errorf("cause %s", c.cause)
	}
}

func TestCloseNotAnswered(t *testing.T) {
	n := start(t, Config{CloseTimeout: short}, echo)
	c := n.open()
	n.with(c, func(conn *Conn) { conn.Close(frame.CloseNormal, "") })
	if f := c.ReadFrame(); f.Op != 8 {
		t.Fatalf("got %s", f)
	}
	c.ExpectEOF()
	n.closedBy(CauseServerClose, 1)
}

// TestCloseNotFollowedByEOF: a client that keeps its socket open is not waited
// for beyond the linger timeout.
func TestCloseNotFollowedByEOF(t *testing.T) {
	n := start(t, Config{LingerTimeout: short}, echo)
	c := n.open()
	c.WriteClose(1000, "")
	n.closedBy(CauseClientClose, 1)
	if f := c.ReadFrame(); f.Op != 8 {
		t.Fatalf("got %s", f)
	}
	c.ExpectEOF()
}

// TestOutputBeforeClose: what was sent before the close is delivered in full to
// a client that reads late, whoever closes, and ends with an end of file.
func TestOutputBeforeClose(t *testing.T) {
	const size = 8 << 20
	for _, closer := range []string{"server", "client"} {
		t.Run(closer, func(t *testing.T) {
			n := start(t, Config{}, echo)
			nb := n.neighbour()
			c := n.openSmall()
			n.with(c, func(conn *Conn) {
				conn.Write(frame.OpBinary, bytes.Repeat([]byte("sluice! "), size/8))
				if closer == "server" {
					conn.Close(frame.CloseNormal, "")
				}
			})
			if closer == "client" {
				c.WriteClose(1000, "")
			}
			n.eventually("a backlog", func() bool { return n.QueuedBytes() > 0 })
			nb.check()
			if f := c.ReadFrame(); !bytes.Equal(f.Payload, bytes.Repeat([]byte("sluice! "), size/8)) {
				t.Fatalf("the message has changed: %s", f)
			}
			c.ExpectClose(1000)
			c.Close()
			n.eventually("the connection gone", func() bool { return n.connections.Load() == 1 })
			if got := n.QueuedBytes(); got != 0 {
				t.Errorf("%d bytes queued for nobody", got)
			}
		})
	}
}

// TestCloseWithinMessage: what the client sent behind the message that made the
// handler close is not delivered any more, and Closed comes after the handler
// has returned.
func TestCloseWithinMessage(t *testing.T) {
	var log []string
	r := newRig(Config{}, accept(func(c *Conn) (Endpoint, error) {
		return &endpoint{
			message: func(_ frame.Opcode, p []byte) {
				log = append(log, "message "+string(p))
				c.Close(frame.ClosePolicyViolation, "")
				log = append(log, "returned")
			},
			closed: func() { log = append(log, "closed") },
		}, nil
	}))
	c, gc := r.open()
	gc.receive(append(testkit.MaskedFrame(0x81, []byte("1")), testkit.MaskedFrame(0x81, []byte("2"))...))
	gc.receive(testkit.MaskedFrame(0x81, []byte("3")))
	if got, want := fmt.Sprint(log), "[message 1 returned closed]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c.state != stateClosing {
		t.Errorf("state %d", c.state)
	}
	gc.receive(testkit.MaskedFrame(0x88, nil))
	if !gc.closed || len(log) != 3 {
		t.Errorf("closed: %v, %q", gc.closed, log)
	}
}

// TestClosedComesLater: whatever ends a connection within a call of the
// handler, Closed is not called before that call has returned.
func TestClosedComesLater(t *testing.T) {
	big := make([]byte, 2*joinBytes) // a few fill a queue, which is then written
	tests := []struct {
		name string
		do   func(c *Conn, gc *fakeConn)
	}{
		{"Close", func(c *Conn, _ *fakeConn) { c.Close(frame.CloseNormal, "") }},
		{"Write fails", func(c *Conn, gc *fakeConn) {
			gc.broken = true
			for i := 0; i < 100 && c.Write(frame.OpBinary, big); i++ {
			}
		}},
		{"Send fails", func(c *Conn, gc *fakeConn) {
			gc.broken = true
			for i := 0; i < 100 && c.Send(frame.Seal(frame.OpBinary, big)); i++ {
			}
		}},
		{"Write to a slow consumer", func(c *Conn, gc *fakeConn) {
			gc.room = 0
			for i := 0; i < 100 && c.Write(frame.OpBinary, big); i++ {
			}
		}},
		{"Send to a slow consumer", func(c *Conn, gc *fakeConn) {
			gc.room = 0
			for i := 0; i < 100 && c.Send(frame.Seal(frame.OpBinary, big)); i++ {
			}
		}},
	}
	places := []struct {
		name string
		run  func(r *rig, gc *fakeConn, do func())
	}{
		{"in a task", func(r *rig, _ *fakeConn, do func()) { r.Post(taskFunc(do)); r.turn() }},
		{"in a message", func(_ *rig, gc *fakeConn, _ func()) { gc.receive(testkit.MaskedFrame(0x82, nil)) }},
	}
	for _, tt := range tests {
		for _, place := range places {
			t.Run(tt.name+" "+place.name, func(t *testing.T) {
				closed := 0
				var do func()
				r := newRig(Config{MaxQueueBytes: 256 << 10}, accept(func(*Conn) (Endpoint, error) {
					return &endpoint{
						message: func(frame.Opcode, []byte) { do() },
						closed:  func() { closed++ },
					}, nil
				}))
				c, gc := r.open()
				do = func() {
					tt.do(c, gc)
					if c.state == stateOpen || closed != 0 {
						t.Errorf("state %d, %d calls of Closed", c.state, closed)
					}
				}
				place.run(r, gc, do)
				r.turn()
				if closed != 1 || !c.has(flagDetached) {
					t.Errorf("%d calls of Closed", closed)
				}
				if c.state != stateClosed {
					c.closeNow()
				}
				r.turn()
				if q := r.engine.queued.Used(); closed != 1 || q != 0 || r.queued != 0 {
					t.Errorf("%d calls of Closed, %d bytes queued", closed, q)
				}
			})
		}
	}
}

// TestClosedHoldsNothing: a connection that somebody still has a pointer to is
// small, and refuses everything.
func TestClosedHoldsNothing(t *testing.T) {
	ends := map[string]func(gc *fakeConn){
		"by the client": (*fakeConn).hangUp,
		"by a write":    func(gc *fakeConn) { gc.broken = true; gc.rig.turn() },
	}
	for name, end := range ends {
		r := newRig(Config{}, echo)
		c, gc := r.open()
		gc.receive(testkit.MaskedFrame(0x82, make([]byte, 1000))[:500])
		c.Write(frame.OpBinary, make([]byte, 1000))
		end(gc)
		r.turn()
		if c.reader.Buffered() != 0 || c.out != nil || c.series != nil || c.endpoint != nil || r.wheel.Len() != 0 || len(r.conns) != 0 {
			t.Errorf("%s: %d bytes of input held, or output, or a deadline", name, c.reader.Buffered())
		}
		c.Close(frame.CloseNormal, "")
		if c.RemoteAddr() != nil || c.Write(frame.OpText, nil) || c.Send(sealed(1)) || c.cause != CauseClientGone {
			t.Errorf("%s: it is used after its end", name)
		}
	}
}

// TestOpenFails: an endpoint that could not be made ends the connection with
// the code of the error.
func TestOpenFails(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code frame.CloseCode
	}{
		{"typed", &frame.Error{Code: frame.CloseTryAgainLater, Reason: "hub is full"}, frame.CloseTryAgainLater},
		{"any other", errors.New("secret of the house"), frame.CloseInternalError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, Config{}, accept(func(*Conn) (Endpoint, error) { return nil, tt.err }))
			c := n.open()
			want := "internal error"
			if tt.code == frame.CloseTryAgainLater {
				want = "hub is full"
			}
			if reason := c.ExpectClose(uint16(tt.code)); reason != want {
				t.Errorf("reason %q", reason)
			}
			c.Close()
			n.closedBy(CauseServerClose, 1)
		})
	}
}

// TestCloseWithinOpen: a handler may send and close before it has returned the
// endpoint, which hears of it all the same.
func TestCloseWithinOpen(t *testing.T) {
	n := start(t, Config{}, accept(func(c *Conn) (Endpoint, error) {
		c.Write(frame.OpText, []byte("no"))
		c.Close(frame.ClosePolicyViolation, "")
		return &endpoint{}, nil
	}))
	c := n.open()
	c.ExpectText("no")
	c.ExpectClose(uint16(frame.ClosePolicyViolation))
	n.eventually("Closed called", func() bool { return n.book.closed.Load() == 1 })
}

// TestCloseStates walks one connection through all states and checks what each
// is left by.
func TestCloseStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{CloseTimeout: time.Second, LingerTimeout: time.Second, HandshakeTimeout: time.Second}
		newConn := func() (*rig, *Conn, *fakeConn) {
			r := newRig(cfg, echo)
			c, gc := r.open()
			return r, c, gc
		}

		r, c, gc := newConn() // no answer to our close frame
		c.Close(frame.CloseNormal, "")
		r.wait(900 * time.Millisecond)
		if c.state != stateClosing || len(gc.frames(t)) != 1 {
			t.Errorf("closing: state %d", c.state)
		}
		r.wait(200 * time.Millisecond)
		if c.state != stateClosed || c.cause != CauseServerClose {
			t.Errorf("no answer: state %d, cause %s", c.state, c.cause)
		}

		r, c, gc = newConn() // an answer, but the output is not taken
		gc.room = 10
		c.Write(frame.OpBinary, make([]byte, 100))
		c.Close(frame.CloseNormal, "")
		r.turn()
		gc.receive(testkit.MaskedFrame(0x88, nil))
		if c.state != stateFlushing || c.unsent == 0 {
			t.Errorf("flushing: state %d, %d unsent", c.state, c.unsent)
		}
		r.wait(1100 * time.Millisecond)
		if c.state != stateClosed || r.engine.queued.Used() != 0 {
			t.Errorf("output not taken: state %d", c.state)
		}

		r, c, gc = newConn() // an answer, and the output is taken late
		gc.room = 10
		c.Write(frame.OpBinary, make([]byte, 100))
		c.Close(frame.CloseNormal, "")
		r.turn()
		gc.receive(testkit.MaskedFrame(0x88, nil))
		r.wait(500 * time.Millisecond)
		gc.drain()
		r.wait(r.engine.cfg.tick)
		if c.state != stateClosed { // a fake has no descriptor to linger on
			t.Errorf("output taken: state %d", c.state)
		}
		if got := gc.frames(t); len(got) != 2 || got[1].Kind != frame.KindClose {
			t.Errorf("output taken: %+v", got)
		}

		_, c, gc = newConn() // a broken rule: nothing more is awaited
		gc.receive([]byte{0xff, 0xff})
		if got := gc.frames(t); c.state != stateClosed || len(got) != 1 || got[0].Code != frame.CloseProtocolError {
			t.Errorf("broken rule: state %d, %+v", c.state, got)
		}

		_, c, gc = newConn() // a broken rule instead of an answer
		c.Close(frame.CloseNormal, "")
		gc.receive([]byte{0xff, 0xff})
		if got := gc.frames(t); c.state != stateClosed || c.cause != CauseServerClose || len(got) != 1 {
			t.Errorf("broken rule instead of an answer: state %d, cause %s, %+v", c.state, c.cause, got)
		}

		r, c, gc = newConn() // the end of file instead of an answer
		c.Close(frame.CloseNormal, "")
		r.turn()
		gc.hangUp()
		if c.state != stateClosed || c.cause != CauseServerClose {
			t.Errorf("end of file: state %d, cause %s", c.state, c.cause)
		}
	})
}
