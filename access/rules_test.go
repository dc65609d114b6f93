package access

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseRange(t *testing.T) {
	for _, tt := range []struct{ text, want, problem string }{
		{"192.0.2.0/24", "192.0.2.0/24", ""},
		{"192.0.2.7", "192.0.2.7/32", ""},
		{"::ffff:192.0.2.7", "192.0.2.7/32", ""},
		{"2001:db8::/32", "2001:db8::/32", ""},
		{"2001:db8::1", "2001:db8::1/128", ""},
		{"0.0.0.0/0", "0.0.0.0/0", ""},
		{"192.0.2.7/24", "", "write 192.0.2.0/24"},
		{"::ffff:192.0.2.0/120", "", "write it as IPv4"},
		{"fe80::1%eth0", "", "interface"},
		{"192.0.2.0/33", "", "no range"},
		{"example.com", "", "no range"},
		{"", "", "no range"},
	} {
		p, err := ParseRange(tt.text)
		switch {
		case tt.problem == "" && (err != nil || p.String() != tt.want):
			t.Errorf("%q: %v, %v", tt.text, p, err)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
			t.Errorf("%q: %v, want %q", tt.text, err, tt.problem)
		}
	}
}

func FuzzParseRanges(f *testing.F) {
	f.Add([]byte("192.0.2.0/24 # office\n\n2001:db8::1\r\n"))
	f.Add([]byte("::ffff:1.2.3.4/100\n%"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseRanges(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, p := range list {
			if p != p.Masked() || p.Addr().Is4In6() {
				t.Fatalf("%v of %q", p, text)
			}
			again.WriteString(p.String() + "\n")
		}
		if same, err := parseRanges([]byte(again.String())); err != nil || len(same) != len(list) {
			t.Errorf("%q: %v", again.String(), err)
		}
	})
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestSet(t *testing.T) {
	s, err := NewSet(Rules{
		Allow:  []string{"192.0.2.0/24", "2001:db8::/32"},
		Deny:   []string{"192.0.2.128/25"},
		Shadow: ShadowRules{Deny: []string{"192.0.2.1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1", true}, {"192.0.2.200", false}, {"::ffff:192.0.2.1", true}, {"::ffff:192.0.2.200", false},
		{"198.51.100.1", false}, {"2001:db8::7", true}, {"2001:db9::7", false},
	} {
		if got := s.Allows(addr(tt.addr)); got != tt.want {
			t.Errorf("%s: %v", tt.addr, got)
		}
	}
	for _, a := range []string{"192.0.2.1", "192.0.2.2"} {
		s.shadow(addr(a))
	}
	if s.Shadowed() != 1 {
		t.Errorf("%d shadowed, want 1", s.Shadowed())
	}

	// At run time.
	one := netip.MustParsePrefix("192.0.2.1/32")
	for _, want := range []bool{true, false} {
		if added, err := s.Add(Deny, one); added != want || err != nil {
			t.Errorf("added %v, %v", added, err)
		}
	}
	if s.Allows(one.Addr()) {
		t.Error("allowed after it was denied")
	}
	if p, l, ok := s.Why(one.Addr(), false); p != one || l != Deny || ok {
		t.Errorf("why: %v %v %v", p, l, ok)
	}
	if p, l, ok := s.Why(addr("192.0.2.2"), false); p.String() != "192.0.2.0/24" || l != Allow || !ok {
		t.Errorf("why: %v %v %v", p, l, ok)
	}
	if !s.Remove(Deny, one) || s.Remove(Deny, one) || !s.Allows(one.Addr()) {
		t.Error("not allowed again")
	}
	both := netip.MustParsePrefix("192.0.2.128/25")
	if s.Remove(Deny, both) {
		t.Error("removed a range of the configuration")
	}
	if added, err := s.Add(Deny, both); !added || err != nil || !s.Remove(Deny, both) || s.Allows(addr("192.0.2.200")) {
		t.Error("a range that was added and removed is no longer that of the configuration")
	}
	if s.Size(Deny) != 1 || s.Size(ShadowAllow) != 0 {
		t.Errorf("sizes %d and %d", s.Size(Deny), s.Size(ShadowAllow))
	}
}

func TestSetAddedIsBounded(t *testing.T) {
	s, _ := NewSet(Rules{})
	for i := range maxAdded {
		s.added[Deny][netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), 32)] = struct{}{}
	}
	if _, err := s.Add(Deny, netip.MustParsePrefix("203.0.113.0/24")); err != ErrFull {
		t.Errorf("one more: %v", err)
	}
}

// TestReload: a file that changes changes the rules; one that is broken or gone
// changes nothing, and is tried again.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny")
	clock := time.Now()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(time.Second)
		if err := os.Chtimes(path, clock, clock); err != nil {
			t.Fatal(err)
		}
	}
	write("# bad ones\n192.0.2.0/24\n")
	s, err := NewSet(Rules{DenyFile: path})
	if err != nil {
		t.Fatal(err)
	}
	one := addr("192.0.2.1")
	step := func(what string, changed, failed, allowed bool) {
		t.Helper()
		c, err := s.Reload()
		if c != changed || (err != nil) != failed || s.Allows(one) != allowed {
			t.Errorf("%s: changed %v, error %v, allowed %v", what, c, err, s.Allows(one))
		}
	}
	step("as before", false, false, false)
	write("192.0.2.0/33\n")
	step("broken", false, true, false)
	step("still broken", false, true, false)
	write("198.51.100.0/24\n")
	step("another range", true, false, true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	step("gone", false, true, true)
	write("192.0.2.1\n")
	step("back", true, false, false)
	if _, err := NewSet(Rules{DenyFile: path + "x"}); err == nil || !strings.Contains(err.Error(), "deny_file") {
		t.Errorf("a missing file: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "allow")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = NewSet(Rules{AllowFile: empty}); err != nil || s.Allows(one) {
		t.Errorf("an empty allow file: %v, %v", err, s.Allows(one))
	}
}

func BenchmarkAllows(b *testing.B) {
	s, _ := NewSet(Rules{})
	for i := range maxAdded {
		s.added[Deny][netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(i>>16) + 1, byte(i >> 8), byte(i), 0}), 24)] = struct{}{}
	}
	s.compileLocked()
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i += 2654435761
		s.Allows(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}))
	}
}
