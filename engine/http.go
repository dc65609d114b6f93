package engine

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sluice/access"
)

// A request on the client port that is not an opening handshake may be for
// somebody else: an API, a console, a transport without WebSocket. If the handler
// says so, its socket leaves the loop with every byte that was read, and is taken
// in by an http.Server elsewhere: what the client asks next on the same connection
// is that server's too, which may give the socket back; see TakeBack.

// httpListener is how sockets get from the loops to an http.Server.
type httpListener struct {
	most int64        // static: MaxHTTPConnections
	open atomic.Int64 // on their way to the server or there

	mu     sync.Mutex
	closed bool             // guarded by mu
	queue  chan *handedOver // has room for all that are open; closed with closed
}

// handedOver is a socket on its way to the server. Whoever has it owns the
// descriptor.
type handedOver struct {
	loop    *Loop // where it came from
	fd      int
	peer    netip.Addr // Conn.peer
	over    over
	unread  []byte        // what was read from it
	request *http.Request // for the log
}

func newHTTPListener(most int) *httpListener {
	return &httpListener{most: int64(most), queue: make(chan *handedOver, most)}
}

// HTTPListener returns the listener to which the connections come whose requests
// an HTTPHandler has claimed. An http.Server serves it, and should have time
// limits: here nobody looks at these connections any more, except that there are
// at most MaxHTTPConnections until they are closed. Shutdown closes it; the
// connections are left to the server.
func (e *Engine) HTTPListener() net.Listener { return e.http }

// HTTPConnections returns the connections that were handed to HTTPListener and
// are not closed. Any goroutine.
func (e *Engine) HTTPConnections() int { return int(e.http.open.Load()) }

// MaxHTTPConnections returns how many there may be. Any goroutine.
func (e *Engine) MaxHTTPConnections() int { return int(e.http.most) }

// serveHTTP hands the socket to the http.Server. head and rest are what was read
// from it; they are copied.
func (c *Conn) serveHTTP(r *http.Request, head, rest []byte) {
	l := c.loop
	e := l.engine
	switch {
	case e.draining.Load():
		c.refuse(e.goingAway(), r)
		return
	case e.http.open.Add(1) > e.http.most:
		e.http.open.Add(-1)
		c.refuse(e.busy("http_limit", "too many HTTP connections"), r)
		return
	}
	peer := c.peer()
	if e.guard != nil && !e.guard.Take(peer, access.HTTPPlace) {
		e.http.open.Add(-1)
		c.refuse(TurnedAway(access.TooMany(access.HTTP)), r)
		return
	}
	h := &handedOver{loop: l, peer: peer, request: r, unread: append(append(make([]byte, 0, len(head)+len(rest)), head...), rest...)}
	var err error
	if h.fd, h.over, err = c.takeSocket(); err != nil {
		e.handedBack(peer)
		c.refuse(h.refusal(), r)
		return
	}
	e.leave(peer)
	e.http.put(h)
}

// handedBack takes a connection out of the count of those at the server.
func (e *Engine) handedBack(peer netip.Addr) {
	e.http.open.Add(-1)
	if e.guard != nil {
		e.guard.Release(peer, access.HTTPPlace)
	}
}

// put hands a socket on that is counted as open.
func (ln *httpListener) put(h *handedOver) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.closed {
		ln.drop(h)
		return
	}
	ln.queue <- h // there is room, or it would not have been counted
}

// drop closes a socket that nobody will serve.
func (ln *httpListener) drop(h *handedOver) {
	f := os.NewFile(uintptr(h.fd), "client")
	defer f.Close()
	h.loop.lost(h.fd, h.over, net.ErrClosed, h.loop.engine.goingAway(), h.request)
	h.loop.engine.handedBack(h.peer)
}

// Accept returns the next connection. Its first bytes are those that the loop
// has read.
func (ln *httpListener) Accept() (net.Conn, error) {
	for h := range ln.queue {
		nc, err := h.adopt()
		if err == nil {
			c := &httpConn{Conn: nc, socket: nc, over: h.over, unread: h.unread, engine: h.loop.engine, peer: h.peer}
			if c.over.tls != nil {
				c.Conn = c.over.tls.serve(nc)
			}
			return c, nil
		}
		h.loop.engine.handedBack(h.peer)
	}
	return nil, net.ErrClosed
}

