package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"sluice/engine/proxyproto"
)

// Before HTTP a client may have to say who it is (PROXY protocol) and to shake
// hands (TLS). Neither can be left and taken up again, so each such client has a
// goroutine until it is done; then its socket goes to a loop like any other. There
// is a limit to these goroutines, and to the time each takes; and of them all only
// a few compute at once, so that a storm of handshakes leaves the loops their
// share of the processor. One that waits for its client does not count as
// computing: clients that stall take no place from those that do not.

// lastGreeting is the time that those have who are not let in yet when the node
// begins to go away: in a handshake that is answered nobody is cut off.
const lastGreeting = time.Second

// Entrance says what the clients of a listener do before they speak HTTP. The
// zero value is nothing.
type Entrance struct {
	// Proxy, when not nil, has every connection begin with a PROXY header that
	// one of its trusted proxies sends. Who connects through a unix socket is
	// trusted.
	Proxy *ProxyConfig

	// TLS, when not nil, is asked for the configuration of each handshake, from
	// any goroutine.
	TLS func() *tls.Config
}

func (en *Entrance) plain() bool { return en.Proxy == nil && en.TLS == nil }

// admit takes a client in that was accepted. An error means that the node is
// short of something.
func (e *Engine) admit(nc net.Conn, en *Entrance) error {
	if !e.welcome(addrOf(nc.RemoteAddr())) || !e.reserve(nc) {
		return nc.Close()
	}
	if en.plain() {
		l := e.leastLoaded()
		c := &Conn{loop: l}
		return e.entered(nc, l.enrol(nc, c, c))
	}
	if !e.awaitPlace() {
		e.leave(addrOf(nc.RemoteAddr()))
		e.countGreeting(en, "refused")
		e.logTurnedAway("too many TLS handshakes or PROXY headers are under way", nc.RemoteAddr(), nil)
		return nc.Close()
	}
	e.greeters.Go(func() { e.greet(nc, en) })
	return nil
}

// awaitPlace takes a place for one more client to greet. Where all are taken it waits
// a moment.
func (e *Engine) awaitPlace() bool {
	select {
	case e.greeted <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(placeWait)
	defer t.Stop()
	select {
	case e.greeted <- struct{}{}:
		return true
	case <-t.C:
	case <-e.stopping:
	}
	return false
}

// greet sees a client through to its loop.
func (e *Engine) greet(nc net.Conn, en *Entrance) {
	in := &incoming{since: max(1, e.micros())}
	err := e.greetSafely(nc, en, in)
	<-e.greeted
	if err == nil {
		l := e.leastLoaded()
		in.conn = &Conn{loop: l}
		if err = e.entered(nc, l.enrol(nc, in.conn, in)); err != nil {
			e.acceptFailed(err)
		}
		return
	}
	_ = nc.Close()
	e.leave(addrOf(nc.RemoteAddr()))
}

// greetSafely is greeting, but for a panic, which costs this client and not the
// node.
func (e *Engine) greetSafely(nc net.Conn, en *Entrance, in *incoming) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e.metrics.Panics.Inc()
			e.countGreeting(en, "failed")
			e.logPanic(e.log, "while a client was let in", r, debug.Stack())
			err = errPanic
		}
	}()
	return e.greeting(nc, en, in)
}

var (
	errPanic      = errors.New("panic")
	errTurnedAway = errors.New("clients of this address are turned away")
)

// greeting reads the PROXY header and does the TLS handshake. Its error is counted
// and logged; the client is answered where it would understand.
func (e *Engine) greeting(nc net.Conn, en *Entrance, in *incoming) error {
	deadline := time.Now().Add(e.cfg.Handshakes.Timeout)
	_ = nc.SetDeadline(deadline)
	stop := context.AfterFunc(e.greetings, func() {
		if last := time.Now().Add(lastGreeting); last.Before(deadline) {
			_ = nc.SetDeadline(last)
		}
	})
	defer stop()
	if en.Proxy != nil {
		unread, err := e.readProxyHeader(nc, en.Proxy, in)
		if err != nil {
			result := proxyResult(err)
			if e.greetings.Err() != nil {
				result = "draining"
			}
			e.metrics.ProxyHeaders.With(result).Inc()
			e.logTurnedAway("PROXY header: "+result, nc.RemoteAddr(), err)
			return err
		}
		in.input = unread
		if in.over.remote != nil && !e.welcome(addrOf(in.over.remote)) {
			return errTurnedAway
		}
	}
	if en.TLS == nil {
		return nil
	}
	e.computing <- struct{}{}
	defer func() { <-e.computing }()
	began := time.Now()
	s := newSession(&waiter{Conn: nc, computing: e.computing}, in.input, en.TLS())
	in.input = nil
	if err := s.tls.Handshake(); err != nil {
		e.refuseTLS(nc, in.over.remoteOf(nc), err)
		return err
	}
	in.over.tls = s
	result := "full"
	if s.tls.ConnectionState().DidResume {
		result = "resumed"
	}
	e.metrics.TLSHandshakes.With(result).Inc()
	e.tlsHandshakes.Observe(uint64(time.Since(began)))
	return nil
}

