package wire

import "strconv"

// AppendRequest appends req as a client writes it, the inverse of Decode. It is
// for programs on the other side: load generators and tests.
func (JSONv1) AppendRequest(dst []byte, req *Request) []byte {
	kind := req.Kind
	if kind == StreamStart {
		kind = SendToGroup // with a stream
	}
	dst = append(dst, `{"type":"`...)
	dst = append(dst, kind.String()...)
	dst = append(dst, '"')
	switch req.Kind {
	case JoinGroup:
		dst = appendGroup(dst, req.Group)
		dst = appendHistoryWish(dst, &req.History)
	case LeaveGroup, UnsubscribeGroupState:
		dst = appendGroup(dst, req.Group)
	case SendToGroup:
		dst = appendGroup(dst, req.Group)
		if req.NoEcho {
			dst = append(dst, `,"noEcho":true`...)
		}
		dst = appendData(dst, req.DataType, req.Data)
		dst = appendMetadata(dst, req.Metadata)
		if req.TTL > 0 {
			dst = appendUint(dst, "ttlSeconds", uint64(req.TTL))
		}
		if len(req.ConflationKey) > 0 {
			dst = appendText(dst, "conflationKey", req.ConflationKey)
		}
	case Event:
		dst = appendText(dst, "event", req.Event)
		dst = appendData(dst, req.DataType, req.Data)
		dst = appendMetadata(dst, req.Metadata)
	case Invoke:
		dst = appendText(dst, "invocationId", req.InvocationID)
		dst = append(dst, `,"target":"event"`...)
		dst = appendText(dst, "event", req.Event)
		if req.HasData {
			dst = appendData(dst, req.DataType, req.Data)
		}
	case CancelInvocation:
		dst = appendText(dst, "invocationId", req.InvocationID)
	case SequenceAck:
		dst = appendUint(dst, "sequenceId", req.SequenceID)
	case StreamStart, StreamData, StreamEnd:
		dst = appendStreamRequest(dst, req)
	case SetGroupState:
		dst = appendGroup(dst, req.Group)
		if req.HasState {
			dst = append(dst, `,"state":`...)
			dst = appendPairs(dst, req.State)
		}
	case SubscribeGroupState:
		dst = appendGroup(dst, req.Group)
		if req.Presence {
			dst = append(dst, `,"presence":true`...)
		}
	case Auth:
		dst = appendText(dst, "token", req.Token)
	case Notify:
		if req.Notices&TokenExpiring != 0 {
			dst = append(dst, `,"tokenExpiring":true`...)
		}
	}
	if req.HasAck {
		dst = appendUint(dst, "ackId", req.AckID)
	}
	return append(dst, '}')
}

func appendHistoryWish(dst []byte, h *History) []byte {
	switch {
	case !h.Wanted:
		return dst
	case h.Last > 0:
		dst = append(dst, `,"history":{"last":`...)
		dst = strconv.AppendUint(dst, uint64(h.Last), 10)
	default:
		dst = append(dst, `,"history":{"since":`...)
		dst = strconv.AppendUint(dst, h.Since, 10)
		dst = appendText(dst, "epoch", h.Epoch)
	}
	return append(dst, '}')
}

func appendStreamRequest(dst []byte, req *Request) []byte {
	switch req.Kind {
	case StreamStart:
		dst = appendGroup(dst, req.Group)
		if req.NoEcho {
			dst = append(dst, `,"noEcho":true`...)
		}
		dst = append(dst, `,"stream":{"streamId":`...)
		dst = appendString(dst, req.StreamID)
		if ms := req.IdleTimeout.Milliseconds(); ms > 0 {
			dst = appendUint(dst, "idleTimeoutMs", uint64(ms))
		}
		return append(dst, '}')
	case StreamData:
		dst = appendStreamID(dst, req.StreamID)
		if req.HasData {
			dst = appendUint(dst, "streamSequenceId", req.Sequence)
			dst = appendData(dst, req.DataType, req.Data)
		}
		return dst
	}
	dst = appendStreamID(dst, req.StreamID)
	if f := req.Failure; f != nil {
		dst = append(dst, `,"error":{"message":`...)
		dst = appendString(dst, f.Message)
		dst = appendText(dst, "userErrorCode", f.UserErrorCode)
		dst = append(dst, '}')
	}
	return dst
}
