package hub_test

import (
	"fmt"
	"sync"
	"testing"

	"sluice/hub"
)

func TestHubNames(t *testing.T) {
	n := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"Chat": {}}}, 1)
	a, ok := n.Hub("chat")
	if !ok || a.Name() != "chat" {
		t.Fatalf("hub %v, %v", a, ok)
	}
	if b, ok := n.Hub("CHAT"); !ok || b != a {
		t.Error("the case of the letters matters")
	}
	if _, ok := n.Hub("other"); ok {
		t.Error("an undeclared hub exists")
	}
}

func TestCreateOnFirstUse(t *testing.T) {
	n := hub.New(hub.Config{
		Hubs:             map[string]hub.Tenant{"declared": {}},
		CreateOnFirstUse: true,
		MaxHubs:          3,
	}, 1)
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"a", true}, {"A", true}, {"not a name", false}, {"", false},
		{"b", true}, {"c", false}, {"b", true}, {"Declared", true},
	} {
		if h, ok := n.Hub(c.name); ok != c.ok || (h != nil) != c.ok {
			t.Errorf("hub %q: %v, %v, want %v", c.name, h, ok, c.ok)
		}
	}
	var names []string
	for _, s := range n.Stats() {
		names = append(names, s.Hub)
	}
	equal(t, "hubs", names, []string{"a", "b", "declared"})
}

func TestMaxHubsIsExact(t *testing.T) {
	const limit = 10
	n := hub.New(hub.Config{CreateOnFirstUse: true, MaxHubs: limit}, 1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 100 {
				n.Hub(fmt.Sprintf("h%d", i))
			}
		})
	}
	wg.Wait()
	if got := len(n.Stats()); got != limit {
		t.Errorf("%d hubs, want %d", got, limit)
	}
}

func TestStatsListEveryLabel(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	s := w.hub.Stats()
	seen := map[string]bool{}
	for _, c := range append(s.Dropped, s.Refused...) {
		if c.Label == "" || c.Label == "accepted" || seen[c.Label] || c.N != 0 {
			t.Errorf("label %q, %d", c.Label, c.N)
		}
		seen[c.Label] = true
	}
	if s.Hub != "chat" {
		t.Errorf("hub %q", s.Hub)
	}
}
