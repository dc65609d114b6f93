package hub

import (
	"errors"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub/wire"
)

// handle does what one well-formed message asks for.
func (s *Session) handle(req *wire.Request) {
	switch req.Kind {
	case wire.SendToGroup:
		s.answer(req, s.sendToGroup(req))
	case wire.JoinGroup:
		s.answer(req, s.joinGroup(req))
	case wire.LeaveGroup:
		s.answer(req, s.leaveGroup(req))
	case wire.Ping:
		s.send(s.hub.node.pongs[s.grammar])
	case wire.SequenceAck:
		// For reliable sessions; the protocol says to ignore it on others.
	case wire.Event, wire.Invoke, wire.CancelInvocation:
		s.answer(req, noHandler)
	default:
		s.answer(req, unsupported)
	}
}

// answer counts a refusal and acknowledges the request if the client asked for
// that: exactly one acknowledgement for each request with an ackId, silence
// otherwise. Duplicate ackIds are to be recognised here.
func (s *Session) answer(req *wire.Request, r refusal) {
	if r != accepted {
		s.tally().refused[r].Add(1)
	}
	if req.HasAck {
		g := s.hub.node.grammars[s.grammar]
		s.reply(g.AppendAck(s.lane.blank(), req.AckID, refusals[r].name, refusals[r].message))
	}
}

func (s *Session) joinGroup(req *wire.Request) refusal {
	if !s.permissions.Allowed(auth.JoinLeaveGroup, req.Group) {
		return forbidden
	}
	return s.join(string(req.Group))
}

// leaveGroup succeeds as well when the session is not in the group.
func (s *Session) leaveGroup(req *wire.Request) refusal {
	if !s.permissions.Allowed(auth.JoinLeaveGroup, req.Group) {
		return forbidden
	}
	if g, ok := s.hub.groups.Load(string(req.Group)); ok {
		if i := s.membership(g); i >= 0 {
			s.leave(i)
		}
	}
	return accepted
}

// sendToGroup publishes to a group; the sender need not be in it. A group that
// nobody is in does not exist, and publishing to it is a success.
func (s *Session) sendToGroup(req *wire.Request) refusal {
	if !s.permissions.Allowed(auth.SendToGroup, req.Group) {
		return forbidden
	}
	s.tally().published.Add(1)
	g, ok := s.hub.groups.Load(string(req.Group))
	if !ok {
		s.lane.fanOut.Observe(0)
		return accepted
	}
	m := &s.lane.outgoing
	*m = wire.GroupMessage{Group: g.name, FromUser: s.user, DataType: req.DataType, Data: req.Data}
	var except *Session
	if req.NoEcho {
		except = s
	}
	return s.lane.publish(g, m, except)
}

// fail ends a client that broke the grammar. `disconnected` goes before the close
// frame, as before every close by the hub, because published clients show the
// program its text and not the reason of the close frame.
func (s *Session) fail(err error) {
	code, reason := frame.CloseInvalidPayload, err.Error()
	if e := (*wire.Error)(nil); errors.As(err, &e) {
		code, reason = frame.CloseCode(e.Code), e.Reason
	}
	s.tally().refused[malformed].Add(1)
	s.closing = true
	s.reply(s.hub.node.grammars[s.grammar].AppendDisconnected(s.lane.blank(), reason, 0))
	s.link.Close(code, reason)
}
