// Package proxyproto reads the header with which a load balancer begins a
// connection to tell whose it is: the PROXY protocol, versions 1 and 2
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). It works on byte
// slices, knows no sockets, and decides nothing about trust.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

const (
	// MaxBytes is the longest header taken: the addresses and some two thousand
	// bytes of what a balancer may add to them. Version 2 could say 65,551.
	MaxBytes = 2048

	maxLine = 107 // of version 1, with its end
)

// Header is what the balancer says.
type Header struct {
	// Source is the client. It is not valid where the connection is the
	// balancer's own, such as a health check, or of a kind without an address.
	Source netip.AddrPort
}

// What can be wrong with a header.
var (
	ErrSignature = errors.New("the connection does not begin with a PROXY header")
	ErrVersion   = errors.New("the PROXY header is of an unknown version or command")
	ErrMalformed = errors.New("the PROXY header is malformed")
	ErrTooLong   = errors.New("the PROXY header is too long")
)

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Parse reads the header at the beginning of b and returns how long it is. Zero
// without an error means that b is only a part of it. Nothing returned refers
// to b.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case begins(b, signature2):
		return parse2(b)
	case begins(b, signature1):
		return parse1(b)
	}
	return Header{}, 0, ErrSignature
}

// begins tells whether b begins with the signature, as far as it goes.
func begins(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}

// parse1 reads the line of version 1 (§2.1):
//
//	PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n
func parse1(b []byte) (Header, int, error) {
	line, _, whole := bytes.Cut(b[:min(len(b), maxLine)], []byte("\r\n"))
	switch {
	case !whole && len(b) >= maxLine:
		return Header{}, 0, ErrTooLong
	case !whole:
		return Header{}, 0, nil
	}
	n := len(line) + 2
	words := strings.Split(string(line), " ")
	if words[1] == "UNKNOWN" { // the rest is to be ignored
		return Header{}, n, nil
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return Header{}, 0, ErrMalformed
	}
	source, ok := endpoint(words[1], words[2], words[4])
	_, alsoOK := endpoint(words[1], words[3], words[5])
	if !ok || !alsoOK {
		return Header{}, 0, ErrMalformed
	}
	return Header{Source: source}, n, nil
}

// endpoint reads an address and a port as version 1 writes them.
func endpoint(family, address, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Zone() != "" || ip.Is4() != (family == "TCP4") {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}

// parse2 reads the header of version 2 (§2.2): the signature, a byte of version
// and command, one of family and transport, the length of the rest in two, and
// in the rest source and destination address, then their ports, then anything.
func parse2(b []byte) (Header, int, error) {
	const head = len(signature2) + 4
	if len(b) < head {
		return Header{}, 0, nil
	}
	command, family := b[12], b[13]
	n := head + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case command != 0x20 && command != 0x21:
		return Header{}, 0, ErrVersion
	case n > MaxBytes:
		return Header{}, 0, ErrTooLong
	case len(b) < n:
		return Header{}, 0, nil
	case command == 0x20: // LOCAL: the balancer itself
		return Header{}, n, nil
	}
	size := 0 // of an address
	switch family {
	case 0x11: // TCP over IPv4
		size = 4
	case 0x21: // TCP over IPv6
		size = 16
	default: // unspecified, unix sockets, datagrams: to be taken as unknown
		return Header{}, n, nil
	}
	rest := b[head:n]
	if len(rest) < 2*size+4 {
		return Header{}, 0, ErrMalformed
	}
	ip, _ := netip.AddrFromSlice(rest[:size])
	return Header{Source: netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(rest[2*size:]))}, n, nil
}
