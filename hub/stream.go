package hub

import (
	"slices"
	"time"

	"sluice/auth"
	"sluice/engine/wheel"
	"sluice/hub/wire"
)

// A stream is a message that comes in numbered parts: each is published when it
// comes, and the publisher hears which one is awaited, so that it can go on where
// it was after its connection broke. A stream belongs to the session, and goes on
// with it.

// stream is one that is under way. Owned by the session's loop.
type stream struct {
	id     string
	group  []byte
	noEcho bool

	expected uint64 // the number of the next part
	highest  uint64 // of all parts that came, in order or not

	idle  time.Duration
	until wheel.Tick // when it has been silent for too long; see extra.arm
}

// maxStreams is how many streams a session has under way.
const maxStreams = 32

// idleTimeout is how long a stream may be silent unless its publisher says
// otherwise.
const idleTimeout = 5 * time.Minute

// stream finds a stream of the session, nil for none. It stays where it is until
// one of them ends.
func (s *Session) stream(id []byte) *stream {
	if s.extra == nil {
		return nil
	}
	for i := range s.extra.streams {
		if s.extra.streams[i].id == string(id) {
			return &s.extra.streams[i]
		}
	}
	return nil
}

// startStream begins a stream. A publisher that has not heard that it has begun
// may begin it again.
func (s *Session) startStream(req *wire.Request) refusal {
	t, r := s.stream(req.StreamID), accepted
	switch {
	case !s.allowed(auth.SendToGroup, req.Group):
		r = forbidden
	case t != nil && (t.highest > 0 || string(t.group) != string(req.Group) || t.noEcho != req.NoEcho):
		r = streamExists
	case t == nil && s.extra != nil && len(s.extra.streams) == maxStreams:
		r = tooManyStreams
	}
	if r != accepted {
		return s.streamClosed(string(req.StreamID), r)
	}
	if t == nil {
		x := s.seldom()
		x.streams = append(x.streams, stream{
			id:       string(req.StreamID),
			group:    slices.Clone(req.Group),
			noEcho:   req.NoEcho,
			expected: 1,
			idle:     idleTimeout,
		})
		t = &x.streams[len(x.streams)-1]
	}
	if req.IdleTimeout > 0 {
		t.idle = req.IdleTimeout
	}
	s.heard(t)
	s.extra.arm()
	s.streamAck(t)
	return accepted
}

// heard notes that a stream is not silent. The deadline on the wheel stays where
// it is: it is looked at again when it comes.
func (s *Session) heard(t *stream) {
	n := s.hub.node
	t.until = n.tickAfter(n.now().Add(t.idle))
}

// streamPart publishes the part that is awaited; one that came before is not
// published again, and one that is too early has to come again.
func (s *Session) streamPart(req *wire.Request) refusal {
	t := s.stream(req.StreamID)
	if t == nil {
		return s.streamClosed(string(req.StreamID), streamNotFound)
	}
	s.heard(t)
	if !req.HasData {
		return accepted
	}
	t.highest = max(t.highest, req.Sequence)
	switch {
	case req.Sequence > t.expected:
		return s.streamNack(t)
	case req.Sequence == t.expected:
		if r := s.publishPart(t, req); r != accepted {
			s.breakOff(t, r)
			return r
		}
		t.expected++
	}
	s.streamAck(t)
	return accepted
}

func (s *Session) publishPart(t *stream, req *wire.Request) refusal {
	if r := s.mayPublish(t.group, len(req.Data)); r != accepted {
		return r
	}
	return s.publishStream(t, wire.Message{DataType: req.DataType, Data: req.Data}, wire.StreamInfo{})
}

// publishStream publishes m as what follows in a stream.
func (s *Session) publishStream(t *stream, m wire.Message, info wire.StreamInfo) refusal {
	l := s.lane
	info.ID, info.Sequence = t.id, t.expected
	l.part = info
	m.Stream = &l.part
	l.outgoing = m
	return s.publish(t.group, t.noEcho, nil, 0)
}

// finishStream ends a stream, well or not, as its publisher says. Parts that were
// refused and have not come again would be missing for the receivers without a
// sign, so it does not end before they have.
func (s *Session) finishStream(req *wire.Request) refusal {
	t := s.stream(req.StreamID)
	switch {
	case t == nil:
		return s.streamClosed(string(req.StreamID), streamNotFound)
	case t.highest >= t.expected && req.Failure == nil:
		s.heard(t)
		return s.streamNack(t)
	}
	var why *wire.StreamError
	if f := req.Failure; f != nil {
		why = &wire.StreamError{Name: wire.UserError, Message: string(f.Message), UserErrorCode: string(f.UserErrorCode)}
	}
	id := t.id
	s.endStream(t, why)
	return s.streamClosed(id, accepted)
}

// breakOff ends a stream that cannot go on: the receivers hear of it, and the
// publisher.
func (s *Session) breakOff(t *stream, r refusal) {
	name := wire.InternalServerError
	if n := refusals[r].name; n == wire.Forbidden || n == wire.IdleTimeout {
		name = n
	}
	id := t.id
	s.endStream(t, &wire.StreamError{Name: name, Message: refusals[r].message})
	s.streamClosed(id, r)
}

// endStream tells the receivers that a stream is over, and forgets it. Copies of
// this message that are lost are counted like any.
func (s *Session) endStream(t *stream, why *wire.StreamError) {
	s.publishStream(t, wire.Message{DataType: wire.Text}, wire.StreamInfo{End: true, Error: why})
	all := s.extra.streams
	*t = all[len(all)-1]
	all[len(all)-1] = stream{}
	if s.extra.streams = all[:len(all)-1]; len(s.extra.streams) == 0 {
		s.extra.streams = nil
	}
}

// endStreams ends all streams of a session that is over.
func (s *Session) endStreams() {
	for s.extra != nil && len(s.extra.streams) > 0 {
		s.endStream(&s.extra.streams[0], &wire.StreamError{Name: wire.Cancelled, Message: "the publisher is gone"})
	}
}

// endSilent ends the streams that have been silent for too long.
func (s *Session) endSilent(now wheel.Tick) {
	for i := len(s.extra.streams) - 1; i >= 0; i-- {
		if t := &s.extra.streams[i]; now >= t.until {
			s.breakOff(t, s.count(streamIdle))
		}
	}
}

// streamAck tells the publisher which part is awaited.
func (s *Session) streamAck(t *stream) {
	s.reply(s.language().AppendStreamAck(s.lane.blank(), t.id, t.expected))
}

// streamNack tells the publisher to go back to the part that is awaited.
func (s *Session) streamNack(t *stream) refusal {
	why := &refusals[streamOutOfOrder]
	s.reply(s.language().AppendStreamNack(s.lane.blank(), t.id, t.expected, why.name, why.message))
	return streamOutOfOrder
}

// streamClosed tells the publisher that there is no such stream, or not any more,
// and returns why.
func (s *Session) streamClosed(id string, r refusal) refusal {
	s.reply(s.language().AppendStreamClosed(s.lane.blank(), id, refusals[r].name, refusals[r].message))
	return r
}
