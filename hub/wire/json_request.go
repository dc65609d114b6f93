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
	case Event:
		dst = append(dst, `,"event":`...)
		dst = appendString(dst, req.Event)
		dst = appendData(dst, req.DataType, req.Data)
	}
	if req.HasAck {
		dst = append(dst, `,"ackId":`...)
		dst = strconv.AppendUint(dst, req.AckID, 10)
	}
	return append(dst, '}')
}
