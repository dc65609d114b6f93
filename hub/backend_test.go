package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// text is a message from a back end.
func text(s string) *hub.Outgoing {
	return &hub.Outgoing{DataType: wire.Text, Data: []byte(s)}
}

// user opens a session of that user, in those groups.
func (w *world) user(loop int, name string, groups ...string) *client {
	w.t.Helper()
	return w.openAs(loop, auth.Identity{User: name, Groups: groups, Permissions: everything}, wire.JSONv1{})
}

// TestSendTo has a back end send to everything that can be sent to.
func TestSendTo(t *testing.T) {
	excludeB := func(ids []string) hub.Selection { return hub.Selection{Excluded: []string{ids[1], "no id"}} }
	onlyG := func([]string) hub.Selection {
		return hub.Selection{Match: func(s hub.Subject) bool { return s.InGroup("g") }}
	}
	all := func([]string) hub.Selection { return hub.Selection{} }
	for _, c := range []struct {
		name    string
		select_ func(ids []string) hub.Selection
		send    func(h *hub.Hub, ids []string, s hub.Selection) error
		want    string // who gets it, of a, b, c, d
	}{
		{"all", all, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToAll(text("x"), s) }, "abcd"},
		{"all but b", excludeB, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToAll(text("x"), s) }, "acd"},
		{"all of g", onlyG, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToAll(text("x"), s) }, "ab"},
		{"group", all, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToGroup("g", text("x"), s) }, "ab"},
		{"group but b", excludeB, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToGroup("g", text("x"), s) }, "a"},
		{"no group", all, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToGroup("none", text("x"), s) }, ""},
		{"user", all, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToUser("ann", text("x"), s) }, "bc"},
		{"user but b", excludeB, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToUser("ann", text("x"), s) }, "c"},
		{"no user", all, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToUser("bob", text("x"), s) }, ""},
		{"anonymous", all, func(h *hub.Hub, _ []string, s hub.Selection) error { return h.SendToUser("", text("x"), s) }, ""},
		{"connection", all, func(h *hub.Hub, ids []string, _ hub.Selection) error { return h.SendToConnection(ids[3], text("x")) }, "d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3, hub.Tenant{})
			clients := []*client{w.open(0, "g"), w.user(1, "ann", "g"), w.user(0, "ann"), w.open(1)}
			var ids []string
			for _, c := range clients {
				ids = append(ids, c.ID())
			}
			if err := c.send(w.hub, ids, c.select_(ids)); err != nil {
				t.Fatal(err)
			}
			w.drain()
			got := ""
			for i, c := range clients {
				if slices.Equal(c.link.data(t), []string{"x"}) {
					got += "abcd"[i : i+1]
				}
			}
			if got != c.want {
				t.Errorf("got by %q, want %q", got, c.want)
			}
			if s := w.hub.Stats(); s.Delivered+s.Told != uint64(len(c.want)) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestFrom says what the messages of back ends look like.
func TestFrom(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.open(0, "g")
	w.hub.SendToAll(&hub.Outgoing{Data: []byte(`{"n": 1}`)}, hub.Selection{})
	w.hub.SendToGroup("g", text("hello"), hub.Selection{})
	w.drain()
	equal(t, "messages", a.link.take(), []string{
		`{"type":"message","from":"server","dataType":"json","data":{"n": 1}}`,
		`{"type":"message","from":"group","group":"g","dataType":"text","data":"hello"}`,
	})
}

// TestBackEndOrder: what one goroutine sends arrives in order, whatever it is
// sent to, and a client gets nothing that was sent after it was closed.
func TestBackEndOrder(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a := w.user(1, "ann", "g")
	w.hub.SendToAll(text("1"), hub.Selection{})
	w.hub.SendToGroup("g", text("2"), hub.Selection{})
	w.hub.SendToUser("ann", text("3"), hub.Selection{})
	w.hub.SendToConnection(a.ID(), text("4"))
	w.hub.CloseUser("ann", hub.Selection{}, "enough")
	w.hub.SendToAll(text("5"), hub.Selection{})
	w.drain()
	equal(t, "messages", a.link.data(t), []string{"1", "2", "3", "4"})
	if a.link.code != frame.CloseNormal || a.link.reason != "enough" {
		t.Errorf("closed with %d %q", a.link.code, a.link.reason)
	}
	a.Closed()
	for name, err := range map[string]error{
		"send":  w.hub.SendToConnection(a.ID(), text("6")),
		"close": w.hub.CloseConnection(a.ID(), ""),
		"add":   w.hub.AddConnectionToGroup(t.Context(), a.ID(), "g"),
		"grant": w.hub.Grant(t.Context(), a.ID(), auth.SendToGroup, "g"),
	} {
		if !errors.Is(err, hub.ErrNoConnection) {
			t.Errorf("%s: %v, want ErrNoConnection", name, err)
		}
	}
}

func TestBackEndOverload(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a, b := w.user(0, "ann", "g"), w.user(1, "ann", "g")
	w.loops[1].full = true
	for name, err := range map[string]error{
		"all":        w.hub.SendToAll(text("x"), hub.Selection{}),
		"group":      w.hub.SendToGroup("g", text("x"), hub.Selection{}),
		"user":       w.hub.SendToUser("ann", text("x"), hub.Selection{}),
		"connection": w.hub.SendToConnection(b.ID(), text("x")),
		"close":      w.hub.CloseConnection(b.ID(), ""),
		"add":        w.hub.AddConnectionToGroup(t.Context(), b.ID(), "h"),
	} {
		if !errors.Is(err, hub.ErrOverloaded) {
			t.Errorf("%s: %v, want ErrOverloaded", name, err)
		}
	}
	w.loops[1].full = false
	w.drain()
	if got := a.link.data(t); len(got) != 3 {
		t.Errorf("the free loop delivered %q", got)
	}
	equal(t, "full loop", b.link.data(t), nil)
	if n := count(t, w.hub.Stats().Dropped, "loop_overloaded"); n != 4 {
		t.Errorf("%d copies dropped, want 4", n)
	}
}

// TestMembershipByBackEnds: clients need no role for it, and see what is
// published after it.
func TestMembershipByBackEnds(t *testing.T) {
	matchB := func(s hub.Subject) bool { return s.UserID() == "ann" && len(s.Groups()) > 0 }
	for _, c := range []struct {
		name string
		do   func(ctx context.Context, h *hub.Hub, a, b string) error
		want string // members of "new" then, of a, b, c; b is in "old" before
		old  string
	}{
		{"add connection", func(ctx context.Context, h *hub.Hub, a, _ string) error { return h.AddConnectionToGroup(ctx, a, "new") }, "a", "b"},
		{"add user", func(ctx context.Context, h *hub.Hub, _, _ string) error { return h.AddUserToGroup(ctx, "ann", "new") }, "ab", "b"},
		{"add matching", func(ctx context.Context, h *hub.Hub, _, _ string) error {
			return h.AddToGroups(ctx, []string{"new", "old"}, matchB)
		}, "b", "b"},
		{"add all", func(ctx context.Context, h *hub.Hub, _, _ string) error {
			return h.AddToGroups(ctx, []string{"new", "old"}, nil)
		}, "abc", "abc"},
		{"remove connection", func(ctx context.Context, h *hub.Hub, _, b string) error {
			return h.RemoveConnectionFromGroup(ctx, b, "old")
		}, "", ""},
		{"remove connection from all", func(ctx context.Context, h *hub.Hub, _, b string) error {
			return h.RemoveConnectionFromAllGroups(ctx, b)
		}, "", ""},
		{"remove user", func(ctx context.Context, h *hub.Hub, _, _ string) error {
			return h.RemoveUserFromGroup(ctx, "ann", "old")
		}, "", ""},
		{"remove user from all", func(ctx context.Context, h *hub.Hub, _, _ string) error { return h.RemoveUserFromAllGroups(ctx, "ann") }, "", ""},
		{"remove matching", func(ctx context.Context, h *hub.Hub, _, _ string) error {
			return h.RemoveFromGroups(ctx, []string{"old", "none"}, matchB)
		}, "", ""},
		{"unknown user", func(ctx context.Context, h *hub.Hub, _, _ string) error {
			return errors.Join(h.AddUserToGroup(ctx, "bob", "new"), h.RemoveUserFromGroup(ctx, "bob", "old"),
				h.RemoveUserFromAllGroups(ctx, ""))
		}, "", "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2, hub.Tenant{})
			nobody := func(loop int, user string, groups ...string) *client {
				return w.openAs(loop, auth.Identity{User: user, Groups: groups}, wire.JSONv1{})
			}
			clients := []*client{nobody(0, "ann"), nobody(1, "ann", "old"), nobody(1, "")}
			err := w.eagerly(func() error { return c.do(t.Context(), w.hub, clients[0].ID(), clients[1].ID()) })
			if err != nil {
				t.Fatal(err)
			}
			for group, want := range map[string]string{"new": c.want, "old": c.old} {
				w.hub.SendToGroup(group, text("x"), hub.Selection{})
				w.drain()
				got := ""
				for i, c := range clients {
					if len(c.link.data(t)) == 1 {
						got += "abc"[i : i+1]
					}
				}
				if got != want || w.hub.HasGroup(group) != (want != "") {
					t.Errorf("in %s: %q, want %q", group, got, want)
				}
			}
		})
	}
}

