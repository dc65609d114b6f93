package hub_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
)

// stateView is what one client knows of the states of a group, by connection:
// "" for a member without one.
type stateView map[string]string

// watch takes in what a client was sent about group states, in order, and returns
// the joins and leaves among it.
func (v *stateView) watch(t *testing.T, messages []string, presence bool) (events []string) {
	t.Helper()
	for _, text := range messages {
		var m struct {
			Type  string
			Items []struct {
				ConnectionID, UserID, Event string
				State                       map[string]string
			}
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Errorf("%v: %s", err, text)
		}
		switch m.Type {
		case "groupStateSnapshot":
			*v = stateView{}
		case "groupStateUpdate":
		default:
			continue
		}
		for _, item := range m.Items {
			if item.Event != "" {
				events = append(events, item.Event+" "+item.UserID)
			}
			(*v)[item.ConnectionID] = item.State["k"]
			// Only who has asked for presence is told of members without a state,
			// and then a state that is taken away does not end a membership.
			if item.Event == "left" || !presence && item.State == nil {
				delete(*v, item.ConnectionID)
			}
		}
	}
	return events
}

func (c *client) set(group, value string) {
	c.say(`{"type":"setGroupState","group":%q,"state":{"k":%q}}`, group, value)
}

func (c *client) unset(group string) { c.say(`{"type":"setGroupState","group":%q}`, group) }

func (c *client) watch(group string, presence bool) {
	c.say(`{"type":"subscribeGroupState","group":%q,"presence":%v}`, group, presence)
}

func TestGroupState(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a := w.openAs(0, auth.Identity{User: "ann", Permissions: everything, Groups: []string{"g"}}, wire.JSONv1{})
	b := w.open(1, "g")
	item := func(c *client, user, state string) string {
		if user != "" {
			user = `,"userId":"` + user + `"`
		}
		if state != "" {
			state = `,"state":` + state
		}
		return fmt.Sprintf(`{"connectionId":%q%s%s,"updatedAt":%d}`, c.ID(), user, state, w.now.UnixMilli())
	}
	update := func(item string) string { return `{"type":"groupStateUpdate","group":"g","items":[` + item + `]}` }

	a.say(`{"type":"setGroupState","group":"g","state":{"mood":"good"},"ackId":1}`)
	a.told(t, "set", `{"type":"ack","ackId":1,"success":true}`)
	b.say(`{"type":"subscribeGroupState","group":"g","ackId":2}`)
	b.told(t, "subscribe", `{"type":"groupStateSnapshot","group":"g","items":[`+item(a, "ann", `{"mood":"good"}`)+`]}`,
		`{"type":"ack","ackId":2,"success":true}`)

	w.now = w.now.Add(time.Second)
	a.say(`{"type":"setGroupState","group":"g","state":{}}`)
	b.say(`{"type":"setGroupState","group":"g","state":{"k":"v"}}`)
	w.drain()
	b.told(t, "changes, its own and another's", update(item(b, "", `{"k":"v"}`)), update(item(a, "ann", "{}")))
	a.unset("g")
	a.unset("g")
	w.drain()
	b.told(t, "taken away", update(item(a, "ann", "")))
	a.set("g", "x")
	w.drain()
	b.link.take()
	a.leave("g")
	w.drain()
	b.told(t, "gone with the membership", update(item(a, "ann", "")))

	b.say(`{"type":"unsubscribeGroupState","group":"g","ackId":3}`)
	b.set("g", "y")
	b.told(t, "unsubscribe", `{"type":"ack","ackId":3,"success":true}`)
	a.told(t, "who has not asked")
	got := w.hub.Presence("g")
	if len(got) != 1 || got[0].ConnectionID != b.ID() || string(got[0].State[0].Value) != "y" {
		t.Errorf("back ends see %+v", got)
	}
	if w.hub.Presence("nowhere") != nil {
		t.Error("states of no group")
	}
}

// TestLateWatcher: what was on its way when somebody began to watch is in what it
// was told at first, and does not come once more.
func TestLateWatcher(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a, early, late := w.open(0, "g"), w.open(1, "g"), w.open(1, "g")
	early.watch("g", false)
	early.link.take()
	a.set("g", "1")
	a.set("g", "2")
	late.watch("g", false)
	if got := late.link.take(); len(got) != 1 || !strings.Contains(got[0], `"k":"2"`) {
		t.Errorf("at first %q", got)
	}
	w.drain()
	late.told(t, "what it knows")
	if got := early.link.take(); len(got) != 2 {
		t.Errorf("the other one got %q", got)
	}
}

