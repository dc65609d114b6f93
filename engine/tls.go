package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// TLS costs no goroutine once its handshake is done. crypto/tls wants a net.Conn
// that blocks, and a handshake needs one; but a Read after it takes a temporary
// error at any byte and goes on later. So the tls.Conn of a client lies over a
// wire, which is the socket during the handshake (see entrance.go) and while an
// http.Server has it, and on a loop a slice to read from and a buffer to write to.
//
// Everything that has come is decrypted at once, up to a buffer of the loop, and
// handled like one read of a plain socket; what a connection has to write is
// encrypted when it is written, in records of up to 16 KiB, and given to gnet in
// one piece. So the bytes that gnet holds are ciphertext and are counted as such
// (Conn.unsent); what waits in front of it is plain text and counted as that.

const (
	// plainBytes is the buffer of a loop for what it decrypts, as large as its
	// read buffer.
	plainBytes = 64 << 10

	// sealBytes of plain text are encrypted at a time: more would keep a larger
	// buffer for ever.
	sealBytes = 64 << 10
)

// session is the TLS of one client. While the socket is on a loop it belongs to
// that and stands in front of gnet's connection: what is written to it is
// encrypted, everything else is the socket's.
type session struct {
	gnet.Conn // the socket, while it is on a loop
	conn      *Conn
	tls       *tls.Conn
	wire      wire
	over      bool // nothing can be said any more: TLS has failed, or close_notify is sent
}

// newSession makes the server's side of TLS over a socket; the handshake is to be
// done. unread was read from the socket before.
func newSession(nc net.Conn, unread []byte, cfg *tls.Config) *session {
	s := &session{wire: wire{nc: nc, in: unread}}
	s.tls = tls.Server(&s.wire, cfg)
	return s
}

// enter puts the session on the loop of a connection.
func (s *session) enter(c *Conn, gc gnet.Conn) {
	l := c.loop
	if l.plain == nil {
		l.plain = make([]byte, plainBytes)
	}
	l.engine.secured.Add(1)
	s.Conn, s.conn = gc, c
	s.wire.nc, s.wire.out = nil, &l.sealed
}

// leave takes the session off its loop, after gnet has closed the socket. Bytes
// that were not decrypted yet go with it.
func (s *session) leave() {
	s.Conn, s.conn = nil, nil
	s.wire.in, s.wire.out = bytes.Clone(s.wire.in), nil
}

// serve puts the session on a socket of package net.
func (s *session) serve(nc net.Conn) net.Conn {
	s.wire.nc = nc
	return s.tls
}

// last encrypts what is said to a client whose socket is neither on a loop nor
// anywhere else.
func (s *session) last(b []byte) []byte {
	var sealed []byte
	s.wire.nc, s.wire.out = nil, &sealed
	_, _ = s.tls.Write(b) // the wire takes everything
	_ = s.tls.CloseWrite()
	return sealed
}

// onTraffic takes one read of the socket. The buffer is gnet's.
func (s *session) onTraffic(p []byte) {
	s.wire.in = p
	s.pump()
}

// pump decrypts what has come and has it handled. It may end with the session on
// its way to somebody else, and is not to be touched then.
func (s *session) pump() {
	c := s.conn
	l := c.loop
	defer l.recover(c)
	before := c.state
	for c.state < stateFlushing { // then what comes is discarded, and need not be read for that
		n, err := s.open(l.plain)
		s.push() // the answer to a key update, an alert
		if n > 0 && c.state < stateFlushing {
			l.onTraffic(c, l.plain[:n])
		}
		switch {
		case err == nil: // the buffer was full
		case errors.Is(err, errNoInput):
			if before == stateHead && c.state == stateOpen {
				letGo(s.tls) // the largest messages of most clients are behind them
			}
			return
		case c.state < stateFlushing:
			s.fail(err)
		}
	}
	if c.state != stateClosed {
		s.wire.in = nil
	}
}

// open decrypts into p as much as there is and p takes.
func (s *session) open(p []byte) (n int, err error) {
	s.conn.loop.sealed = s.conn.loop.sealed[:0]
	for n < len(p) && err == nil {
		var m int
		m, err = s.tls.Read(p[n:])
		n += m
	}
	return n, err
}

