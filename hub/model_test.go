package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// The model test drives three hubs with the same names of users and groups by
// random operations, of clients and of back ends, and keeps, in the simplest way,
// what each client must have got and in which order. Loops are stepped, so the
// model knows what has arrived. What back ends ask waits for no answer here: it
// stays in the loops' inboxes beside the messages.

// persona is a client with what the model knows of it.
type persona struct {
	*client
	hub, loop int
	user      string
	groups    map[string]int // to the number of the join
	roles     map[string]bool
	rules     map[rule]bool // granted and revoked
	told      bool          // the hub has closed it
	gone      bool
	want      []string
}

// rule is what a back end grants or revokes.
type rule struct {
	action auth.Action
	group  string
}

// may reports whether the persona may do something, by the model.
func (p *persona) may(a auth.Action, group string) bool {
	if allowed, ok := p.rules[rule{a, group}]; ok {
		return allowed
	}
	return p.roles[group]
}

// get notes a message for the persona, if there is somebody to get it.
func (p *persona) get(text string) {
	if !p.gone && !p.told {
		p.want = append(p.want, text)
	}
}

type model struct {
	t     *testing.T
	rand  *rand.Rand
	node  *hub.Node
	hubs  []*hub.Hub
	loops []*stepLoop
	ready []bool     // the loop has had a session
	mail  [][]func() // what each loop has still to do, oldest first
	alive []*persona
	dead  []*persona
	clock int // operations so far
	joins int
}

var (
	modelHubs   = [...]string{"red", "green", "blue"}
	modelGroups = [...]string{"a", "b", "c", "d"}
	modelUsers  = [...]string{"", "ann", "bob", "cid"}
)

const (
	modelMaxPerUser = 3
	modelMaxGroups  = 3 // of a session
)

// cancelled is the context of a back end that waits for nothing.
var cancelled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func TestAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &model{t: t, rand: rand.New(rand.NewPCG(seed, 0)), mail: make([][]func(), 3), ready: make([]bool, 3)}
	m.node = hub.New(hub.Config{
		CreateOnFirstUse: true,
		Defaults:         hub.Tenant{MaxConnectionsPerUser: modelMaxPerUser, MaxGroupsPerSession: modelMaxGroups},
	}, len(m.mail))
	for _, name := range modelHubs {
		h, _ := m.node.Hub(name)
		m.hubs = append(m.hubs, h)
	}
	for i := range m.mail {
		m.loops = append(m.loops, &stepLoop{index: i})
	}
	for m.clock = range 30_000 {
		m.operate()
	}
	for i := range m.loops {
		for m.step(i) {
		}
	}
	m.compare()
}

func (m *model) operate() {
	if len(m.alive) == 0 {
		m.open()
		return
	}
	p := m.alive[m.rand.IntN(len(m.alive))]
	group := modelGroups[m.rand.IntN(len(modelGroups))]
	switch n := m.rand.IntN(100); {
	case n < 4 && len(m.alive) < 40:
		m.open()
	case n < 7:
		m.close(p)
	case n < 17:
		m.join(p, group)
	case n < 24:
		m.leave(p, group)
	case n < 40:
		m.publish(p, group, n%2 == 0)
	case n < 60:
		m.backEnd(p, group)
	default:
		m.step(m.rand.IntN(len(m.loops)))
	}
	if m.clock%500 == 0 {
		m.compare()
	}
}

func (m *model) open() {
	p := &persona{
		client: &client{link: &fakeLink{}},
		hub:    m.rand.IntN(len(m.hubs)),
		loop:   m.rand.IntN(len(m.loops)),
		user:   modelUsers[m.rand.IntN(len(modelUsers))],
		groups: map[string]int{},
		roles:  map[string]bool{},
		rules:  map[rule]bool{},
	}
	id := auth.Identity{User: p.user}
	var all []string
	for _, g := range modelGroups[:m.rand.IntN(len(modelGroups)+1)] {
		p.roles[g] = true
		all = append(all, "sluice.joinLeaveGroup."+g, "sluice.sendToGroup."+g)
	}
	id.Permissions = roles(all...)
	full := p.user != "" && len(m.of(p.hub, func(q *persona) bool { return q.user == p.user })) == modelMaxPerUser
	if m.rand.IntN(2) == 0 {
		id.Groups = modelGroups[:2]
	}
	var err error
	p.Session, err = m.hubs[p.hub].Open(m.loops[p.loop], p.link, id, wire.JSONv1{})
	m.ready[p.loop] = true
	if e := (*frame.Error)(nil); full != errors.As(err, &e) {
		m.t.Fatalf("Open of a user that is full (%v): %v", full, err)
	}
	if full {
		return
	}
	for _, g := range id.Groups {
		m.enter(p, g)
	}
	m.alive = append(m.alive, p)
}

