package swarm

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A handshake of crypto/tls blocks, so it has a goroutine for as long as it takes:
// its reads wait for what the loop has read, its writes are posted to the loop.
// Afterwards TLS runs on the loop, over what was read last and into the output of
// the connection; a read that finds nothing fails with a temporary error and can
// be tried again.

// secure is the TLS of one connection.
type secure struct {
	net.Conn // nil: it is none, but has to look like one
	conn     *Conn
	tls      *tls.Conn
	done     bool   // of the loop: the handshake is, and TLS the loop's
	pending  []byte // of the loop: plain text to be encrypted at the next flush

	mu     sync.Mutex
	more   sync.Cond // with mu: there is input, or an end
	in     []byte    // guarded by mu
	ended  bool      // guarded by mu: the connection
	inline bool      // guarded by mu: a read does not wait
}

// shake begins the handshake of a connection.
func (c *Conn) shake(cfg *tls.Config) {
	s := &secure{conn: c}
	s.more.L = &s.mu
	s.tls = tls.Client(s, cfg)
	c.tls = s
	c.state = shaking
	l := c.loop
	go func() { // ends with the handshake, or with the connection
		err := s.tls.Handshake()
		l.Post(func(*Loop) { c.shaken(err) })
	}()
}

// shaken goes on after the handshake.
func (c *Conn) shaken(err error) {
	if c.state != shaking {
		return
	}
	if err != nil {
		c.finish(End{Reason: "TLS handshake", Err: err}, true)
		return
	}
	s := c.tls
	s.mu.Lock()
	s.inline = true
	s.mu.Unlock()
	s.done = true
	c.request()
	c.decrypt(nil) // it may have come with the end of the handshake
}

// decrypt takes what the socket has brought.
func (c *Conn) decrypt(p []byte) {
	s := c.tls
	s.mu.Lock()
	s.in = append(s.in, p...)
	s.more.Signal()
	s.mu.Unlock()
	if !s.done {
		return
	}
	l := c.loop
	if l.plain == nil {
		l.plain = make([]byte, readSize)
	}
	for c.state != ended {
		n, err := s.tls.Read(l.plain)
		if n > 0 {
			c.feed(l.plain[:n])
		}
		if c.out != nil && c.state != ended {
			c.markDirty() // TLS has something to say
		}
		switch {
		case err == nil:
		case errors.Is(err, errNoInput):
			return
		case errors.Is(err, io.EOF):
			c.lost(End{Reason: "end of stream " + c.state.String()})
		default:
			c.lost(End{Reason: "TLS", Err: err})
		}
	}
}

// seal encrypts what waits for it.
func (c *Conn) seal() {
	s := c.tls
	if len(s.pending) == 0 {
		return
	}
	_, _ = s.tls.Write(s.pending) // into the output, which takes everything
	c.loop.release(s.pending)
	s.pending = nil
}

// end lets a handshake end whose connection has.
func (s *secure) end() {
	s.mu.Lock()
	s.ended = true
	s.more.Signal()
	s.mu.Unlock()
}

// errNoInput is the temporary error of a read on the loop.
var errNoInput net.Error = noInput{}

type noInput struct{}

func (noInput) Error() string   { return "no input yet" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

func (s *secure) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.in) == 0 {
		switch {
		case s.ended:
			return 0, io.EOF
		case s.inline:
			return 0, errNoInput
		}
		s.more.Wait()
	}
	n := copy(p, s.in)
	s.in = s.in[:copy(s.in, s.in[n:])]
	if len(s.in) == 0 && cap(s.in) > 4<<10 {
		s.in = nil
	}
	return n, nil
}

func (s *secure) Write(p []byte) (int, error) {
	if s.done {
		s.conn.append(p)
		return len(p), nil
	}
	p = append([]byte(nil), p...) // crypto/tls uses its buffer again
	s.conn.loop.Post(func(*Loop) {
		if s.conn.state != ended {
			s.conn.append(p)
			s.conn.markDirty()
		}
	})
	return len(p), nil
}

func (s *secure) Close() error                     { return nil }
func (s *secure) SetDeadline(time.Time) error      { return nil }
func (s *secure) SetReadDeadline(time.Time) error  { return nil }
func (s *secure) SetWriteDeadline(time.Time) error { return nil }
