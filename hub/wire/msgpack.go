package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// MsgpackV1 is the grammar msgpack.sluice.v1: the messages of JSONv1 as MessagePack
// maps with the same keys, one per binary message. Binary data is of the bin
// family, and JSON data the JSON text as a string, byte for byte.
type MsgpackV1 struct {
	// offsets is as in JSONv1.
	offsets bool
}

var _ Grammar = MsgpackV1{}

// Name implements Grammar.
func (MsgpackV1) Name() string { return nameMsgpack }

// Binary implements Grammar: all of it goes in binary frames.
func (MsgpackV1) Binary(*Message) bool { return true }

// Offsets implements Grammar.
func (MsgpackV1) Offsets() Grammar { return MsgpackV1{offsets: true} }

// Decode implements Grammar. The message must be one map and nothing else, its
// strings valid UTF-8, nested at most 64 deep, and give no property of the grammar
// twice. Unknown properties are ignored, and nil counts as absent.
func (MsgpackV1) Decode(d *Decoder, text bool, msg []byte, req *Request) error {
	*req = Request{}
	if text {
		return errWantsBinary
	}
	d.unpack(msg)
	if d.fault == nil {
		d.interpret(req)
	}
	if d.fault != nil {
		return d.fault
	}
	return nil
}

var errWantsBinary = &Error{Code: codeUnsupportedData, Reason: "message: text frame, this subprotocol takes binary"}

// MsgpackReliableV1 is MsgpackV1 with sequence numbers.
type MsgpackReliableV1 struct{ MsgpackV1 }

var _ Sequenced = MsgpackReliableV1{}

// Name implements Grammar.
func (MsgpackReliableV1) Name() string { return nameMsgpackReliable }

// Offsets implements Grammar.
func (MsgpackReliableV1) Offsets() Grammar { return MsgpackReliableV1{MsgpackV1{offsets: true}} }

// AppendMessage implements Grammar: all but the last entry of the map, which is
// counted already.
func (g MsgpackReliableV1) AppendMessage(dst []byte, m *Message) []byte {
	at := len(dst)
	dst = g.MsgpackV1.AppendMessage(dst, m)
	dst[at]++
	return dst
}

// AppendSequenceID implements Sequenced.
func (MsgpackReliableV1) AppendSequenceID(dst []byte, id uint64) []byte {
	return packUint(packString(dst, "sequenceId"), id)
}

// packing appends one map of at most 15 entries. What is appended between is one
// of the entries each time.
type packing struct {
	dst []byte
	at  int // of the map's first byte, in which its entries are counted
}

func pack(dst []byte) packing { return packing{append(dst, 0x80), len(dst)} }

func (p *packing) key(name string) {
	p.dst[p.at]++
	p.dst = packString(p.dst, name)
}

func (p *packing) text(name, value string) {
	p.key(name)
	p.dst = packString(p.dst, value)
}

// some is text, left out where it is empty.
func (p *packing) some(name, value string) {
	if value != "" {
		p.text(name, value)
	}
}

func (p *packing) uint(name string, value uint64) {
	p.key(name)
	p.dst = packUint(p.dst, value)
}

func (p *packing) bool(name string, value bool) {
	p.key(name)
	if value {
		p.dst = append(p.dst, 0xc3)
	} else {
		p.dst = append(p.dst, 0xc2)
	}
}

// data is the two properties that carry data of type t.
func (p *packing) data(t DataType, data []byte) {
	p.text("dataType", t.String())
	p.key("data")
	if t <= Text {
		data = validText(data)
		p.dst = append(packHead(p.dst, len(data), 0xa0, 0xd9, 0xda, 0xdb), data...)
	} else {
		p.dst = append(packHead(p.dst, len(data), 0, 0xc4, 0xc5, 0xc6), data...)
	}
}

// pairs is a map of strings.
func (p *packing) pairs(name string, pairs []Pair) {
	p.key(name)
	p.dst = packMapHead(p.dst, len(pairs))
	for _, pair := range pairs {
		p.dst = packString(packString(p.dst, string(pair.Key)), string(pair.Value))
	}
}

// inside is a map as a property; write appends its entries.
func (p *packing) inside(name string) packing {
	p.key(name)
	return pack(p.dst)
}

func (p *packing) error(name ErrorName, message string) {
	e := p.inside("error")
	e.text("name", string(name))
	e.text("message", message)
	p.dst = e.dst
}

