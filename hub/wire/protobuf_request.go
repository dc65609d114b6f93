package wire

import "google.golang.org/protobuf/encoding/protowire"

// protoKinds are the fields of UpstreamMessage.
var protoKinds = map[protowire.Number]Kind{
	1: SendToGroup, 5: Event, 6: JoinGroup, 7: LeaveGroup, 8: SequenceAck, 9: Ping, 13: StreamData, 14: StreamEnd,
	100: Invoke, 101: CancelInvocation, 102: SetGroupState, 103: SubscribeGroupState, 104: UnsubscribeGroupState,
	105: Auth, 106: Notify,
}

// AppendRequest appends req as a client writes it, the inverse of Decode.
func (ProtobufV1) AppendRequest(dst []byte, req *Request) []byte {
	kind := req.Kind
	if kind == StreamStart {
		kind = SendToGroup // with a stream
	}
	var number protowire.Number
	for n, k := range protoKinds {
		if k == kind {
			number = n
		}
	}
	return (&writing{dst}).one(number, func(p *writing) { p.request(req) })
}

func (p *writing) request(req *Request) {
	ack := func(number protowire.Number) {
		if req.HasAck {
			p.always(number, req.AckID)
		}
	}
	switch req.Kind {
	case SendToGroup, StreamStart:
		p.text(1, string(req.Group))
		ack(2)
		p.bool(4, req.NoEcho)
		if req.Kind == StreamStart {
			start := p.begin(7)
			p.text(1, string(req.StreamID))
			p.uint(2, milliseconds(req.IdleTimeout))
			p.end(start, 0)
			return
		}
		p.data(3, req.DataType, req.Data)
		p.uint(5, uint64(req.TTL))
		p.pairs(6, req.Metadata)
		p.text(100, string(req.ConflationKey))
	case Event:
		p.text(1, string(req.Event))
		p.data(2, req.DataType, req.Data)
		ack(3)
		p.pairs(4, req.Metadata)
	case JoinGroup, LeaveGroup, UnsubscribeGroupState:
		p.text(1, string(req.Group))
		ack(2)
		if h := req.History; h.Wanted {
			start := p.begin(100)
			if h.Last > 0 {
				p.uint(1, uint64(h.Last))
			} else {
				p.always(2, h.Since)
				p.text(3, string(h.Epoch))
			}
			p.end(start, 0)
		}
	case SequenceAck:
		p.uint(1, req.SequenceID)
	case StreamData, StreamEnd:
		p.text(1, string(req.StreamID))
		p.uint(2, req.Sequence)
		if req.HasData {
			p.data(3, req.DataType, req.Data)
		}
		if f := req.Failure; f != nil {
			start := p.begin(2)
			p.text(1, string(f.Message))
			p.text(2, string(f.UserErrorCode))
			p.end(start, 0)
		}
	case Invoke, CancelInvocation:
		p.text(1, string(req.InvocationID))
		p.text(2, string(req.Event))
		if req.HasData {
			p.data(3, req.DataType, req.Data)
		}
	case SetGroupState:
		p.text(1, string(req.Group))
		ack(2)
		if req.HasState {
			p.state(3, req.State)
		}
	case SubscribeGroupState:
		p.text(1, string(req.Group))
		ack(2)
		p.bool(3, req.Presence)
	case Auth:
		p.text(1, string(req.Token))
		ack(2)
	case Notify:
		p.bool(1, req.Notices&TokenExpiring != 0)
		ack(2)
	}
}
