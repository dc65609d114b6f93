package hub

import (
	"cmp"
	"encoding/base32"
	"slices"
	"sync/atomic"
)

// connectionID is 128 random bits, so that knowing one does not help to guess
// another.
type connectionID [16]byte

// idEncoding is safe in addresses, file names and on command lines: lower-case
// letters and digits.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (id connectionID) String() string { return idEncoding.EncodeToString(id[:]) }

func (id connectionID) compare(other connectionID) int {
	return cmp.Compare(string(id[:]), string(other[:]))
}

// parseID reads what String has written and nothing else: the text has two bits
// more than the id, and two texts must not name one connection.
func parseID(text string) (id connectionID, ok bool) {
	var decoded [17]byte // room for what a text of one letter more would give
	if len(text) != idEncoding.EncodedLen(len(id)) {
		return id, false
	}
	n, err := idEncoding.Decode(decoded[:], []byte(text))
	if err != nil || n != len(id) {
		return id, false
	}
	copy(id[:], decoded[:])
	return id, id.String() == text
}

// residents is the sessions of one hub on one loop.
type residents struct {
	sessions []*Session // owned by the loop; Session.place is the index

	// count is len(sessions), for other goroutines.
	count atomic.Int32
}

func (r *residents) len() int          { return len(r.sessions) }
func (r *residents) at(i int) *Session { return r.sessions[i] }

func (r *residents) add(s *Session) {
	s.place = int32(len(r.sessions))
	r.sessions = append(r.sessions, s)
	r.count.Add(1)
}

// remove takes the session out of its place; the last one moves there.
func (r *residents) remove(s *Session) {
	last := len(r.sessions) - 1
	moved := r.sessions[last]
	r.sessions[s.place], moved.place = moved, s.place
	r.sessions[last] = nil
	r.sessions = shrink(r.sessions[:last])
	r.count.Add(-1)
}

// register makes the session known to all goroutines. It may turn out that the
// user has as many connections as allowed.
func (h *Hub) register(s *Session) refusal {
	if r := h.registerUser(s); r != accepted {
		return r
	}
	h.residents[s.lane.index].add(s)
	h.speakers[s.grammar].Add(1)
	h.connections.Store(s.id, s)
	return accepted
}

func (h *Hub) unregister(s *Session) {
	h.connections.Delete(s.id)
	h.speakers[s.grammar].Add(-1)
	h.residents[s.lane.index].remove(s)
	h.unregisterUser(s)
}

// registerUser adds the session to those of its user. Everybody without a user
// id is somebody else.
func (h *Hub) registerUser(s *Session) (r refusal) {
	if s.user == "" {
		return accepted
	}
	var older []*Session
	h.users.Compute(s.user, func(all []*Session, ok bool) ([]*Session, bool) {
		older, r = h.policy.admitUser(all)
		if r != accepted {
			return all, ok
		}
		s.userPlace = int32(len(all))
		return append(all, s), true
	})
	for _, old := range older {
		if !old.post(chore(old.replaced)) {
			s.count(overloaded)
		}
	}
	return r
}

func (h *Hub) unregisterUser(s *Session) {
	if s.user == "" {
		return
	}
	h.users.Compute(s.user, func(all []*Session, _ bool) ([]*Session, bool) {
		last := len(all) - 1
		moved := all[last]
		all[s.userPlace], moved.userPlace = moved, s.userPlace
		all[last] = nil
		return shrink(all[:last]), last > 0
	})
}

// connection finds the session of a connection id.
func (h *Hub) connection(id string) (*Session, error) {
	if key, ok := parseID(id); ok {
		if s, ok := h.connections.Load(key); ok {
			return s, nil
		}
	}
	return nil, ErrNoConnection
}

// sessionsOf returns the sessions of a user, a copy.
func (h *Hub) sessionsOf(user string) (all []*Session) {
	if user == "" {
		return nil
	}
	h.users.View(user, func(sessions []*Session) { all = slices.Clone(sessions) })
	return all
}

// byLane sorts sessions by the lane they live on, those of each in the order they
// had. A lane without any has nil.
func (h *Hub) byLane(sessions []*Session) [][]*Session {
	lanes := make([][]*Session, len(h.node.lanes))
	for _, s := range sessions {
		lanes[s.lane.index] = append(lanes[s.lane.index], s)
	}
	return lanes
}

// HasConnection reports whether there is a connection with that id.
func (h *Hub) HasConnection(id string) bool {
	_, err := h.connection(id)
	return err == nil
}

// HasUser reports whether the user has a connection.
func (h *Hub) HasUser(user string) bool {
	_, ok := h.users.Load(user)
	return ok
}

// HasGroup reports whether somebody is in the group: groups without members do
// not exist.
func (h *Hub) HasGroup(group string) bool {
	_, ok := h.groups.Load(group)
	return ok
}

// UserConnections returns the connections of a user, in no order.
func (h *Hub) UserConnections(user string) []ConnectionInfo {
	sessions := h.sessionsOf(user)
	infos := make([]ConnectionInfo, len(sessions))
	for i, s := range sessions {
		infos[i] = s.info()
	}
	return infos
}
