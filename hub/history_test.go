package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
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

// remembering is a hub that keeps the last so many messages of each group.
func remembering(messages int) hub.Tenant { return hub.Tenant{HistoryMessages: messages} }

func (c *client) joinLast(group string, n int) {
	c.say(`{"type":"joinGroup","group":%q,"history":{"last":%d},"ackId":1}`, group, n)
}

func (c *client) joinSince(group string, since uint64, epoch string) {
	c.say(`{"type":"joinGroup","group":%q,"history":{"since":%d,"epoch":%q},"ackId":1}`, group, since, epoch)
}

// told is what a client got about a history, and the offsets and texts after it.
type told struct {
	Type, Group, Epoch, Data string
	Offset                   uint64
	Complete, Success        bool
}

func (c *client) remembered(t *testing.T) (all []told) {
	t.Helper()
	for _, text := range c.link.take() {
		var v told
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		all = append(all, v)
	}
	return all
}

// lines writes what a client was told in short.
func lines(all []told) (text []string) {
	for _, v := range all {
		switch v.Type {
		case "ack":
			text = append(text, fmt.Sprintf("ack %v", v.Success))
		case "history":
			text = append(text, fmt.Sprintf("history to %d complete %v", v.Offset, v.Complete))
		case "message":
			text = append(text, fmt.Sprintf("%d %s", v.Offset, v.Data))
		}
	}
	return text
}

func TestHistory(t *testing.T) {
	w := newWorld(t, 2, remembering(3))
	ann := w.open(0)
	for i := range 5 { // nobody is there
		ann.send("g", fmt.Sprint("m", i+1))
	}
	ben := w.open(1)
	ben.joinLast("g", 2)
	w.drain()
	got := ben.remembered(t)
	equal(t, "the last two", lines(got), []string{"ack true", "history to 5 complete true", "4 m4", "5 m5"})
	epoch := got[1].Epoch

	plain := w.open(0, "g")
	ann.send("g", "m6")
	w.drain()
	equal(t, "live, for who has asked", lines(ben.remembered(t)), []string{"6 m6"})
	equal(t, "live, for who has not", lines(plain.remembered(t)), []string{"0 m6"})

	carl := w.open(0)
	carl.joinSince("g", 4, epoch)
	equal(t, "since an offset", lines(carl.remembered(t)), []string{"ack true", "history to 6 complete true", "5 m5", "6 m6"})
	for _, tt := range []struct {
		name  string
		since uint64
		epoch string
		want  []string
	}{
		{"up to date", 6, epoch, []string{"ack true", "history to 6 complete true"}},
		{"from the future", 60, epoch, []string{"ack true", "history to 6 complete true"}},
		{"too long ago", 1, epoch, []string{"ack true", "history to 6 complete false", "4 m4", "5 m5", "6 m6"}},
		{"of another epoch", 6, "elsewhere", []string{"ack true", "history to 6 complete false", "4 m4", "5 m5", "6 m6"}},
	} {
		c := w.open(1)
		c.joinSince("g", tt.since, tt.epoch)
		equal(t, tt.name, lines(c.remembered(t)), tt.want)
	}

	// A member that asks later is told offsets from then on.
	plain.joinLast("g", 1)
	ann.send("g", "m7")
	w.drain()
	equal(t, "a member", lines(plain.remembered(t)), []string{"ack true", "history to 6 complete true", "6 m6", "7 m7"})
}

// TestHistoryOnTheWay: what was published when a client joins, and is still on its
// way to the client's loop, comes once.
func TestHistoryOnTheWay(t *testing.T) {
	w := newWorld(t, 2, remembering(100))
	ann, ben := w.open(0), w.open(1, "g")
	for i := range 4 {
		ann.send("g", fmt.Sprint("m", i+1)) // posted to ben's loop, and not run
	}
	ben.joinLast("g", 1)
	carl := w.open(1)
	carl.joinLast("g", 1)
	w.drain()
	equal(t, "a member gets what it would have missed", lines(ben.remembered(t)),
		[]string{"ack true", "history to 4 complete true", "1 m1", "2 m2", "3 m3", "4 m4"})
	if got := lines(carl.remembered(t)); got[len(got)-1] != "4 m4" || slices.Contains(got[:len(got)-1], "4 m4") {
		t.Errorf("a newcomer got %q", got)
	}
}

