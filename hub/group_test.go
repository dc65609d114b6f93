package hub_test

import (
	"fmt"
	"testing"

	"sluice/hub"
)

func TestGroupLastsFromFirstJoinToLastLeave(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a, b := w.open(0), w.open(1)
	groups := func(want int64) {
		t.Helper()
		if got := w.hub.Stats().Groups; got != want {
			t.Errorf("%d groups, want %d", got, want)
		}
	}
	groups(0)
	a.join("g")
	a.join("g")
	b.join("g")
	groups(1)
	a.leave("g")
	a.leave("g")
	groups(1)
	b.Closed()
	groups(0)
}

func TestJoinTwiceIsOneMembership(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxGroupsPerSession: 2})
	a := w.open(0, "g", "g")
	a.join("g")
	a.send("g", "once")
	equal(t, "messages", a.link.data(t), []string{"once"})
	a.leave("g")
	a.send("g", "gone")
	equal(t, "messages", a.link.data(t), nil)
}

func TestGroupLimits(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxGroupsPerSession: 2, MaxGroups: 3})
	a, b := w.open(0, "1", "2"), w.open(0, "3")

	refuse := func(c *client, group, label string) {
		t.Helper()
		before := count(t, w.hub.Stats().Refused, label)
		c.join(group)
		if n := count(t, w.hub.Stats().Refused, label); n != before+1 {
			t.Errorf("joining %s was not refused as %s", group, label)
		}
	}
	refuse(a, "3", "too_many_groups")
	a.join("1") // is in it already
	refuse(b, "4", "hub_groups_full")
	b.join("2") // exists already

	a.leave("1")
	a.join("3")
	b.leave("2")
	b.join("4")
	if s := w.hub.Stats(); s.Groups != 3 {
		t.Errorf("%d groups, want 2, 3 and 4", s.Groups)
	}
}

// TestSwapRemove takes members out of every place of a roster.
func TestSwapRemove(t *testing.T) {
	const members = 5
	for out := range members {
		w := newWorld(t, 1, hub.Tenant{})
		var clients []*client
		for i := range members {
			// The memberships of a session stand in different orders.
			groups := []string{"g", "h"}
			clients = append(clients, w.open(0, groups[i%2], groups[1-i%2]))
		}
		clients[out].leave("g")
		if err := w.hub.Check(); err != nil {
			t.Fatalf("after leave %d: %v", out, err)
		}
		w.open(0).send("g", "x")
		for i, c := range clients {
			if got := len(c.link.data(t)); (got == 1) != (i != out) {
				t.Errorf("member %d got %d copies after member %d left", i, got, out)
			}
		}
	}
}

func TestRosterGivesMemoryBack(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	var clients []*client
	for range 1000 {
		clients = append(clients, w.open(0, "g"))
	}
	for _, c := range clients[10:] {
		c.Closed()
	}
	if n := w.hub.RosterCap("g", 0); n > 64 {
		t.Errorf("room for %d members is kept for 10", n)
	}
	w.open(0).send("g", "x")
	for _, c := range clients[:10] {
		equal(t, "messages", c.link.data(t), []string{"x"})
	}
}

func TestManyGroupsOfOneSession(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a, b := w.open(0), w.open(0)
	for i := range 1000 {
		a.join(fmt.Sprint(i))
		b.join(fmt.Sprint(999 - i))
	}
	a.Closed()
	if s := w.hub.Stats(); s.Groups != 1000 || s.Sessions != 1 {
		t.Errorf("stats %+v", s)
	}
	b.Closed()
	if s := w.hub.Stats(); s.Groups != 0 || s.Sessions != 0 {
		t.Errorf("stats %+v", s)
	}
}
