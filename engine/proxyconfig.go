package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sluice/engine/forwarded"
)

// ProxyConfig says which load balancers and reverse proxies stand in front of
// the node, and how they tell the address of a client.
type ProxyConfig struct {
	// Listen holds those of the addresses clients connect to, in listen or
	// tls.listen, on which each connection begins with a PROXY protocol header,
	// version 1 or 2, before TLS. A connection without one is closed. Default:
	// none.
	Listen []string `yaml:"listen"`

	// Trusted holds the address ranges of the proxies, as "10.0.0.0/8" or
	// "192.0.2.7/32". What they say about the address of a client is believed;
	// what others say never is: such connections are closed on the addresses of
	// Listen. Default: none.
	Trusted []netip.Prefix `yaml:"trusted"`

	// Header is the request header in which the proxies tell the address of the
	// client: "X-Forwarded-For" or "Forwarded" (RFC 7239). It is read from the right
	// for as long as the hops are trusted, so what a client puts there itself
	// counts for nothing. Set it only if every one of the trusted proxies sets that
	// header. Default: none, no header is believed.
	Header string `yaml:"header"`
}

// Validate reports every problem with its key, relative to this struct.
func (c *ProxyConfig) Validate(report func(key, problem string)) {
	for i, p := range c.Trusted {
		if p.IsValid() && p != p.Masked() {
			report(fmt.Sprintf("trusted[%d]", i), fmt.Sprintf("%q has bits beyond its length; write %s", p, p.Masked()))
		}
	}
	if len(c.Listen) > 0 && len(c.Trusted) == 0 {
		report("trusted", "is empty, so every connection to the addresses of listen would be refused")
	}
	if c.Header != "" && c.canonicalHeader() == "" {
		report("header", fmt.Sprintf("%q is neither %q nor %q", c.Header, forwarded.XForwardedFor, forwarded.Forwarded))
	}
}

// canonicalHeader returns the header that is believed, "" for none.
func (c *ProxyConfig) canonicalHeader() string {
	for _, known := range []string{forwarded.XForwardedFor, forwarded.Forwarded} {
		if strings.EqualFold(c.Header, known) {
			return known
		}
	}
	return ""
}

// believes is Trusts for whoever a request came from: who connects through a unix
// socket, which has no address, is trusted.
func (c *ProxyConfig) believes(ip netip.Addr) bool { return !ip.IsValid() || c.Trusts(ip) }

// Trusts tells whether an address is that of a proxy. Any goroutine.
func (c *ProxyConfig) Trusts(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(c.Trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}
