package hub

import (
	"crypto/rand"
	"hash/maphash"
	"sync/atomic"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub/wire"
	"sluice/internal/budget"
	"sluice/shard"
)

// Lock stripes of a node's map of hubs and of a hub's map of groups. Tenants are
// few and looked up once per connection; groups are looked up once per
// publication, by every loop.
const (
	hubStripes   = 16
	groupStripes = 32
)

// Hub is one tenant. Nothing crosses from one hub to another: connection ids,
// users, groups, permissions, limits and counters are each hub's own.
type Hub struct {
	// static after creation
	node   *Node
	name   string // canonical
	policy policy

	// who is there, for any goroutine to ask
	connections connectionIndex
	users       userIndex
	groups      *shard.Map[string, *group]
	histories   *shard.Map[string, *history] // of groups, some of which are gone

	residents []residents // one for each loop
	speakers  tongues     // of all sessions

	// tallies has one element per loop, added to by that loop only, and a last
	// one for all other goroutines.
	tallies []tally

	sessions   atomic.Int64
	away       atomic.Int64 // of them, those whose client may come back
	groupCount atomic.Int64
	rates      rates
	queue      *budget.Budget // bytes that its clients have not read yet
}

func newHub(n *Node, name string, p policy) *Hub {
	h := &Hub{
		node:      n,
		name:      name,
		policy:    p,
		users:     userIndex{seed: maphash.MakeSeed()},
		groups:    shard.New[string, *group](groupStripes),
		histories: shard.New[string, *history](groupStripes),
		residents: make([]residents, len(n.lanes)),
		tallies:   make([]tally, len(n.lanes)+1),
		rates:     newRates(p.MaxMessagesPerSecond, p.MaxBytesPerSecond),
		queue:     budget.New(p.MaxQueueBytes),
	}
	for i := range h.residents {
		h.residents[i].paced = p.paced()
	}
	return h
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
	return h.open(loop, link, id, g, nil)
}

// Pipe is where a raw client publishes every message it sends.
type Pipe struct {
	Group  string
	NoEcho bool // it does not get its own messages, should it be in the group
}

// OpenRaw is Open for a client without a subprotocol, whose every message is
// published to one group.
func (h *Hub) OpenRaw(loop Loop, link Link, id auth.Identity, g wire.Grammar, pipe Pipe) (*Session, error) {
	return h.open(loop, link, id, g, &pipe)
}

func (h *Hub) open(loop Loop, link Link, id auth.Identity, g wire.Grammar, pipe *Pipe) (*Session, error) {
	lane := &h.node.lanes[loop.Index()]
	lane.attach(loop)
	s := &Session{
		hub:     h,
		lane:    lane,
		link:    link,
		user:    id.User,
		grammar: h.node.grammar(g),
	}
	rand.Read(s.id[:]) // never fails
	s.bind(&id)
	if g.Name() == "" {
		s.flags |= flagRaw
	}
	if h.node.sequenced.has(s.grammar) {
		s.makeLasting()
	}
	if pipe != nil {
		s.seldom().pipe, s.extra.pipeNoEcho = []byte(pipe.Group), pipe.NoEcho
	}
	if r := h.admit(s, id.Groups); r != accepted {
		lane.tally(h).refused[r].Add(1)
		return nil, &frame.Error{Code: refusals[r].code, Reason: refusals[r].message}
	}
	s.welcome()
	return s, nil
}

// admit counts the session in, joins its first groups and makes it known: all of
// it or nothing. Last comes what may cost the user its older connections.
func (h *Hub) admit(s *Session, groups []string) (r refusal) {
	if h.sessions.Add(1) > int64(h.policy.MaxSessions) {
		h.sessions.Add(-1)
		return hubFull
	}
	for i := 0; i < len(groups) && r == accepted; i++ {
		r = s.join(groups[i])
	}
	if r == accepted {
		r = h.register(s)
	}
	if r != accepted {
		s.leaveAll()
		h.sessions.Add(-1)
	}
	return r
}
