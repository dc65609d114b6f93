package hub

import (
	"time"

	"sluice/engine/wheel"
	"sluice/frame"
	"sluice/hub/wire"
)

// A session whose grammar is sequenced outlives its connection: it stays in its
// groups, keeps what its client has not acknowledged, and goes on when the client
// comes back within the hub's window. It stays on its loop; the new connection
// comes there.

// reliable is what such a session has. Owned by the session's loop.
type reliable struct {
	replay
	acks ackCache

	// away is when the session ends unless its client has come back; 0 while it
	// is connected.
	away wheel.Tick
	// spent: more is unacknowledged than may be. The session ends at the next
	// chance, which is not while members are walked.
	spent bool
}

// Backlog is a Link that can tell how much waits in it. A reliable session gives
// such a link no more than it can take, so that a long replay is not taken for a
// slow consumer.
type Backlog interface {
	// QueuedBytes returns the bytes that were not yet taken by the network. It is
	// called on the loop.
	QueuedBytes() int
}

// maxBacklog is how much of a replay waits in a link at a time, in bytes.
const maxBacklog = 256 << 10

// Lasting reports whether the session may outlive its link: then [Session.Left]
// stands in place of [Session.Closed].
func (s *Session) Lasting() bool { return s.lasting() != nil }

// lasting returns what a reliable session has, nil for any other.
func (s *Session) lasting() *reliable {
	if s.extra == nil {
		return nil
	}
	return s.extra.reliable
}

// makeLasting gives a session of a sequenced grammar what it needs.
func (s *Session) makeLasting() {
	s.seldom().reliable = &reliable{replay: replay{first: 1}}
}

// deliver keeps a message for the client of a reliable session and writes it if
// the client is there. It reports whether the message is kept.
func (s *Session) deliver(m *frame.Message, until int64) bool {
	r := s.lasting()
	if s.is(flagClosing) || r.spent {
		return false
	}
	k := kept{m, until}
	if !s.hub.hold(r, k) {
		// Not at once: the caller may be walking a list that the session is in.
		r.spent = true
		s.extra.arm()
		return false
	}
	r.add(k)
	s.pump()
	return true
}

// hold books the bytes of one more message, or returns false where that is too
// much for the session or for the node.
func (h *Hub) hold(r *reliable, k kept) bool {
	size := k.size()
	if len(r.waiting) >= h.policy.MaxUnackedMessages || r.bytes+size > h.policy.MaxUnackedBytes {
		return false
	}
	if h.node.unacked.Add(int64(size)) > int64(h.node.cfg.MaxNodeUnackedBytes) {
		h.node.unacked.Add(-int64(size))
		return false
	}
	return true
}

// pump writes what was not written, as far as the link should have it.
func (s *Session) pump() {
	r := s.lasting()
	if r.away != 0 {
		return
	}
	backlog, _ := s.link.(Backlog)
	g := s.language().(wire.Sequenced)
	for r.pending() && !s.is(flagClosing) {
		if backlog != nil && backlog.QueuedBytes() > maxBacklog {
			s.extra.arm() // goes on with the next tick, if nothing moves it before
			return
		}
		k, id := r.take()
		if k.until != 0 && s.hub.node.now().UnixNano() > k.until {
			s.tally().dropped[expired].Add(1)
			continue // its number stays: clients expect them to rise, not to be complete
		}
		l := s.lane
		buf := g.AppendSequenceID(append(l.blank(), k.message.Payload()...), id)
		l.keep(buf)
		if !s.link.Write(k.message.Op(), buf[frame.HeadRoom:]) {
			return // the link is ending; the client asks for it again
		}
	}
}

// acknowledged is the client's word that it has everything up to a number.
func (s *Session) acknowledged(id uint64) {
	if r := s.lasting(); r != nil {
		s.hub.node.unacked.Add(-int64(r.acknowledge(id)))
		s.pump()
	}
}

