package access

import (
	"cmp"
	"fmt"
	"net/netip"
	"time"
)

// Config says which addresses may connect, and how often. The zero value of a
// field means its default. An address is that of the client, as proxies that are
// trusted have told it; of IPv6 addresses the first 64 bits count as one address in
// all limits. The addresses of trusted proxies themselves are under no limit.
type Config struct {
	// Rules say who may connect to any hub.
	Rules Rules `yaml:"rules"`

	// ReloadInterval is how often the files of rules are looked at. Default 10s.
	ReloadInterval time.Duration `yaml:"reload_interval"`

	// Exempt holds the ranges of addresses that are under none of the limits below.
	// Default: those of private networks and of this machine, because there a
	// proxy that is not listed in proxy.trusted may stand for all clients.
	// "192.0.2.0/24", which nobody has, exempts nobody.
	Exempt []netip.Prefix `yaml:"exempt"`

	// MaxPending bounds the sockets of one address that have not finished their
	// opening handshake; one more is closed as soon as it is accepted. Default 256:
	// half of tls.handshakes.max, or of engine.max_pending_handshakes where that is
	// less.
	MaxPending int `yaml:"max_pending"`

	// MaxConnections bounds the WebSocket connections of one address; one more is
	// answered 429. Default none.
	MaxConnections int `yaml:"max_connections"`

	// MaxHTTPConnections bounds the connections of one address that net/http
	// serves; one more is answered 429. Default 128, or half of
	// engine.max_http_connections where that is another number.
	MaxHTTPConnections int `yaml:"max_http_connections"`

	// MaxHandshakesPerSecond bounds the opening handshakes, and the sessions
	// opened over HTTP, of one address; above it they are answered 429. Default
	// none.
	MaxHandshakesPerSecond int `yaml:"max_handshakes_per_second"`

	// HandshakeBurst is how many of these may come at once after a while without
	// any: an office behind one address comes back together. Default none; where
	// there is a rate, ten seconds' worth of it.
	HandshakeBurst int `yaml:"handshake_burst"`

	// MaxNodeHandshakesPerSecond bounds the opening handshakes of all addresses
	// together; a second's worth may come at once, what is above is answered 503.
	// Default none.
	MaxNodeHandshakesPerSecond int `yaml:"max_node_handshakes_per_second"`

	// MaxFailuresPerMinute bounds the handshakes and API calls of one address whose
	// token is refused, except for having expired; one more and the address is
	// banned: on the addresses for clients, whatever comes from it is answered 429, or
	// closed as soon as it is accepted. Default none.
	MaxFailuresPerMinute int `yaml:"max_failures_per_minute"`

	// Ban is how long the first ban of an address lasts; each further one lasts
	// twice as long as the one before. Default 1m.
	Ban time.Duration `yaml:"ban"`

	// MaxBan is how long a ban lasts at the most. An address without a ban for so
	// long after its last one begins anew. Default 1h.
	MaxBan time.Duration `yaml:"max_ban"`

	// MaxTracked is how many addresses the node remembers for rates and bans, at 56
	// bytes each. When there are more, those are forgotten whose limits are nearest
	// to their end anyway. Default 65536.
	MaxTracked int `yaml:"max_tracked"`
}

// private are the networks whose addresses are under no limits by default.
var private = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
	"::1/128", "fc00::/7", "fe80::/10")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// WithDefaults returns the configuration with every zero replaced, for a node with
// those limits.
func (c Config) WithDefaults(maxPending, maxHTTP int) Config {
	if len(c.Exempt) == 0 {
		c.Exempt = private
	}
	c.ReloadInterval = cmp.Or(c.ReloadInterval, 10*time.Second)
	c.MaxPending = cmp.Or(c.MaxPending, max(1, maxPending/2))
	c.MaxHTTPConnections = cmp.Or(c.MaxHTTPConnections, max(1, maxHTTP/2))
	c.HandshakeBurst = cmp.Or(c.HandshakeBurst, 10*c.MaxHandshakesPerSecond)
	c.Ban = cmp.Or(c.Ban, time.Minute)
	c.MaxBan = cmp.Or(c.MaxBan, time.Hour)
	c.MaxTracked = cmp.Or(c.MaxTracked, 1<<16)
	return c
}

const (
	maxPerSecond = 1_000_000
	maxTracked   = 1 << 24
	longestBan   = 30 * 24 * time.Hour
)

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	for i, p := range c.Exempt {
		checkMasked(fmt.Sprintf("exempt[%d]", i), p, report)
	}
	for _, f := range []struct {
		key     string
		n, most int
	}{
		{"max_pending", c.MaxPending, 1 << 30},
		{"max_connections", c.MaxConnections, 1 << 30},
		{"max_http_connections", c.MaxHTTPConnections, 1 << 30},
		{"max_handshakes_per_second", c.MaxHandshakesPerSecond, maxPerSecond},
		{"handshake_burst", c.HandshakeBurst, 100 * maxPerSecond},
		{"max_node_handshakes_per_second", c.MaxNodeHandshakesPerSecond, maxPerSecond},
		{"max_failures_per_minute", c.MaxFailuresPerMinute, maxPerSecond},
		{"max_tracked", c.MaxTracked, maxTracked},
	} {
		if f.n < 0 || f.n > f.most {
			report(f.key, fmt.Sprintf("%d is not between 1 and %d (0 means the default)", f.n, f.most))
		}
	}
	d := c.WithDefaults(1, 1)
	for _, f := range []struct {
		key  string
		d    time.Duration
		most time.Duration
	}{{"ban", d.Ban, longestBan}, {"max_ban", d.MaxBan, longestBan}, {"reload_interval", d.ReloadInterval, time.Hour}} {
		if f.d < time.Second || f.d > f.most {
			report(f.key, fmt.Sprintf("%v is not between 1s and %v (0 means the default)", f.d, f.most))
		}
	}
	if d.MaxBan < d.Ban {
		report("max_ban", fmt.Sprintf("%v is below ban, %v", d.MaxBan, d.Ban))
	}
	if c.HandshakeBurst > 0 && c.MaxHandshakesPerSecond == 0 {
		report("handshake_burst", "is set, but there is no max_handshakes_per_second")
	}
}

func checkMasked(key string, p netip.Prefix, report func(key, problem string)) {
	if p.IsValid() && p != p.Masked() {
		report(key, fmt.Sprintf("%q has bits beyond its length; write %s", p, p.Masked()))
	}
}
