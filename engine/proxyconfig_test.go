package engine

import (
	"net/netip"
	"slices"
	"testing"
)

func TestProxyConfig(t *testing.T) {
	c := ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	for ip, want := range map[string]bool{
		"10.1.2.3":         true,
		"::ffff:10.1.2.3":  true,
		"2001:db8::1":      true,
		"2001:db8::1%eth0": true,
		"11.0.0.1":         false,
		"::1":              false,
	} {
		if got := c.Trusts(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: trusted %v, want %v", ip, got, want)
		}
	}
	if c.Trusts(netip.Addr{}) || (&ProxyConfig{}).Trusts(netip.MustParseAddr("10.0.0.1")) {
		t.Error("nobody's address, or nobody, is trusted")
	}
}

func TestProxyConfigProblems(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  ProxyConfig
		want []string
	}{
		{"empty", ProxyConfig{}, nil},
		{"only trusted", ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, nil},
		{"nobody trusted", ProxyConfig{Listen: []string{":8080"}}, []string{"trusted"}},
		{"bits to the right", ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}, []string{"trusted[0]"}},
	} {
		var got []string
		tt.cfg.Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: problems with %q, want %q", tt.name, got, tt.want)
		}
	}
}
