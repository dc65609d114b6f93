package hub_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// TestDuplicateLogin connects one user three times, on two loops, and somebody
// without a user id twice.
func TestDuplicateLogin(t *testing.T) {
	for _, c := range []struct {
		name   string
		tenant hub.Tenant
		want   string // of each connection: open, refused or replaced
	}{
		{"allow", hub.Tenant{}, "ooo"},
		{"at most two", hub.Tenant{MaxConnectionsPerUser: 2}, "oor"},
		{"newest wins", hub.Tenant{DuplicateLogin: hub.NewestWins}, "xxo"},
		{"oldest wins", hub.Tenant{DuplicateLogin: hub.OldestWins}, "orr"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 2, c.tenant)
			w.open(0)
			w.open(1)
			got := ""
			var links []*fakeLink
			for i := range 3 {
				link := &fakeLink{}
				links = append(links, link)
				_, err := w.hub.Open(w.loops[i%2], link, auth.Identity{User: "ann"}, wire.JSONv1{})
				var e *frame.Error
				if errors.As(err, &e) && e.Code == frame.CloseTryAgainLater {
					link.closed, link.code = true, e.Code
				}
				w.drain()
			}
			for _, l := range links {
				switch {
				case !l.closed:
					got += "o"
				case l.code == frame.CloseReplaced:
					got += "x"
				case l.code == frame.CloseTryAgainLater:
					got += "r"
				}
			}
			if got != c.want {
				t.Errorf("connections %q, want %q", got, c.want)
			}
		})
	}
}

// TestRates: what is above the rate is refused to clients and back ends alike,
// and comes through when time has passed. Another hub notices nothing.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		name   string
		tenant hub.Tenant
		burst  int // messages of ten bytes that may come at once
	}{
		{"messages", hub.Tenant{MaxMessagesPerSecond: 4}, 4},
		{"bytes", hub.Tenant{MaxBytesPerSecond: 30}, 3},
		{"bytes, less than a message", hub.Tenant{MaxBytesPerSecond: 5}, 1},
		{"both", hub.Tenant{MaxMessagesPerSecond: 2, MaxBytesPerSecond: 1000}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, c.tenant)
			a := w.open(0, "g")
			a.link.got = nil
			for range c.burst {
				a.send("g", "0123456789")
			}
			if got := len(a.link.data(t)); got != c.burst {
				t.Fatalf("%d messages of %d came through", got, c.burst)
			}
			a.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"0123456789","ackId":1}`)
			a.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"0123456789"}`)
			equal(t, "above the rate", a.link.take(), []string{
				`{"type":"ack","ackId":1,"success":false,"error":{"name":"TooManyRequests","message":"the hub is over its rate of messages"}}`})
			for _, err := range []error{
				w.hub.SendToAll(text("0123456789"), hub.Selection{}),
				w.hub.SendToGroup("g", text("0123456789"), hub.Selection{}),
				w.hub.SendToUser("ann", text("0123456789"), hub.Selection{}),
				w.hub.SendToConnection(a.ID(), text("0123456789")),
			} {
				if !errors.Is(err, hub.ErrRateLimited) {
					t.Errorf("error %v", err)
				}
			}
			if n := count(t, w.hub.Stats().Refused, "rate_limited"); n != 6 {
				t.Errorf("counted %d", n)
			}
			w.wait(2 * time.Second)
			if err := w.hub.SendToAll(text("0123456789"), hub.Selection{}); err != nil {
				t.Errorf("after two seconds: %v", err)
			}
			w.drain()
			equal(t, "after two seconds", a.link.data(t), []string{"0123456789"})
		})
	}
}

// TestRateIsNotShared: a hub at its limits takes nothing from another one.
func TestRateIsNotShared(t *testing.T) {
	limits := hub.Tenant{MaxMessagesPerSecond: 1, MaxSessions: 1}
	node := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"a": limits, "b": limits}}, 1)
	for _, name := range []string{"a", "b"} {
		h, _ := node.Hub(name)
		w := &world{t: t, node: node, hub: h, loops: []*stepLoop{{}}}
		c := w.open(0, "g")
		c.send("g", "1")
		c.send("g", "2")
		equal(t, "hub "+name, c.link.data(t), []string{"1"})
	}
}

