package engine

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/frame"
	"sluice/internal/testkit"
)

// short is a deadline that a test waits for. Nothing is expected to be quicker.
const short = 40 * time.Millisecond

// TestHostileClient: whatever a client does costs at most its own connection.
// All cases run on one loop, which a neighbour shares.
func TestHostileClient(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		run  func(n *node, nb *neighbour) *testkit.Conn // returns the client
		want Cause
	}{
		{"one byte of a frame", Config{AssemblyTimeout: short}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteBytes([]byte{0x81})
			c.ExpectClose(uint16(frame.ClosePolicyViolation))
			return c
		}, CauseAssemblyTimeout},

		{"half a frame", Config{AssemblyTimeout: short}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			f := testkit.MaskedFrame(0x81, []byte("a message that never ends"))
			c.WriteBytes(f[:len(f)/2])
			c.ExpectClose(uint16(frame.ClosePolicyViolation))
			return c
		}, CauseAssemblyTimeout},

		{"a byte now and then", Config{AssemblyTimeout: short}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.open()
			for _, b := range testkit.MaskedFrame(0x82, make([]byte, 1<<16)) {
				c.WriteBytes([]byte{b})
				nb.check()
				if readable(c, time.Millisecond) {
					break
				}
			}
			c.ExpectClose(uint16(frame.ClosePolicyViolation))
			return c
		}, CauseAssemblyTimeout},

		{"a message that never ends, with pings in it", Config{AssemblyTimeout: short}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteFrame(0x01, []byte("begun"))
			var f testkit.Frame
			for f.Op != byte(frame.OpClose) {
				c.WriteFrame(0x89, nil)
				nb.check()
				f = c.ReadFrame()
			}
			if got := binary.BigEndian.Uint16(f.Payload); got != uint16(frame.ClosePolicyViolation) {
				c.Reset()
			}
			return c
		}, CauseAssemblyTimeout},

		{"many fragments", Config{}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.open()
			p := testkit.MaskedFrame(0x01, []byte("x"))
			const more = 20_000
			for range more {
				p = append(p, testkit.MaskedFrame(0x00, []byte("x"))...)
			}
			c.WriteBytes(append(p, testkit.MaskedFrame(0x80, nil)...))
			nb.check()
			c.ExpectText(strings.Repeat("x", more+1))
			c.Reset()
			return c
		}, CauseClientGone},

		{"ping flood, answers read", Config{}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.open()
			const each, rounds = 500, 10
			for range rounds {
				c.WriteBytes(bytes.Repeat(testkit.MaskedFrame(0x89, []byte("flood")), each))
				nb.check()
				for range each {
					if f := c.ReadFrame(); f.Op != byte(frame.OpPong) || string(f.Payload) != "flood" {
						n.t.Fatalf("got %s, want a pong", f)
					}
				}
			}
			c.Reset()
			return c
		}, CauseClientGone},

		{"ping flood, nothing read", Config{MaxQueueBytes: 64 << 10, CloseTimeout: short}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.openSmall()
			pings := bytes.Repeat(testkit.MaskedFrame(0x89, make([]byte, 125)), 200)
			n.eventually("the flood ended", func() bool {
				_ = c.SetDeadline(time.Now().Add(testkit.Patience))
				_, err := c.Conn.Write(pings)
				nb.check()
				return err != nil
			})
			return c
		}, CauseSlowConsumer},

		{"never reads", Config{MaxQueueBytes: 256 << 10, CloseTimeout: short}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.openSmall()
			n.with(c, func(conn *Conn) {
				for conn.Write(frame.OpBinary, make([]byte, 64<<10)) {
				}
			})
			nb.check()
			if slow, dropped := n.metrics.SlowConsumers.Get(), n.metrics.DroppedMessages.With("slow_consumer").Get(); slow != 1 || dropped != 1 {
				n.t.Errorf("%d slow consumers, %d messages dropped, want one of each", slow, dropped)
			}
			return c
		}, CauseSlowConsumer},

		{"huge length", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteBytes([]byte{0x82, 0xff, 0x00, 0xff, 0, 0, 0, 0, 0, 0})
			c.WriteBytes(make([]byte, 100)) // the key and the first of very many
			c.ExpectClose(uint16(frame.CloseMessageTooBig))
			return c
		}, CauseProtocolError},

		{"length with the top bit", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteBytes([]byte{0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0})
			c.ExpectClose(uint16(frame.CloseProtocolError))
			return c
		}, CauseProtocolError},

		{"message over the limit", Config{MaxMessageSize: 1000}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteText(strings.Repeat("x", 1000))
			c.ExpectText(strings.Repeat("x", 1000))
			c.WriteText(strings.Repeat("x", 1001))
			c.ExpectClose(uint16(frame.CloseMessageTooBig))
			return c
		}, CauseProtocolError},

		{"fragments over the limit", Config{MaxMessageSize: 1000}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteFrame(0x01, make([]byte, 600))
			c.WriteFrame(0x00, make([]byte, 600))
			c.ExpectClose(uint16(frame.CloseMessageTooBig))
			return c
		}, CauseProtocolError},

		{"deflate bomb", Config{Compression: frame.DeflateConfig{Enabled: true}}, func(n *node, _ *neighbour) *testkit.Conn {
			cfg := frame.DeflateConfig{Enabled: true}
			c := n.dial()
			d, err := frame.AcceptDeflateAnswer(c.Open("/", "Sec-WebSocket-Extensions: permessage-deflate").Header["Sec-Websocket-Extensions"], cfg)
			if err != nil {
				n.t.Fatal(err)
			}
			codec := frame.NewCodec(frame.Config{Client: true, Deflate: cfg})
			c.WriteBytes(codec.AppendMessage(nil, frame.OpBinary, make([]byte, 64<<20), d)) // some 64 KiB
			c.ExpectClose(uint16(frame.CloseMessageTooBig))
			return c
		}, CauseProtocolError},

		{"text that is not UTF-8", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteText("\xff")
			c.ExpectClose(uint16(frame.CloseInvalidPayload))
			return c
		}, CauseProtocolError},

		{"not masked", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteBytes(frame.AppendFrame(nil, frame.OpText, []byte("hello")))
			c.ExpectClose(uint16(frame.CloseProtocolError))
			return c
		}, CauseProtocolError},

		{"garbage after close", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			p := testkit.MaskedFrame(0x88, binary.BigEndian.AppendUint16(nil, uint16(frame.CloseNormal)))
			c.WriteBytes(append(p, strings.Repeat("garbage", 1000)...))
			c.ExpectClose(uint16(frame.CloseNormal))
			return c
		}, CauseClientClose},

		{"data after close", Config{}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.open()
			before := n.metrics.MessagesReceived.Get()
			c.WriteClose(uint16(frame.CloseNormal), "")
			for range 100 { // one frame at a time, while the answer comes and the end of file is lingered for
				c.WriteText("are you still there")
			}
			nb.check()
			c.ExpectClose(uint16(frame.CloseNormal))
			if got := n.metrics.MessagesReceived.Get() - before; got > 10 {
				n.t.Errorf("%d messages taken after the close", got)
			}
			return c
		}, CauseClientClose},

		{"urgent byte", Config{}, func(n *node, nb *neighbour) *testkit.Conn {
			c := n.open()
			rc, err := c.Socket().(*net.TCPConn).SyscallConn()
			if err != nil {
				n.t.Fatal(err)
			}
			if cerr := rc.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil) }); cerr != nil || err != nil {
				n.t.Fatal(cerr, err)
			}
			nb.check()
			c.WriteText("hello")
			c.ExpectText("hello")
			c.Reset()
			return c
		}, CauseClientGone},

		{"half-close", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteText("last words")
			if err := c.Socket().(*net.TCPConn).CloseWrite(); err != nil {
				n.t.Fatal(err)
			}
			c.ExpectText("last words")
			c.ExpectEOF()
			return c
		}, CauseClientGone},

		{"half-close within a frame", Config{}, func(n *node, _ *neighbour) *testkit.Conn {
			c := n.open()
			c.WriteBytes(testkit.MaskedFrame(0x81, []byte("last words"))[:9])
			if err := c.Socket().(*net.TCPConn).CloseWrite(); err != nil {
				n.t.Fatal(err)
			}
			c.ExpectEOF()
			return c
		}, CauseClientGone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, tt.cfg, echo)
			nb := n.neighbour()
			c := tt.run(n, nb)
			nb.check()
			c.Close()
			n.closedBy(tt.want, 1)
			nb.check()
			nb.Reset()
		})
	}
}

