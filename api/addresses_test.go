package api

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/access"
)

func newGuard(t *testing.T, c access.Config) *access.Guard {
	t.Helper()
	g, err := access.New(c.WithDefaults(100, 20), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// step is a call and what is answered.
type step struct {
	method, path string
	status       int
	want         string // in the body
}

func walk(t *testing.T, h http.Handler, steps []step) {
	t.Helper()
	for _, s := range steps {
		w := ask(h, s.method, s.path, "", "")
		if w.Code != s.status || !strings.Contains(w.Body.String(), s.want) {
			t.Errorf("%s %s: %d %s, want %d and %q", s.method, s.path, w.Code, w.Body, s.status, s.want)
		}
	}
}

// TestAddressRules goes through the rules of a hub, each answer held against the
// document.
func TestAddressRules(t *testing.T) {
	g := newGuard(t, access.Config{})
	d := dataOf(&fakeHub{})
	d.AddressRules = g.HubRules
	const rules = "/api/hubs/chat/addressRules"
	walk(t, checked(t, NewData(d)), []step{
		{"GET", rules, 200, `{"value":[]}`},
		{"DELETE", rules + "/deny?range=192.0.2.1", 404, codeNoRange},
		{"PUT", rules + "/deny?range=192.0.2.0/24", 201, `{"list":"deny","range":"192.0.2.0/24"}`},
		{"PUT", rules + "/deny?range=192.0.2.0/24", 200, `"deny"`},
		{"PUT", rules + "/shadow_allow?range=2001:db8::1", 201, `"2001:db8::1/128"`},
		{"GET", rules, 200, `{"value":[{"list":"deny","range":"192.0.2.0/24"},{"list":"shadow_allow","range":"2001:db8::1/128"}]}`},
		{"DELETE", rules + "/deny?range=192.0.2.1/24", 400, "write 192.0.2.0/24"},
		{"PUT", rules + "/deny?range=here", 400, "no range"},
		{"PUT", rules + "/perhaps?range=192.0.2.0/24", 404, "shadow_allow"},
		{"PUT", "/api/hubs/none/addressRules/deny?range=192.0.2.0/24", 404, codeNotFound},
	})
	if r := g.Handshake(netip.MustParseAddr("192.0.2.7"), "chat"); r == nil {
		t.Error("the rule is not in force")
	}
	if r := g.Handshake(netip.MustParseAddr("192.0.2.7"), "other"); r != nil {
		t.Errorf("in force for another hub: %v", r)
	}
	walk(t, checked(t, NewData(d)), []step{
		{"DELETE", rules + "/deny?range=192.0.2.0/24", 204, ""},
		{"DELETE", rules + "/deny?range=192.0.2.0/24", 404, codeNoRange},
	})
	if r := g.Handshake(netip.MustParseAddr("192.0.2.7"), "chat"); r != nil {
		t.Errorf("still in force: %v", r)
	}
}

// TestNodeCalls: the same for the node, and its bans.
func TestNodeCalls(t *testing.T) {
	g := newGuard(t, access.Config{MaxFailuresPerMinute: 1})
	calls := map[string]int{}
	var refusal error
	h := NewNode(Node{
		Authorize: func(*http.Request) error { return refusal },
		Guard:     g,
		Observe:   func(operation string, status int, _ time.Duration) { calls[operation+" "+http.StatusText(status)]++ },
	})
	guesser := netip.MustParseAddr("192.0.2.7")
	g.Failed(guesser)
	g.Failed(guesser)
	walk(t, h, []step{
		{"PUT", "/api/node/addressRules/deny?range=198.51.100.0/24", 201, `"198.51.100.0/24"`},
		{"GET", "/api/node/addressRules", 200, `"198.51.100.0/24"`},
		{"DELETE", "/api/node/addressRules/deny?range=198.51.100.0/24", 204, ""},
		{"GET", "/api/node/bans", 200, `{"value":[{"address":"192.0.2.7","seconds":`},
		{"DELETE", "/api/node/bans/192.0.2.7", 204, ""},
		{"DELETE", "/api/node/bans/192.0.2.7", 404, codeNoBan},
		{"DELETE", "/api/node/bans/alice", 400, codeBadRequest},
		{"GET", "/api/node/bans", 200, `{"value":[]}`},
		{"POST", "/api/node/bans", 404, codeNotFound},
	})
	refusal = errors.New("no")
	walk(t, h, []step{{"GET", "/api/node/bans", 401, codeUnauthorized}})
	if calls["list_bans OK"] != 2 || calls["list_bans Unauthorized"] != 1 || calls["end_ban No Content"] != 1 {
		t.Errorf("observed %v", calls)
	}
}