// fail ends a connection whose TLS has ended.
func (s *session) fail(err error) {
	c := s.conn
	if errors.Is(err, io.EOF) {
		// close_notify. There may be half-closed TLS, but a client that said
		// nothing of the end of its WebSocket has gone, as with an end of file.
		c.blame(CauseClientGone)
		s.sayGoodbye()
		c.closeNow()
		return
	}
	s.over = true // an alert was the last word
	c.blame(CauseTLSError)
	if c.state == stateHead {
		c.closeNow()
		return
	}
	c.finish()
}

// Write encrypts and writes. It returns the bytes that gnet was given.
func (s *session) Write(p []byte) (n int, err error) {
	l := s.conn.loop
	for len(p) > 0 && err == nil && s.conn.state != stateClosed && !s.over {
		part := p[:min(sealBytes, len(p))]
		p = p[len(part):]
		l.sealed = l.sealed[:0]
		if _, err = s.tls.Write(part); err == nil {
			n += len(l.sealed)
			err = s.push()
		}
	}
	return n, err
}

// Writev is Write: what is encrypted is a copy anyway, and push knows how to give
// it to gnet.
func (s *session) Writev(bs [][]byte) (n int, err error) {
	for _, b := range bs {
		m, err := s.Write(b)
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// push gives gnet what was encrypted. An error has closed the connection.
func (s *session) push() (err error) {
	l := s.conn.loop
	b := l.sealed
	l.sealed = b[:0]
	switch {
	case len(b) == 0 || s.conn.state == stateClosed:
	case len(b) > writevBytes:
		l.sealedIOV[0] = b
		_, err = s.Conn.Writev(l.sealedIOV[:])
		l.sealedIOV[0] = nil
	default:
		_, err = s.Conn.Write(b)
	}
	return err
}

// sayGoodbye sends close_notify, once, and tells whether the socket has taken
// everything.
func (s *session) sayGoodbye() bool {
	c := s.conn
	if !s.over {
		s.over = true
		c.loop.sealed = c.loop.sealed[:0]
		_ = s.tls.CloseWrite() // the wire takes everything
		_ = s.push()
	}
	if c.state == stateClosed {
		return false
	}
	c.measure()
	return c.unsent == 0
}

// wire is what a tls.Conn reads and writes.
type wire struct {
	in  []byte   // is read first; gnet's, where the wire is on a loop
	nc  net.Conn // the socket; nil on a loop
	out *[]byte  // takes what is written on a loop
}

// errNoInput is the temporary error with which a wire on a loop ends.
var errNoInput net.Error = noInput{}

type noInput struct{}

func (noInput) Error() string   { return "no input yet" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

func (w *wire) Read(p []byte) (int, error) {
	if len(w.in) > 0 {
		n := copy(p, w.in)
		if w.in = w.in[n:]; len(w.in) == 0 {
			w.in = nil
		}
		return n, nil
	}
	if w.nc == nil {
		return 0, errNoInput
	}
	return w.nc.Read(p)
}

func (w *wire) Write(p []byte) (int, error) {
	if w.nc == nil {
		*w.out = append(*w.out, p...)
		return len(p), nil
	}
	return w.nc.Write(p)
}

func (w *wire) Close() error         { return w.nc.Close() }
func (w *wire) LocalAddr() net.Addr  { return w.nc.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr { return w.nc.RemoteAddr() }

func (w *wire) SetDeadline(t time.Time) error      { return w.deadline(t, net.Conn.SetDeadline) }
func (w *wire) SetReadDeadline(t time.Time) error  { return w.deadline(t, net.Conn.SetReadDeadline) }
func (w *wire) SetWriteDeadline(t time.Time) error { return w.deadline(t, net.Conn.SetWriteDeadline) }

// deadline sets one where there is a socket that could block: sending
// close_notify asks for one everywhere.
func (w *wire) deadline(t time.Time, set func(net.Conn, time.Time) error) error {
	if w.nc == nil {
		return nil
	}
	return set(w.nc, t)
}