// Left tells a reliable session that a link of it has ended; mayReturn says that
// nobody has meant it to, so that the client may come back. A link that another
// one has replaced changes nothing. It is called exactly once for each link, in
// place of [Session.Closed].
func (s *Session) Left(link Link, mayReturn bool) {
	if s.link != link {
		return
	}
	if !mayReturn || s.is(flagClosing) || s.lasting().spent {
		s.Closed()
		return
	}
	r, n := s.lasting(), s.hub.node
	s.link = nobody{}
	r.away = n.tickAfter(n.now().Add(s.hub.policy.ReconnectWindow))
	s.hub.away.Add(1)
	s.extra.arm()
}

// Loop returns the loop on which the session lives. Any goroutine.
func (s *Session) Loop() Loop { return s.lane.loop }

// Resumable returns the reliable session of a connection id, if the token is
// that of it: to be given a new link on its loop by [Session.Resume]. Any
// goroutine.
func (h *Hub) Resumable(id, token string) (*Session, bool) {
	s, err := h.connection(id)
	if err != nil || !h.node.sequenced.has(s.grammar) || !h.node.reconnection.Verify(token, h.name, id) {
		h.outside().refused[notResumed].Add(1)
		return nil, false
	}
	return s, true
}

// Resume gives the session a new link in the grammar g, on the session's loop. A
// link that it still has is ended: the client knows better. The client gets
// `connected` again, then everything it has not acknowledged, then what is new.
// The error is a *frame.Error with the code to close the link with: the client has to
// start afresh.
func (s *Session) Resume(link Link, g wire.Grammar) error {
	if s.is(flagClosing|flagGone) || s.language() != g {
		s.count(notResumed)
		return NotResumable()
	}
	r := s.lasting()
	if r.away != 0 {
		r.away = 0
		s.hub.away.Add(-1)
	} else {
		s.link.Close(refusals[replaced].code, "the client has come back on another connection")
	}
	s.link = link
	s.tally().resumed.Add(1)
	if s.expires != 0 {
		link.Expire(time.Unix(int64(s.expires), 0))
	}
	s.welcome()
	s.showAgain()
	r.rewind()
	s.extra.arm()
	s.pump()
	return nil
}

// NotResumable is the error that tells a client to start afresh.
func NotResumable() error {
	return &frame.Error{Code: refusals[notResumed].code, Reason: refusals[notResumed].message}
}

// welcome sends `connected`.
func (s *Session) welcome() {
	c := &wire.Connected{ConnectionID: s.ID(), UserID: s.user}
	if s.lasting() != nil {
		c.ReconnectionToken = s.hub.node.reconnection.Mint(s.hub.name, c.ConnectionID)
	}
	s.reply(s.language().AppendConnected(s.lane.blank(), c))
}

// overdue does what the time has come for, on the session's own turn.
func (r *reliable) overdue(s *Session, now wheel.Tick) {
	switch {
	case r.spent && r.away != 0:
		s.count(unackedFull)
		s.Closed()
	case r.spent:
		s.refuse(unackedFull)
	case r.away != 0 && now >= r.away:
		s.Closed()
	default:
		s.pump()
	}
}

// due returns when overdue shall be called; 0 for never.
func (r *reliable) due(now wheel.Tick) wheel.Tick {
	switch {
	case r.spent, r.away == 0 && r.pending():
		return now + 1
	}
	return r.away
}

// forget gives back what the session has held. It is over.
func (s *Session) forget() {
	r := s.lasting()
	if r == nil {
		return
	}
	s.hub.node.unacked.Add(-int64(r.bytes))
	if r.away != 0 {
		s.hub.away.Add(-1)
	}
	r.replay = replay{}
	r.away = 0
}

// nobody is the link of a session whose client is away.
type nobody struct{}

func (nobody) Send(*frame.Message) bool        { return false }
func (nobody) Write(frame.Opcode, []byte) bool { return false }
func (nobody) Expire(time.Time)                {}
func (nobody) Close(frame.CloseCode, string)   {}
