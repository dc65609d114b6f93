package engine

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"sluice/access"
	"sluice/internal/testkit"
)

// loopback trusts every address of this machine as a proxy.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// guarded gives the engine a guard under whose limits this machine is too.
func (n *node) guarded(cfg access.Config) *access.Guard {
	n.t.Helper()
	cfg.Exempt = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")}
	g, err := access.New(cfg.WithDefaults(n.cfg.MaxPendingHandshakes, n.cfg.MaxHTTPConnections), nil, n.cfg.Proxy.Trusted)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Protect(g)
	n.addr = n.listen("127.0.0.1:0") // those before were opened without it
	return g
}

// TestDeniedAddress: who is denied is closed before it has said anything, and who is
// connected stays.
func TestDeniedAddress(t *testing.T) {
	n := start(t, Config{}, whoAmI)
	g := n.guarded(access.Config{})
	c := n.dial()
	c.Open("/")
	c.ExpectText(c.LocalAddr().String())
	self := netip.MustParsePrefix("127.0.0.1/32")
	if _, err := g.Rules().Add(access.Deny, self); err != nil {
		t.Fatal(err)
	}
	testkit.Dial(t, "tcp", n.addr).ExpectEOF()
	n.rejected(string(access.Denied), 1)
	c.WriteText("still here")
	c.ExpectText("still here")
	g.Rules().Remove(access.Deny, self)
	n.dial().Open("/")
}

// TestPendingByAddress: sockets that say nothing take up only so much room.
func TestPendingByAddress(t *testing.T) {
	n := start(t, Config{MaxPendingHandshakes: 8}, whoAmI)
	n.guarded(access.Config{MaxPending: 2})
	first, second := testkit.Dial(t, "tcp", n.addr), testkit.Dial(t, "tcp", n.addr)
	n.eventually("two pending", func() bool { return n.pending.Load() == 2 })
	testkit.Dial(t, "tcp", n.addr).ExpectEOF()
	n.rejected(string(access.Pending), 1)
	first.Close()
	n.eventually("one pending", func() bool { return n.pending.Load() == 1 })
	if n.tls == nil {
		second.Open("/")
		second.ReadText()
	}
	second.Close()
	for range 5 { // no place is lost
		c := n.dial()
		c.Open("/")
		c.Close()
		n.eventually("gone", func() bool { return n.pending.Load()+n.connections.Load() == 0 })
	}
}

// TestConnectionsByAddress: one too many is told so, and there is room again when
// another leaves.
func TestConnectionsByAddress(t *testing.T) {
	n := start(t, Config{}, whoAmI)
	n.guarded(access.Config{MaxConnections: 1})
	c := n.dial()
	c.Open("/")
	again := n.dial()
	again.WriteString(testkit.Head("/"))
	resp := again.ReadResponse()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "address") {
		t.Errorf("%s %q %q", resp.Status, resp.Header, body)
	}
	n.rejected(string(access.Connections), 1)
	c.Reset()
	n.eventually("gone", func() bool { return n.connections.Load() == 0 })
	n.dial().Open("/")
}

// TestHTTPByAddress: the same for the connections of net/http.
func TestHTTPByAddress(t *testing.T) {
	n := startMixed(t, Config{})
	n.guarded(access.Config{MaxHTTPConnections: 1})
	for range 3 {
		c := n.dial()
		c.WriteString(apiCall)
		expectAnswer(t, c, "GET /api/x 0:")
		again := n.dial()
		again.WriteString(apiCall)
		if resp := again.ReadResponse(); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one more: %s", resp.Status)
		}
		c.WriteString(testkit.Head("/")) // gives its place back and is a connection
		if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("back on a loop: %s", resp.Status)
		}
		n.eventually("none at the server", func() bool { return n.HTTPConnections() == 0 })
		c.Close()
	}
	n.rejected(string(access.HTTP), 3)
}

