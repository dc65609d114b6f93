package hub

import (
	"crypto/rand"
	"slices"
	"sync/atomic"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub/wire"
	"sluice/shard"
)

// Lock stripes of a node's map of hubs and of a hub's map of groups. Tenants are
// few and looked up once per connection; groups are looked up once per
// publication, by every loop.
const (
	hubStripes   = 16
	groupStripes = 32
)

// Hub is one tenant. Nothing crosses from one hub to another: names of groups,
// limits and counters are each hub's own.
type Hub struct {
	// static after creation
	node   *Node
	name   string // canonical
	limits Limits

	groups *shard.Map[string, *group]

	// tallies has one element per loop, added to by that loop only.
	tallies []tally

	sessions   atomic.Int64
	groupCount atomic.Int64
}

func newHub(n *Node, name string, limits Limits) *Hub {
	return &Hub{
		node:    n,
		name:    name,
		limits:  limits,
		groups:  shard.New[string, *group](groupStripes),
		tallies: make([]tally, len(n.lanes)),
	}
}

// Name returns the hub's name in lower case.
func (h *Hub) Name() string { return h.name }

// Open makes the session of a client that has come in on loop, and must be called
// there. It joins the groups of the identity, which needs no role, and sends
// `connected`. Nothing else runs on the loop meanwhile and every other message
// comes through it, so `connected` is the first message the client gets.
//
// g must be a grammar chosen by [wire.Select]. The error is a *frame.Error with
// the code to close the link with; then there is no session.
func (h *Hub) Open(loop Loop, link Link, id auth.Identity, g wire.Grammar) (*Session, error) {
	lane := &h.node.lanes[loop.Index()]
	if lane.loop == nil {
		lane.loop = loop
		lane.stopwatch, _ = loop.(Stopwatch)
	}
	s := &Session{
		hub:         h,
		lane:        lane,
		link:        link,
		permissions: id.Permissions,
		user:        id.User,
		grammar:     h.node.grammar(g),
	}
	rand.Read(s.id[:]) // never fails
	if r := h.admit(s, id.Groups); r != accepted {
		lane.tally(h).refused[r].Add(1)
		return nil, &frame.Error{Code: refusals[r].code, Reason: refusals[r].message}
	}
	s.reply(g.AppendConnected(lane.blank(), s.ID(), s.user))
	return s, nil
}

// admit counts the session in and joins its first groups: all of it or nothing.
func (h *Hub) admit(s *Session, groups []string) refusal {
	if h.sessions.Add(1) > int64(h.limits.MaxSessions) {
		h.sessions.Add(-1)
		return hubFull
	}
	for _, name := range groups {
		if r := s.join(name); r != accepted {
			s.Closed()
			return r
		}
	}
	return accepted
}

// grammar returns the node's number of a grammar.
func (n *Node) grammar(g wire.Grammar) uint8 {
	i := slices.Index(n.grammars, g)
	if i < 0 {
		panic("hub: a session with a grammar that the node does not speak: " + g.Name())
	}
	return uint8(i)
}
