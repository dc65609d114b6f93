package hub_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
)

// The model test drives three hubs with the same group names by random operations
// and keeps, in the simplest way, what each client must have got and in which
// order. Loops are stepped, so the model knows what has arrived.

// persona is a client with what the model knows of it.
type persona struct {
	*client
	hub, loop int
	groups    map[string]int // to the number of the operation that joined it
	want      []string
}

// letter is a publication on its way to one loop, in the model.
type letter struct {
	group, text string
	to          map[*persona]int // members at publication: see persona.groups
}

type model struct {
	t     *testing.T
	rand  *rand.Rand
	node  *hub.Node
	hubs  []*hub.Hub
	loops []*stepLoop
	mail  [][]letter // for each loop, oldest first
	alive []*persona
	dead  []*persona
	clock int // operations so far
}

var (
	modelHubs   = [...]string{"red", "green", "blue"}
	modelGroups = [...]string{"a", "b", "c", "d"}
)

func TestAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &model{t: t, rand: rand.New(rand.NewPCG(seed, 0)), mail: make([][]letter, 3)}
	m.node = hub.New(hub.Config{CreateOnFirstUse: true}, len(m.mail))
	for _, name := range modelHubs {
		h, _ := m.node.Hub(name)
		m.hubs = append(m.hubs, h)
	}
	for i := range m.mail {
		m.loops = append(m.loops, &stepLoop{index: i})
	}
	for m.clock = range 20_000 {
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
	case n < 20:
		m.join(p, group)
	case n < 30:
		m.leave(p, group)
	case n < 55:
		m.publish(p, group, n%2 == 0)
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
		groups: map[string]int{},
	}
	id := auth.Identity{Permissions: everything}
	if m.rand.IntN(2) == 0 {
		id.Groups = []string{modelGroups[0], modelGroups[1]}
		p.groups[modelGroups[0]], p.groups[modelGroups[1]] = m.clock, m.clock
	}
	var err error
	if p.Session, err = m.hubs[p.hub].Open(m.loops[p.loop], p.link, id, wire.JSONv1{}); err != nil {
		m.t.Fatalf("Open: %v", err)
	}
	m.alive = append(m.alive, p)
}

func (m *model) close(p *persona) {
	p.Closed()
	clear(p.groups)
	for i := range m.alive {
		if m.alive[i] == p {
			m.alive = append(m.alive[:i], m.alive[i+1:]...)
			break
		}
	}
	m.dead = append(m.dead, p)
}

func (m *model) join(p *persona, group string) {
	p.join(group)
	if _, ok := p.groups[group]; !ok {
		p.groups[group] = m.clock
	}
}

func (m *model) leave(p *persona, group string) {
	p.leave(group)
	delete(p.groups, group)
}

func (m *model) publish(p *persona, group string, noEcho bool) {
	text := fmt.Sprintf("%s %d", modelHubs[p.hub], m.clock)
	p.say(`{"type":"sendToGroup","group":%q,"dataType":"text","data":%q,"noEcho":%v}`, group, text, noEcho)

	letters := make([]letter, len(m.loops))
	for i := range letters {
		letters[i] = letter{group, text, map[*persona]int{}}
	}
	for _, q := range m.alive {
		since, member := q.groups[group]
		if member && q.hub == p.hub && (q != p || !noEcho) {
			letters[q.loop].to[q] = since
		}
	}
	for i, l := range letters {
		switch {
		case i == p.loop:
			l.arrive()
		case len(l.to) > 0:
			m.mail[i] = append(m.mail[i], l)
		}
	}
}

// arrive gives the letter to those who are still in the group by the same join.
func (l letter) arrive() {
	for p, since := range l.to {
		if now, ok := p.groups[l.group]; ok && now == since {
			p.want = append(p.want, l.text)
		}
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
	m.mail[loop][0].arrive()
	m.mail[loop] = m.mail[loop][1:]
	return true
}

func (m *model) compare() {
	m.t.Helper()
	for _, p := range append(m.alive, m.dead...) {
		equal(m.t, fmt.Sprintf("client of %s on loop %d after %d operations", modelHubs[p.hub], p.loop, m.clock),
			p.link.data(m.t), p.want)
		p.want = nil
	}
	m.dead = nil
	for i, h := range m.hubs {
		if err := h.Check(); err != nil {
			m.t.Fatal(err)
		}
		var sessions int64
		groups := map[string]bool{}
		for _, p := range m.alive {
			if p.hub == i {
				sessions++
				for g := range p.groups {
					groups[g] = true
				}
			}
		}
		if s := h.Stats(); s.Sessions != sessions || s.Groups != int64(len(groups)) {
			m.t.Fatalf("hub %s has %d sessions and %d groups, the model %d and %d",
				s.Hub, s.Sessions, s.Groups, sessions, len(groups))
		}
	}
	if m.t.Failed() {
		m.t.FailNow()
	}
}
