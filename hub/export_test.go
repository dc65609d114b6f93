package hub

import (
	"fmt"
	"slices"
	"time"
	"unsafe"

	"sluice/engine/wheel"
	"sluice/hub/wire"
)

const (
	SessionSize     = unsafe.Sizeof(Session{})
	ExtraSize       = unsafe.Sizeof(extra{})
	ReliableSize    = unsafe.Sizeof(reliable{})
	MembershipSize  = unsafe.Sizeof(membership{})
	MemberSize      = unsafe.Sizeof(member{})
	RosterSize      = unsafe.Sizeof(roster{})
	GroupSize       = unsafe.Sizeof(group{})
	DeliverySize    = unsafe.Sizeof(delivery{})
	PublicationSize = unsafe.Sizeof(publication{})
)

// MaxStreams is how many streams a session has under way.
const MaxStreams = maxStreams

// MaxStateBytes bounds the states of a group.
const MaxStateBytes = maxStateBytes

// Speak teaches the node one more grammar; before the first session only.
func (n *Node) Speak(g wire.Grammar) { n.speak(g) }

// Request gives the session a message that is decoded already.
func (s *Session) Request(req wire.Request) { s.handle(&req) }

// BackEnd returns the session's hub.
func (s *Session) BackEnd() *Hub { return s.hub }

// SetClock gives the node another clock; before the first session only.
func (n *Node) SetClock(now func() time.Time) {
	n.now, n.started = now, now()
	for i := range n.lanes {
		n.lanes[i].wheel = wheel.New[extra](wheelSlots, n.tickAt(n.started))
	}
}

// RosterCap returns the capacity of a group's list of members on one loop.
func (h *Hub) RosterCap(group string, loop int) int {
	g, ok := h.groups.Load(group)
	if !ok {
		return 0
	}
	return cap(g.rosters[loop].members)
}

// Check compares everything that is written down twice: counts with lists, and
// memberships with the places they point to. All loops must be at rest.
func (h *Hub) Check() error {
	if err := h.checkRegistry(); err != nil {
		return err
	}
	groups := 0
	var err error
	h.groups.Range(func(name string, g *group) bool {
		groups++
		err = g.check(name)
		return err == nil
	})
	if err != nil {
		return err
	}
	stateBytes := 0
	h.groups.Range(func(_ string, g *group) bool {
		if st := g.states.Load(); st != nil {
			stateBytes += st.bytes
		}
		return true
	})
	if h.node.hubs.Len() == 1 && h.node.StateBytes() != int64(stateBytes) {
		return fmt.Errorf("hub %s: %d bytes of state, %d counted", h.name, stateBytes, h.node.StateBytes())
	}
	if err := h.checkHistories(); err != nil {
		return err
	}
	if n := h.groupCount.Load(); n != int64(groups) {
		return fmt.Errorf("hub %s counts %d groups and has %d", h.name, n, groups)
	}
	return nil
}

// checkRegistry compares the sessions of the loops with what other goroutines can
// look up.
func (h *Hub) checkRegistry() error {
	sessions, users, speakers := 0, 0, [maxGrammars]int32{}
	away := int64(0)
	for i := range h.residents {
		r := &h.residents[i]
		if int(r.count.Load()) != len(r.sessions) {
			return fmt.Errorf("hub %s, loop %d: count %d, %d sessions", h.name, i, r.count.Load(), len(r.sessions))
		}
		if want := len(r.sessions); r.paced && len(r.paces) != want || !r.paced && r.paces != nil {
			return fmt.Errorf("hub %s, loop %d: %d paces, %d sessions", h.name, i, len(r.paces), want)
		}
		for at, s := range r.sessions {
			sessions++
			speakers[s.grammar]++
			if r := s.lasting(); r != nil && r.away != 0 {
				away++
			}
			if s.lane.index != i || s.place != int32(at) || s.hub != h {
				return fmt.Errorf("hub %s, loop %d: session %d does not know its place", h.name, i, at)
			}
			if h.connections.find(s.id) != s {
				return fmt.Errorf("hub %s: session %s cannot be found", h.name, s.ID())
			}
			if s.user == "" {
				continue
			}
			users++
			if !slices.Contains(h.users.all(s.user), s) {
				return fmt.Errorf("hub %s: session %s is not among those of user %s", h.name, s.ID(), s.user)
			}
		}
	}
	known := 0
	for i := range indexStripes {
		known += h.connections.stripes[i].t.count
		st := &h.users.stripes[i]
		users -= st.ones.count
		for user, all := range st.crowd {
			users -= len(all)
			for at, s := range all {
				if len(all) < 2 || s.userPlace != int32(at) || s.user != user {
					return fmt.Errorf("hub %s: session %d of %d of user %s is out of place", h.name, at, len(all), user)
				}
			}
		}
	}
	if known != sessions || h.sessions.Load() != int64(known) || users != 0 {
		return fmt.Errorf("hub %s: %d sessions, %d counted, %d known, %d more than its users have", h.name, sessions, h.sessions.Load(), known, users)
	}
	if n := h.away.Load(); n != away {
		return fmt.Errorf("hub %s: %d sessions away, %d counted", h.name, away, n)
	}
	for i := range speakers {
		if n := h.speakers[i].Load(); n != speakers[i] {
			return fmt.Errorf("hub %s: counts %d speakers of grammar %d and has %d", h.name, n, i, speakers[i])
		}
	}
	return nil
}