// TestForwardedAddress: the header of a proxy that is trusted tells the address, for
// each request anew.
func TestForwardedAddress(t *testing.T) {
	const told, forged = "X-Forwarded-For: 10.9.9.9, 192.0.2.7", "X-Forwarded-For: 192.0.2.8"
	t.Run("trusted", func(t *testing.T) {
		n := start(t, Config{Proxy: ProxyConfig{Trusted: loopback, Header: "x-forwarded-for"}}, whoAmI)
		g := n.guarded(access.Config{MaxConnections: 1, MaxPending: 1})
		c := n.dial()
		c.Open("/", told)
		c.ExpectText("192.0.2.7:0")
		c.WriteText("hello")
		c.ExpectText("hello")
		n.connection("connection opened", "remote=192.0.2.7:0")
		again := n.dial()
		again.WriteString(testkit.Head("/", told))
		if resp := again.ReadResponse(); resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one more of the address: %s", resp.Status)
		}
		n.connection("handshake refused", "status=429", "remote=192.0.2.7:0")
		other := n.dial()
		other.Open("/", "X-Forwarded-For: 192.0.2.9")
		other.ExpectText("192.0.2.9:0")
		// The proxy itself cannot be shut out with its clients.
		if _, err := g.Rules().Add(access.Deny, loopback[0]); err != nil {
			t.Fatal(err)
		}
		c.Close()
		n.connection("connection closed", "remote=192.0.2.7:0")
		n.eventually("one left", func() bool { return n.connections.Load() == 1 })
		c = n.dial()
		c.Open("/", told)
		c.ExpectText("192.0.2.7:0")
	})
	t.Run("not trusted", func(t *testing.T) {
		n := start(t, Config{Proxy: ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Header: "X-Forwarded-For"}}, whoAmI)
		c := n.dial()
		c.Open("/", forged)
		c.ExpectText(c.LocalAddr().String())
	})
	t.Run("not wanted", func(t *testing.T) {
		n := start(t, Config{Proxy: ProxyConfig{Trusted: loopback}}, whoAmI)
		c := n.dial()
		c.Open("/", forged)
		c.ExpectText(c.LocalAddr().String())
	})
	t.Run("the other header", func(t *testing.T) {
		n := start(t, Config{Proxy: ProxyConfig{Trusted: loopback, Header: "Forwarded"}}, whoAmI)
		c := n.dial()
		c.Open("/", forged, `Forwarded: for="[2001:db8::1]:55"`)
		c.ExpectText("[2001:db8::1]:55")
	})
	t.Run("to another loop", func(t *testing.T) {
		n := start(t, Config{Loops: 2, Proxy: ProxyConfig{Trusted: loopback, Header: "X-Forwarded-For"}},
			handlerFunc(func(c *Conn, r *http.Request) (Acceptance, *Refusal) {
				a, refusal := whoAmI.Upgrade(c, r)
				a.Loop = c.loop.engine.loops[1-c.loop.index]
				return a, refusal
			}))
		c := n.dial()
		c.Open("/", told)
		c.ExpectText("192.0.2.7:0")
	})
	t.Run("to a server and back", func(t *testing.T) {
		n := startMixed(t, Config{Proxy: ProxyConfig{Trusted: loopback, Header: "X-Forwarded-For"}})
		c := n.dial()
		for _, client := range []string{"192.0.2.7", "192.0.2.8"} {
			c.WriteString("GET /api/x HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: " + client + "\r\n\r\n")
			resp := c.ReadResponse()
			io.Copy(io.Discard, resp.Body)
			if got := resp.Header.Get("X-Remote"); got != client+":0" {
				t.Errorf("the server sees %q, want %s", got, client)
			}
		}
		c.WriteString(testkit.Head("/", "X-Forwarded-For: 192.0.2.9"))
		if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("back on a loop: %s", resp.Status)
		}
		n.connection("connection opened", "remote=192.0.2.9:0")
	})
}

// TestDeniedByProxyHeader: what a PROXY header tells is judged before TLS.
func TestDeniedByProxyHeader(t *testing.T) {
	n := startBehindProxy(t, Config{}, whoAmI, false)
	n.guarded(access.Config{Rules: access.Rules{Deny: []string{"192.0.2.1"}}})
	c := testkit.Dial(t, "tcp", n.addr)
	c.WriteString(proxyLine)
	c.ExpectEOF()
	n.rejected(string(access.Denied), 1)
}

// TestPlaceSoon: a client that finds all places taken waits for one in the backlog.
func TestPlaceSoon(t *testing.T) {
	n := start(t, Config{MaxPendingHandshakes: 1}, echo)
	silent := testkit.Dial(t, "tcp", n.addr)
	n.eventually("one pending", func() bool { return n.pending.Load() == 1 })
	nc, err := testkit.TryDial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	n.eventually("one waits", func() bool { return n.awaiting.Load() == 1 })
	silent.Reset()
	c := testkit.Wrap(t, nc)
	if n.tls != nil {
		c.Secure(n.tls)
	}
	c.Open("/")
	if got := n.metrics.HandshakeRejections.With(pendingLimit).Get(); got != 0 {
		t.Errorf("%d refused", got)
	}
	n.eventually("nobody waits", func() bool { return n.awaiting.Load() == 0 })
	_ = nc.Close()
}
