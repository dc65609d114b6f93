package wire

import "time"

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
