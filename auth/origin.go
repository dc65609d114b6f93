package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Origins decides which web pages may connect: those of the host that they
// connect to, and those that are listed.
type Origins struct {
	any     bool // "*"
	null    bool // "null"
	exact   []origin
	domains []origin // host is the common ending, with its dot: ".example.com"
}

// ParseOrigins compiles the patterns of Config.Origins, which describes them.
// The error names every bad one.
func ParseOrigins(patterns []string) (*Origins, error) {
	o := &Origins{}
	var errs []error
	for _, p := range patterns {
		if err := o.add(p); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", p, err))
		}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return o, nil
}

func (o *Origins) add(pattern string) error {
	switch pattern {
	case "*":
		o.any = true
		return nil
	case "null":
		o.null = true
		return nil
	}
	if scheme, domain, ok := strings.Cut(pattern, "://*."); ok {
		p, err := parseOrigin(scheme + "://" + domain)
		if err == nil && p.host[0] == '[' {
			err = errIPv6Domain
		}
		p.host = "." + p.host
		o.domains = append(o.domains, p)
		return err
	}
	p, err := parseOrigin(pattern)
	o.exact = append(o.exact, p)
	return err
}

// Allow decides on the Origin header of a handshake; host is its Host header.
// It does not allocate.
//
// No Origin header is always allowed: browsers send one with every WebSocket
// handshake, and other programs could send any they like. So this check
// protects the users of browsers and nothing else; who a client is, is for the
// token to say. "null" (sandboxed frames, local files) must be listed.
func (o *Origins) Allow(originHeader, host string) bool {
	switch {
	case originHeader == "" || o.any:
		return true
	case originHeader == "null":
		return o.null
	}
	page, err := parseOrigin(originHeader)
	if err != nil {
		return false
	}
	for _, p := range o.exact {
		if p.equal(page) {
			return true
		}
	}
	for _, p := range o.domains {
		if p.above(page) {
			return true
		}
	}
	return page.sameHost(host)
}

// origin is the scheme, host and port of a web page or an endpoint (RFC 6454
// section 4). All of it is ASCII, in any case. An IPv6 host keeps its brackets.
// The port is empty where it is the default of the scheme.
type origin struct{ scheme, host, port string }

func (o origin) equal(p origin) bool {
	return o.port == p.port && strings.EqualFold(o.host, p.host) && strings.EqualFold(o.scheme, p.scheme)
}

// above reports whether p's host is a name below the domain o.
func (o origin) above(p origin) bool {
	cut := len(p.host) - len(o.host)
	return cut > 0 && o.equal(origin{p.scheme, p.host[cut:], p.port})
}

// sameHost compares with a Host header. It has no scheme, so the page's counts:
// a node behind a TLS proxy does not know that its clients speak TLS.
func (o origin) sameHost(header string) bool {
	host, port, err := splitHostPort(header)
	return err == nil && o.equal(origin{o.scheme, host, o.nonDefault(port)})
}

func (o origin) nonDefault(port string) string {
	switch {
	case port == "80" && (strings.EqualFold(o.scheme, "http") || strings.EqualFold(o.scheme, "ws")),
		port == "443" && (strings.EqualFold(o.scheme, "https") || strings.EqualFold(o.scheme, "wss")):
		return ""
	}
	return port
}

var (
	errNoScheme   = errors.New("no scheme; write it like https://example.com")
	errPath       = errors.New("something follows host and port; write it like https://example.com:8443")
	errHost       = errors.New("the host is not a name or an address")
	errPort       = errors.New("the port is not a number from 1 to 65535")
	errIPv6Domain = errors.New("no name is below an IPv6 address")
)

// parseOrigin takes an origin in text apart (RFC 6454 section 6.2).
func parseOrigin(s string) (origin, error) {
	o, rest, err := cutOrigin(s)
	if err == nil && rest != "" {
		err = errPath
	}
	return o, err
}

// parseEndpoint is parseOrigin for a configured address, where a final slash is
// common.
func parseEndpoint(s string) (origin, error) { return parseOrigin(strings.TrimSuffix(s, "/")) }

// cutOrigin splits a URL after its host and port.
func cutOrigin(url string) (o origin, rest string, err error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || !validScheme(scheme) {
		return origin{}, "", errNoScheme
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, port, err := splitHostPort(rest[:end])
	o = origin{scheme: scheme, host: host}
	o.port = o.nonDefault(port)
	return o, rest[end:], err
}

func splitHostPort(s string) (host, port string, err error) {
	end := strings.IndexByte(s, ':')
	if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']') + 1
	}
	if end < 0 {
		end = len(s)
	}
	host, port = s[:end], s[end:]
	switch {
	case !validHost(host):
		return "", "", errHost
	case port == "":
		return host, "", nil
	}
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if port[0] != ':' || err != nil || n == 0 {
		return "", "", errPort
	}
	return host, port[1:], nil
}

// validScheme is RFC 3986 section 3.1.
func validScheme(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && !contains("+-.", s[i]) {
			return false
		}
	}
	return s != "" && isLetter(s[0])
}

// validHost admits names (ASCII; browsers send others in Punycode), IPv4
// addresses, and IPv6 addresses in brackets, without a zone. Names need not be
// exact: a host is only ever compared.
func validHost(s string) bool {
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		addr, err := netip.ParseAddr(s[1 : len(s)-1])
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && !contains("-._", s[i]) {
			return false
		}
	}
	return s != ""
}