func (g *group) check(name string) error {
	refs, speakers := 0, [maxGrammars]int32{}
	for i := range g.rosters {
		r := &g.rosters[i]
		if int(r.count.Load()) != len(r.members) {
			return fmt.Errorf("group %s, loop %d: count %d, %d members", name, i, r.count.Load(), len(r.members))
		}
		refs += len(r.members)
		for at, m := range r.members {
			speakers[m.grammar]++
			if m.session.lane.index != i {
				return fmt.Errorf("group %s: a session of loop %d in the roster of loop %d", name, m.session.lane.index, i)
			}
			k := m.session.membership(g)
			if st := g.states.Load(); st != nil && g.policy().presence && st.items[m.session.id] == nil {
				return fmt.Errorf("group %s, loop %d: member %d is not known to be there", name, i, at)
			}
			if k < 0 || m.session.memberships[k].index != int32(at) {
				return fmt.Errorf("group %s, loop %d: member %d does not know its place", name, i, at)
			}
		}
	}
	if err := g.checkStates(name, refs); err != nil {
		return err
	}
	if int32(refs) != g.refs || refs == 0 {
		return fmt.Errorf("group %s: %d references, %d members", name, g.refs, refs)
	}
	for i := range speakers {
		if n := g.speakers[i].Load(); n != speakers[i] {
			return fmt.Errorf("group %s: counts %d speakers of grammar %d and has %d", name, n, i, speakers[i])
		}
	}
	return nil
}

func (h *Hub) checkHistories() (err error) {
	bytes := 0
	h.histories.Range(func(name string, hist *history) bool {
		sum, refs := 0, 0
		for i, p := range hist.past {
			sum += p.size()
			if want := hist.newest.Load() - uint64(len(hist.past)-1-i); p.message.Offset != want {
				err = fmt.Errorf("history of %s: message %d has offset %d, want %d", name, i, p.message.Offset, want)
			}
		}
		if _, ok := h.groups.Load(name); ok {
			refs = 1
		}
		if bytes += sum; sum != hist.bytes || hist.refs != refs || hist.count.Load() != int32(len(hist.past)) {
			err = fmt.Errorf("history of %s: %d messages, %d counted, %d bytes, %d counted, %d references", name, len(hist.past), hist.count.Load(), sum, hist.bytes, hist.refs)
		}
		return err == nil
	})
	if n := h.node.HistoryBytes(); err == nil && h.node.hubs.Len() == 1 && n != int64(bytes) {
		err = fmt.Errorf("hub %s: %d bytes of history, %d counted", h.name, bytes, n)
	}
	return err
}

func (g *group) checkStates(name string, members int) error {
	st := g.states.Load()
	if st == nil {
		return nil
	}
	speakers, bytes := [maxGrammars]int32{}, 0
	for _, item := range st.items {
		bytes += sizeOf(item)
	}
	if len(st.items) > members || bytes != st.bytes {
		return fmt.Errorf("group %s: %d states of %d members, %d bytes, %d counted", name, len(st.items), members, bytes, st.bytes)
	}
	for i := range st.watchers {
		w := &st.watchers[i]
		if int(w.count.Load()) != len(w.list) {
			return fmt.Errorf("group %s, loop %d: count %d, %d watch", name, i, w.count.Load(), len(w.list))
		}
		for at, one := range w.list {
			speakers[one.session.grammar]++
			k := one.session.membership(g)
			if k < 0 || one.session.memberships[k].watch != int32(at)+1 {
				return fmt.Errorf("group %s, loop %d: watcher %d does not know its place", name, i, at)
			}
		}
	}
	for i := range speakers {
		if n := st.speakers[i].Load(); n != speakers[i] {
			return fmt.Errorf("group %s: counts %d watchers of grammar %d and has %d", name, n, i, speakers[i])
		}
	}
	return nil
}

// ParseID returns the text of the connection id that a text names.
func ParseID(text string) (string, bool) {
	id, ok := parseID(text)
	return id.String(), ok
}

// AcknowledgeAll has the client of every reliable session say that it has got
// everything. All loops must be at rest.
func (h *Hub) AcknowledgeAll() {
	for i := range h.residents {
		for _, s := range h.residents[i].sessions {
			s.acknowledged(1<<64 - 1)
		}
	}
}

// Paces returns for how many connections the hub has room to keep their pace.
func (h *Hub) Paces() (room int) {
	for i := range h.residents {
		room += cap(h.residents[i].paces)
	}
	return room
}
