package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// The promise of DESIGN.md under load: loops with their own goroutines, sessions
// that publish, join, leave and die at random, back ends that publish meanwhile, no
// link that refuses. Each session checks what it gets: from every sender the
// numbers go up one by one from its join to its leave, and never come again after a
// new join.

const (
	orderLoops    = 3
	orderSessions = 6 // on each loop
	orderTurns    = 1500
	orderBackEnds = 2
)

var (
	orderGroups = [...]string{"g", "h"}
	orderUsers  = [...]string{"", "ann", "bob"}
)

// stream is what one sender says to one group.
type stream struct{ group, sender string }

// citizen is a session that sends and checks. It lives on its loop.
type citizen struct {
	*hub.Session
	t    *testing.T
	name string
	sent [len(orderGroups)]int // publications to each group

	member  [len(orderGroups)]bool
	highest map[stream]int // number of the last message ever got
	current map[stream]int // the same within the membership of now
}

func (c *citizen) Close(code frame.CloseCode, reason string) {
	c.t.Errorf("%s was closed: %d %s", c.name, code, reason)
}

func (c *citizen) Write(frame.Opcode, []byte) bool { return true }
func (c *citizen) Expire(time.Time)                {}

func (c *citizen) Send(m *frame.Message) bool {
	_, data, ok := strings.Cut(string(m.Payload()), `"data":"`)
	if !ok {
		return true // connected
	}
	var s stream
	var n int
	if _, err := fmt.Sscanf(data, "%s %s %d", &s.group, &s.sender, &n); err != nil {
		c.t.Errorf("%s got %q: %v", c.name, m.Payload(), err)
	}
	if n <= c.highest[s] {
		c.t.Errorf("%s got %v %d after %d", c.name, s, n, c.highest[s])
	}
	if last, ok := c.current[s]; ok && n != last+1 {
		c.t.Errorf("%s got %v %d right after %d", c.name, s, n, last)
	}
	if !c.member[groupIndex(s.group)] {
		c.t.Errorf("%s got %v %d and is not a member", c.name, s, n)
	}
	c.highest[s], c.current[s] = n, n
	return true
}

func groupIndex(name string) int {
	for i, g := range orderGroups {
		if g == name {
			return i
		}
	}
	return -1
}

func (c *citizen) say(format string, args ...any) {
	c.Receive(true, fmt.Appendf(nil, format, args...))
}

func (c *citizen) publish(g int) {
	c.sent[g]++
	c.say(`{"type":"sendToGroup","group":%q,"dataType":"text","data":"%s %s %d "}`,
		orderGroups[g], orderGroups[g], c.name, c.sent[g])
}

func (c *citizen) toggle(g int) {
	c.member[g] = !c.member[g]
	if c.member[g] {
		c.say(`{"type":"joinGroup","group":%q}`, orderGroups[g])
		return
	}
	c.say(`{"type":"leaveGroup","group":%q}`, orderGroups[g])
	for s := range c.current {
		if s.group == orderGroups[g] {
			delete(c.current, s)
		}
	}
}

// backEnd publishes from a goroutine of its own.
type backEnd struct {
	hub  *hub.Hub
	name string
	sent [len(orderGroups)]int
}

func (b *backEnd) publish(g int) {
	b.sent[g]++
	b.hub.SendToGroup(orderGroups[g], text(fmt.Sprintf("%s %s %d ", orderGroups[g], b.name, b.sent[g])), hub.Selection{})
}

// look uses the rest of what back ends have, for the race detector to see. Its
// messages are none of those that the citizens check.
func look(ctx context.Context, h *hub.Hub) error {
	m := &hub.Outgoing{Data: []byte("0")}
	members, _, err := h.GroupConnections(ctx, orderGroups[0], "", 10)
	for _, c := range append(members, h.UserConnections(orderUsers[1])...) {
		h.SendToConnection(c.ID, m) // it may be gone
		h.Grant(ctx, c.ID, auth.SendToGroup, "elsewhere")
	}
	return errors.Join(err,
		h.SendToAll(m, hub.Selection{Match: func(s hub.Subject) bool { return s.InGroup(orderGroups[1]) }}),
		h.SendToUser(orderUsers[2], m, hub.Selection{}),
		h.RemoveUserFromGroup(ctx, orderUsers[2], "elsewhere"),
		h.RemoveFromGroups(ctx, []string{"elsewhere"}, nil))
}

