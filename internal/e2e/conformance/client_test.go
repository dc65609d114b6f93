package conformance_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// client is one connection. Whatever the server does against the rules ends the
// test.
type client struct {
	t       *testing.T
	conn    net.Conn
	in      *bufio.Reader
	deflate *deflate // nil unless negotiated
}

// dial opens a connection with these values of Sec-WebSocket-Extensions, and
// returns the server's value.
func dial(t *testing.T, n *node, offers ...string) (c *client, answer string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", n.address(t), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c = &client{t: t, conn: conn, in: bufio.NewReader(conn)}

	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	var head strings.Builder
	fmt.Fprintf(&head, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", echoPath, n.addr)
	fmt.Fprintf(&head, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", key)
	for _, offer := range offers {
		fmt.Fprintf(&head, "Sec-WebSocket-Extensions: %s\r\n", offer)
	}
	head.WriteString("\r\n")
	c.write([]byte(head.String()))
	return c, c.upgraded(key)
}

// upgraded checks the server's half of the opening handshake.
func (c *client) upgraded(key string) (extensions string) {
	c.t.Helper()
	c.wait()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("opening handshake: %v", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("opening handshake: %s, want 101", resp.Status)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	for name, want := range map[string]string{
		"Upgrade":              "websocket",
		"Connection":           "upgrade",
		"Sec-WebSocket-Accept": base64.StdEncoding.EncodeToString(sum[:]),
	} {
		if got := resp.Header.Get(name); !strings.EqualFold(got, want) {
			c.t.Fatalf("opening handshake: %s: %q, want %q", name, got, want)
		}
	}
	return strings.Join(resp.Header.Values("Sec-WebSocket-Extensions"), ", ")
}

func (c *client) wait() {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) write(p []byte) {
	c.t.Helper()
	c.wait()
	if _, err := c.conn.Write(p); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// The values of chop that are not a number of bytes.
const (
	together = 0  // everything in one write
	perFrame = -1 // one write per frame
)

// send writes frames, chop bytes at a time.
func (c *client) send(chop int, frames ...frame) {
	c.t.Helper()
	var out []byte
	for _, f := range frames {
		out = f.append(out)
		if chop == perFrame {
			c.write(out)
			out = out[:0]
		}
	}
	for chop > 0 && len(out) > chop {
		c.write(out[:chop])
		out = out[chop:]
	}
	if len(out) > 0 {
		c.write(out)
	}
}

// expect reads one message or pong.
func (c *client) expect(want message) {
	c.t.Helper()
	got := c.receive()
	if got.op != want.op || !bytes.Equal(got.data, want.data) {
		c.t.Fatalf("got %v, want %v", got, want)
	}
}

// expectClose reads the close frame and the end of the stream.
func (c *client) expectClose(code uint16) {
	c.t.Helper()
	got := c.receive()
	if got.op != opClose {
		c.t.Fatalf("got %v, want close %d", got, code)
	}
	if got.code() != code {
		c.t.Fatalf("closed with %d %q, want %d", got.code(), got.data[min(2, len(got.data)):], code)
	}
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Fatalf("after the close frame: %d bytes, %v; want an end of file", len(rest), err)
	}
}

// receive reads one message, put together and inflated, or one control frame.
func (c *client) receive() message {
	c.t.Helper()
	var m message
	compressed := false
	for started := false; ; started = true {
		f := c.frame()
		if f.op >= opClose {
			if started {
				c.t.Fatalf("%v inside a fragmented message", f)
			}
			return message{f.op, f.payload}
		}
		if started != (f.op == opContinuation) {
			c.t.Fatalf("opcode %d out of place", f.op)
		}
		if !started {
			m.op, compressed = f.op, f.rsv == rsv1
		} else if f.rsv != 0 {
			c.t.Fatalf("RSV %d on a continuation", f.rsv)
		}
		m.data = append(m.data, f.payload...)
		if f.fin {
			break
		}
	}
	if compressed {
		m.data = c.deflate.inflate(c.t, m.data)
	}
	if m.op == opText && !utf8.Valid(m.data) {
		c.t.Fatal("text that is not UTF-8")
	}
	return m
}

// frame reads one frame and checks it against RFC 6455 5.
func (c *client) frame() frame {
	c.t.Helper()
	c.wait()
	head := c.read(2)
	f := frame{fin: head[0]>>7 == 1, rsv: head[0] >> 4 & 7, op: head[0] & 15}
	length, least := uint64(head[1]&127), uint64(0)
	switch length {
	case 126:
		length, least = uint64(binary.BigEndian.Uint16(c.read(2))), 126
	case 127:
		length, least = binary.BigEndian.Uint64(c.read(8)), 1<<16
	}
	switch {
	case head[1]>>7 == 1:
		c.t.Fatal("the server masks")
	case length < least || length > 1<<30:
		c.t.Fatalf("length %d in a field for more than %d", length, least)
	case f.rsv != 0 && (f.rsv != rsv1 || c.deflate == nil || f.op >= opClose):
		c.t.Fatalf("RSV %d on opcode %d", f.rsv, f.op)
	case f.op > opPong || f.op > opBinary && f.op < opClose:
		c.t.Fatalf("reserved opcode %d", f.op)
	case f.op >= opClose && (!f.fin || length > 125):
		c.t.Fatalf("control frame of %d bytes, fin %v", length, f.fin)
	case f.op == opClose && length == 1:
		c.t.Fatal("close frame of one byte")
	}
	f.payload = c.read(int(length))
	return f
}

func (c *client) read(n int) []byte {
	c.t.Helper()
	p := make([]byte, n)
	if _, err := io.ReadFull(c.in, p); err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return p
}
