package hub

import (
	"bytes"
	"encoding/base32"
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
	return bytes.Compare(id[:], other[:])
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

	// paces has an element for each session, at the same index, where the hub has
	// a rate for single connections; else it stays nil. Owned by the loop.
	paces []pace
	paced bool // static

	// count is len(sessions), for other goroutines.
	count atomic.Int32
}

func (r *residents) len() int          { return len(r.sessions) }
func (r *residents) at(i int) *Session { return r.sessions[i] }

func (r *residents) add(s *Session) {
	s.place = int32(len(r.sessions))
	r.sessions = append(r.sessions, s)
	if r.paced {
		r.paces = append(r.paces, pace{})
	}
	r.count.Add(1)
}

// remove takes the session out of its place; the last one moves there.
func (r *residents) remove(s *Session) {
	last := len(r.sessions) - 1
	moved := r.sessions[last]
	r.sessions[s.place], moved.place = moved, s.place
	r.sessions[last] = nil
	r.sessions = shrink(r.sessions[:last])
	if r.paced {
		r.paces[s.place] = r.paces[last]
		r.paces = shrink(r.paces[:last])
	}
	r.count.Add(-1)
}

// register makes the session known to all goroutines, and has those closed that
// it replaces. It may turn out that the user has as many connections as allowed.
// Everybody without a user id is somebody else.
func (h *Hub) register(s *Session) refusal {
	if s.user != "" {
		older, r := h.users.add(s, h.policy.admitUser)
		if r != accepted {
			return r
		}
		for _, old := range older {
			h.insist(old.lane, chore(old.replaced))
		}
	}
	h.residents[s.lane.index].add(s)
	h.speakers[s.grammar].Add(1)
	h.connections.add(s)
	return accepted
}

func (h *Hub) unregister(s *Session) {
	h.connections.remove(s)
	h.speakers[s.grammar].Add(-1)
	h.residents[s.lane.index].remove(s)
	if s.user != "" {
		h.users.remove(s)
	}
}

// connection finds the session of a connection id.
func (h *Hub) connection(id string) (*Session, error) {
	if key, ok := parseID(id); ok {
		if s := h.connections.find(key); s != nil {
			return s, nil
		}
	}
	return nil, ErrNoConnection
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
func (h *Hub) HasUser(user string) bool { return h.users.has(user) }

// HasGroup reports whether somebody is in the group: groups without members do
// not exist.
func (h *Hub) HasGroup(group string) bool {
	_, ok := h.groups.Load(group)
	return ok
}

// UserConnections returns the connections of a user, in no order.
func (h *Hub) UserConnections(user string) []ConnectionInfo {
	sessions := h.users.all(user)
	infos := make([]ConnectionInfo, len(sessions))
	for i, s := range sessions {
		infos[i] = s.info()
	}
	return infos
}
