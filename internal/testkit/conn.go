package testkit

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// SampleKey and SampleAccept are the key of RFC 6455 §1.3 and its answer.
const (
	SampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	SampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Conn is a client connection on which every step that fails, or takes longer
// than Patience, ends the test.
type Conn struct {
	net.Conn
	R *bufio.Reader
	t testing.TB
}

// Frame is one frame as it came, no rule checked.
type Frame struct {
	Fin     bool
	RSV     byte // the three bits, RSV1 is 4
	Op      byte
	Payload []byte
}

// TryDial connects, or says why not.
func TryDial(network, addr string) (net.Conn, error) {
	return net.DialTimeout(network, addr, Patience)
}

// Dial connects; the connection is closed when the test ends.
func Dial(t testing.TB, network, addr string) *Conn {
	t.Helper()
	nc, err := TryDial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return Wrap(t, nc)
}

// DialTLS connects and shakes hands.
func DialTLS(t testing.TB, network, addr string, cfg *tls.Config) *Conn {
	t.Helper()
	c := Dial(t, network, addr)
	c.Secure(cfg)
	return c
}

// Secure shakes hands for TLS on a connection on which nothing was read.
func (c *Conn) Secure(cfg *tls.Config) {
	c.t.Helper()
	tc := tls.Client(c.Conn, cfg)
	_ = tc.SetDeadline(time.Now().Add(Patience))
	if err := tc.Handshake(); err != nil {
		c.t.Fatalf("TLS handshake: %v", err)
	}
	c.Conn, c.R = tc, bufio.NewReader(tc)
}

// Socket returns the connection itself, below TLS.
func (c *Conn) Socket() net.Conn {
	if tc, ok := c.Conn.(*tls.Conn); ok {
		return tc.NetConn()
	}
	return c.Conn
}

// Wrap makes a Conn of a connection.
func Wrap(t testing.TB, nc net.Conn) *Conn {
	return &Conn{Conn: nc, R: bufio.NewReader(nc), t: t}
}

// DialWebSocket connects over TCP and opens a WebSocket at the path, which may
// have a query. Headers are given as whole lines without their ends.
func DialWebSocket(t testing.TB, addr, path string, headers ...string) *Conn {
	t.Helper()
	c := Dial(t, "tcp", addr)
	c.Open(path, headers...)
	return c
}

// Head returns a correct request head for an opening handshake.
func Head(path string, headers ...string) string {
	head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + SampleKey + "\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	return head + "\r\n"
}

// Open does the opening handshake and returns the answer, which must be 101.
func (c *Conn) Open(path string, headers ...string) *http.Response {
	c.t.Helper()
	c.WriteString(Head(path, headers...))
	resp := c.ReadResponse()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		c.t.Fatalf("opening handshake: %s: %s", resp.Status, body)
	}
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != SampleAccept {
		c.t.Fatalf("Sec-WebSocket-Accept: %q, want %q", got, SampleAccept)
	}
	return resp
}

// ReadResponse reads an HTTP answer; its body is read by the caller.
func (c *Conn) ReadResponse() *http.Response {
	c.t.Helper()
	c.patient()
	resp, err := http.ReadResponse(c.R, nil)
	if err != nil {
		c.t.Fatalf("read the answer: %v", err)
	}
	return resp
}

// WriteString sends bytes as they are.
func (c *Conn) WriteString(s string) { c.t.Helper(); c.WriteBytes([]byte(s)) }