// readable tells whether the server has said something within a while.
func readable(c *testkit.Conn, while time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(while))
	_, err := c.R.Peek(1)
	return err == nil
}

// TestReset: a TCP reset at any moment costs the connection and leaves nothing.
func TestReset(t *testing.T) {
	const big = 8 << 20 // bytes, more than any socket takes
	tests := []struct {
		name string
		run  func(n *node) *testkit.Conn // up to the reset
		want Cause                       // causeNone: a handshake that was not finished
	}{
		{"after connect", func(n *node) *testkit.Conn { return n.dial() }, causeNone},

		{"within the head", func(n *node) *testkit.Conn {
			c := n.dial()
			c.WriteString("GET / HTTP/1.1\r\nHost:")
			return c
		}, causeNone},

		{"right behind the head", func(n *node) *testkit.Conn {
			c := n.dial()
			c.WriteString(testkit.Head("/"))
			n.eventually("upgraded", func() bool { return n.book.opened.Load() == 2 })
			return c
		}, CauseClientGone},

		{"after the answer", func(n *node) *testkit.Conn { return n.open() }, CauseClientGone},

		{"within a header", func(n *node) *testkit.Conn {
			c := n.open()
			c.WriteBytes(testkit.MaskedFrame(0x81, nil)[:3])
			return c
		}, CauseClientGone},

		{"within a frame", func(n *node) *testkit.Conn {
			c := n.open()
			c.WriteBytes(testkit.MaskedFrame(0x81, make([]byte, 1000))[:500])
			n.with(c, func(conn *Conn) {})
			return c
		}, CauseClientGone},

		{"within a fragmented message", func(n *node) *testkit.Conn {
			c := n.open()
			c.WriteFrame(0x01, make([]byte, 1000))
			return c
		}, CauseClientGone},

		{"while the server closes", func(n *node) *testkit.Conn {
			c := n.open()
			n.with(c, func(conn *Conn) { conn.Close(frame.CloseGoingAway, "") })
			c.ReadFrame()
			return c
		}, CauseServerClose},

		{"while the client closes", func(n *node) *testkit.Conn {
			c := n.open()
			c.WriteClose(uint16(frame.CloseNormal), "")
			c.ReadFrame()
			return c
		}, CauseClientClose},

		{"while the server lingers", func(n *node) *testkit.Conn {
			c := n.open()
			n.with(c, func(conn *Conn) { conn.Close(frame.CloseGoingAway, "") })
			c.ExpectClose(uint16(frame.CloseGoingAway))
			return c
		}, CauseServerClose},

		{"with output pending", func(n *node) *testkit.Conn {
			c := n.openSmall()
			n.with(c, func(conn *Conn) { conn.Write(frame.OpBinary, make([]byte, big)) })
			n.eventually("a backlog", func() bool { return n.QueuedBytes() > 0 })
			return c
		}, CauseClientGone},

		{"with output pending and a close behind it", func(n *node) *testkit.Conn {
			c := n.openSmall()
			n.with(c, func(conn *Conn) {
				conn.Write(frame.OpBinary, make([]byte, big))
				conn.Close(frame.CloseNormal, "")
			})
			n.eventually("a backlog", func() bool { return n.QueuedBytes() > 0 })
			return c
		}, CauseServerClose},

		{"with a refusal unread", func(n *node) *testkit.Conn {
			c := n.dial()
			c.WriteString("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			n.rejected("not_websocket", 1)
			return c
		}, CauseHandshakeRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, Config{}, echo)
			nb := n.neighbour()
			c := tt.run(n)
			nb.check()
			c.Reset()
			switch tt.want {
			case causeNone:
				n.rejected("client_gone", 1)
			case CauseHandshakeRefused: // counted already
			default:
				n.closedBy(tt.want, 1)
			}
			n.eventually("one connection left", func() bool { return n.connections.Load() == 1 && n.pending.Load() == 0 })
			nb.check()
		})
	}
}
