package access

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func guard(t *testing.T, c Config, hubs map[string]Rules) *Guard {
	t.Helper()
	g, err := New(c.WithDefaults(100, 20), hubs, []netip.Prefix{netip.MustParsePrefix("203.0.113.1/32")})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reasonOf returns why a handshake is refused, "" where it is not.
func reasonOf(r *Refusal) Reason {
	if r == nil {
		return ""
	}
	return r.Reason
}

func TestHandshakeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{MaxHandshakesPerSecond: 2, HandshakeBurst: 4}, nil)
		client := addr("192.0.2.1")
		count := func(a netip.Addr, tries int) (in int) {
			for range tries {
				switch r := g.Handshake(a, "chat"); reasonOf(r) {
				case "":
					in++
				case Rate:
					if r.Status != 429 || r.RetryAfter == 0 {
						t.Errorf("refusal %+v", r)
					}
				default:
					t.Errorf("refused: %v", r)
				}
			}
			return in
		}
		for _, tt := range []struct {
			what string
			wait time.Duration
			addr netip.Addr
			want int
		}{
			{"the burst", 0, client, 4},
			{"at once again", 0, client, 0},
			{"another address", 0, addr("192.0.2.2"), 4},
			{"after a second", time.Second, client, 2},
			{"after a long time", time.Hour, client, 4},
			{"a private address", 0, addr("10.0.0.1"), 100},
			{"a proxy", 0, addr("203.0.113.1"), 100},
			{"no address", 0, netip.Addr{}, 100},
			{"IPv6", 0, addr("2001:db8:0:1::1"), 4},
			{"the same network", 0, addr("2001:db8:0:1::2"), 0},
			{"the next network", 0, addr("2001:db8:0:2::1"), 4},
			{"IPv4 in IPv6", 0, addr("::ffff:192.0.2.2"), 4},
		} {
			time.Sleep(tt.wait)
			if in := count(tt.addr, 100); in != tt.want {
				t.Errorf("%s: %d in, want %d", tt.what, in, tt.want)
			}
		}
	})
}

func TestNodeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{MaxNodeHandshakesPerSecond: 10}, nil)
		in := 0
		for range 100 {
			r := g.Handshake(addr("10.0.0.1"), "chat")
			if r == nil {
				in++
			} else if r.Reason != NodeRate || r.Status != 503 {
				t.Errorf("refusal %+v", r)
			}
		}
		if in != 10 {
			t.Errorf("%d in, want 10", in)
		}
	})
}

// TestAgain: a handshake that comes again after a wait pays once, and is judged by
// what holds now.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{MaxNodeHandshakesPerSecond: 1, MaxFailuresPerMinute: 1, Ban: time.Minute}, nil)
		client := addr("192.0.2.1")
		if r := g.Handshake(client, "chat"); r != nil {
			t.Fatalf("refusal %+v", r)
		}
		for range 10 {
			if r := g.Again(client, "chat"); r != nil {
				t.Fatalf("refusal %+v of one that was counted", r)
			}
		}
		g.Failed(client)
		g.Failed(client)
		if r := g.Again(client, "chat"); reasonOf(r) != Banned {
			t.Errorf("banned while it waited: refusal %+v", r)
		}
	})
}

// TestBans: they grow, an address that behaves begins anew, and one can be pardoned.
func TestBans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{MaxFailuresPerMinute: 3, Ban: time.Minute, MaxBan: 5 * time.Minute}, nil)
		client := addr("192.0.2.1")
		fail := func() {
			t.Helper()
			for range 3 {
				g.Failed(client)
			}
			if r := g.Judge(client); r != nil {
				t.Fatalf("banned too early: %v", r)
			}
			g.Failed(client)
			g.Failed(client) // what comes during a ban does not prolong it
		}
		for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
			fail()
			r := g.Handshake(client, "chat")
			if reasonOf(r) != Banned || r.Status != 429 || r.RetryAfter != want {
				t.Fatalf("refusal %+v, want a ban of %v", r, want)
			}
			if list := g.Bans(10); len(list) != 1 || list[0] != (Ban{client, want}) {
				t.Errorf("bans %v", list)
			}
			time.Sleep(want)
			if r := g.Judge(client); r != nil {
				t.Fatalf("after the ban: %v", r)
			}
		}
		time.Sleep(5*time.Minute + 1)
		fail()
		if r := g.Judge(client); r.RetryAfter != time.Minute {
			t.Errorf("after good behaviour banned for %v", r.RetryAfter)
		}
		if !g.Pardon(client) || g.Pardon(client) || g.Judge(client) != nil {
			t.Error("not pardoned")
		}
		time.Sleep(time.Hour)
		for range 3 {
			g.Failed(client)
			time.Sleep(20 * time.Second)
		}
		g.Failed(client)
		if r := g.Judge(client); r != nil {
			t.Errorf("banned for three in a minute: %v", r)
		}
		if s := g.Stats(); s.Bans != 6 || s.Tracked != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestRulesOfHubs(t *testing.T) {
	g := guard(t, Config{Rules: Rules{Deny: []string{"192.0.2.0/24"}}}, map[string]Rules{"Office": {Allow: []string{"198.51.100.0/24"}}})
	for _, tt := range []struct {
		addr, hub string
		want      Reason
	}{
		{"192.0.2.1", "chat", Denied}, {"192.0.2.1", "office", Denied}, {"198.51.100.1", "office", ""},
		{"203.0.113.9", "OFFICE", Denied}, {"203.0.113.9", "chat", ""},
	} {
		r := g.Handshake(addr(tt.addr), tt.hub)
		if reasonOf(r) != tt.want || r != nil && r.Status != 403 {
			t.Errorf("%s at %s: %v", tt.addr, tt.hub, r)
		}
	}
	if g.HubRules("chat", false) != nil {
		t.Error("a hub has rules that nobody gave it")
	}
	if _, err := g.HubRules("chat", true).Add(Deny, netip.MustParsePrefix("203.0.113.9/32")); err != nil {
		t.Fatal(err)
	}
	if r := g.Handshake(addr("203.0.113.9"), "Chat"); reasonOf(r) != Denied {
		t.Errorf("denied at run time: %v", r)
	}
	if _, err := New(Config{}.WithDefaults(1, 1), map[string]Rules{"a": {Deny: []string{"x"}}}, nil); err == nil || !strings.Contains(err.Error(), "hub a") {
		t.Errorf("a bad rule of a hub: %v", err)
	}
}