func TestMembershipErrors(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxGroupsPerSession: 2, MaxGroups: 3, MaxGroupNameBytes: 5})
	a, b := w.user(0, "ann", "1", "2"), w.user(0, "ann", "3")
	for _, c := range []struct {
		name string
		do   func(ctx context.Context) error
		want error
	}{
		{"too many of a connection", func(ctx context.Context) error { return w.hub.AddConnectionToGroup(ctx, a.ID(), "3") }, hub.ErrTooManyGroups},
		{"too many in the hub", func(ctx context.Context) error { return w.hub.AddConnectionToGroup(ctx, b.ID(), "4") }, hub.ErrGroupsFull},
		{"too long", func(ctx context.Context) error { return w.hub.AddConnectionToGroup(ctx, b.ID(), "longer") }, hub.ErrInvalidGroup},
		{"blank, for a user", func(ctx context.Context) error { return w.hub.AddUserToGroup(ctx, "ann", " ") }, hub.ErrInvalidGroup},
		{"blank, for all", func(ctx context.Context) error { return w.hub.AddToGroups(ctx, []string{"1", ""}, nil) }, hub.ErrInvalidGroup},
		{"sent to a blank one", func(context.Context) error { return w.hub.SendToGroup("", text("x"), hub.Selection{}) }, hub.ErrInvalidGroup},
		{"one of a user's", func(ctx context.Context) error { return w.hub.AddUserToGroup(ctx, "ann", "3") }, hub.ErrTooManyGroups},
		{"permission for a blank one", func(ctx context.Context) error { return w.hub.Grant(ctx, a.ID(), auth.SendToGroup, "") }, hub.ErrInvalidGroup},
	} {
		if err := w.eagerly(func() error { return c.do(t.Context()) }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if s := w.hub.Stats(); count(t, s.Refused, "too_many_groups") != 2 || count(t, s.Refused, "hub_groups_full") != 1 {
		t.Errorf("stats %+v", s)
	}
}

// TestWaitEnds: a caller that waits no longer does not keep the loop from doing
// what it was asked.
func TestWaitEnds(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.open(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.hub.AddConnectionToGroup(ctx, a.ID(), "g"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.drain()
	a.send("g", "x")
	equal(t, "messages", a.link.data(t), []string{"x"})
}

// TestSweep closes and joins many more than are visited in one turn, while
// others come and go.
func TestSweep(t *testing.T) {
	const many = 5000
	w := newWorld(t, 1, hub.Tenant{})
	var clients []*client
	for i := range many {
		clients = append(clients, w.open(0, "all", fmt.Sprint("third ", i%3)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.hub.AddToGroups(ctx, []string{"new"}, func(s hub.Subject) bool { return s.InGroup("third 1") })
	w.loops[0].step()
	for i := range 1500 { // from the front: the last ones move there
		clients[i].Closed()
	}
	w.open(0, "third 1")
	w.drain()
	w.hub.SendToGroup("new", text("x"), hub.Selection{})
	w.drain()
	for i, c := range clients {
		if got := len(c.link.data(t)) == 1; got != (i >= 1500 && i%3 == 1) {
			t.Fatalf("client %d is a member: %v", i, got)
		}
	}

	w.hub.CloseGroup("third 2", hub.Selection{Excluded: []string{clients[many-1].ID()}}, "done")
	w.drain()
	for i, c := range clients[1500 : many-1] {
		if c.link.closed != ((i+1500)%3 == 2) {
			t.Fatalf("client %d closed: %v", i, c.link.closed)
		}
	}
	w.hub.CloseAll(hub.Selection{}, "done")
	w.drain()
	for i, c := range clients[1500:] {
		if !c.link.closed {
			t.Fatalf("client %d is not closed", i)
		}
	}
}

func TestLookups(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a, b := w.user(0, "ann", "g"), w.user(1, "ann")
	var got []string
	for _, c := range w.hub.UserConnections("ann") {
		got = append(got, c.ID)
		if c.User != "ann" {
			t.Errorf("user %q", c.User)
		}
	}
	slices.Sort(got)
	want := []string{a.ID(), b.ID()}
	slices.Sort(want)
	equal(t, "connections of ann", got, want)
	last := a.ID()[25]
	twin := a.ID()[:25] + string(last+1) // decodes to the same bytes
	for what, is := range map[string]bool{
		"connection": w.hub.HasConnection(a.ID()), "user": w.hub.HasUser("ann"), "group": w.hub.HasGroup("g"),
	} {
		if !is {
			t.Errorf("no %s", what)
		}
	}
	for _, id := range []string{"", "x", twin, a.ID() + "a", b.ID()[:25]} {
		if w.hub.HasConnection(id) {
			t.Errorf("there is a connection %q", id)
		}
	}
	a.Closed()
	if w.hub.HasConnection(a.ID()) || w.hub.HasGroup("g") || !w.hub.HasUser("ann") {
		t.Error("the closed connection is not gone, or its user is")
	}
	b.Closed()
	if w.hub.HasUser("ann") || w.hub.HasUser("") || len(w.hub.UserConnections("ann")) != 0 {
		t.Error("a user without connections is there")
	}
}

// TestGroupConnections reads groups of several sizes in pages of several sizes.
func TestGroupConnections(t *testing.T) {
	for _, members := range []int{0, 1, 7, 300} {
		w := newWorld(t, 2, hub.Tenant{})
		var want []string
		for i := range members {
			want = append(want, w.user(i%2, "ann", "g").ID())
		}
		w.open(0, "other")
		slices.Sort(want)
		for _, limit := range []int{1, 7, 300, 1000} {
			var got []string
			after, pages := "", 0
			for {
				var page []hub.ConnectionInfo
				err := w.eagerly(func() (err error) {
					page, after, err = w.hub.GroupConnections(t.Context(), "g", after, limit)
					return err
				})
				if err != nil || len(page) > limit {
					t.Fatalf("%d connections, %v", len(page), err)
				}
				for _, c := range page {
					got = append(got, c.ID)
				}
				if pages++; after == "" {
					break
				}
			}
			if most := max(1, (members+limit-1)/limit); pages > most {
				t.Errorf("%d pages of %d for %d members", pages, limit, members)
			}
			slices.Sort(got)
			equal(t, fmt.Sprintf("%d members in pages of %d", members, limit), got, want)
		}
	}
	w := newWorld(t, 1, hub.Tenant{})
	if _, _, err := w.hub.GroupConnections(t.Context(), "g", "nonsense", 5); !errors.Is(err, hub.ErrNoConnection) {
		t.Errorf("error %v", err)
	}
}
