package engine

import (
	"net"
	"net/http"
	"net/netip"

	"sluice/access"
	"sluice/engine/forwarded"
)

// Two addresses matter of a client that comes through a proxy. That of its socket is
// known when it is accepted; what it takes up before it is a connection is counted
// for that, and not at all for a proxy that is trusted. Its own is told by a PROXY
// header or in the head of its request, and counts for everything else.

// Protect has a guard judge the addresses of clients. It is called before Accept;
// without one every address is welcome.
func (e *Engine) Protect(g *access.Guard) { e.guard = g }

// addrOf returns the address of a TCP socket; of others there is none.
func addrOf(a net.Addr) netip.Addr { return addrPortOf(a).Addr() }

func addrPortOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	both := tcp.AddrPort()
	return netip.AddrPortFrom(both.Addr().Unmap().WithZone(""), both.Port())
}

// welcome judges a client by its address and counts it where it is turned away.
// What a trusted proxy passes on is judged by what that tells.
func (e *Engine) welcome(a netip.Addr) bool {
	if e.guard == nil || e.cfg.Proxy.Trusts(a) {
		return true
	}
	refusal := e.guard.Judge(a)
	if refusal == nil {
		return true
	}
	e.turnAway(string(refusal.Reason), net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	return false
}

// turnAway counts a client that is closed without a word.
func (e *Engine) turnAway(reason string, addr net.Addr) {
	e.metrics.HandshakeRejections.With(reason).Inc()
	e.logTurnedAway(reason, addr, nil)
}

// pendingLimit is the label of those for whom there was no place.
const pendingLimit = "pending_limit"

// enter counts a socket as a pending handshake, if there is room for one more of
// that address; else it returns why not.
func (e *Engine) enter(socket netip.Addr) (reason string) {
	if e.pending.Add(1) > int64(e.cfg.MaxPendingHandshakes) {
		e.pending.Add(-1)
		return pendingLimit
	}
	if e.guard != nil && !e.guard.Take(socket, access.PendingPlace) {
		e.pending.Add(-1)
		return string(access.Pending)
	}
	return ""
}

// leave ends what enter has begun.
func (e *Engine) leave(socket netip.Addr) {
	e.pending.Add(-1)
	if e.guard != nil {
		e.guard.Release(socket, access.PendingPlace)
	}
	if e.awaiting.Load() > 0 {
		select {
		case e.left <- struct{}{}:
		default: // somebody is being woken already, and looks until there is nothing
		}
	}
}

// peer returns the address of the socket itself, whoever is behind it; none where
// nobody wants to know.
func (c *Conn) peer() netip.Addr {
	if c.loop.engine.guard == nil || c.gc == nil {
		return netip.Addr{}
	}
	return addrOf(c.socket().RemoteAddr())
}

// clientOf returns the address of the client behind a request: that of the peer, or
// what trusted proxies tell in the header that they set.
func (e *Engine) clientOf(h http.Header, peer net.Addr) net.Addr {
	values := h[e.forwarded]
	if e.forwarded == "" || len(values) == 0 {
		return peer
	}
	known := addrPortOf(peer)
	client := forwarded.Client(e.forwarded, values, known, e.cfg.Proxy.believes)
	if client == known {
		return peer
	}
	return net.TCPAddrFromAddrPort(client)
}

// mayTell reports whether requests from a peer may tell the address of the client.
func (e *Engine) mayTell(peer net.Addr) bool {
	return e.forwarded != "" && e.cfg.Proxy.believes(addrOf(peer))
}

// tell has the connection know its client by the address that the request tells.
func (c *Conn) tell(client net.Addr) {
	gc := c.gc
	if s, ok := gc.(*session); ok {
		gc = s.Conn
	}
	gc.(*proxied).remote = client // it mayTell, or there was no such address
}

// settleIn counts the connection for the address of its client; false where that
// has too many.
func (c *Conn) settleIn() bool {
	g := c.loop.engine.guard
	return g == nil || g.Take(addrOf(c.RemoteAddr()), access.ConnectionPlace)
}

// moveOut ends what settleIn has begun; addr is the client's.
func (e *Engine) moveOut(addr net.Addr) {
	if e.guard != nil {
		e.guard.Release(addrOf(addr), access.ConnectionPlace)
	}
}

// TurnedAway is the refusal of a client because of its address.
func TurnedAway(r *access.Refusal) *Refusal {
	return &Refusal{Status: r.Status, Label: string(r.Reason), Reason: r.Detail, RetryAfter: r.RetryAfter}
}

// AddressOf returns the address of the client of a request that came through the
// engine, as proxies that are trusted have told it; none on a unix socket. Any
// goroutine.
func AddressOf(r *http.Request) netip.Addr {
	both, _ := netip.ParseAddrPort(r.RemoteAddr)
	return both.Addr()
}