// packHead appends the first bytes of a value of a family with so many bytes or
// entries: fix, where that is not 0 and they are few, or the code for 8, 16 or 32
// bits of length. A family without a code for 8 bits has 0 there.
func packHead(dst []byte, n int, fix, code8, code16, code32 byte) []byte {
	few := 16
	if fix == 0xa0 {
		few = 32
	}
	switch {
	case fix != 0 && n < few:
		return append(dst, fix|byte(n))
	case code8 != 0 && n <= math.MaxUint8:
		return append(dst, code8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code32), uint32(n))
}

func packMapHead(dst []byte, n int) []byte   { return packHead(dst, n, 0x80, 0, 0xde, 0xdf) }
func packArrayHead(dst []byte, n int) []byte { return packHead(dst, n, 0x90, 0, 0xdc, 0xdd) }

// packString appends a string. Bytes that are not UTF-8 become U+FFFD, as in JSON.
func packString(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\ufffd")
	return append(packHead(dst, len(s), 0xa0, 0xd9, 0xda, 0xdb), s...)
}

// validText returns text with U+FFFD in place of what is not UTF-8.
func validText(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	return bytes.ToValidUTF8(text, []byte("\ufffd"))
}

func packUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}

// AppendMessage implements Grammar.
func (g MsgpackV1) AppendMessage(dst []byte, m *Message) []byte {
	p := pack(dst)
	p.text("type", "message")
	if m.Group == "" {
		p.text("from", "server")
	} else {
		p.text("from", "group")
		p.text("group", m.Group)
	}
	p.some("fromUserId", m.FromUser)
	p.data(m.DataType, m.Data)
	if len(m.Metadata) > 0 {
		p.pairs("metadata", m.Metadata)
	}
	if m.Stream != nil {
		p.stream(m.Stream)
	}
	if g.offsets && m.Offset > 0 {
		p.uint("offset", m.Offset)
	}
	return p.dst
}

func (p *packing) stream(s *StreamInfo) {
	in := p.inside("stream")
	in.text("streamId", s.ID)
	in.uint("streamSequenceId", s.Sequence)
	if s.End {
		in.bool("endOfStream", true)
	}
	if e := s.Error; e != nil {
		why := in.inside("error")
		why.text("name", string(e.Name))
		why.text("message", e.Message)
		why.some("userErrorCode", e.UserErrorCode)
		in.dst = why.dst
	}
	p.dst = in.dst
}

// AppendConnected implements Grammar.
func (MsgpackV1) AppendConnected(dst []byte, c *Connected) []byte {
	p := pack(dst)
	p.text("type", "system")
	p.text("event", "connected")
	p.some("userId", c.UserID)
	p.text("connectionId", c.ConnectionID)
	p.some("reconnectionToken", c.ReconnectionToken)
	return p.dst
}

// AppendDisconnected implements Grammar.
func (MsgpackV1) AppendDisconnected(dst []byte, reason string, reconnectAfter time.Duration) []byte {
	p := pack(dst)
	p.text("type", "system")
	p.text("event", "disconnected")
	p.text("message", reason)
	if reconnectAfter > 0 {
		p.uint("reconnectAfterMs", uint64(reconnectAfter.Milliseconds()))
	}
	return p.dst
}

// AppendAck implements Grammar.
func (MsgpackV1) AppendAck(dst []byte, ackID uint64, name ErrorName, message string) []byte {
	p := pack(dst)
	p.text("type", "ack")
	p.uint("ackId", ackID)
	p.bool("success", name == "")
	if name != "" {
		p.error(name, message)
	}
	return p.dst
}

// AppendPong implements Grammar.
func (MsgpackV1) AppendPong(dst []byte) []byte {
	p := pack(dst)
	p.text("type", "pong")
	return p.dst
}

// AppendInvokeResponse implements Grammar.
func (MsgpackV1) AppendInvokeResponse(dst []byte, r *InvokeResponse) []byte {
	p := pack(dst)
	p.text("type", "invokeResponse")
	p.text("invocationId", r.InvocationID)
	p.bool("success", r.Error == "")
	if r.Error != "" {
		p.error(r.Error, r.ErrorMessage)
	} else {
		p.data(r.DataType, r.Data)
	}
	return p.dst
}

// AppendStreamAck implements Grammar.
func (MsgpackV1) AppendStreamAck(dst []byte, streamID string, expected uint64) []byte {
	p := pack(dst)
	p.text("type", "streamAck")
	p.text("streamId", streamID)
	p.uint("expectedSequenceId", expected)
	return p.dst
}

// AppendStreamNack implements Grammar.
func (MsgpackV1) AppendStreamNack(dst []byte, streamID string, expected uint64, name ErrorName, message string) []byte {
	p := pack(dst)
	p.text("type", "streamNack")
	p.text("streamId", streamID)
	p.uint("expectedSequenceId", expected)
	p.text("name", string(name))
	p.text("message", message)
	return p.dst
}

