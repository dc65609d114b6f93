package forwarded

import (
	"net/netip"
	"strings"
	"testing"
)

var proxies = netip.MustParsePrefix("10.0.0.0/8")

func trusted(a netip.Addr) bool { return proxies.Contains(a) }

func TestClient(t *testing.T) {
	const proxy, client = "10.0.0.1:5000", "192.0.2.1:5000"
	for _, tt := range []struct {
		name, header string
		values       []string
		peer, want   string
	}{
		{"nothing said", XForwardedFor, nil, client, client},
		{"nothing said by a proxy", XForwardedFor, nil, proxy, proxy},
		{"said by somebody", XForwardedFor, []string{"203.0.113.9"}, client, client},
		{"one hop", XForwardedFor, []string{"203.0.113.9"}, proxy, "203.0.113.9:0"},
		{"forged before", XForwardedFor, []string{"10.9.9.9, 198.51.100.1, 203.0.113.9"}, proxy, "203.0.113.9:0"},
		{"two proxies", XForwardedFor, []string{"198.51.100.1, 203.0.113.9, 10.0.0.2"}, proxy, "203.0.113.9:0"},
		{"two lines", XForwardedFor, []string{"198.51.100.1, 203.0.113.9", "10.0.0.2"}, proxy, "203.0.113.9:0"},
		{"forged line before", XForwardedFor, []string{"198.51.100.1", "203.0.113.9"}, proxy, "203.0.113.9:0"},
		{"proxies only", XForwardedFor, []string{"10.0.0.3, 10.0.0.2"}, proxy, "10.0.0.3:0"},
		{"empty elements", XForwardedFor, []string{"203.0.113.9, , "}, proxy, "203.0.113.9:0"},
		{"empty line", XForwardedFor, []string{""}, proxy, proxy},
		{"port", XForwardedFor, []string{"203.0.113.9:77"}, proxy, "203.0.113.9:77"},
		{"IPv6", XForwardedFor, []string{"2001:db8::1"}, proxy, "[2001:db8::1]:0"},
		{"IPv6 in brackets", XForwardedFor, []string{"[2001:db8::1]"}, proxy, "[2001:db8::1]:0"},
		{"IPv6 and port", XForwardedFor, []string{"[2001:db8::1]:77"}, proxy, "[2001:db8::1]:77"},
		{"IPv4 in IPv6", XForwardedFor, []string{"::ffff:203.0.113.9"}, proxy, "203.0.113.9:0"},
		{"trusted IPv4 in IPv6", XForwardedFor, []string{"203.0.113.9, ::ffff:10.0.0.2"}, proxy, "203.0.113.9:0"},
		{"zone", XForwardedFor, []string{"fe80::1%eth0"}, proxy, "[fe80::1]:0"},
		{"garbage", XForwardedFor, []string{"198.51.100.1, unknown"}, proxy, proxy},
		{"garbage behind a proxy", XForwardedFor, []string{"unknown, 10.0.0.2"}, proxy, "10.0.0.2:0"},

		{"one element", Forwarded, []string{"for=203.0.113.9"}, proxy, "203.0.113.9:0"},
		{"pairs", Forwarded, []string{`proto=https;For="203.0.113.9:77" ;by=10.0.0.1`}, proxy, "203.0.113.9:77"},
		{"IPv6 quoted", Forwarded, []string{`for="[2001:db8::1]:77"`}, proxy, "[2001:db8::1]:77"},
		{"forged before", Forwarded, []string{`for=10.9.9.9, for=203.0.113.9`}, proxy, "203.0.113.9:0"},
		{"a quote left open", Forwarded, []string{`for="x, for=203.0.113.9`}, proxy, "203.0.113.9:0"},
		{"a comma in quotes", Forwarded, []string{`for=203.0.113.9;secret="a,b", for=10.0.0.2`}, proxy, "203.0.113.9:0"},
		{"escaped quotes in what a proxy quotes", Forwarded, []string{`for=203.0.113.9;host="x\", for=198.51.100.1;a=\"y"`}, proxy, "203.0.113.9:0"},
		{"an escaped backslash", Forwarded, []string{`for=198.51.100.1, for=203.0.113.9;host="x\\"`}, proxy, "203.0.113.9:0"},
		{"a semicolon in quotes before", Forwarded, []string{`host="x;for=198.51.100.1;y";for=203.0.113.9`}, proxy, "203.0.113.9:0"},
		{"for in quotes and nowhere else", Forwarded, []string{`host="x;for=198.51.100.1;y"`}, proxy, proxy},
		{"hidden", Forwarded, []string{"for=_secret"}, proxy, proxy},
		{"no for", Forwarded, []string{"for=203.0.113.9, by=10.0.0.1"}, proxy, proxy},
	} {
		t.Run(tt.header+": "+tt.name, func(t *testing.T) {
			if got := Client(tt.header, tt.values, netip.MustParseAddrPort(tt.peer), trusted); got.String() != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// FuzzClient: whatever a client sends, what the proxy adds decides.
func FuzzClient(f *testing.F) {
	f.Add("10.0.0.1, 1.2.3.4", false)
	f.Add(`for="[::1]:5", for=_x;by="`, true)
	f.Add(`for="a\", b`, true)
	f.Fuzz(func(t *testing.T, text string, standard bool) {
		header, added := XForwardedFor, "203.0.113.9"
		if standard {
			header, added = Forwarded, "for=203.0.113.9"
		}
		peer := netip.MustParseAddrPort("10.0.0.1:1")
		want := netip.MustParseAddrPort("203.0.113.9:0")
		for _, values := range [][]string{{text + ", " + added}, {text, added}} {
			if got := Client(header, values, peer, trusted); got != want {
				t.Errorf("%q: %v", values, got)
			}
		}
		// Nor does it where the proxy adds more that the client has said, in quotes.
		if standard && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' }) {
			quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
			for _, element := range []string{"host=" + quoted + ";" + added, added + ";host=" + quoted} {
				if got := Client(header, []string{element}, peer, trusted); got != want {
					t.Errorf("%q: %v", element, got)
				}
			}
		}
		// And alone it is an address of the text, or nothing.
		if got := Client(header, strings.Split(text, "\n"), peer, trusted); !got.IsValid() || got.Addr().Zone() != "" {
			t.Errorf("%q: %v", text, got)
		}
	})
}