func TestPresence(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{Groups: []hub.GroupRule{{Match: "room.*", Presence: true}}})
	as := func(user string, loop int, groups ...string) *client {
		return w.openAs(loop, auth.Identity{User: user, Permissions: everything, Groups: groups}, wire.JSONv1{})
	}
	ann, bob := as("ann", 0, "room.1"), as("bob", 1, "room.1")
	plain := as("plain", 1, "room.1")
	ann.watch("room.1", true)
	plain.watch("room.1", false)
	var view, plainView stateView
	view.watch(t, ann.link.take(), true)
	plainView.watch(t, plain.link.take(), false)
	equal(t, "members at first", slices.Sorted(maps.Keys(view)), sorted(ann.ID(), bob.ID(), plain.ID()))
	equal(t, "states at first", slices.Collect(maps.Keys(plainView)), nil)

	cid := as("cid", 0, "room.1")
	bob.set("room.1", "busy")
	bob.Closed()
	cid.leave("room.1")
	cid.join("room.1")
	w.drain()
	messages := plain.link.take()
	equal(t, "events", view.watch(t, ann.link.take(), true), []string{"joined cid", "left cid", "joined cid", "left bob"})
	equal(t, "members in the end", slices.Sorted(maps.Keys(view)), sorted(ann.ID(), cid.ID(), plain.ID()))
	if len(messages) != 2 || len(plainView.watch(t, messages, false)) != 0 {
		t.Errorf("one who has not asked for presence got %q", messages)
	}
	if got := w.hub.Presence("room.1"); len(got) != 3 || got[0].HasState {
		t.Errorf("back ends see %+v", got)
	}

	ann.join("hall")
	ann.say(`{"type":"subscribeGroupState","group":"hall","presence":true,"ackId":1}`)
	ann.told(t, "where none is kept", `{"type":"ack","ackId":1,"success":false,"error":{"name":"BadRequest","message":"no presence is kept of this group"}}`)
}

func sorted(s ...string) []string { return slices.Sorted(slices.Values(s)) }

func TestStateRefused(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxGroupStates: 2, Groups: []hub.GroupRule{{Match: "room", Presence: true}}})
	a, b, c := w.open(0, "g"), w.open(0, "g"), w.open(0, "g")
	mute := w.openAs(0, auth.Identity{Groups: []string{"g"}}, wire.JSONv1{})
	large := strings.Repeat("x", wire.MaxState-10)
	a.set("g", "x")
	b.set("g", "x")
	for _, tt := range []struct {
		name  string
		who   *client
		say   string
		label string // "" means success
	}{
		{"one more", c, `{"type":"setGroupState","group":"g","state":{}`, "states_full"},
		{"in place of one's own", b, `{"type":"setGroupState","group":"g","state":{"k":"` + large + `"}`, ""},
		{"without a role", mute, `{"type":"setGroupState","group":"g","state":{}`, "forbidden"},
		{"watch without a role", mute, `{"type":"subscribeGroupState","group":"g"`, ""},
		{"not a member", a, `{"type":"setGroupState","group":"other","state":{}`, "not_member"},
		{"watch as no member", a, `{"type":"subscribeGroupState","group":"other"`, "not_member"},
		{"unwatch as no member", a, `{"type":"unsubscribeGroupState","group":"other"`, ""},
		{"join", a, `{"type":"joinGroup","group":"room"`, ""},
		{"join, too", b, `{"type":"joinGroup","group":"room"`, ""},
		{"join a full group", c, `{"type":"joinGroup","group":"room"`, "group_full"},
		{"leave it", a, `{"type":"leaveGroup","group":"room"`, ""},
		{"join where there is room", c, `{"type":"joinGroup","group":"room"`, ""},
	} {
		before := uint64(0)
		if tt.label != "" {
			before = count(t, w.hub.Stats().Refused, tt.label)
		}
		tt.who.link.take()
		tt.who.say("%s,\"ackId\":1}", tt.say)
		got := tt.who.link.take()
		if ok := strings.Contains(got[len(got)-1], `"success":true`); ok != (tt.label == "") {
			t.Errorf("%s: %q", tt.name, got)
		}
		if tt.label != "" && count(t, w.hub.Stats().Refused, tt.label) != before+1 {
			t.Errorf("%s: not counted as %s", tt.name, tt.label)
		}
	}
}

// TestStateBytes: there is a bound for a group and one for the node.
func TestStateBytes(t *testing.T) {
	value := strings.Repeat("x", 8000)
	for name, cfg := range map[string]hub.Config{"group": {}, "node": {MaxNodeStateBytes: 100_000}} {
		t.Run(name, func(t *testing.T) {
			cfg.CreateOnFirstUse = true
			node := hub.New(cfg, 1)
			h, _ := node.Hub("chat")
			w := &world{t: t, node: node, hub: h, loops: []*stepLoop{{}}}
			var all []*client
			for range 40 {
				c := w.open(0, "g")
				c.set("g", value)
				all = append(all, c)
			}
			most := min(int64(hub.MaxStateBytes), int64(cmp.Or(cfg.MaxNodeStateBytes, 1<<30)))
			if n := node.StateBytes(); n > most || n < most-8001 {
				t.Errorf("%d bytes, of %d", n, most)
			}
			for _, c := range all {
				c.Closed()
			}
			if n := node.StateBytes(); n != 0 {
				t.Errorf("%d bytes of nobody", n)
			}
		})
	}
}