// of returns the living clients of a hub that a test holds for.
func (m *model) of(hub int, is func(*persona) bool) (all []*persona) {
	for _, p := range m.alive {
		if p.hub == hub && is(p) {
			all = append(all, p)
		}
	}
	return all
}

func (m *model) close(p *persona) {
	p.Closed()
	p.gone = true
	clear(p.groups)
	m.alive = slices.DeleteFunc(m.alive, func(q *persona) bool { return q == p })
	m.dead = append(m.dead, p)
}

// enter makes a persona a member, in the model.
func (m *model) enter(p *persona, group string) {
	if _, ok := p.groups[group]; !ok && !p.gone && len(p.groups) < modelMaxGroups {
		m.joins++
		p.groups[group] = m.joins
	}
}

func (m *model) join(p *persona, group string) {
	p.join(group)
	if p.may(auth.JoinLeaveGroup, group) && !p.told {
		m.enter(p, group)
	}
}

func (m *model) leave(p *persona, group string) {
	p.leave(group)
	if p.may(auth.JoinLeaveGroup, group) && !p.told {
		delete(p.groups, group)
	}
}

// text is a message that says where it comes from, so that a crossing is seen.
func (m *model) text(hub int) string { return fmt.Sprintf("%s %d", modelHubs[hub], m.clock) }

func (m *model) publish(p *persona, group string, noEcho bool) {
	text := m.text(p.hub)
	p.say(`{"type":"sendToGroup","group":%q,"dataType":"text","data":%q,"noEcho":%v}`, group, text, noEcho)
	if !p.may(auth.SendToGroup, group) || p.told {
		return
	}
	m.spread(p.hub, group, text, p.loop, func(q *persona) bool { return q != p || !noEcho })
}

// spread is a publication to a group: at once on the loop home, by mail on the
// others that have members.
func (m *model) spread(hub int, group, text string, home int, takes func(*persona) bool) {
	for loop := range m.loops {
		since := map[*persona]int{}
		for _, q := range m.of(hub, func(q *persona) bool { return q.loop == loop }) {
			if joined, ok := q.groups[group]; ok {
				since[q] = joined
			}
		}
		// Who has left meanwhile, or joined anew, does not get it.
		arrive := func() {
			for q, joined := range since {
				if now, ok := q.groups[group]; ok && now == joined && takes(q) {
					q.get(text)
				}
			}
		}
		switch {
		case loop == home:
			arrive()
		case len(since) > 0:
			m.mail[loop] = append(m.mail[loop], arrive)
		}
	}
}

// each gives the loops of some clients a task about them.
func (m *model) each(some []*persona, do func(*persona)) {
	for loop := range m.loops {
		var there []*persona
		for _, p := range some {
			if p.loop == loop {
				there = append(there, p)
			}
		}
		if len(there) > 0 {
			m.mail[loop] = append(m.mail[loop], func() {
				for _, p := range there {
					do(p)
				}
			})
		}
	}
}

// everywhere gives a task about all clients of a hub that are there when it runs
// to the loops for which there holds.
func (m *model) everywhere(hub int, there func(loop int) bool, do func(*persona)) {
	for loop := range m.loops {
		if there(loop) {
			m.mail[loop] = append(m.mail[loop], func() {
				for _, p := range m.of(hub, func(p *persona) bool { return p.loop == loop }) {
					do(p)
				}
			})
		}
	}
}

func (m *model) inhabited(hub int) func(loop int) bool {
	used := map[int]bool{}
	for _, p := range m.of(hub, func(*persona) bool { return true }) {
		used[p.loop] = true
	}
	return func(loop int) bool { return used[loop] }
}