func TestMessageSize(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxMessageSize: 120})
	a, b := w.open(0, "g"), w.open(0, "g")
	a.send("g", fmt.Sprintf("%40d", 1))
	a.send("g", fmt.Sprintf("%90d", 2))
	if got := len(b.link.data(t)); got != 1 {
		t.Errorf("%d messages of two came through", got)
	}
	if !a.link.closed || a.link.code != frame.CloseMessageTooBig {
		t.Errorf("closed %v with %d", a.link.closed, a.link.code)
	}
	if err := w.hub.SendToAll(text(fmt.Sprintf("%121d", 3)), hub.Selection{}); !errors.Is(err, hub.ErrMessageTooLarge) {
		t.Errorf("error %v", err)
	}
	if n := count(t, w.hub.Stats().Refused, "too_large"); n != 2 {
		t.Errorf("counted %d", n)
	}
}

// TestPermissions walks one connection through grants and revocations.
func TestPermissions(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.openAs(0, auth.Identity{Permissions: roles("sluice.joinLeaveGroups.room.*", "sluice.sendToGroup.one")}, wire.JSONv1{})
	may := func(action auth.Action, group string) bool {
		t.Helper()
		var allowed bool
		err := w.eagerly(func() (err error) {
			allowed, err = w.hub.Allowed(t.Context(), a.ID(), action, group)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return allowed
	}
	for _, step := range []struct {
		do     func(action auth.Action, group string) error
		action auth.Action
		group  string
		want   bool
	}{
		{nil, auth.JoinLeaveGroup, "room.1", true},
		{nil, auth.JoinLeaveGroup, "hall", false},
		{nil, auth.SendToGroup, "room.1", false},
		{w.grant(a), auth.JoinLeaveGroup, "hall", true},
		{nil, auth.SendToGroup, "hall", false},
		{w.revoke(a), auth.JoinLeaveGroup, "room.1", false},
		{nil, auth.JoinLeaveGroup, "room.2", true},
		{w.grant(a), auth.JoinLeaveGroup, "room.1", true},
		{w.revoke(a), auth.SendToGroup, "one", false},
		{w.revoke(a), auth.JoinLeaveGroup, "hall", false},
	} {
		if step.do != nil {
			if err := step.do(step.action, step.group); err != nil {
				t.Fatal(err)
			}
		}
		if got := may(step.action, step.group); got != step.want {
			t.Errorf("action %d on %s is allowed: %v", step.action, step.group, got)
		}
	}
	a.say(`{"type":"joinGroup","group":"hall","ackId":1}`)
	a.say(`{"type":"joinGroup","group":"room.1","ackId":2}`)
	if err := w.revoke(a)(auth.JoinLeaveGroup, "room.1"); err != nil {
		t.Fatal(err)
	}
	w.hub.SendToGroup("room.1", text("still a member"), hub.Selection{})
	w.drain()
	equal(t, "messages", a.link.take(), []string{
		`{"type":"ack","ackId":1,"success":false,"error":{"name":"Forbidden","message":"no role allows this for the group"}}`,
		`{"type":"ack","ackId":2,"success":true}`,
		`{"type":"message","from":"group","group":"room.1","dataType":"text","data":"still a member"}`,
	})
}

func (w *world) grant(c *client) func(auth.Action, string) error {
	return func(a auth.Action, group string) error {
		return w.eagerly(func() error { return w.hub.Grant(w.t.Context(), c.ID(), a, group) })
	}
}

func (w *world) revoke(c *client) func(auth.Action, string) error {
	return func(a auth.Action, group string) error {
		return w.eagerly(func() error { return w.hub.Revoke(w.t.Context(), c.ID(), a, group) })
	}
}

func TestTooManyRules(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.open(0)
	for i := range 1000 {
		if err := w.revoke(a)(auth.SendToGroup, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.revoke(a)(auth.SendToGroup, "1000"); !errors.Is(err, hub.ErrTooManyRules) {
		t.Errorf("error %v", err)
	}
	if err := w.grant(a)(auth.SendToGroup, "1"); err != nil {
		t.Errorf("a rule that is there: %v", err)
	}
	if err := w.grant(a)(auth.JoinLeaveGroup, "1"); err != nil {
		t.Errorf("the other action: %v", err)
	}
}
