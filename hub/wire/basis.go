package wire

import (
	"strconv"
	"time"
)

// The least of the other grammars and messages that the hub needs.

// JSONReliableV1 is JSONv1 with sequence numbers.
type JSONReliableV1 struct{ JSONv1 }

var _ Sequenced = JSONReliableV1{}

// Name implements Grammar.
func (JSONReliableV1) Name() string { return nameReliable }

// Offsets implements Grammar.
func (JSONReliableV1) Offsets() Grammar { return JSONReliableV1{JSONv1{offsets: true}} }

// AppendMessage implements Grammar: all but the closing brace.
func (g JSONReliableV1) AppendMessage(dst []byte, m *Message) []byte {
	dst = g.JSONv1.AppendMessage(dst, m)
	return dst[:len(dst)-1]
}

// AppendSequenceID implements Sequenced.
func (JSONReliableV1) AppendSequenceID(dst []byte, id uint64) []byte {
	dst = append(dst, `,"sequenceId":`...)
	return append(strconv.AppendUint(dst, id, 10), '}')
}

// Raw is what clients without a subprotocol speak: bare data.
type Raw struct{ JSONv1 }

var _ Grammar = Raw{}

// Name implements Grammar.
func (Raw) Name() string { return "" }

// Offsets implements Grammar.
func (g Raw) Offsets() Grammar { return g }

// Binary implements Grammar.
func (Raw) Binary(m *Message) bool { return m != nil && m.DataType >= Binary }

// Decode implements Grammar.
func (Raw) Decode(_ *Decoder, text bool, msg []byte, req *Request) error {
	*req = Request{Kind: Event, Event: []byte("message"), Data: msg, DataType: Binary, HasData: true}
	if text {
		req.DataType = Text
	}
	return nil
}

// AppendMessage implements Grammar.
func (Raw) AppendMessage(dst []byte, m *Message) []byte { return append(dst, m.Data...) }

// The messages that a raw client does not get.

func (Raw) AppendConnected(dst []byte, _ *Connected) []byte                 { return dst }
func (Raw) AppendDisconnected(dst []byte, _ string, _ time.Duration) []byte { return dst }
func (Raw) AppendAck(dst []byte, _ uint64, _ ErrorName, _ string) []byte    { return dst }
func (Raw) AppendPong(dst []byte) []byte                                    { return dst }
func (Raw) AppendInvokeResponse(dst []byte, _ *InvokeResponse) []byte       { return dst }
func (Raw) AppendStreamAck(dst []byte, _ string, _ uint64) []byte           { return dst }
func (Raw) AppendGroupState(dst []byte, _ *GroupState) []byte               { return dst }
func (Raw) AppendHistory(dst []byte, _ *HistoryInfo) []byte                 { return dst }
func (Raw) AppendTokenExpiring(dst []byte, _ time.Duration) []byte          { return dst }

func (Raw) AppendStreamNack(dst []byte, _ string, _ uint64, _ ErrorName, _ string) []byte {
	return dst
}
func (Raw) AppendStreamClosed(dst []byte, _ string, _ ErrorName, _ string) []byte { return dst }

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
func (JSONv1) AppendTokenExpiring(dst []byte, in time.Duration) []byte {
	dst = append(dst, `{"type":"system","event":"tokenExpiring","expiresInMs":`...)
	dst = strconv.AppendInt(dst, in.Milliseconds(), 10)
	return append(dst, '}')
}