// backEnd does one thing that back ends do, in the hub of p.
func (m *model) backEnd(p *persona, group string) {
	h, text, user := m.hubs[p.hub], m.text(p.hub), p.user
	ofUser := func(q *persona) bool { return user != "" && q.user == user }
	isMember := func(q *persona) bool { _, ok := q.groups[group]; return ok }
	message := &hub.Outgoing{DataType: wire.Text, Data: []byte(text)}
	onlyMembers := hub.Selection{Match: func(s hub.Subject) bool { return s.InGroup(group) }}
	notP := hub.Selection{Excluded: []string{p.ID()}}
	enter := func(q *persona) { m.enter(q, group) }

	switch m.rand.IntN(14) {
	case 0:
		h.SendToAll(message, onlyMembers)
		m.everywhere(p.hub, func(loop int) bool { return m.ready[loop] }, func(q *persona) {
			if isMember(q) {
				q.get(text)
			}
		})
	case 1, 2:
		h.SendToGroup(group, message, notP)
		m.spread(p.hub, group, text, -1, func(q *persona) bool { return q != p })
	case 3:
		h.SendToUser(user, message, hub.Selection{})
		m.each(m.of(p.hub, ofUser), func(q *persona) { q.get(text) })
	case 4:
		h.SendToConnection(p.ID(), message)
		m.each([]*persona{p}, func(q *persona) { q.get(text) })
	case 5:
		h.AddConnectionToGroup(cancelled, p.ID(), group)
		m.each([]*persona{p}, enter)
	case 6:
		h.RemoveConnectionFromGroup(cancelled, p.ID(), group)
		m.each([]*persona{p}, func(q *persona) { delete(q.groups, group) })
	case 7:
		h.AddUserToGroup(cancelled, user, group)
		m.each(m.of(p.hub, ofUser), enter)
	case 8:
		h.RemoveUserFromAllGroups(cancelled, user)
		m.each(m.of(p.hub, ofUser), func(q *persona) { clear(q.groups) })
	case 9:
		h.AddToGroups(cancelled, []string{group}, func(s hub.Subject) bool { return s.UserID() == user })
		m.everywhere(p.hub, m.inhabited(p.hub), func(q *persona) {
			if q.user == user {
				m.enter(q, group)
			}
		})
	case 10:
		h.RemoveFromGroups(cancelled, []string{group}, func(s hub.Subject) bool { return s.UserID() == user })
		m.everywhere(p.hub, m.inhabited(p.hub), func(q *persona) {
			if q.user == user {
				delete(q.groups, group)
			}
		})
	case 11, 12:
		grant := m.rand.IntN(2) == 0
		change := h.Revoke
		if grant {
			change = h.Grant
		}
		a := auth.Action(m.rand.IntN(2)) // one of the two there are
		change(cancelled, p.ID(), a, group)
		m.each([]*persona{p}, func(q *persona) { q.rules[rule{a, group}] = grant })
	case 13:
		h.CloseUser(user, hub.Selection{Excluded: []string{p.ID()}}, "enough")
		m.each(m.of(p.hub, ofUser), func(q *persona) { q.told = q.told || q != p && !q.gone })
	}
}

// step lets one task of a loop run, in the hub and in the model.
func (m *model) step(loop int) bool {
	if got, want := len(m.loops[loop].tasks), len(m.mail[loop]); got != want {
		m.t.Fatalf("loop %d has %d tasks, the model %d", loop, got, want)
	}
	if !m.loops[loop].step() {
		return false
	}
	m.mail[loop][0]()
	m.mail[loop] = m.mail[loop][1:]
	return true
}

func (m *model) compare() {
	m.t.Helper()
	for _, p := range append(m.alive, m.dead...) {
		equal(m.t, fmt.Sprintf("client of %s on loop %d after %d operations", modelHubs[p.hub], p.loop, m.clock),
			p.link.data(m.t), p.want)
		p.want = nil
		if p.link.closed != p.told {
			m.t.Fatalf("client of %s closed: %v, in the model %v", modelHubs[p.hub], p.link.closed, p.told)
		}
	}
	m.dead = nil
	for i, h := range m.hubs {
		m.compareHub(i, h)
	}
	if m.t.Failed() {
		m.t.FailNow()
	}
}

func (m *model) compareHub(i int, h *hub.Hub) {
	m.t.Helper()
	if err := h.Check(); err != nil {
		m.t.Fatal(err)
	}
	groups, users := map[string]bool{}, map[string]int{}
	all := m.of(i, func(*persona) bool { return true })
	for _, p := range all {
		for g := range p.groups {
			groups[g] = true
		}
		users[p.user]++
	}
	if s := h.Stats(); s.Sessions != int64(len(all)) || s.Groups != int64(len(groups)) {
		m.t.Fatalf("hub %s has %d sessions and %d groups, the model %d and %d",
			s.Hub, s.Sessions, s.Groups, len(all), len(groups))
	}
	for _, g := range modelGroups {
		if h.HasGroup(g) != groups[g] {
			m.t.Fatalf("hub %s has group %s: %v", h.Name(), g, !groups[g])
		}
	}
	for _, u := range modelUsers[1:] {
		if n := len(h.UserConnections(u)); n != users[u] || h.HasUser(u) != (n > 0) {
			m.t.Fatalf("hub %s has %d connections of %s, the model %d", h.Name(), n, u, users[u])
		}
	}
	for _, p := range m.alive {
		if h.HasConnection(p.ID()) != (p.hub == i) {
			m.t.Fatalf("hub %s knows a connection of %s: %v", h.Name(), modelHubs[p.hub], p.hub != i)
		}
	}
}
