package hub

import (
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub/wire"
	"sluice/internal/budget"
)

// Session is what a hub knows of one client. It belongs to its loop: every method
// is called there.
type Session struct {
	// static after Open
	hub  *Hub
	lane *lane
	link Link
	user string // "" for an anonymous client
	id   connectionID

	// owned by the loop
	permissions *auth.Permissions
	memberships []membership
	extra       *extra // what few sessions have; nil for most
	place       int32  // in the hub's residents on the loop
	issued      uint32 // when the token was made, in seconds since 1970; 0 for unknown
	expires     uint32 // when it expires, the same; 0 for never
	flags       sessionFlags

	grammar uint8 // static after Open: index into Node.grammars

	userPlace int32 // among several of its user; guarded by the lock of Hub.users
}

// sessionFlags are single facts about a session.
type sessionFlags uint8

const (
	flagRaw     sessionFlags = 1 << iota // the client has no subprotocol
	flagClosing                          // the hub has closed the link
	flagGone                             // Closed was called
)

func (s *Session) is(f sessionFlags) bool { return s.flags&f != 0 }

// membership is one group of a session and the session's place in the group's
// lists for their loop.
type membership struct {
	group *group
	index int32 // in the roster
	watch int32 // one more than in the list of those who watch its states; 0 for none
}

// ID returns the connection id.
func (s *Session) ID() string { return s.id.String() }

// Hub returns the name of the session's hub.
func (s *Session) Hub() string { return s.hub.name }

// QueueBudget returns the hub's budget for what its clients have not read yet. It
// is for the side that holds the sockets to keep; see Tenant.MaxQueueBytes.
func (s *Session) QueueBudget() *budget.Budget { return s.hub.queue }

// User returns the user id, "" for an anonymous client.
func (s *Session) User() string { return s.user }

func (s *Session) info() ConnectionInfo { return ConnectionInfo{ID: s.ID(), User: s.user} }

// language returns the grammar of the session.
func (s *Session) language() wire.Grammar { return s.hub.node.grammars[s.grammar] }

// Draining tells the client that the node is going away and how long to wait
// before it comes back. What the client asks for from now on is ignored, because
// the link is closed next.
func (s *Session) Draining(reconnectAfter time.Duration) {
	if s.is(flagClosing) {
		return
	}
	s.flags |= flagClosing
	s.reply(s.language().AppendDisconnected(s.lane.blank(), "service restart", reconnectAfter))
}

// Receive takes one message from the client. The payload is valid until Receive
// returns and is only read. A message that breaks the grammar closes the link;
// what comes after it is ignored.
func (s *Session) Receive(text bool, payload []byte) {
	if s.is(flagClosing) {
		return
	}
	if limit := s.hub.policy.MaxMessageSize; limit > 0 && len(payload) > limit {
		s.refuse(tooLarge)
		return
	}
	inTime := !s.hub.policy.paced() || s.keepsPace(len(payload))
	if s.is(flagClosing) {
		return
	}
	l := s.lane
	if err := s.language().Decode(&l.decoder, text, payload, &l.request); err != nil {
		s.fail(err)
		return
	}
	if !inTime {
		s.decline(&l.request, tooFast)
		return
	}
	s.handle(&l.request)
}

// Closed ends the session: the link is gone. It is called exactly once.
func (s *Session) Closed() {
	s.flags |= flagClosing | flagGone
	s.forget()
	s.leaveAll()
	s.endStreams()
	s.hub.unregister(s)
	s.hub.sessions.Add(-1)
	if s.extra != nil {
		s.lane.wheel.Disarm(s.extra)
	}
}

// Revoked ends the link because the client's token was revoked. Called on the
// session's loop.
func (s *Session) Revoked() { s.close(frame.ClosePolicyViolation, "the token was revoked") }

// close ends the link for a reason that is told the client. `disconnected` goes
// before the close frame because published clients show the program its text and
// not the reason of the close frame.
func (s *Session) close(code frame.CloseCode, reason string) {
	if s.is(flagClosing) {
		return
	}
	s.flags |= flagClosing
	s.reply(s.language().AppendDisconnected(s.lane.blank(), reason, 0))
	s.link.Close(code, reason)
	if r := s.lasting(); r != nil && r.away != 0 {
		s.Closed() // there is no link to report it
	}
}

// refuse counts a refusal that the client does not survive, and closes.
func (s *Session) refuse(r refusal) {
	s.count(r)
	s.close(refusals[r].code, refusals[r].message)
}

// replaced ends a session whose user has come again, where the newest wins.
func (s *Session) replaced() { s.refuse(replaced) }

// reply sends the one control message that was appended to the lane's blank
// buffer.
func (s *Session) reply(buf []byte) {
	if m := s.lane.seal(buf, s.language().Binary(nil)); m != nil {
		s.send(m)
	}
}

func (s *Session) send(m *frame.Message) {
	if !s.link.Send(m) && s.link != (nobody{}) {
		s.tally().dropped[linkRefused].Add(1)
	}
}

// tell sends the client a message with data that is for it alone.
func (s *Session) tell(m *wire.Message) {
	encoded := s.lane.message(s.language(), m)
	switch {
	case encoded == nil: // the grammar has no such message
	case s.take(encoded, 0):
		s.tally().told.Add(1)
	default:
		s.tally().dropped[linkRefused].Add(1)
	}
}

// take sends a message with data in the session's grammar and reports whether
// the link has taken it, or a reliable session keeps it: until that time, in
// nanoseconds since 1970, or while it lasts where that is 0.
func (s *Session) take(m *frame.Message, until int64) bool {
	if s.hub.node.sequenced.has(s.grammar) {
		return s.deliver(m, until)
	}
	return s.link.Send(m)
}

// post gives the session's loop a task, from any goroutine.
func (s *Session) post(t Task) bool { return s.lane.loop.Post(t) }

func (s *Session) tally() *tally { return s.lane.tally(s.hub) }
