// Package forwarded finds the client of a request in what proxies say about it, in
// the header X-Forwarded-For or Forwarded (RFC 7239).
//
// Each proxy adds at the right whom it has the request from, and passes on what
// stood there before, which may be the client's own invention. So the hops are read
// from the right, for as long as the one before is a proxy that is trusted; what is
// further left is not even parsed.
package forwarded

import (
	"net/netip"
	"strings"
)

// The headers that are understood, in their canonical form.
const (
	XForwardedFor = "X-Forwarded-For"
	Forwarded     = "Forwarded"
)

// Client returns the address of the client of a request: the first hop from the
// right that is no trusted proxy. values are the lines of the header; peer is who
// the request came from, and the answer where it is not trusted. Where the trusted
// hops come to an end, or one cannot be read, the last that is known is the answer.
// A port is kept where the header has one.
func Client(header string, values []string, peer netip.AddrPort, trusted func(netip.Addr) bool) netip.AddrPort {
	known := peer
	for i := len(values) - 1; i >= 0; i-- {
		rest, more := values[i], true
		for more {
			if !trusted(known.Addr()) {
				return known
			}
			var hop string
			rest, hop, more = lastElement(header, rest)
			if hop == "" { // an empty element is none (RFC 9110 section 5.6.1)
				continue
			}
			addr, ok := parseHop(header, hop)
			if !ok {
				return known
			}
			known = addr
		}
	}
	return known
}

// lastElement splits what follows the last comma off a list.
func lastElement(header, list string) (rest, element string, more bool) {
	if header == XForwardedFor { // which knows no quotes
		at := strings.LastIndexByte(list, ',')
		return list[:max(at, 0)], trim(list[at+1:]), at >= 0
	}
	return cutLast(list, ',')
}

// cutLast splits what follows the last separator off a list, not looking into quoted
// strings (RFC 9110 section 5.6.4). A proxy may quote what its client has said, such
// as a host, so a quote that is escaped does not end them.
func cutLast(list string, separator byte) (rest, last string, more bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch c := list[i]; {
		case c == '"' && !(quoted && isEscaped(list[:i])):
			quoted = !quoted
		case c == separator && !quoted:
			return list[:i], trim(list[i+1:]), true
		}
	}
	return "", trim(list), false
}

// isEscaped tells whether what follows a text in a quoted string is escaped.
func isEscaped(before string) bool {
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// parseHop reads one element of the header.
func parseHop(header, hop string) (netip.AddrPort, bool) {
	if header == XForwardedFor {
		return parseNode(hop)
	}
	for more := true; more; {
		var pair string
		hop, pair, more = cutLast(hop, ';')
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(trim(name), "for") {
			continue
		}
		value = trim(value)
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		return parseNode(value)
	}
	return netip.AddrPort{}, false
}

// parseNode reads an address with or without a port, IPv6 with or without brackets.
func parseNode(text string) (netip.AddrPort, bool) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return netip.AddrPortFrom(plain(addr), 0), true
	}
	if both, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(plain(both.Addr()), both.Port()), true
	}
	return netip.AddrPort{}, false // such as "unknown" or "_hidden"
}

// plain returns the address as rules know it.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func trim(s string) string { return strings.Trim(s, " \t") }