// district is a loop with its citizens and its source of chance. As a task it is
// one turn: it does something and posts itself again.
type district struct {
	t     *testing.T
	hub   *hub.Hub
	loop  *liveLoop
	rand  *rand.Rand
	all   []*citizen
	born  int
	turns int
	done  func()
}

func (d *district) Run() {
	switch c, g := d.all[d.rand.IntN(len(d.all))], d.rand.IntN(len(orderGroups)); d.rand.IntN(10) {
	case 0, 1:
		c.toggle(g)
	case 2:
		i := d.rand.IntN(len(d.all))
		d.all[i].Closed()
		d.all[i] = d.newCitizen()
	default:
		c.publish(g)
	}
	if d.turns--; d.turns == 0 {
		d.done()
		return
	}
	d.loop.Post(d)
}

func (d *district) newCitizen() *citizen {
	d.born++
	c := &citizen{
		t:       d.t,
		name:    fmt.Sprintf("%d.%d", d.loop.index, d.born),
		highest: map[stream]int{},
		current: map[stream]int{},
	}
	id := auth.Identity{Permissions: everything, User: orderUsers[d.rand.IntN(len(orderUsers))]}
	if d.rand.IntN(2) == 0 {
		c.member[0] = true
		id.Groups = orderGroups[:1]
	}
	var err error
	if c.Session, err = d.hub.Open(d.loop, c, id, wire.JSONv1{}); err != nil {
		d.t.Errorf("Open: %v", err)
	}
	return c
}

func TestOrder(t *testing.T) {
	node := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": {}}}, orderLoops)
	h, _ := node.Hub("chat")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)

	districts := make([]*district, orderLoops)
	for i := range districts {
		districts[i] = &district{
			t: t, hub: h, loop: startLoop(t, i), turns: orderTurns,
			rand: rand.New(rand.NewPCG(seed, uint64(i))),
		}
	}
	// everywhere runs f on all loops at once and waits until it is done there.
	everywhere := func(f func(d *district)) {
		var wg sync.WaitGroup
		for _, d := range districts {
			wg.Add(1)
			d.loop.Post(taskFunc(func() { defer wg.Done(); f(d) }))
		}
		wg.Wait()
	}
	everywhere(func(d *district) {
		for range orderSessions {
			d.all = append(d.all, d.newCitizen())
		}
	})

	var busy sync.WaitGroup
	for _, d := range districts {
		busy.Add(1)
		d.done = busy.Done
		d.loop.Post(d)
	}
	backEnds := make([]*backEnd, orderBackEnds)
	for i := range backEnds {
		b := &backEnd{hub: h, name: fmt.Sprintf("back-end-%d", i)}
		backEnds[i] = b
		busy.Go(func() {
			for n := range orderTurns {
				b.publish(n % len(orderGroups))
			}
		})
	}
	busy.Go(func() {
		for range orderTurns / 50 {
			if err := look(t.Context(), h); err != nil {
				t.Error(err)
			}
		}
	})
	busy.Wait()
	everywhere(func(*district) {}) // what is on its way arrives
	for _, b := range backEnds {
		b.publish(0)
	}
	everywhere(func(d *district) {
		for _, c := range d.all {
			c.publish(0)
		}
	})
	everywhere(func(*district) {})

	// Every member has the last word of every sender, so nothing is missing at
	// the end either.
	for _, d := range districts {
		for _, c := range d.all {
			if c.member[0] {
				c.checkLastWords(districts, backEnds)
			}
		}
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
	s := h.Stats()
	t.Logf("%d published, %d delivered", s.Published, s.Delivered)
	if n := count(t, s.Dropped, "link_refused") + count(t, s.Dropped, "loop_overloaded"); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

func (c *citizen) checkLastWords(districts []*district, backEnds []*backEnd) {
	check := func(sender string, sent int) {
		if got := c.current[stream{orderGroups[0], sender}]; got != sent {
			c.t.Errorf("%s got %s's messages up to %d of %d", c.name, sender, got, sent)
		}
	}
	for _, d := range districts {
		for _, sender := range d.all {
			check(sender.name, sender.sent[0])
		}
	}
	for _, b := range backEnds {
		check(b.name, b.sent[0])
	}
}
