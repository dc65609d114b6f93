package hub

import (
	"errors"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub/wire"
)

// handle does what one well-formed message asks for, unless it has been done: a
// client that has lost its connection asks again for what was not acknowledged.
func (s *Session) handle(req *wire.Request) {
	if r := s.lasting(); r != nil && req.HasAck && r.acks.has(req.AckID) {
		s.answer(req, duplicate)
		return
	}
	switch req.Kind {
	case wire.SendToGroup:
		s.answer(req, s.sendToGroup(req))
	case wire.JoinGroup:
		past, r := s.joinGroup(req)
		s.answer(req, r)
		s.tellPast(past)
	case wire.LeaveGroup:
		s.answer(req, s.requestLeave(req))
	case wire.Ping:
		s.send(s.hub.node.pongs[s.grammar])
	case wire.SequenceAck:
		s.acknowledged(req.SequenceID) // the protocol says to ignore it on other sessions
	case wire.Event:
		if x := s.extra; x != nil && x.pipe != nil {
			req.Group, req.NoEcho = x.pipe, x.pipeNoEcho
			s.answer(req, s.sendToGroup(req))
			return
		}
		s.event(req)
	case wire.Invoke:
		s.event(req)
	case wire.CancelInvocation:
		if h := s.hub.handler(); h != nil {
			h.Cancel(s.info(), req.InvocationID)
		}
	case wire.StreamStart:
		s.answer(req, s.startStream(req))
	case wire.StreamData:
		s.answer(req, s.streamPart(req))
	case wire.StreamEnd:
		s.answer(req, s.finishStream(req))
	case wire.SetGroupState:
		s.answer(req, s.setState(req))
	case wire.SubscribeGroupState:
		s.answer(req, s.watch(req))
	case wire.UnsubscribeGroupState:
		s.answer(req, s.unwatchGroup(req))
	case wire.Auth:
		s.answer(req, s.refresh(req))
	case wire.Notify:
		s.answer(req, s.notify(req.Notices))
	default:
		s.answer(req, unsupported)
	}
}

// answer counts a refusal and acknowledges the request if the client asked for
// that: exactly one acknowledgement for each request with an ackId, silence
// otherwise. A raw client knows no acknowledgement: where one that failed means
// that it cannot go on, it is closed.
func (s *Session) answer(req *wire.Request, r refusal) {
	if s.is(flagRaw) && refusals[r].code != 0 {
		s.refuse(r)
		return
	}
	s.count(r)
	if lasting := s.lasting(); lasting != nil && req.HasAck && r == accepted {
		lasting.acks.add(req.AckID)
	}
	if req.HasAck {
		s.reply(s.language().AppendAck(s.lane.blank(), req.AckID, refusals[r].name, refusals[r].message))
	}
}

// joinGroup returns what the client wants to know of what came before.
func (s *Session) joinGroup(req *wire.Request) (*recollection, refusal) {
	switch {
	case !s.allowed(auth.JoinLeaveGroup, req.Group):
		return nil, forbidden
	case req.History.Wanted:
		return s.joinWithPast(string(req.Group), req.History)
	}
	return nil, s.join(string(req.Group))
}

// requestLeave succeeds as well when the session is not in the group.
func (s *Session) requestLeave(req *wire.Request) refusal {
	if !s.allowed(auth.JoinLeaveGroup, req.Group) {
		return forbidden
	}
	s.leaveGroup(string(req.Group))
	return accepted
}

// sendToGroup publishes to a group; the sender need not be in it.
func (s *Session) sendToGroup(req *wire.Request) refusal {
	if r := s.mayPublish(req.Group, len(req.Data)); r != accepted {
		return r
	}
	s.lane.outgoing = wire.Message{DataType: req.DataType, Data: req.Data, Metadata: req.Metadata}
	return s.publish(req.Group, req.NoEcho, req.ConflationKey, time.Duration(req.TTL)*time.Second)
}

// mayPublish judges a message of that many bytes for a group before anything is
// done for it.
func (s *Session) mayPublish(group []byte, size int) refusal {
	switch {
	case !s.allowed(auth.SendToGroup, group):
		return forbidden
	case !s.hub.admits(size):
		return rateLimited
	}
	return accepted
}

// publish publishes the lane's outgoing message to a group, as the client's. A
// group that nobody is in does not exist, and publishing to it is a success.
func (s *Session) publish(group []byte, noEcho bool, conflationKey []byte, ttl time.Duration) refusal {
	s.tally().published.Add(1)
	l, h := s.lane, s.hub
	m := &l.outgoing
	m.FromUser = s.user
	var except *Session
	if noEcho {
		except = s
	}
	until := h.node.after(ttl)
	g, ok := h.groups.Load(string(group))
	if hist := h.historyOf(string(group), g); hist != nil {
		defer h.dismiss(hist)
		m.Group = hist.name
		members, r := h.publishKept(hist, &l.encoder, m, conflationKey, publication{except: except, until: until}, l.stamp(), s.tally())
		l.fanOut.Observe(members)
		return r
	}
	if !ok {
		l.fanOut.Observe(0)
		return accepted
	}
	m.Group = g.name
	return l.publish(g, m, conflationKey, except, until)
}

// fail ends a client that broke the grammar.
func (s *Session) fail(err error) {
	code, reason := frame.CloseInvalidPayload, err.Error()
	if e := (*wire.Error)(nil); errors.As(err, &e) {
		code, reason = frame.CloseCode(e.Code), e.Reason
	}
	s.count(malformed)
	s.close(code, reason)
}
