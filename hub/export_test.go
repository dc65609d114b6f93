package hub

import (
	"fmt"
	"unsafe"

	"sluice/hub/wire"
)

const (
	SessionSize     = unsafe.Sizeof(Session{})
	MembershipSize  = unsafe.Sizeof(membership{})
	MemberSize      = unsafe.Sizeof(member{})
	RosterSize      = unsafe.Sizeof(roster{})
	GroupSize       = unsafe.Sizeof(group{})
	DeliverySize    = unsafe.Sizeof(delivery{})
	PublicationSize = unsafe.Sizeof(publication{})
)

// Speak teaches the node one more grammar; before the first session only.
func (n *Node) Speak(g wire.Grammar) { n.speak(g) }

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
	if n := h.groupCount.Load(); n != int64(groups) {
		return fmt.Errorf("hub %s counts %d groups and has %d", h.name, n, groups)
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
			if k < 0 || m.session.memberships[k].index != int32(at) {
				return fmt.Errorf("group %s, loop %d: member %d does not know its place", name, i, at)
			}
		}
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
