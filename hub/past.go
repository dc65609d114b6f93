package hub

import (
	"errors"
	"slices"
	"time"

	"sluice/hub/wire"
)

// How messages get into a history, and out of it.

// ErrNoHistory means that no history is kept of a group.
var ErrNoHistory = errors.New("no history is kept of this group")

// HistoryMessage is a message that is kept. It is only read.
type HistoryMessage struct {
	wire.Message
	Time time.Time // when it came
}

// HistoryPage is a part of a group's history.
type HistoryPage struct {
	Epoch    string // what offsets are of; "" where nothing was ever kept
	Offset   uint64 // of the newest message
	Complete bool   // false: some of what was asked for is not kept any more
	Messages []HistoryMessage
}

// History returns what is kept of the messages to a group: the newest so many,
// or, where last is 0, those after an offset of an epoch; of another epoch than
// the present one, or with no epoch, all. The error is ErrInvalidGroup or ErrNoHistory. Any
// goroutine.
func (h *Hub) History(group string, since uint64, epoch string, last int) (HistoryPage, error) {
	if !h.validGroup(group) {
		return HistoryPage{}, h.noted(invalidGroup)
	}
	if !h.policy.groups.all[h.policy.groups.of(group)].history.kept() {
		return HistoryPage{}, h.noted(noHistory)
	}
	hist, ok := h.histories.Load(group)
	if !ok {
		return HistoryPage{Complete: last > 0 || epoch == ""}, nil
	}
	wish := wire.History{Last: uint32(max(0, last)), Since: since, Epoch: []byte(epoch)}
	hist.mu.Lock()
	r := hist.page(wish, hist.newest.Load(), h.node.now().UnixNano())
	hist.mu.Unlock()
	return r.page(), nil
}

// kept tells whether there is a history at all.
func (l historyLimit) kept() bool { return l.messages > 0 }

// publishKept publishes to a group of which a history is kept, also where nobody is
// in it. The message goes through the inbox of each loop, the publisher's own as
// well, so that all get it in the order of its offset. Of p only who gets it is
// given. A message for a selection of the members, and a part of a stream, is
// nobody's past.
func (h *Hub) publishKept(hist *history, e *encoder, m *wire.Message, conflationKey []byte, p publication, stamp int64, by *tally) (members uint64, r refusal) {
	keep := p.only == nil && m.Stream == nil
	var k past
	fits := false
	if keep {
		k = past{message: ownMessage(m), at: h.node.now().UnixNano(), until: p.until}
		k.message.Group = hist.name
		fits = k.size() <= hist.limit.bytes && h.node.pasts.reserve(k.size())
	}
	hist.mu.Lock()
	defer hist.mu.Unlock()
	if keep {
		m.Offset = hist.add(k, fits)
		p.offset = m.Offset
	}
	g, ok := h.groups.Load(hist.name) // here, or who joins now would hear of it neither way
	if !ok {
		return 0, accepted
	}
	p.group = g
	p.encode(e, m, conflationKey)
	return p.post(nowhere, stamp, by)
}

// ownMessage copies what a message refers to.
func ownMessage(m *wire.Message) wire.Message {
	own := *m
	own.Data = slices.Clone(m.Data)
	own.Metadata = clonePairs(m.Metadata)
	return own
}

// historyOf returns the history of a group, for the caller to dismiss, nil where
// none is kept. g is the group if it exists.
func (h *Hub) historyOf(name string, g *group) *history {
	var limit historyLimit
	switch {
	case g != nil:
		limit = g.policy().history
	case h.policy.groups.remember:
		limit = h.policy.groups.all[h.policy.groups.of(name)].history
	}
	if !limit.kept() {
		return nil
	}
	return h.recall(name, limit)
}

// past returns the history of the group, nil for none. The group has a reference.
func (g *group) past() *history {
	if !g.policy().history.kept() {
		return nil
	}
	hist, _ := g.hub.histories.Load(g.name)
	return hist
}

// joinWithPast makes the session a member that is told the offsets of what comes
// live, and returns what came before. Of a session that is a member already only
// that changes.
func (s *Session) joinWithPast(name string, wish wire.History) (*recollection, refusal) {
	h := s.hub
	if !h.validGroup(name) {
		return nil, invalidGroup
	}
	if !h.policy.groups.all[h.policy.groups.of(name)].history.kept() {
		return nil, noHistory
	}
	if r := s.join(name); r != accepted {
		return nil, r
	}
	g, _ := h.groups.Load(name)
	// What is on its way to this loop, in whatever grammar, is not waited for:
	// it is in the history.
	return s.lookBack(g, wish, func(hist *history) uint64 { return hist.seen[s.lane.index] }), accepted
}

// lookBack makes a member of a group that has a history one that is told the offsets
// of what comes live, and returns what came before. told is the offset up to which
// it has been told otherwise, or needs not be; it is called under the history's lock.
func (s *Session) lookBack(g *group, wish wire.History, told func(*history) uint64) *recollection {
	hist := g.past()
	hist.mu.Lock()
	defer hist.mu.Unlock()
	p := hist.page(wish, told(hist), s.hub.node.now().UnixNano())
	m := &g.rosters[s.lane.index].members[s.memberships[s.membership(g)].index]
	m.since = g.published.Load()
	if told := s.hub.node.grammar(s.language().Offsets()); told != m.grammar {
		g.speakers[told].Add(1)
		g.speakers[m.grammar].Add(-1)
		m.grammar = told
	}
	return &p
}

// tellPast tells the client what came before it joined.
func (s *Session) tellPast(p *recollection) {
	if p == nil {
		return
	}
	if s.lasting() != nil {
		// All of it has to be acknowledged, and what comes live besides.
		if most := s.hub.policy.MaxUnackedMessages / 2; len(p.messages) > most {
			p.messages, p.info.Complete = p.messages[len(p.messages)-most:], false
		}
	}
	l := s.lane
	s.reply(s.language().AppendHistory(l.blank(), &p.info))
	g := s.language().Offsets()
	var told, refused uint64
	for i := range p.messages {
		m := &p.messages[i]
		if encoded := l.message(g, &m.message); encoded != nil && s.take(encoded, m.until) {
			told++
		} else {
			refused++
		}
	}
	t := s.tally()
	t.told.Add(told)
	if refused > 0 {
		t.dropped[linkRefused].Add(refused)
	}
}
