package hub

import (
	"sync/atomic"

	"sluice/auth"
)

// group is a set of sessions of one hub. It exists from the first join to the
// last leave.
type group struct {
	// static after creation
	hub  *Hub
	name string

	// refs counts the memberships; guarded by the stripe lock of Hub.groups.
	refs int32

	speakers tongues // of the members
	rule     uint8   // static after creation; see policy

	// states is what is kept of the members' states; nil until there is one.
	states atomic.Pointer[states]

	// published numbers the publications of the group from 1; see member.since.
	published atomic.Uint64

	// rosters has one element per loop. They are not padded: a roster changes
	// with a join or leave, and is otherwise read.
	rosters []roster
}

// policy returns what holds for the group.
func (g *group) policy() *groupPolicy { return &g.hub.policy.groups.all[g.rule] }

// roster is the list of a group's members on one loop.
type roster struct {
	members []member // owned by the loop

	// count is len(members), for publishers on other goroutines.
	count atomic.Int32
}

func (r *roster) len() int          { return len(r.members) }
func (r *roster) at(i int) *Session { return r.members[i].session }

// member is one session's place in a roster. What a delivery needs stands here
// and not behind a pointer to the session, because a fan-out walks the roster
// from end to end.
type member struct {
	link    Link
	session *Session

	// since is the number of the last publication that was made before the
	// session joined. A task that is still on its way to the loop with that
	// one, or an earlier one, is not for this member.
	since uint64

	grammar uint8
}

// join makes the session a member of the group of that name. Joining again
// changes nothing.
func (s *Session) join(name string) refusal {
	h := s.hub
	if g, ok := h.groups.Load(name); ok && s.membership(g) >= 0 {
		return accepted
	}
	switch {
	case !h.validGroup(name):
		return invalidGroup
	case len(s.memberships) >= h.policy.MaxGroupsPerSession:
		return tooManyGroups
	}
	g := h.acquire(name)
	if g == nil {
		return hubGroupsFull
	}
	arrival, r := g.arrive(s)
	if r != accepted {
		h.release(g)
		return r
	}
	g.add(s)
	arrival.tell(s.lane)
	return accepted
}

func (h *Hub) validGroup(name string) bool {
	return auth.ValidGroup(name) && len(name) <= h.policy.MaxGroupNameBytes
}

// leaveGroup ends the session's membership in the group of that name, if it has
// one.
func (s *Session) leaveGroup(name string) {
	if g, ok := s.hub.groups.Load(name); ok {
		if i := s.membership(g); i >= 0 {
			s.leave(i)
		}
	}
}

// leaveAll ends all memberships of the session.
func (s *Session) leaveAll() refusal {
	for len(s.memberships) > 0 {
		s.leave(len(s.memberships) - 1)
	}
	return accepted
}

// leave ends the session's membership with that index.
func (s *Session) leave(i int) {
	m := s.memberships[i]
	m.group.unwatch(s, i)
	m.group.remove(s, m.index)

	last := len(s.memberships) - 1
	s.memberships[i] = s.memberships[last]
	s.memberships[last] = membership{}
	s.memberships = s.memberships[:last]
	if last == 0 {
		s.memberships = nil // most sessions that leave do not come back
	}
	m.group.depart(s)
	s.hub.release(m.group)
}

// membership returns the index of the session's membership in g, or -1. A scan
// is faster than a map until far above what a client has.
func (s *Session) membership(g *group) int {
	for i := range s.memberships {
		if s.memberships[i].group == g {
			return i
		}
	}
	return -1
}

// acquire returns the group of that name with one more reference, making it if
// need be, or nil when the hub is at MaxGroups.
func (h *Hub) acquire(name string) *group {
	rule := h.policy.groups.of(name) // not under the lock: it may take a while
	g, _ := h.groups.Compute(name, func(g *group, ok bool) (*group, bool) {
		if !ok {
			if h.groupCount.Add(1) > int64(h.policy.MaxGroups) {
				h.groupCount.Add(-1)
				return nil, false
			}
			g = &group{hub: h, name: name, rule: rule, rosters: make([]roster, len(h.node.lanes))}
			if g.policy().presence {
				g.states.Store(newStates(len(h.node.lanes)))
			}
			if limit := g.policy().history; limit.kept() {
				h.recall(name, limit)
			}
		}
		g.refs++
		return g, true
	})
	return g
}

// release gives a reference back; the last one removes the group. A publisher
// that has looked it up just before finds its rosters empty.
func (h *Hub) release(g *group) {
	h.groups.Compute(g.name, func(*group, bool) (*group, bool) {
		g.refs--
		if g.refs == 0 {
			h.groupCount.Add(-1)
			if hist := g.past(); hist != nil {
				h.dismiss(hist)
			}
		}
		return g, g.refs > 0
	})
}

// add puts the session into the roster of its loop. The counts go up before the
// number of publications is read, and a publisher does the reverse: a publication
// numbered above since has therefore seen the member in the counts, has been
// encoded for it and comes to its loop.
func (g *group) add(s *Session) {
	r := &g.rosters[s.lane.index]
	if hist := g.past(); hist != nil && len(r.members) == 0 {
		hist.mu.Lock() // so that seen and since are of one moment
		defer hist.mu.Unlock()
		hist.seen[s.lane.index] = hist.newest.Load()
	}
	s.memberships = append(s.memberships, membership{group: g, index: int32(len(r.members))})
	g.speakers[s.grammar].Add(1)
	r.count.Add(1)
	r.members = append(r.members, member{
		link:    s.link,
		session: s,
		since:   g.published.Load(),
		grammar: s.grammar,
	})
}

// remove takes the session out of its place; the last member of the roster moves
// there.
func (g *group) remove(s *Session, index int32) {
	r := &g.rosters[s.lane.index]
	last := len(r.members) - 1
	moved := r.members[last]
	moved.session.memberships[moved.session.membership(g)].index = index
	g.speakers[r.members[index].grammar].Add(-1)
	r.members[index] = moved
	r.members[last] = member{}
	r.members = shrink(r.members[:last])
	r.count.Add(-1)
}

// shrink returns the list in less memory when most of it is unused, so that
// nothing keeps the memory of its busiest hour.
func shrink[T any](list []T) []T {
	const small = 64
	if cap(list) <= small || len(list) > cap(list)/4 {
		return list
	}
	smaller := make([]T, len(list), 2*len(list))
	copy(smaller, list)
	return smaller
}
