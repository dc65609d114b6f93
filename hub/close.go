package hub

import (
	"sluice/auth"
	"sluice/frame"
)

// How back ends end connections: with 1000, after `disconnected` with the reason,
// so that a client that tries to recover one is told to start afresh. Each of
// these may be called from any goroutine and does not wait. What was sent before
// by the same goroutine arrives before. The error is ErrOverloaded when some of
// the event loops have not taken it.

// CloseAll ends the selected connections of the hub.
func (h *Hub) CloseAll(s Selection, reason string) error {
	return h.sweepAway(h.inhabited(), func(l *lane) list { return &h.residents[l.index] }, s, reason)
}

// CloseGroup ends the connections of the selected members of a group.
func (h *Hub) CloseGroup(group string, s Selection, reason string) error {
	g, ok := h.groups.Load(group)
	if !ok {
		return nil
	}
	return h.sweepAway(g.inhabited(), func(l *lane) list { return &g.rosters[l.index] }, s, reason)
}

// sweepAway closes what is selected of a list on each of the lanes.
func (h *Hub) sweepAway(lanes []*lane, of func(l *lane) list, s Selection, reason string) error {
	only, r := s.compile(), accepted
	visit := func(s *Session) refusal {
		s.close(frame.CloseNormal, reason)
		return accepted
	}
	for _, l := range lanes {
		if !l.loop.Post(&sweep{lane: l, list: of(l), only: only, visit: visit}) {
			r = overloaded
		}
	}
	return h.noted(r)
}

// CloseUser ends the selected connections of a user.
func (h *Hub) CloseUser(user string, s Selection, reason string) error {
	return h.closeSessions(h.users.all(user), s.compile(), reason)
}

// CloseConnection ends one connection, or returns ErrNoConnection.
func (h *Hub) CloseConnection(id, reason string) error {
	s, err := h.connection(id)
	if err != nil {
		return err
	}
	return h.closeSessions([]*Session{s}, nil, reason)
}

func (h *Hub) closeSessions(sessions []*Session, only *selection, reason string) error {
	r := accepted
	for i, there := range h.byLane(sessions) {
		if there == nil {
			continue
		}
		task := chore(func() {
			for _, s := range there {
				if only.takes(s) {
					s.close(frame.CloseNormal, reason)
				}
			}
		})
		if !h.node.lanes[i].loop.Post(task) {
			r = overloaded
		}
	}
	return h.noted(r)
}

// CloseRevoked ends the connections whose token has been revoked, with 1008. It
// does not wait; a loop that is overloaded does it with one of the next ticks.
// revoked is called on the loops and must not block.
func (h *Hub) CloseRevoked(revoked func(auth.Origin) bool, reason string) {
	for _, l := range h.inhabited() {
		h.insist(l, &sweep{lane: l, list: &h.residents[l.index], visit: func(s *Session) refusal {
			if revoked(s.origin()) {
				s.close(frame.ClosePolicyViolation, reason)
			}
			return accepted
		}})
	}
}
