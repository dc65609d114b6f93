package api

import (
	"bytes"
	"container/list"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// A request that net/http cannot make sense of never reaches a handler: the server
// answers by itself, with a few bytes straight to the connection, or closes it when
// the time is up. Only the connection sees that, so it counts these answers and
// puts the headers in that all others have.

// watched is a listener whose connections are watched.
type watched struct {
	net.Listener
	server *Server
}

func (l *watched) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &watchedConn{Conn: nc, server: l.server}
	c.toCome.Store(2) // who never says anything is not counted
	return c, nil
}

// watchedConn is a connection of an http.Server. Reads, writes and states come
// from two goroutines of the server.
type watchedConn struct {
	net.Conn
	server *Server

	idle *list.Element // guarded by the mutex of idlers; nil while it is not one

	toCome atomic.Int32 // read deadlines up to the next request; 0 while there is one
	leave  atomic.Bool  // it is one silent connection too many
	late   atomic.Bool  // the latest read ended at its time limit
	said   atomic.Bool  // the request has some of its answer
}

// followState is an http.Server's ConnState.
func followState(nc net.Conn, state http.ConnState) {
	c, ok := nc.(*watchedConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		c.toCome.Store(0)
		c.server.idlers.remove(c)
	case http.StateIdle:
		c.toCome.Store(2)
		c.said.Store(false)
		c.server.idlers.add(c)
	case http.StateClosed, http.StateHijacked:
		c.server.idlers.remove(c)
	}
}

// NetConn returns the connection below, as that of a tls.Conn does.
func (c *watchedConn) NetConn() net.Conn { return c.Conn }

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.late.Store(err != nil && errors.Is(err, os.ErrDeadlineExceeded))
	return n, err
}

// SetReadDeadline sees the next request begin, which a server says only when it is
// whole: there is one deadline for the silence before it, and then its own.
func (c *watchedConn) SetReadDeadline(t time.Time) error {
	if n := c.toCome.Load(); n > 0 {
		c.toCome.Store(n - 1)
	}
	err := c.Conn.SetReadDeadline(t)
	if c.leave.Load() { // since before the server had set this one
		err = c.Conn.SetReadDeadline(longAgo)
	}
	return err
}

// longAgo ends every read at once.
var longAgo = time.Unix(1, 0)

// dismiss has the server's goroutine close the connection, whose silence it thinks
// has lasted too long. It does not block, as closing TLS may.
func (c *watchedConn) dismiss() {
	c.leave.Store(true)
	_ = c.Conn.SetReadDeadline(longAgo)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if !c.said.Swap(true) {
		if status, line := ownAnswer(p); status != 0 {
			c.server.answered(status)
			return c.writeGuarded(p, line)
		}
	}
	return c.Conn.Write(p)
}

// writeGuarded writes an answer with the headers behind its first line, which has
// so many bytes.
func (c *watchedConn) writeGuarded(p []byte, line int) (int, error) {
	b := append(make([]byte, 0, len(p)+512), p[:line]...)
	for _, guard := range guardHeaders {
		b = append(b, guard.name+": "+guard.values[0]+"\r\n"...)
	}
	if c.server.hsts != "" && overTLS(c.Conn) {
		b = append(b, "Strict-Transport-Security: "+c.server.hsts+"\r\n"...)
	}
	if _, err := c.Conn.Write(append(b, p[line:]...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// overTLS tells whether a connection speaks TLS.
func overTLS(nc net.Conn) bool {
	c, ok := nc.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().HandshakeComplete
}

// Close counts a request that has got no answer because it was not whole in time.
func (c *watchedConn) Close() error {
	if c.toCome.Load() == 0 && c.late.Load() && !c.said.Swap(true) {
		c.server.answered(NoAnswer)
	}
	return c.Conn.Close()
}

// CloseWrite is what an http.Server calls before it closes a connection with input
// unread, or its answer could be lost.
func (c *watchedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// ownHeaders are all that net/http says in the answers it makes before there is a
// handler.
var ownHeaders = []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// ownAnswer returns the status of an answer that is net/http's own, and how long
// its first line is; else 0. The first bytes of a handler's answer are none of
// these: they have more headers, and it never answers 417.
func ownAnswer(p []byte) (status, line int) {
	end := bytes.Index(p, []byte("\r\n"))
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 ")) || end < len("HTTP/1.1 400") {
		return 0, 0
	}
	status, err := strconv.Atoi(string(p[9:12]))
	if line = end + 2; err != nil || status != http.StatusExpectationFailed && !bytes.HasPrefix(p[line:], ownHeaders) {
		return 0, 0
	}
	return status, line
}