// AppendStreamClosed implements Grammar.
func (MsgpackV1) AppendStreamClosed(dst []byte, streamID string, name ErrorName, message string) []byte {
	p := pack(dst)
	p.text("type", "streamClosed")
	p.text("streamId", streamID)
	if name != "" {
		p.error(name, message)
	}
	return p.dst
}

// AppendGroupState implements Grammar.
func (MsgpackV1) AppendGroupState(dst []byte, s *GroupState) []byte {
	p := pack(dst)
	if s.Snapshot {
		p.text("type", "groupStateSnapshot")
	} else {
		p.text("type", "groupStateUpdate")
	}
	p.text("group", s.Group)
	p.key("items")
	p.dst = packArrayHead(p.dst, len(s.Items))
	for i := range s.Items {
		p.dst = s.Items[i].pack(p.dst)
	}
	return p.dst
}

func (item *StateItem) pack(dst []byte) []byte {
	p := pack(dst)
	p.text("connectionId", item.ConnectionID)
	p.some("userId", item.UserID)
	if item.HasState {
		p.pairs("state", item.State)
	}
	p.uint("updatedAt", uint64(item.UpdatedAt))
	p.some("event", item.Event.String())
	return p.dst
}

// AppendHistory implements Grammar.
func (MsgpackV1) AppendHistory(dst []byte, h *HistoryInfo) []byte {
	p := pack(dst)
	p.text("type", "history")
	p.text("group", h.Group)
	p.text("epoch", h.Epoch)
	p.uint("offset", h.Offset)
	p.bool("complete", h.Complete)
	return p.dst
}

// AppendTokenExpiring implements Grammar.
func (MsgpackV1) AppendTokenExpiring(dst []byte, in time.Duration) []byte {
	p := pack(dst)
	p.text("type", "system")
	p.text("event", "tokenExpiring")
	p.uint("expiresInMs", uint64(max(0, in.Milliseconds())))
	return p.dst
}

// AppendRequest appends req as a client writes it, the inverse of Decode.
func (MsgpackV1) AppendRequest(dst []byte, req *Request) []byte {
	p := pack(dst)
	kind := req.Kind
	if kind == StreamStart {
		kind = SendToGroup // with a stream
	}
	p.text("type", kind.String())
	p.some("group", string(req.Group))
	p.some("event", string(req.Event))
	p.some("invocationId", string(req.InvocationID))
	if req.NoEcho {
		p.bool("noEcho", true)
	}
	switch req.Kind {
	case JoinGroup:
		p.history(&req.History)
	case SequenceAck:
		p.uint("sequenceId", req.SequenceID)
	case StreamStart:
		in := p.inside("stream")
		in.text("streamId", string(req.StreamID))
		if ms := req.IdleTimeout.Milliseconds(); ms > 0 {
			in.uint("idleTimeoutMs", uint64(ms))
		}
		p.dst = in.dst
	case StreamData, StreamEnd:
		p.text("streamId", string(req.StreamID))
		if req.Sequence > 0 {
			p.uint("streamSequenceId", req.Sequence)
		}
		if f := req.Failure; f != nil {
			in := p.inside("error")
			in.text("message", string(f.Message))
			in.text("userErrorCode", string(f.UserErrorCode))
			p.dst = in.dst
		}
	case SetGroupState:
		if req.HasState {
			p.pairs("state", req.State)
		}
	}
	p.rest(req)
	return p.dst
}

func (p *packing) rest(req *Request) {
	if req.HasData {
		p.data(req.DataType, req.Data)
	}
	if len(req.Metadata) > 0 {
		p.pairs("metadata", req.Metadata)
	}
	if req.TTL > 0 {
		p.uint("ttlSeconds", uint64(req.TTL))
	}
	p.some("conflationKey", string(req.ConflationKey))
	if req.Presence {
		p.bool("presence", true)
	}
	if req.Token != nil {
		p.text("token", string(req.Token))
	}
	if req.Notices&TokenExpiring != 0 {
		p.bool("tokenExpiring", true)
	}
	if req.HasAck {
		p.uint("ackId", req.AckID)
	}
}

func (p *packing) history(h *History) {
	if !h.Wanted {
		return
	}
	in := p.inside("history")
	if h.Last > 0 {
		in.uint("last", uint64(h.Last))
	} else {
		in.uint("since", h.Since)
		in.text("epoch", string(h.Epoch))
	}
	p.dst = in.dst
}