func TestHistoryKeeps(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{HistoryMessages: 10, HistoryBytes: 1000, HistoryAge: time.Minute})
	ann := w.open(0, "g")
	history := func() string {
		p, err := w.hub.History("g", 0, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, m := range p.Messages {
			fmt.Fprintf(&b, "%d %.8s, ", m.Offset, m.Data)
		}
		return fmt.Sprint(b.String(), p.Complete)
	}
	if got := history(); got != "true" {
		t.Errorf("of nothing: %q", got)
	}
	ann.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"brief","ttlSeconds":10}`)
	ann.say(`{"type":"sendToGroup","group":"g","dataType":"json","data":{"a":1},"noEcho":true}`)
	w.hub.SendToGroup("g", text("end"), hub.Selection{})
	w.hub.SendToGroup("g", text("not for all"), hub.Selection{Excluded: []string{ann.ID()}})
	ann.say(`{"type":"sendToGroup","group":"g","stream":{"streamId":"s"}}`)
	ann.say(`{"type":"streamData","streamId":"s","streamSequenceId":1,"dataType":"text","data":"part"}`)
	if got := history(); got != `1 brief, 2 {"a":1}, 3 end, true` {
		t.Errorf("after five publications: %q", got)
	}
	w.wait(11 * time.Second)
	if got := history(); got != `2 {"a":1}, 3 end, true` {
		t.Errorf("after its time: %q", got)
	}
	ann.send("g", strings.Repeat("x", 500)) // the bytes are full
	if got := history(); got != `3 end, 4 xxxxxxxx, false` {
		t.Errorf("over the bytes: %q", got)
	}
	ann.send("g", strings.Repeat("y", 900)) // never fits
	if got := history(); got != "false" {
		t.Errorf("a message above the limit: %q", got)
	}
	ann.send("g", "last")
	ann.leave("g")
	if got := history(); got != "6 last, false" {
		t.Errorf("with nobody there: %q", got)
	}
	w.wait(2 * time.Minute)
	if got := history(); got != "true" || w.node.HistoryBytes() != 0 {
		t.Errorf("when all is old: %q, %d bytes", got, w.node.HistoryBytes())
	}
}

func TestNoHistory(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{Groups: []hub.GroupRule{{Match: "log.*", HistoryMessages: 5}}})
	c := w.open(0)
	c.joinLast("g", 1)
	c.joinLast("log.a", 1)
	equal(t, "answers", lines(c.remembered(t)), []string{"ack false", "ack true", "history to 0 complete true"})
	c.send("g", "to nobody")
	if w.hub.HasGroup("g") {
		t.Error("a client that was refused is a member")
	}
	for group, want := range map[string]error{"g": hub.ErrNoHistory, "": hub.ErrInvalidGroup, "log.a": nil} {
		if _, err := w.hub.History(group, 0, "", 1); !errors.Is(err, want) {
			t.Errorf("history of %q: error %v, want %v", group, err, want)
		}
	}
}

// TestHistoryBudget: above the budget of the node the histories go that nothing was
// added to for longest.
func TestHistoryBudget(t *testing.T) {
	const groups, size = 50, 1000
	node := hub.New(hub.Config{MaxNodeHistoryBytes: 20 * (size + 250), Hubs: map[string]hub.Tenant{"chat": remembering(10)}}, 1)
	h, _ := node.Hub("chat")
	m := text(strings.Repeat("x", size))
	for i := range groups {
		if err := h.SendToGroup(fmt.Sprint("g", i), m, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
		if got := node.HistoryBytes(); got > 20*(size+250) {
			t.Fatalf("%d bytes are kept", got)
		}
	}
	kept := func(i int) bool { p, _ := h.History(fmt.Sprint("g", i), 0, "", 1); return len(p.Messages) > 0 }
	if !kept(groups-1) || kept(0) && kept(1) && kept(2) {
		t.Error("the newest is gone, or the oldest are there")
	}
	if evicted := node.HistoryEvicted(); evicted < groups-20 || evicted > groups-10 {
		t.Errorf("%d messages evicted", evicted)
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
}

// TestHistoryOfReliable: a session that has to acknowledge gets no more than it may
// owe, in its numbering, and after it came back the rest of that and nothing twice.
func TestHistoryOfReliable(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{HistoryMessages: 100, MaxUnackedMessages: 20})
	ann := w.open(0)
	for i := range 30 {
		ann.send("g", fmt.Sprint("m", i+1))
	}
	g, _, _ := wire.Select([]string{"json.reliable.sluice.v1"}, false)
	c := w.openAs(0, auth.Identity{Permissions: everything}, g)
	c.joinLast("g", 30)
	ann.send("g", "live")
	w.drain()
	got := lines(c.remembered(t))
	want := []string{"ack true", "history to 30 complete false"}
	for i := 21; i <= 30; i++ {
		want = append(want, fmt.Sprintf("%d m%d", i, i))
	}
	equal(t, "a reliable session", got, append(want, "31 live"))
}

// TestHistoryIsExact has back ends and clients on live loops publish while others
// join: whoever joins gets every offset from the first that it is told on, once and
// in order.
func TestHistoryIsExact(t *testing.T) {
	const loops, publishers, each, joiners = 3, 4, 300, 60
	node := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": remembering(40)}}, loops)
	h, _ := node.Hub("chat")
	var live []*liveLoop
	for i := range loops {
		live = append(live, startLoop(t, i))
	}
	links := make([]*fakeLink, joiners)
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := range each {
				h.SendToGroup("g", text(fmt.Sprint(p, i)), hub.Selection{})
			}
		})
	}
	id := auth.Identity{Permissions: everything}
	for j := range joiners {
		all.Add(1)
		l := live[j%loops]
		r := rand.New(rand.NewPCG(uint64(j), 1))
		l.Post(taskFunc(func() {
			defer all.Done()
			links[j] = &fakeLink{}
			var groups []string
			if r.IntN(2) == 0 {
				groups = []string{"g"} // a member before it asks
			}
			id := id
			id.Groups = groups
			s, err := h.Open(l, links[j], id, wire.JSONv1{})
			if err != nil {
				t.Error(err)
				return
			}
			ask := taskFunc(func() {
				defer all.Done()
				links[j].take()
				s.Receive(true, fmt.Appendf(nil, `{"type":"joinGroup","group":"g","history":{"last":%d}}`, 1+r.IntN(30)))
				s.Receive(true, []byte(`{"type":"sendToGroup","group":"g","dataType":"text","data":"own"}`))
			})
			all.Add(1)
			l.Post(ask)
		}))
	}
	all.Wait()
	for _, l := range live {
		l.stop()
	}
	const last = publishers*each + joiners
	for j, link := range links {
		c := &client{link: link}
		var next uint64
		for _, v := range c.remembered(t) {
			if v.Type != "message" {
				continue
			}
			if next != 0 && v.Offset != next {
				t.Fatalf("client %d got offset %d, want %d", j, v.Offset, next)
			}
			next = v.Offset + 1
		}
		if next != last+1 {
			t.Errorf("client %d got the last offset %d, want %d", j, next-1, last)
		}
	}
}
