package bench

import (
	"cmp"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"sluice/auth"
	"sluice/bench/swarm"
	"sluice/hub/wire"
)

// Common is what all scenarios need to know: where the server is and how to get
// in.
type Common struct {
	// URL is ws://host:port/path, wss:// for TLS, or tcp://host:port for a bare server without
	// a handshake.
	URL string

	// TLS speaks TLS also where the URL is none of wss://. The certificate is not
	// verified: it is one's own server. Resume comes back with the tickets that the
	// server gives.
	TLS, Resume bool

	// Key and Hub make a token for every connection. Token is used as it is,
	// for all of them. Without either no token is sent.
	Key, Hub, Token string

	// AllowRemote admits a server that is not on this machine. This is a tool
	// to overload servers: point it at your own only.
	AllowRemote bool

	// ServerPID is the process to read memory and processor time of, 0 for none.
	ServerPID int

	// Ops is the address of the server's operations listener; "" for none.
	Ops string

	// Loops is the number of event loops of the client.
	Loops int

	// Opening and Rate bound how fast connections are opened.
	Opening int
	Rate    float64

	// Patience bounds the time to open a connection, and to close one.
	Patience time.Duration

	// Spin keeps the client from sleeping. Where the client is faster than the
	// server it sleeps between any two messages, and the server pays for waking
	// it with each write: several times what the write costs, and nothing that
	// a server with clients elsewhere would pay.
	Spin bool

	// Sources is the number of loopback addresses to connect from; 0 chooses.
	Sources int

	target netip.AddrPort
	host   string // for the Host header
	path   string
	scheme string
}

// Flags declares the flags.
func (c *Common) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "url", "ws://127.0.0.1:8080", "the server; with --key the path is that of --hub; tcp://host:port is a bare server")
	fs.BoolVar(&c.TLS, "tls", false, "speak TLS, as with --url wss://; the server's certificate is not verified")
	fs.BoolVar(&c.Resume, "resume", false, "resume TLS sessions, as clients do that come back")
	fs.StringVar(&c.Key, "key", "", "make tokens with this `secret` of the server's")
	fs.StringVar(&c.Hub, "hub", "bench", "the `hub` to make tokens for")
	fs.StringVar(&c.Token, "token", "", "use this `token` for every connection instead of making them")
	fs.BoolVar(&c.AllowRemote, "allow-remote", false, "let the server be another machine; overload only what is yours")
	fs.IntVar(&c.ServerPID, "server-pid", 0, "read memory and processor time of this `process`")
	fs.StringVar(&c.Ops, "ops", "", "read goroutines from /metrics at this `address`")
	fs.IntVar(&c.Loops, "loops", 0, "event loops of the client (default: one for each core it may use)")
	fs.IntVar(&c.Opening, "opening", 128, "connections that may be opening at a time")
	fs.Float64Var(&c.Rate, "open-rate", 0, "connections to open per second at most (default: no limit)")
	fs.DurationVar(&c.Patience, "patience", 10*time.Second, "time that a connection may take to open, and to close")
	fs.BoolVar(&c.Spin, "spin", false, "never sleep, so that the server need not wake this client; for processor time on one machine")
	fs.IntVar(&c.Sources, "sources", 0, "loopback `addresses` to connect from (default: enough)")
}

// Validate returns the first problem, naming its flag, and resolves the address.
func (c *Common) Validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("--url %q is not an address such as ws://127.0.0.1:8080", c.URL)
	}
	switch u.Scheme {
	case "ws", "tcp":
	case "wss":
		u.Scheme, c.TLS = "ws", true
	default:
		return fmt.Errorf("--url %q: the scheme must be ws, wss or tcp", c.URL)
	}
	switch {
	case c.Key != "" && c.Token != "":
		return errors.New("--key and --token exclude each other")
	case c.Resume && !c.TLS:
		return errors.New("--resume is for TLS; add --tls")
	case c.Opening < 1:
		return errors.New("--opening must be at least 1")
	case c.Patience <= 0:
		return errors.New("--patience must be more than 0")
	case c.Rate < 0:
		return errors.New("--open-rate must not be negative")
	case c.Loops < 0 || c.Loops > 64:
		return errors.New("--loops must be 0 to 64")
	case c.Sources < 0 || c.Sources > 60000:
		return errors.New("--sources must be 0 to 60000")
	case c.ServerPID < 0:
		return errors.New("--server-pid must not be negative")
	}
	c.scheme, c.host = u.Scheme, u.Host
	c.path = cmp.Or(u.RequestURI(), "/")
	if err := c.checkToken(); err != nil {
		return err
	}
	port := "80"
	if c.TLS {
		port = "443"
	}
	return c.resolve(u.Hostname(), cmp.Or(u.Port(), port))
}

// tlsConfig returns what to speak TLS with, nil for plain text.
func (c *Common) tlsConfig() *tls.Config {
	if !c.TLS {
		return nil
	}
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}
	if c.Resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg
}

// checkToken makes one token, to find now what is wrong with the key or hub.
func (c *Common) checkToken() error {
	if c.Key == "" {
		return nil
	}
	if c.path == "/" {
		c.path = "/client/hubs/" + c.Hub
	}
	if _, err := c.token(auth.Claims{}); err != nil {
		return fmt.Errorf("--key or --hub: %w", err)
	}
	return nil
}

func (c *Common) resolve(host, port string) error {
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	c.target = netip.AddrPortFrom(addr.AddrPort().Addr().Unmap(), addr.AddrPort().Port())
	if !c.target.Addr().IsLoopback() && !c.AllowRemote {
		return fmt.Errorf("--url: %v is another machine; --allow-remote if it is yours to overload", c.target.Addr())
	}
	return nil
}

// tokenLife is longer than any run.
const tokenLife = 24 * time.Hour

func (c *Common) token(claims auth.Claims) (string, error) {
	claims.Hub, claims.TTL = c.Hub, tokenLife
	return auth.Mint([]byte(c.Key), claims, time.Now())
}

// request returns the head of a handshake for a client of the hub, or one
// without a subprotocol where there are no tokens; nil for a bare server.
func (c *Common) request(claims auth.Claims) []byte {
	return c.requestAs(wire.JSONv1{}.Name(), claims)
}

// requestAs is request for another subprotocol of the hub.
func (c *Common) requestAs(subprotocol string, claims auth.Claims) []byte {
	switch {
	case c.scheme == "tcp":
		return nil
	case c.Token != "":
		return swarm.Request(c.host, c.path, subprotocol, c.Token)
	case c.Key == "":
		return swarm.Request(c.host, c.path, "", "")
	}
	token, err := c.token(claims)
	if err != nil {
		panic("bench: a token like one that was made before: " + err.Error())
	}
	return swarm.Request(c.host, c.path, subprotocol, token)
}

// speaksSluice reports whether clients get the messages of docs/protocol.md.
func (c *Common) speaksSluice() bool { return c.Key != "" || c.Token != "" }
