package proxyproto

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// v2 builds a header of version 2.
func v2(command, family byte, rest ...byte) string {
	b := append([]byte(signature2), command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(rest))), rest...))
}

var (
	tcp4 = []byte{192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb}
	tcp6 = append(append(make([]byte, 0, 36), netip.MustParseAddr("2001:db8::1").AsSlice()...),
		append(netip.MustParseAddr("2001:db8::2").AsSlice(), 0xdc, 0x04, 0x01, 0xbb)...)
)

var headers = []struct {
	name, header string
	want         string // the source, "" for none
	err          error
}{
	{"1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1:56324", nil},
	{"1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "[2001:db8::1]:56324", nil},
	{"1, an IPv4 client of an IPv6 balancer", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 443\r\n", "192.0.2.1:1", nil},
	{"1, unknown", "PROXY UNKNOWN\r\n", "", nil},
	{"1, unknown with words", "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "", nil},
	{"1, the longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", nil},
	{"1, too long", "PROXY UNKNOWN " + strings.Repeat("x", 100), "", ErrTooLong},
	{"1, two spaces", "PROXY  TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "", ErrMalformed},
	{"1, a word too many", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 x\r\n", "", ErrMalformed},
	{"1, a port with a sign", "PROXY TCP4 192.0.2.1 198.51.100.1 +5632 443\r\n", "", ErrMalformed},
	{"1, a port with a zero", "PROXY TCP4 192.0.2.1 198.51.100.1 056 443\r\n", "", ErrMalformed},
	{"1, a port too high", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n", "", ErrMalformed},
	{"1, the wrong family", "PROXY TCP4 2001:db8::1 2001:db8::2 1 443\r\n", "", ErrMalformed},
	{"1, a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 1 443\r\n", "", ErrMalformed},
	{"1, no address", "PROXY TCP4 localhost 198.51.100.1 1 443\r\n", "", ErrMalformed},
	{"1, datagrams", "PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n", "", ErrMalformed},
	{"1, nothing", "PROXY \r\n", "", ErrMalformed},
	{"1, a bare line feed", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n" + strings.Repeat("x", 80), "", ErrTooLong},
	{"1, lower case", "proxy TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "", ErrSignature},

	{"2, IPv4", v2(0x21, 0x11, tcp4...), "192.0.2.1:56324", nil},
	{"2, IPv6", v2(0x21, 0x21, tcp6...), "[2001:db8::1]:56324", nil},
	{"2, more behind the addresses", v2(0x21, 0x11, append(tcp4[:12:12], make([]byte, 200)...)...), "192.0.2.1:56324", nil},
	{"2, the balancer itself", v2(0x20, 0x00), "", nil},
	{"2, the balancer itself with an address", v2(0x20, 0x11, tcp4...), "", nil},
	{"2, unspecified", v2(0x21, 0x00), "", nil},
	{"2, a unix socket", v2(0x21, 0x31, make([]byte, 216)...), "", nil},
	{"2, datagrams", v2(0x21, 0x12, tcp4...), "", nil},
	{"2, a part of an address", v2(0x21, 0x11, tcp4[:11]...), "", ErrMalformed},
	{"2, version 3", v2(0x31, 0x11, tcp4...), "", ErrVersion},
	{"2, another command", v2(0x22, 0x11, tcp4...), "", ErrVersion},
	{"2, too long", v2(0x21, 0x11, make([]byte, MaxBytes)...), "", ErrTooLong},

	{"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", ErrSignature},
	{"TLS", "\x16\x03\x01\x02\x00\x01", "", ErrSignature},
}

// TestParse: headers whole, cut anywhere, and with something behind them.
func TestParse(t *testing.T) {
	for _, tt := range headers {
		for _, behind := range []string{"", "GET / HTTP/1.1\r\n\r\n"} {
			h, n, err := Parse([]byte(tt.header + behind))
			if !errors.Is(err, tt.err) {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.err)
				continue
			}
			if err != nil {
				continue
			}
			if n != len(tt.header) {
				t.Errorf("%s: %d bytes long, want %d", tt.name, n, len(tt.header))
			}
			got := ""
			if h.Source.IsValid() {
				got = h.Source.String()
			}
			if got != tt.want {
				t.Errorf("%s: source %q, want %q", tt.name, got, tt.want)
			}
		}
		if tt.err != nil {
			continue
		}
		for cut := range tt.header {
			if _, n, err := Parse([]byte(tt.header[:cut])); n != 0 || err != nil {
				t.Errorf("%s, cut at %d: %d bytes long, error %v", tt.name, cut, n, err)
			}
		}
	}
}

// FuzzParse: no input is taken that is longer than it may be, none is answered in
// two ways depending on how much has come, and a header ends where it says.
func FuzzParse(f *testing.F) {
	for _, tt := range headers {
		f.Add([]byte(tt.header))
		f.Add([]byte(tt.header + "GET / HTTP/1.1\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		switch {
		case err != nil:
			if n != 0 || h != (Header{}) {
				t.Fatalf("an error and an answer: %v, %v, %d", err, h, n)
			}
		case n > len(b) || n > MaxBytes:
			t.Fatalf("%d bytes long of %d", n, len(b))
		case n == 0:
			if len(b) >= MaxBytes {
				t.Fatalf("%d bytes and no verdict", len(b))
			}
		default:
			again, m, err := Parse(b[:n])
			if again != h || m != n || err != nil {
				t.Fatalf("by itself %v, %d, %v; before %v, %d", again, m, err, h, n)
			}
			for cut := range n {
				if _, m, err := Parse(b[:cut]); m != 0 || err != nil {
					t.Fatalf("cut at %d of %d: %d, %v", cut, n, m, err)
				}
			}
			if ip := h.Source.Addr(); ip.Is4In6() || ip.Zone() != "" {
				t.Fatalf("source %v", h.Source)
			}
		}
	})
}
