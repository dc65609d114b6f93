package hub

import (
	"encoding/base32"
	"time"

	"sluice/auth"
	"sluice/frame"
)

// Session is what a hub knows of one client. It belongs to its loop: every method
// is called there.
type Session struct {
	// static after Open
	hub         *Hub
	lane        *lane
	link        Link
	permissions *auth.Permissions
	user        string // "" for an anonymous client
	id          [16]byte
	grammar     uint8 // index into Node.grammars

	// owned by the loop
	closing     bool // the hub has closed the link
	memberships []membership
}

// membership is one group of a session and the session's place in the group's
// roster on their loop.
type membership struct {
	group *group
	index int32
}

// idEncoding is safe in addresses, file names and on command lines: lower-case
// letters and digits.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ID returns the connection id: 128 random bits, so that knowing one does not
// help to guess another.
func (s *Session) ID() string { return idEncoding.EncodeToString(s.id[:]) }

// Hub returns the name of the session's hub.
func (s *Session) Hub() string { return s.hub.name }

// User returns the user id, "" for an anonymous client.
func (s *Session) User() string { return s.user }

// Draining tells the client that the node is going away and how long to wait
// before it comes back. What the client asks for from now on is ignored, because
// the link is closed next.
func (s *Session) Draining(reconnectAfter time.Duration) {
	if s.closing {
		return
	}
	s.closing = true
	g := s.hub.node.grammars[s.grammar]
	s.reply(g.AppendDisconnected(s.lane.blank(), "service restart", reconnectAfter))
}

// Receive takes one message from the client. The payload is valid until Receive
// returns and is only read. A message that breaks the grammar closes the link;
// what comes after it is ignored.
func (s *Session) Receive(text bool, payload []byte) {
	if s.closing {
		return
	}
	l := s.lane
	g := s.hub.node.grammars[s.grammar]
	if err := g.Decode(&l.decoder, text, payload, &l.request); err != nil {
		s.fail(err)
		return
	}
	s.handle(&l.request)
}

// Closed ends the session: the link is gone. It is called exactly once.
func (s *Session) Closed() {
	for len(s.memberships) > 0 {
		s.leave(len(s.memberships) - 1)
	}
	s.hub.sessions.Add(-1)
}

// reply sends the one message that was appended to the lane's blank buffer.
func (s *Session) reply(buf []byte) {
	m := s.lane.seal(s.hub.node.grammars[s.grammar], buf)
	if m != nil {
		s.send(m)
	}
}

func (s *Session) send(m *frame.Message) {
	if !s.link.Send(m) {
		s.tally().dropped[linkRefused].Add(1)
	}
}

func (s *Session) tally() *tally { return s.lane.tally(s.hub) }