// WriteBytes sends bytes as they are.
func (c *Conn) WriteBytes(b []byte) {
	c.t.Helper()
	c.patient()
	if _, err := c.Conn.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// MaskedFrame returns a frame as a client sends it. first is the first byte:
// FIN, RSV bits and opcode, such as 0x81 for a whole text message.
func MaskedFrame(first byte, payload []byte) []byte {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, x := range payload {
		b = append(b, x^key[i%4])
	}
	return b
}

// WriteFrame sends one masked frame; see MaskedFrame.
func (c *Conn) WriteFrame(first byte, payload []byte) {
	c.t.Helper()
	c.WriteBytes(MaskedFrame(first, payload))
}

// WriteText sends a whole text message.
func (c *Conn) WriteText(s string) { c.t.Helper(); c.WriteFrame(0x81, []byte(s)) }

// WriteClose sends a close frame.
func (c *Conn) WriteClose(code uint16, reason string) {
	c.t.Helper()
	c.WriteFrame(0x88, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}

// TryReadFrame reads one frame, or says why there is none.
func (c *Conn) TryReadFrame() (Frame, error) {
	c.patient()
	var h [2]byte
	if _, err := io.ReadFull(c.R, h[:]); err != nil {
		return Frame{}, err
	}
	if h[1]&0x80 != 0 {
		return Frame{}, errors.New("the server has masked a frame")
	}
	n := uint64(h[1])
	var ext [8]byte
	var err error
	switch n {
	case 126:
		_, err = io.ReadFull(c.R, ext[6:])
		n = binary.BigEndian.Uint64(ext[:])
	case 127:
		_, err = io.ReadFull(c.R, ext[:])
		n = binary.BigEndian.Uint64(ext[:])
	}
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Fin: h[0]&0x80 != 0, RSV: h[0] >> 4 & 7, Op: h[0] & 15, Payload: make([]byte, n)}
	_, err = io.ReadFull(c.R, f.Payload)
	return f, err
}

// ReadFrame reads one frame.
func (c *Conn) ReadFrame() Frame {
	c.t.Helper()
	f, err := c.TryReadFrame()
	if err != nil {
		c.t.Fatalf("read a frame: %v", err)
	}
	return f
}

// ReadText reads a whole text message.
func (c *Conn) ReadText() string {
	c.t.Helper()
	f := c.ReadFrame()
	if !f.Fin || f.Op != 1 {
		c.t.Fatalf("got %s, want a text message", f)
	}
	return string(f.Payload)
}

// ExpectText reads a whole text message and compares it.
func (c *Conn) ExpectText(want string) {
	c.t.Helper()
	if got := c.ReadText(); got != want {
		c.t.Fatalf("got %q, want %q", got, want)
	}
}

// ExpectClose reads a close frame with that code and then the end of the
// stream, which a reset is not. It returns the reason.
func (c *Conn) ExpectClose(code uint16) (reason string) {
	c.t.Helper()
	f := c.ReadFrame()
	if f.Op != 8 || len(f.Payload) < 2 || binary.BigEndian.Uint16(f.Payload) != code {
		c.t.Fatalf("got %s, want close %d", f, code)
	}
	reason = string(f.Payload[2:])
	c.WriteFrame(0x88, f.Payload)
	c.ExpectEOF()
	return reason
}

// ExpectEOF reads the end of the stream.
func (c *Conn) ExpectEOF() {
	c.t.Helper()
	c.patient()
	if b, err := c.R.ReadByte(); err != io.EOF {
		c.t.Fatalf("got byte %#x, error %v; want the end of the stream", b, err)
	}
}

// Reset closes with a TCP reset instead of an end of file.
func (c *Conn) Reset() {
	c.t.Helper()
	if tc, ok := c.Socket().(*net.TCPConn); ok {
		if err := tc.SetLinger(0); err != nil {
			c.t.Fatal(err)
		}
	}
	c.Socket().Close()
}

func (c *Conn) patient() { _ = c.Conn.SetDeadline(time.Now().Add(Patience)) }

// String describes a frame in a failure.
func (f Frame) String() string {
	if f.Op == 8 && len(f.Payload) >= 2 {
		return fmt.Sprintf("close %d %q", binary.BigEndian.Uint16(f.Payload), f.Payload[2:])
	}
	p := f.Payload
	if len(p) > 64 {
		p = p[:64]
	}
	return fmt.Sprintf("frame fin=%v rsv=%03b op=%d len=%d %q", f.Fin, f.RSV, f.Op, len(f.Payload), p)
}