// TestPlaces: never more than the limit, whoever comes and goes at once, and nothing
// is left.
func TestPlaces(t *testing.T) {
	g := guard(t, Config{MaxPending: 3, MaxConnections: 2}, nil)
	client, other := addr("192.0.2.1"), addr("192.0.2.2")
	var wg sync.WaitGroup
	for _, a := range []netip.Addr{client, other} {
		for range 8 {
			wg.Go(func() {
				for range 1000 {
					if g.Take(a, PendingPlace) {
						if n := g.places.held(nameOf(a), PendingPlace); n > 3 {
							t.Errorf("%d places", n)
						}
						g.Release(a, PendingPlace)
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range g.places.shards {
		if n := len(g.places.shards[i].counts); n != 0 {
			t.Errorf("%d addresses left", n)
		}
	}
	for i, want := range []bool{true, true, false} {
		if got := g.Take(client, ConnectionPlace); got != want {
			t.Errorf("connection %d: %v", i, got)
		}
	}
	g.Release(client, ConnectionPlace)
	if !g.Take(client, ConnectionPlace) || !g.Take(addr("10.0.0.1"), ConnectionPlace) {
		t.Error("no place after one was given back, or for a private address")
	}
	if g.places.held(nameOf(addr("10.0.0.1")), ConnectionPlace) != 0 {
		t.Error("a private address is counted")
	}
}

// TestAttackFromAMillionAddresses: memory is what it was, and who is banned stays so
// in all likelihood.
func TestAttackFromAMillionAddresses(t *testing.T) {
	g := guard(t, Config{MaxHandshakesPerSecond: 1, MaxFailuresPerMinute: 1, MaxTracked: 4096}, nil)
	known := addr("198.51.100.1")
	g.Failed(known)
	g.Failed(known)
	for i := range 1_000_000 {
		g.Handshake(netip.AddrFrom4([4]byte{23, byte(i >> 16), byte(i >> 8), byte(i)}), "chat")
	}
	s := g.Stats()
	if s.Tracked > 4096 || s.Evicted == 0 {
		t.Errorf("stats %+v", s)
	}
	if r := g.Judge(known); reasonOf(r) != Banned {
		t.Errorf("the ban is forgotten: %v", r)
	}
}

func TestConfig(t *testing.T) {
	bad := Config{MaxPending: -1, HandshakeBurst: 3, Ban: time.Hour, MaxBan: time.Minute,
		Exempt: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/8")}, MaxTracked: 1 << 30}
	got := map[string]bool{}
	bad.Validate(func(key, _ string) { got[key] = true })
	for _, key := range []string{"max_pending", "handshake_burst", "max_ban", "exempt[0]", "max_tracked"} {
		if !got[key] {
			t.Errorf("%s is not reported", key)
		}
	}
	good := Config{}
	good.Validate(func(key, problem string) { t.Errorf("%s: %s", key, problem) })
}

func BenchmarkHandshake(b *testing.B) {
	g, _ := New(Config{MaxHandshakesPerSecond: 1000, MaxFailuresPerMinute: 10}.WithDefaults(100, 20), nil, nil)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i += 2654435761
		g.Handshake(netip.AddrFrom4([4]byte{23, byte(i >> 16), byte(i >> 8), byte(i)}), "chat")
	}
}
