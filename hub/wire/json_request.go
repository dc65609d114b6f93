package wire

import "strconv"

// AppendRequest appends req as a client writes it, the inverse of Decode for
// the kinds that Decode reads in full. It is for programs on the other side:
// load generators and tests.
func (JSONv1) AppendRequest(dst []byte, req *Request) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, req.Kind.String()...)
	dst = append(dst, '"')
	switch req.Kind {
	case JoinGroup, LeaveGroup:
		dst = appendGroup(dst, req.Group)
	case SendToGroup:
		dst = appendGroup(dst, req.Group)
		if req.NoEcho {
			dst = append(dst, `,"noEcho":true`...)
		}
		dst = appendData(dst, req.DataType, req.Data)
		dst = appendMetadata(dst, req.Metadata)
		if req.TTL > 0 {
			dst = append(dst, `,"ttlSeconds":`...)
			dst = strconv.AppendUint(dst, uint64(req.TTL), 10)
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
		dst = append(dst, `,"sequenceId":`...)
		dst = strconv.AppendUint(dst, req.SequenceID, 10)
	case Auth:
		dst = appendText(dst, "token", req.Token)
	case Notify:
		if req.Notices&TokenExpiring != 0 {
			dst = append(dst, `,"tokenExpiring":true`...)
		}
	}
	if req.HasAck {
		dst = append(dst, `,"ackId":`...)
		dst = strconv.AppendUint(dst, req.AckID, 10)
	}
	return append(dst, '}')
}

// appendText appends a property that is a string.
func appendText(dst []byte, name string, text []byte) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendString(dst, text)
}