// refuseTLS counts a handshake that has failed, and says why.
func (e *Engine) refuseTLS(nc net.Conn, remote net.Addr, err error) {
	result := "failed"
	notTLS, isHeader := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case isHeader && looksLikeHTTP(notTLS.RecordHeader):
		result = "plain_http"
		e.answerPlain(nc)
	case e.greetings.Err() != nil:
		result = "draining"
	case isTimeout(err):
		result = "timeout"
	case hasGone(err):
		result = "client_gone"
	}
	e.metrics.TLSHandshakes.With(result).Inc()
	e.logTurnedAway("TLS handshake: "+result, remote, err)
}

// looksLikeHTTP tells whether the first bytes are of a request in clear text.
func looksLikeHTTP(head [5]byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET", "CONNE"} {
		if string(head[:]) == method {
			return true
		}
	}
	return false
}

// answerPlain tells a client that speaks HTTP where TLS is spoken, in clear text,
// and waits for its end of file, or the answer could be lost.
func (e *Engine) answerPlain(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(min(e.cfg.LingerTimeout, e.cfg.Handshakes.Timeout)))
	_, _ = nc.Write(e.appendRefusal(nil, badRequest("plain_http", "this port speaks TLS; connect with https:// or wss://"), false))
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, nc, 64<<10)
}

// readProxyHeader reads the PROXY header and returns what was read behind it.
func (e *Engine) readProxyHeader(nc net.Conn, cfg *ProxyConfig, in *incoming) (unread []byte, err error) {
	if tcp, ok := nc.RemoteAddr().(*net.TCPAddr); ok && !cfg.Trusts(tcp.AddrPort().Addr()) {
		return nil, errUntrusted
	}
	var buf [proxyproto.MaxBytes]byte
	for n := 0; ; {
		m, err := nc.Read(buf[n:])
		n += m
		h, used, perr := proxyproto.Parse(buf[:n])
		switch {
		case perr != nil:
			return nil, perr
		case used > 0:
			e.metrics.ProxyHeaders.With("accepted").Inc()
			if h.Source.IsValid() {
				in.over.remote = net.TCPAddrFromAddrPort(h.Source)
			}
			return bytes.Clone(buf[used:n]), nil
		case err != nil:
			return nil, err
		}
	}
}

var errUntrusted = errors.New("not from a trusted proxy")

// proxyResult names what was wrong with a PROXY header for the metrics.
func proxyResult(err error) string {
	switch {
	case errors.Is(err, errUntrusted):
		return "untrusted"
	case isTimeout(err):
		return "timeout"
	case hasGone(err):
		return "client_gone"
	}
	return "malformed"
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// hasGone tells whether the client has left, and was not refused by TLS, which
// makes errors of the same type.
func hasGone(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.EOF) || ok && !isTimeout(err) && op.Op != "remote error" && op.Op != "local error"
}

func (e *Engine) countGreeting(en *Entrance, result string) {
	if en.TLS != nil {
		e.metrics.TLSHandshakes.With(result).Inc()
	} else {
		e.metrics.ProxyHeaders.With(result).Inc()
	}
}

// logTurnedAway writes the line of a client that did not get as far as HTTP.
func (e *Engine) logTurnedAway(why string, addr net.Addr, err error) {
	level := slog.LevelInfo
	if err != nil && hasGone(err) {
		level = slog.LevelDebug // port scans and probes of load balancers
	}
	if !e.journal.allow(lineRefused, level) {
		return
	}
	attrs := []slog.Attr{slog.String("reason", why), remote(addr)}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	e.log.LogAttrs(context.Background(), level, "connection refused", attrs...)
}

// waiter is a socket whose handshake gives up its place among those that compute
// for as long as it waits for the client.
type waiter struct {
	net.Conn
	computing chan struct{}
}

func (w *waiter) Read(p []byte) (int, error) {
	<-w.computing
	defer func() { w.computing <- struct{}{} }()
	return w.Conn.Read(p)
}

func (w *waiter) Write(p []byte) (int, error) {
	<-w.computing
	defer func() { w.computing <- struct{}{} }()
	return w.Conn.Write(p)
}
