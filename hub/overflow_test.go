package hub_test

import (
	"testing"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// ruleLink keeps what may become of the last message.
type ruleLink struct {
	fakeLink
	overflow frame.Overflow
	key      string
}

func (l *ruleLink) Send(m *frame.Message) bool {
	l.overflow, l.key = m.Overflow(), m.Key()
	return l.fakeLink.Send(m)
}

// TestSlowConsumer says what the rules of a hub and its groups make of messages.
func TestSlowConsumer(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{
		SlowConsumer: hub.SlowDropNewest,
		Groups: []hub.GroupRule{
			{Match: "ticker.old.*", SlowConsumer: hub.SlowDropOldest},
			{Match: "ticker.**", SlowConsumer: hub.SlowConflate},
			{Match: "chat", SlowConsumer: hub.SlowClose},
		},
	})
	other := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": {}, "last": {SlowConsumer: hub.SlowConflate}}}, 1)
	plain, _ := other.Hub("chat")
	last, _ := other.Hub("last")
	loops := map[*hub.Hub]*stepLoop{w.hub: w.loops[0], plain: {}}
	loops[last] = loops[plain] // of the same node
	for _, c := range []struct {
		hub      *hub.Hub
		group    string // "" sends to all
		key      string
		overflow frame.Overflow
		want     string // key
	}{
		{w.hub, "lobby", "", frame.OverflowDropNewest, ""},
		{w.hub, "ticker.old.a", "", frame.OverflowDropOldest, ""},
		{w.hub, "ticker.a", "", frame.OverflowConflate, "ticker.a"},
		{w.hub, "ticker.a", "k", frame.OverflowConflate, "ticker.a\xffk"},
		{w.hub, "chat", "", frame.OverflowClose, ""},
		{w.hub, "chat", "k", frame.OverflowConflate, "chat\xffk"},
		{w.hub, "", "", frame.OverflowDropNewest, ""},
		{w.hub, "", "k", frame.OverflowConflate, "\xffk"},
		{plain, "ticker.a", "", frame.OverflowClose, ""},
		{plain, "", "", frame.OverflowClose, ""},
		{last, "g", "", frame.OverflowConflate, "g"},
		{last, "", "", frame.OverflowConflate, ""},
	} {
		link, loop := &ruleLink{}, loops[c.hub]
		id := auth.Identity{Permissions: everything}
		if c.group != "" {
			id.Groups = []string{c.group}
		}
		s, err := c.hub.Open(loop, link, id, wire.JSONv1{})
		if err != nil {
			t.Fatal(err)
		}
		check := func(by string) {
			t.Helper()
			if link.overflow != c.overflow || link.key != c.want {
				t.Errorf("hub %s, group %q, key %q, by a %s: %d, %q, want %d, %q",
					c.hub.Name(), c.group, c.key, by, link.overflow, link.key, c.overflow, c.want)
			}
		}
		m := &hub.Outgoing{Data: []byte("1"), ConflationKey: c.key}
		if c.group == "" {
			err = c.hub.SendToConnection(s.ID(), m)
		} else {
			err = c.hub.SendToGroup(c.group, m, hub.Selection{})
		}
		if err != nil {
			t.Fatal(err)
		}
		loop.drain()
		check("back end")
		if c.group != "" {
			link.overflow, link.key = 0, ""
			s.Request(wire.Request{Kind: wire.SendToGroup, Group: []byte(c.group), Data: []byte("1"), ConflationKey: []byte(c.key)})
			check("client")
		}
		s.Closed()
	}
}
