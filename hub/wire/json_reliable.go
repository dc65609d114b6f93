package wire

import "strconv"

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
