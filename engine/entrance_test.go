package engine

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"

	"sluice/frame"
	"sluice/internal/testkit"
)

const proxyLine = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"

// startBehindProxy runs an engine whose clients come through a proxy on this
// machine, over TLS or not.
func startBehindProxy(t *testing.T, cfg Config, h Handler, secure bool) *node {
	t.Helper()
	n := start(t, cfg, h)
	n.in.Proxy = &ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if secure {
		server, client := tlsConfigs(t)
		n.in.TLS, n.tls = func() *tls.Config { return server }, client
	}
	n.addr = n.listen("127.0.0.1:0")
	return n
}

// comeThrough connects as a proxy does for a client.
func (n *node) comeThrough(header string) *testkit.Conn {
	n.t.Helper()
	c := testkit.Dial(n.t, "tcp", n.addr)
	c.WriteString(header)
	if n.tls != nil {
		c.Secure(n.tls)
	}
	return c
}

func (n *node) headersRead(result string) uint64 { return n.metrics.ProxyHeaders.With(result).Get() }

// whoAmI tells every client its address, in its first message.
var whoAmI = accept(func(c *Conn) (Endpoint, error) {
	c.Write(frame.OpText, []byte(c.RemoteAddr().String()))
	return &endpoint{message: func(op frame.Opcode, p []byte) { c.Write(op, p) }}, nil
})

// TestProxyAddress: the address that a trusted proxy tells is the client's for
// everybody, wherever its socket goes.
func TestProxyAddress(t *testing.T) {
	const client = "192.0.2.1:56324"
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name+"/on its loop", func(t *testing.T) {
			n := startBehindProxy(t, Config{}, whoAmI, secure)
			c := n.comeThrough(proxyLine)
			c.Open("/")
			c.ExpectText(client)
			c.WriteText("hello")
			c.ExpectText("hello")
			n.connection("connection opened", "remote="+client)
			c.Close()
			n.connection("connection closed", "remote="+client)

			c = n.comeThrough("PROXY UNKNOWN\r\n") // such as a health check
			c.Open("/")
			c.ExpectText(c.LocalAddr().String())
			c.Close()
			if got := n.headersRead("accepted"); got != 2 {
				t.Errorf("%d headers counted", got)
			}
		})
		t.Run(name+"/to another loop", func(t *testing.T) {
			n := startBehindProxy(t, Config{Loops: 2}, handlerFunc(func(c *Conn, r *http.Request) (Acceptance, *Refusal) {
				a, refusal := whoAmI.Upgrade(c, r)
				a.Loop = c.loop.engine.loops[1-c.loop.index]
				return a, refusal
			}), secure)
			c := n.comeThrough(proxyLine)
			c.Open("/")
			c.ExpectText(client)
			c.Close()
		})
		t.Run(name+"/to a server and back", func(t *testing.T) {
			n := startMixed(t, Config{})
			n.book.Handler = api{whoAmI}
			n.in.Proxy = &ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
			if secure {
				server, client := tlsConfigs(t)
				n.in.TLS, n.tls = func() *tls.Config { return server }, client
			}
			n.addr = n.listen("127.0.0.1:0")
			c := n.comeThrough(proxyLine)
			c.WriteString(apiCall)
			resp := c.ReadResponse()
			if _, err := io.ReadAll(resp.Body); err != nil || resp.Header.Get("X-Remote") != client {
				t.Errorf("the server saw %q, error %v", resp.Header.Get("X-Remote"), err)
			}
			c.Open("/")
			c.ExpectText(client)
			c.Close()
		})
	}
}

// TestProxyHeaderGlued: what follows a header in the same packet, and one that
// comes in pieces.
func TestProxyHeaderGlued(t *testing.T) {
	n := startBehindProxy(t, Config{}, whoAmI, false)
	input := proxyLine + testkit.Head("/") + string(testkit.MaskedFrame(0x81, []byte("hello")))
	for _, cut := range []int{0, 3, len(proxyLine) - 1, len(proxyLine), len(proxyLine) + 10} {
		c := testkit.Dial(t, "tcp", n.addr)
		c.WriteString(input[:cut])
		n.eventually("it was taken in", func() bool { return n.pending.Load() == 1 })
		c.WriteString(input[cut:])
		if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("status %d", resp.StatusCode)
		}
		c.ExpectText("192.0.2.1:56324")
		c.ExpectText("hello")
		c.Close()
		n.quiet()
	}
}

// TestProxyHeaderRefused: without a header from a trusted proxy nobody gets in.
func TestProxyHeaderRefused(t *testing.T) {
	strangers := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, tt := range []struct {
		name    string
		trusted []netip.Prefix
		say     string
		hangUp  bool
		want    string
	}{
		{"from a stranger", strangers, proxyLine, false, "untrusted"},
		{"none", nil, testkit.Head("/"), false, "malformed"},
		{"forged", nil, "PROXY TCP4 somewhere else 1 2\r\n", false, "malformed"},
		{"an old version of the binary one", nil, "\r\n\r\n\x00\r\nQUIT\n\x11\x11\x00\x0c192024198511", false, "malformed"},
		{"too long", nil, "PROXY UNKNOWN " + string(make([]byte, 4000)), false, "malformed"},
		{"cut, and the client leaves", nil, proxyLine[:20], true, "client_gone"},
		{"cut, and the client waits", nil, proxyLine[:20], false, "timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{}
			if tt.want == "timeout" {
				cfg.Handshakes.Timeout = short
			}
			n := startBehindProxy(t, cfg, whoAmI, false)
			if tt.trusted != nil {
				n.in.Proxy = &ProxyConfig{Trusted: tt.trusted}
				n.addr = n.listen("127.0.0.1:0")
			}
			c := testkit.Dial(t, "tcp", n.addr)
			_, _ = c.Conn.Write([]byte(tt.say)) // a stranger may be gone already
			if tt.hangUp {
				c.Conn.Close()
			} else if got, _ := readAll(c); got != "" {
				t.Errorf("an answer: %q", got)
			}
			n.eventually("counted as "+tt.want, func() bool { return n.headersRead(tt.want) == 1 })
			n.eventually("forgotten", func() bool { return n.pending.Load() == 0 && len(n.greeted) == 0 })
		})
	}
}

// TestProxyOnUnixSocket: whoever may connect to a socket file is trusted.
func TestProxyOnUnixSocket(t *testing.T) {
	n := startBehindProxy(t, Config{}, whoAmI, false)
	c := testkit.Dial(t, "unix", n.listen("unix:"+filepath.Join(t.TempDir(), "s")))
	c.WriteString(proxyLine)
	c.Open("/")
	c.ExpectText("192.0.2.1:56324")
	c.Close()
}
