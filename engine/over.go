package engine

import (
	"net"

	"github.com/panjf2000/gnet/v2"
)

// over is what lies between a socket and HTTP where that is more than nothing,
// and goes with the socket wherever it goes: to another loop, to an http.Server
// and back. On a loop it stands in Conn.gc, in front of gnet's own connection, so
// that nothing else knows of it and a plain connection pays nothing for it.
type over struct {
	tls    *session // nil for plain text
	remote net.Addr // the client, as a proxy has told; nil for the socket's own
}

// proxied is a socket behind a proxy.
type proxied struct {
	gnet.Conn
	remote net.Addr // of the client; nil as long as nothing was told
}

func (p *proxied) RemoteAddr() net.Addr {
	if p.remote != nil {
		return p.remote
	}
	return p.Conn.RemoteAddr()
}

// behind puts a socket that may have been told the address of its client already in
// front of one that may be.
func (l *Loop) behind(gc gnet.Conn, told net.Addr) gnet.Conn {
	if told == nil && !l.engine.mayTell(gc.RemoteAddr()) {
		return gc
	}
	return &proxied{Conn: gc, remote: told}
}

// wrap puts it on the socket of a connection and gives the socket its context.
func (o over) wrap(c *Conn, gc gnet.Conn) gnet.Conn {
	socket, context := gc, any(c)
	gc = c.loop.behind(gc, o.remote)
	if o.tls != nil {
		o.tls.enter(c, gc)
		gc, context = o.tls, o.tls
	}
	// What it came with is forgotten: else gnet would hold that for as long as
	// the socket lives.
	socket.SetContext(context)
	socket.SetSafeContext(context)
	return gc
}

// over returns what lies over the socket of the connection.
func (c *Conn) over() (o over) {
	gc := c.gc
	if s, ok := gc.(*session); ok {
		o.tls, gc = s, s.Conn
	}
	if p, ok := gc.(*proxied); ok {
		o.remote = p.remote
	}
	return o
}

// socket returns gnet's own connection.
func (c *Conn) socket() gnet.Conn {
	gc := c.gc
	if s, ok := gc.(*session); ok {
		gc = s.Conn
	}
	if p, ok := gc.(*proxied); ok {
		gc = p.Conn
	}
	return gc
}

// answer returns the bytes that say something to the client, not on a loop.
func (o over) answer(b []byte) []byte {
	if o.tls == nil {
		return b
	}
	return o.tls.last(b)
}

// remoteOf returns the address of the client behind a socket.
func (o over) remoteOf(nc net.Conn) net.Addr {
	if o.remote != nil {
		return o.remote
	}
	return nc.RemoteAddr()
}

// incoming is a socket that comes to a loop with more than itself: with what lies
// over it, with bytes that were read from it.
type incoming struct {
	conn  *Conn
	over  over
	input []byte // what the loop has to read first; plain text
	since uint32 // as Conn.since; 0 for now
}

// onIncoming goes on with what has come with a socket.
func (l *Loop) onIncoming(in *incoming) {
	c := in.conn
	if in.since != 0 {
		c.since = in.since
	}
	if len(in.input) > 0 {
		l.onTraffic(c, in.input)
	}
	if in.over.tls != nil && c.state < stateFlushing {
		in.over.tls.pump() // the first request may have come with the end of the handshake
	}
}