// adopt makes a connection of package net of the socket, or answers the client
// that it cannot be done.
func (h *handedOver) adopt() (net.Conn, error) {
	f := os.NewFile(uintptr(h.fd), "client")
	defer f.Close() // last: until then an answer can be written
	nc, err := socketOf(f)
	if err != nil {
		h.loop.lost(h.fd, h.over, err, h.refusal(), h.request)
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		setUserTimeout(tcp, httpUserTimeout)
	}
	return nc, err
}

// httpUserTimeout is how long the peer of a connection may acknowledge nothing of
// what net/http has written. The heartbeats of streams are less apart by default, so
// there is always one out to be acknowledged.
const httpUserTimeout = time.Minute

func (h *handedOver) refusal() *Refusal {
	return h.loop.engine.busy("http_failed", "cannot hand the connection on")
}

// Close refuses what comes from now on, and what has come and was not accepted.
func (ln *httpListener) Close() error {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.closed {
		return net.ErrClosed
	}
	ln.closed = true
	close(ln.queue)
	for h := range ln.queue {
		ln.drop(h)
	}
	return nil
}

// Addr names the listener. It has no address: its connections come from all the
// listeners of the engine.
func (ln *httpListener) Addr() net.Addr { return &net.UnixAddr{Name: "engine", Net: "unix"} }

// httpConn is a connection of which some bytes were read already. It embeds the
// interface: a *net.TCPConn has methods, such as WriteTo, that would pass by
// these bytes.
type httpConn struct {
	net.Conn // the socket, or the TLS over it
	socket   net.Conn
	over     over
	unread   []byte
	engine   *Engine    // counts it until it is closed
	peer     netip.Addr // for which
	closed   atomic.Bool
}

func (c *httpConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil // the connection may live for long
	}
	return n, nil
}

// RemoteAddr returns the address of the client, also where it came through a
// proxy.
func (c *httpConn) RemoteAddr() net.Addr { return c.over.remoteOf(c.socket) }

// CloseWrite sends the end of file. An http.Server that ends a connection with
// input unread does so first, or its answer could be lost.
func (c *httpConn) CloseWrite() error {
	if c.over.tls != nil {
		_ = c.over.tls.tls.CloseWrite() // the end of file says it too
	}
	return c.socket.(interface{ CloseWrite() error }).CloseWrite() // TCP and unix sockets have it
}

func (c *httpConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// release takes the connection out of the count, once.
func (c *httpConn) release() {
	if !c.closed.Swap(true) {
		c.engine.handedBack(c.peer)
	}
}

// ConnectionState returns what the client came over, as a tls.Conn does; the zero
// value for plain text.
func (c *httpConn) ConnectionState() (state tls.ConnectionState) {
	if c.over.tls != nil {
		state = c.over.tls.tls.ConnectionState()
	}
	return state
}

// httpConnOf returns the connection of ours below one that a server has: between
// them may be others, each with a method NetConn.
func httpConnOf(nc net.Conn) (*httpConn, bool) {
	for {
		switch c := nc.(type) {
		case *httpConn:
			return c, true
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil, false
		}
	}
}

// Introduce has the requests that a server gets through HTTPListener say who they
// are from: RemoteAddr is the client's as proxies have told it, each request anew,
// and TLS what it came over, which the server does not see by itself, because bytes
// that were read already lie in front of it. It is called before the server serves.
func (e *Engine) Introduce(server *http.Server) {
	server.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		c, ok := httpConnOf(nc)
		if !ok {
			return ctx
		}
		o := origin{peer: c.RemoteAddr()}
		if c.over.tls != nil {
			state := c.over.tls.tls.ConnectionState()
			o.tls = &state
		}
		return context.WithValue(ctx, originKey{}, o)
	}
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o, ok := r.Context().Value(originKey{}).(origin); ok {
			r.TLS = o.tls
			if client := e.clientOf(r.Header, o.peer); client != o.peer {
				r.RemoteAddr = client.String() // else the server has written it already
			}
		}
		next.ServeHTTP(w, r)
	})
}

// origin is where the requests of a connection come from.
type origin struct {
	peer net.Addr
	tls  *tls.ConnectionState // nil for plain text
}

// originKey finds it in their contexts.
type originKey struct{}
