package wire

import (
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// ProtobufV1 is the grammar protobuf.sluice.v1 of sluice.proto, one message in each
// binary WebSocket message, and the same under its compatible name. It is written
// by hand, without reflection, and held against the schema by a test.
type ProtobufV1 struct {
	// offsets is as in JSONv1.
	offsets bool
}

var _ Grammar = ProtobufV1{}

// Name implements Grammar.
func (ProtobufV1) Name() string { return nameProtobuf }

// Binary implements Grammar: all of it goes in binary frames.
func (ProtobufV1) Binary(*Message) bool { return true }

// Offsets implements Grammar.
func (ProtobufV1) Offsets() Grammar { return ProtobufV1{offsets: true} }

// ProtobufReliableV1 is ProtobufV1 with sequence numbers.
type ProtobufReliableV1 struct{ ProtobufV1 }

var _ Sequenced = ProtobufReliableV1{}

// Name implements Grammar.
func (ProtobufReliableV1) Name() string { return nameProtobufReliable }

// Offsets implements Grammar.
func (ProtobufReliableV1) Offsets() Grammar { return ProtobufReliableV1{ProtobufV1{offsets: true}} }

// sequenceBytes is what a sequence id takes: its length stands before the data that
// all receivers share, so it cannot depend on the id. Eight bytes of a varint, the
// last ones perhaps of zeros, are good for 56 bits.
const sequenceBytes = 1 + 8

// AppendMessage implements Grammar: all but the last field, whose length is counted
// already.
func (g ProtobufReliableV1) AppendMessage(dst []byte, m *Message) []byte {
	return g.appendData(dst, m, sequenceBytes)
}

// AppendSequenceID implements Sequenced.
func (ProtobufReliableV1) AppendSequenceID(dst []byte, id uint64) []byte {
	dst = protowire.AppendTag(dst, 4, protowire.VarintType)
	for range sequenceBytes - 2 {
		dst = append(dst, byte(id)|0x80)
		id >>= 7
	}
	return append(dst, byte(id)&0x7f)
}

// writing appends the fields of one message.
type writing struct{ dst []byte }

func (p *writing) text(number protowire.Number, value string) {
	if value != "" {
		p.dst = protowire.AppendTag(p.dst, number, protowire.BytesType)
		p.dst = protowire.AppendString(p.dst, strings.ToValidUTF8(value, "\ufffd"))
	}
}

// bytes is there even when it is empty.
func (p *writing) bytes(number protowire.Number, value []byte) {
	p.dst = protowire.AppendTag(p.dst, number, protowire.BytesType)
	p.dst = protowire.AppendBytes(p.dst, value)
}

// uint is left out where it is 0.
func (p *writing) uint(number protowire.Number, value uint64) {
	if value > 0 {
		p.always(number, value)
	}
}

func (p *writing) always(number protowire.Number, value uint64) {
	p.dst = protowire.AppendTag(p.dst, number, protowire.VarintType)
	p.dst = protowire.AppendVarint(p.dst, value)
}

func (p *writing) bool(number protowire.Number, value bool) {
	p.uint(number, protowire.EncodeBool(value))
}

// begin starts a message as a field, which end completes.
func (p *writing) begin(number protowire.Number) (start int) {
	p.dst = protowire.AppendTag(p.dst, number, protowire.BytesType)
	return len(p.dst)
}

// end writes the length of a message that began at start before its fields, more
// bytes of which are still to come.
func (p *writing) end(start, more int) {
	n := len(p.dst) - start
	head := protowire.SizeVarint(uint64(n + more))
	for range head {
		p.dst = append(p.dst, 0)
	}
	copy(p.dst[start+head:], p.dst[start:start+n])
	protowire.AppendVarint(p.dst[:start], uint64(n+more))
}

func (p *writing) error(number protowire.Number, name ErrorName, message string) {
	start := p.begin(number)
	p.text(1, string(name))
	p.text(2, message)
	p.end(start, 0)
}

// pairs is a map of strings.
func (p *writing) pairs(number protowire.Number, pairs []Pair) {
	for _, pair := range pairs {
		start := p.begin(number)
		p.bytes(1, pair.Key)
		p.bytes(2, pair.Value)
		p.end(start, 0)
	}
}

// state is a message with a map of strings.
func (p *writing) state(number protowire.Number, pairs []Pair) {
	start := p.begin(number)
	p.pairs(1, pairs)
	p.end(start, 0)
}

// The fields of MessageData.
const (
	protoText     = 1
	protoBinary   = 2
	protoProtobuf = 3
	protoJSON     = 4
)

// data is a MessageData.
func (p *writing) data(number protowire.Number, t DataType, data []byte) {
	start := p.begin(number)
	switch t {
	case JSON:
		p.bytes(protoJSON, data)
	case Text:
		p.bytes(protoText, validText(data))
	case Binary:
		p.bytes(protoBinary, data)
	default:
		p.bytes(protoProtobuf, data)
	}
	p.end(start, 0)
}

// AppendMessage implements Grammar.
func (g ProtobufV1) AppendMessage(dst []byte, m *Message) []byte { return g.appendData(dst, m, 0) }

func (g ProtobufV1) appendData(dst []byte, m *Message, more int) []byte {
	p := writing{dst}
	start := p.begin(2)
	if m.Group == "" {
		p.text(1, "server")
	} else {
		p.text(1, "group")
		p.text(2, m.Group)
	}
	p.data(3, m.DataType, m.Data)
	p.pairs(5, m.Metadata)
	if m.Stream != nil {
		p.stream(m.Stream)
	}
	p.text(100, m.FromUser)
	if g.offsets {
		p.uint(101, m.Offset)
	}
	p.end(start, more)
	return p.dst
}

func (p *writing) stream(s *StreamInfo) {
	start := p.begin(6)
	p.text(1, s.ID)
	p.uint(2, s.Sequence)
	p.bool(3, s.End)
	if e := s.Error; e != nil {
		why := p.begin(4)
		p.text(1, string(e.Name))
		p.text(2, e.Message)
		p.text(3, e.UserErrorCode)
		p.end(why, 0)
	}
	p.end(start, 0)
}

// one appends a message with one field, whose fields write appends.
func (p *writing) one(number protowire.Number, write func(p *writing)) []byte {
	start := p.begin(number)
	write(p)
	p.end(start, 0)
	return p.dst
}

// AppendConnected implements Grammar.
func (ProtobufV1) AppendConnected(dst []byte, c *Connected) []byte {
	return (&writing{dst}).one(3, func(p *writing) {
		p.one(1, func(p *writing) {
			p.text(1, c.ConnectionID)
			p.text(2, c.UserID)
			p.text(3, c.ReconnectionToken)
		})
	})
}

// AppendDisconnected implements Grammar.
func (ProtobufV1) AppendDisconnected(dst []byte, reason string, reconnectAfter time.Duration) []byte {
	return (&writing{dst}).one(3, func(p *writing) {
		p.one(2, func(p *writing) {
			p.text(2, reason)
			p.uint(100, milliseconds(reconnectAfter))
		})
	})
}

func milliseconds(d time.Duration) uint64 { return uint64(max(0, d.Milliseconds())) }

// AppendTokenExpiring implements Grammar.
func (ProtobufV1) AppendTokenExpiring(dst []byte, in time.Duration) []byte {
	return (&writing{dst}).one(3, func(p *writing) {
		p.one(100, func(p *writing) { p.uint(1, milliseconds(in)) })
	})
}

// AppendAck implements Grammar.
func (ProtobufV1) AppendAck(dst []byte, ackID uint64, name ErrorName, message string) []byte {
	return (&writing{dst}).one(1, func(p *writing) {
		p.uint(1, ackID)
		p.bool(2, name == "")
		if name != "" {
			p.error(3, name, message)
		}
	})
}

// AppendPong implements Grammar.
func (ProtobufV1) AppendPong(dst []byte) []byte { return (&writing{dst}).one(4, func(*writing) {}) }

// AppendInvokeResponse implements Grammar.
func (ProtobufV1) AppendInvokeResponse(dst []byte, r *InvokeResponse) []byte {
	return (&writing{dst}).one(100, func(p *writing) {
		p.text(1, r.InvocationID)
		p.bool(2, r.Error == "")
		if r.Error != "" {
			p.error(4, r.Error, r.ErrorMessage)
		} else {
			p.data(3, r.DataType, r.Data)
		}
	})
}

// AppendStreamAck implements Grammar.
func (ProtobufV1) AppendStreamAck(dst []byte, streamID string, expected uint64) []byte {
	return (&writing{dst}).one(6, func(p *writing) {
		p.text(1, streamID)
		p.uint(2, expected)
	})
}

// AppendStreamNack implements Grammar.
func (ProtobufV1) AppendStreamNack(dst []byte, streamID string, expected uint64, name ErrorName, message string) []byte {
	return (&writing{dst}).one(7, func(p *writing) {
		p.text(1, streamID)
		p.text(2, string(name))
		p.text(3, message)
		p.uint(4, expected)
	})
}

// AppendStreamClosed implements Grammar.
func (ProtobufV1) AppendStreamClosed(dst []byte, streamID string, name ErrorName, message string) []byte {
	return (&writing{dst}).one(8, func(p *writing) {
		p.text(1, streamID)
		if name != "" {
			p.error(2, name, message)
		}
	})
}

// AppendGroupState implements Grammar.
func (ProtobufV1) AppendGroupState(dst []byte, s *GroupState) []byte {
	return (&writing{dst}).one(101, func(p *writing) {
		p.text(1, s.Group)
		p.bool(2, s.Snapshot)
		for i := range s.Items {
			item := &s.Items[i]
			start := p.begin(3)
			p.text(1, item.ConnectionID)
			p.text(2, item.UserID)
			if item.HasState {
				p.state(3, item.State)
			}
			p.uint(4, uint64(item.UpdatedAt))
			p.text(5, item.Event.String())
			p.end(start, 0)
		}
	})
}

// AppendHistory implements Grammar.
func (ProtobufV1) AppendHistory(dst []byte, h *HistoryInfo) []byte {
	return (&writing{dst}).one(102, func(p *writing) {
		p.text(1, h.Group)
		p.text(2, h.Epoch)
		p.uint(3, h.Offset)
		p.bool(4, h.Complete)
	})
}
