package hub

import (
	"math"
	"slices"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub/wire"
)

// How a client comes in that receives and never says anything: what it wants it has
// to say with its coming, and after a broken connection where it was.

// Listening is what such a client wants.
type Listening struct {
	// Groups are those it joins beside those of its identity. Each needs the role.
	Groups []string

	// Returns tells that the client was here before, and After where it was then
	// in the histories of its groups; an epoch is of one group and no other, so the
	// group's name is not needed. A group that none of these is of gets all there
	// is, which is told not to be complete.
	Returns bool
	After   []Place

	// MaxPlaces bounds the groups in whose histories the client is told its place;
	// what comes of the others has no offset. They count in the order of their
	// names.
	MaxPlaces int
}

// Place is a point in the history of a group: behind the message with that offset.
type Place struct {
	Epoch  string
	Offset uint64
}

// Recollection is what a client is to be told of one group, before anything that
// the link gets after OpenListener has returned. It is only read.
type Recollection struct {
	Group string
	HistoryPage
}

// Before returns the place behind which these messages are.
func (r *Recollection) Before() Place {
	if len(r.Messages) > 0 {
		return Place{r.Epoch, r.Messages[0].Offset - 1}
	}
	return Place{r.Epoch, r.Offset}
}

// OpenListener is Open for such a client. The link gets `connected` during the call;
// what came before in the groups that have a history is returned and not sent,
// because it may be more than a link has room for. It is the caller's to tell: the
// hub counts it as told.
//
// The error is a *frame.Error, as that of Open; then there is no session.
func (h *Hub) OpenListener(loop Loop, link Link, id auth.Identity, g wire.Grammar, l Listening) (*Session, []Recollection, error) {
	for _, name := range l.Groups {
		if !id.Permissions.Allowed(auth.JoinLeaveGroup, []byte(name)) {
			h.node.lanes[loop.Index()].tally(h).refused[forbidden].Add(1)
			return nil, nil, &frame.Error{Code: refusals[forbidden].code, Reason: refusals[forbidden].message}
		}
	}
	groups := slices.Concat(id.Groups, l.Groups)
	slices.Sort(groups)
	groups = slices.Compact(groups)
	id.Groups = groups
	s, err := h.open(loop, link, id, g, nil)
	if err != nil {
		return nil, nil, err
	}
	return s, s.recall(groups, &l), nil
}

// recall makes the session one that is told offsets, in those of its groups that
// have a history, and returns what came before. Nothing was delivered on the loop
// since the session has joined them.
func (s *Session) recall(groups []string, l *Listening) (all []Recollection) {
	for _, name := range groups {
		g, ok := s.hub.groups.Load(name)
		if !ok || len(all) == l.MaxPlaces {
			continue
		}
		hist := g.past()
		if hist == nil {
			continue
		}
		// The session is new, so it has missed nothing but what it says.
		p := s.lookBack(g, l.wish(hist.epoch), func(hist *history) uint64 { return hist.newest.Load() })
		all = append(all, p.recollection())
		s.tally().told.Add(uint64(len(p.messages)))
	}
	return all
}

// wish is what the client wants of the history with that epoch.
func (l *Listening) wish(epoch string) wire.History {
	if !l.Returns {
		return wire.History{Since: math.MaxUint64 - 1} // what comes from now on
	}
	for _, p := range l.After {
		if p.Epoch == epoch {
			return wire.History{Since: p.Offset, Epoch: []byte(epoch)}
		}
	}
	return wire.History{Epoch: []byte("none")}
}

// recollection returns the same for those outside.
func (p *recollection) recollection() Recollection {
	return Recollection{Group: p.info.Group, HistoryPage: p.page()}
}

// page returns the same for those outside.
func (p *recollection) page() HistoryPage {
	page := HistoryPage{Epoch: p.info.Epoch, Offset: p.info.Offset, Complete: p.info.Complete}
	for _, m := range p.messages {
		page.Messages = append(page.Messages, HistoryMessage{m.message, time.Unix(0, m.at)})
	}
	return page
}