// TestStatesAfterComingBack: who was away sees what has changed meanwhile.
func TestStatesAfterComingBack(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{Presence: true})
	a := w.lasting(0, auth.Identity{Permissions: everything, Groups: []string{"g"}})
	b := w.open(0, "g")
	a.set("g", "mine")
	a.watch("g", true)
	a.lose()
	b.set("g", "new")
	w.open(0, "g").Closed()
	if err := a.resume(); err != nil {
		t.Fatal(err)
	}
	var view stateView
	view.watch(t, a.link.take(), true)
	if want := (stateView{a.ID(): "mine", b.ID(): "new"}); !maps.Equal(view, want) {
		t.Errorf("sees %v, want %v", view, want)
	}
	a.Left(a.link, false)
}

// stateClient is a client with what the model knows of it.
type stateClient struct {
	*client
	view     stateView
	in       bool
	watches  bool
	presence bool // it has asked for that
	state    string
	hasState bool
}

// TestStatesAgainstModel: at rest, everybody who watches sees what is there,
// whatever has happened and although loops were overloaded meanwhile.
func TestStatesAgainstModel(t *testing.T) {
	const limit = 6
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t, 3, hub.Tenant{Presence: true, MaxGroupStates: limit})
		var all []*stateClient
		for i := range 9 {
			all = append(all, &stateClient{client: w.open(i % 3)})
		}
		members := 0
		for range 600 {
			p := all[random.IntN(len(all))]
			switch random.IntN(9) {
			case 0:
				p.join("g")
				if !p.in && members < limit {
					p.in = true
					members++
				}
			case 1:
				p.leave("g")
				if p.in {
					members--
				}
				*p = stateClient{client: p.client, view: p.view}
			case 2, 3:
				value := fmt.Sprint(random.IntN(100))
				p.set("g", value)
				if p.in {
					p.state, p.hasState = value, true
				}
			case 4:
				p.unset("g")
				p.state, p.hasState = "", false
			case 5:
				p.view.watch(t, p.link.take(), p.presence)
				p.presence, p.watches = random.IntN(2) == 0, p.in
				p.watch("g", p.presence)
			case 6:
				if random.IntN(4) == 0 {
					p.say(`{"type":"unsubscribeGroupState","group":"g"}`)
					p.watches = false
				}
			case 7:
				w.loops[random.IntN(3)].step()
			case 8:
				w.loops[random.IntN(3)].full = random.IntN(3) == 0
			}
		}
		for _, l := range w.loops {
			l.full = false
		}
		w.drain()
		w.node.Tick() // what was not taken in the overload
		w.drain()
		for i, p := range all {
			if p.view.watch(t, p.link.take(), p.presence); !p.watches {
				continue
			}
			want := stateView{}
			for _, q := range all {
				if q.in && (q.hasState || p.presence) {
					want[q.ID()] = q.state
				}
			}
			if !maps.Equal(p.view, want) {
				t.Fatalf("seed %d: client %d sees %v, want %v", seed, i, p.view, want)
			}
		}
		if err := w.hub.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestStatesLive is the same with loops that run at once: when all is quiet,
// everybody who watches sees what back ends see.
func TestStatesLive(t *testing.T) {
	const loops, clients, rounds = 3, 12, 200
	w := newWorld(t, loops, hub.Tenant{Presence: true})
	var live []*liveLoop
	for i := range loops {
		live = append(live, startLoop(t, i))
	}
	onAll := func(do func(client int)) {
		var wg sync.WaitGroup
		for i := range clients {
			wg.Add(1)
			live[i%loops].Post(taskFunc(func() { defer wg.Done(); do(i) }))
		}
		wg.Wait()
	}
	all := make([]*client, clients)
	onAll(func(i int) { all[i] = w.openOn(live[i%loops], "g") })
	for round := range rounds {
		onAll(func(i int) {
			c := all[i]
			switch (i*7 + round*5 + i*round) % 6 {
			case 0:
				c.leave("g")
				c.join("g")
				c.watch("g", true)
			case 1:
				c.watch("g", true)
			case 2:
				c.unset("g")
			default:
				c.set("g", fmt.Sprint(round))
			}
		})
	}
	onAll(func(i int) { all[i].watch("g", true) })
	onAll(func(i int) { all[i].set("g", fmt.Sprint("last ", i)) })
	onAll(func(int) {}) // what was posted to other loops is done
	want := stateView{}
	for _, item := range w.hub.Presence("g") {
		want[item.ConnectionID] = string(item.State[0].Value)
	}
	onAll(func(i int) {
		var view stateView
		view.watch(t, all[i].link.take(), true)
		if len(view) != clients || !maps.Equal(view, want) {
			t.Errorf("client %d sees %v, want %v", i, view, want)
		}
	})
}
