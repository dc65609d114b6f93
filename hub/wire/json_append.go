package wire

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendConnected implements Grammar. The user id is left out when empty:
// some published clients would show a null as the text "null".
func (JSONv1) AppendConnected(dst []byte, c *Connected) []byte {
	dst = append(dst, `{"type":"system","event":"connected"`...)
	if c.UserID != "" {
		dst = append(dst, `,"userId":`...)
		dst = appendString(dst, c.UserID)
	}
	dst = append(dst, `,"connectionId":`...)
	dst = appendString(dst, c.ConnectionID)
	if c.ReconnectionToken != "" {
		dst = append(dst, `,"reconnectionToken":`...)
		dst = appendString(dst, c.ReconnectionToken)
	}
	return append(dst, '}')
}

// AppendDisconnected implements Grammar. The message is always present, even
// when empty: some published clients read it unconditionally. The wait is a
// property more and not an event of its own: published clients pass over
// properties they do not know, and fail on such events.
func (JSONv1) AppendDisconnected(dst []byte, reason string, reconnectAfter time.Duration) []byte {
	dst = append(dst, `{"type":"system","event":"disconnected","message":`...)
	dst = appendString(dst, reason)
	if reconnectAfter > 0 {
		dst = append(dst, `,"reconnectAfterMs":`...)
		dst = strconv.AppendInt(dst, reconnectAfter.Milliseconds(), 10)
	}
	return append(dst, '}')
}

// AppendAck implements Grammar.
func (JSONv1) AppendAck(dst []byte, ackID uint64, name ErrorName, message string) []byte {
	dst = append(dst, `{"type":"ack","ackId":`...)
	dst = strconv.AppendUint(dst, ackID, 10)
	if name == "" {
		return append(dst, `,"success":true}`...)
	}
	dst = append(dst, `,"success":false`...)
	dst = appendError(dst, name, message)
	return append(dst, '}')
}

func appendError(dst []byte, name ErrorName, message string) []byte {
	dst = append(dst, `,"error":{"name":`...)
	dst = appendString(dst, name)
	dst = appendText(dst, "message", message)
	return append(dst, '}')
}

// AppendMessage implements Grammar.
func (g JSONv1) AppendMessage(dst []byte, m *Message) []byte {
	if m.Group == "" {
		dst = append(dst, `{"type":"message","from":"server"`...)
	} else {
		dst = append(dst, `{"type":"message","from":"group"`...)
		dst = appendGroup(dst, m.Group)
	}
	if m.FromUser != "" {
		dst = append(dst, `,"fromUserId":`...)
		dst = appendString(dst, m.FromUser)
	}
	dst = appendData(dst, m.DataType, m.Data)
	dst = appendMetadata(dst, m.Metadata)
	dst = appendStream(dst, m.Stream)
	if g.offsets && m.Offset > 0 {
		dst = appendUint(dst, "offset", m.Offset)
	}
	return append(dst, '}')
}

// AppendPong implements Grammar.
func (JSONv1) AppendPong(dst []byte) []byte {
	return append(dst, `{"type":"pong"}`...)
}

// AppendInvokeResponse implements Grammar.
func (JSONv1) AppendInvokeResponse(dst []byte, r *InvokeResponse) []byte {
	dst = append(dst, `{"type":"invokeResponse","invocationId":`...)
	dst = appendString(dst, r.InvocationID)
	if r.Error != "" {
		dst = append(dst, `,"success":false`...)
		dst = appendError(dst, r.Error, r.ErrorMessage)
		return append(dst, '}')
	}
	dst = append(dst, `,"success":true`...)
	dst = appendData(dst, r.DataType, r.Data)
	return append(dst, '}')
}

// AppendTokenExpiring implements Grammar.
func (JSONv1) AppendTokenExpiring(dst []byte, in time.Duration) []byte {
	dst = append(dst, `{"type":"system","event":"tokenExpiring","expiresInMs":`...)
	dst = strconv.AppendInt(dst, in.Milliseconds(), 10)
	return append(dst, '}')
}

// appendText appends a property that is a string.
func appendText[S ~[]byte | ~string](dst []byte, name string, text S) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendString(dst, text)
}

func appendGroup[S ~[]byte | ~string](dst []byte, group S) []byte {
	dst = append(dst, `,"group":`...)
	return appendString(dst, group)
}

// appendData appends the two properties that carry data of type t. JSON is
// not parsed again: Decode has checked it when it came in.
func appendData(dst []byte, t DataType, data []byte) []byte {
	switch t {
	case JSON:
		dst = append(dst, `,"dataType":"json","data":`...)
		return append(dst, data...)
	case Text:
		dst = append(dst, `,"dataType":"text","data":`...)
		return appendString(dst, data)
	default:
		dst = append(dst, `,"dataType":"`...)
		dst = append(dst, t.String()...)
		dst = append(dst, `","data":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, data)
		return append(dst, '"')
	}
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, which is what the error dropped here reports: a string from a token
// may hold them, and the client must still get valid JSON.
func appendString[S ~[]byte | ~string](dst []byte, s S) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
