package wire

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Decode implements Grammar. The message must be one UpstreamMessage with exactly
// one request. Unknown fields are ignored; of a field that stands there several
// times the last one counts, as in any reader of Protobuf, and a map's key given
// twice is refused, as in the other grammars.
func (ProtobufV1) Decode(d *Decoder, text bool, msg []byte, req *Request) error {
	*req = Request{}
	if text {
		return errWantsBinary
	}
	d.fault = nil
	d.pairs = d.pairs[:0]
	var body []byte
	for f := range d.fields("message", msg) {
		kind, known := protoKinds[f.number]
		switch {
		case !known:
			continue
		case req.Kind != 0:
			d.fail("message", "more than one request")
		}
		req.Kind, body = kind, d.message("message", f)
	}
	switch {
	case d.fault != nil:
	case req.Kind == 0:
		d.fail("message", "no request that is known here")
	default:
		d.readRequest(req, body)
	}
	if d.fault != nil {
		return d.fault
	}
	return nil
}

// protoField is one field as it stands in a message.
type protoField struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
}

// fields goes over the fields of a message, until one is malformed: that is a
// fault of what.
func (d *Decoder) fields(what string, p []byte) func(yield func(protoField) bool) {
	return func(yield func(protoField) bool) {
		for len(p) > 0 && d.fault == nil {
			var f protoField
			var n int
			f.number, f.kind, n = protowire.ConsumeTag(p)
			if n >= 0 {
				p = p[n:]
				switch f.kind {
				case protowire.VarintType:
					f.varint, n = protowire.ConsumeVarint(p)
				case protowire.BytesType:
					f.bytes, n = protowire.ConsumeBytes(p)
				default:
					n = protowire.ConsumeFieldValue(f.number, f.kind, p)
				}
			}
			if n < 0 {
				d.fail(what, "not valid Protobuf")
				return
			}
			p = p[n:]
			if !yield(f) {
				return
			}
		}
	}
}

// message returns the bytes of a field that is a message.
func (d *Decoder) message(what string, f protoField) []byte {
	if f.kind != protowire.BytesType {
		d.fail(what, "want a message, got another wire type")
	}
	return f.bytes[:len(f.bytes):len(f.bytes)]
}

// string returns the text of a field.
func (d *Decoder) string(what field, f protoField) []byte {
	switch {
	case f.kind != protowire.BytesType:
		d.fail(what.String(), "want a string, got another wire type")
	case !utf8.Valid(f.bytes):
		d.fail(what.String(), "a string that is not UTF-8")
	}
	return f.bytes[:len(f.bytes):len(f.bytes)]
}

// short is string with a limit in bytes.
func (d *Decoder) short(what field, f protoField, most int) []byte {
	s := d.string(what, f)
	if len(s) > most {
		d.fail(what.String(), "longer than "+strconv.Itoa(most)+" bytes")
	}
	return s
}

// number returns the integer of a field.
func (d *Decoder) number(what field, f protoField, most uint64) uint64 {
	if f.kind != protowire.VarintType || f.varint > most {
		d.fail(what.String(), "want an integer from 0 to "+strconv.FormatUint(most, 10))
		return 0
	}
	return f.varint
}

func (d *Decoder) flag(what field, f protoField) bool { return d.number(what, f, math.MaxUint64) != 0 }

// readRequest reads the request in body, of the kind that req says.
func (d *Decoder) readRequest(req *Request, body []byte) {
	read := protoReaders[req.Kind]
	kind := req.Kind
	for f := range d.fields(kind.String(), body) {
		read(d, req, f)
	}
	if d.fault == nil {
		d.checkRequest(req)
	}
}

// protoReaders take one field of the request of a kind.
var protoReaders = [...]func(d *Decoder, req *Request, f protoField){
	SendToGroup:           (*Decoder).readSend,
	Event:                 (*Decoder).readEvent,
	JoinGroup:             (*Decoder).readMembership,
	LeaveGroup:            (*Decoder).readMembership,
	UnsubscribeGroupState: (*Decoder).readMembership,
	SubscribeGroupState:   (*Decoder).readMembership,
	SetGroupState:         (*Decoder).readMembership,
	Ping:                  func(*Decoder, *Request, protoField) {},
	SequenceAck:           (*Decoder).readSequenceAck,
	StreamData:            (*Decoder).readStream,
	StreamEnd:             (*Decoder).readStream,
	Invoke:                (*Decoder).readInvoke,
	CancelInvocation:      (*Decoder).readInvoke,
	Auth:                  (*Decoder).readAuth,
	Notify:                (*Decoder).readAuth,
}

func (d *Decoder) readAck(req *Request, f protoField) {
	req.AckID, req.HasAck = d.number(fieldAckID, f, math.MaxUint64), true
}

func (d *Decoder) readSend(req *Request, f protoField) {
	switch f.number {
	case 1:
		req.Group = d.string(fieldGroup, f)
	case 2:
		d.readAck(req, f)
	case 3:
		d.readData(req, f)
	case 4:
		req.NoEcho = d.flag(fieldNoEcho, f)
	case 5:
		req.TTL = uint16(d.number(fieldTTL, f, MaxTTL))
	case 6:
		req.Metadata = d.readPair(fieldMetadata, f, (*Decoder).checkMetadata)
	case 7:
		req.Kind = StreamStart
		for f := range d.fields("stream", d.message("stream", f)) {
			switch f.number {
			case 1:
				req.StreamID = d.string(fieldStreamStartID, f)
			case 2:
				req.IdleTimeout = time.Duration(d.number(fieldIdleTimeout, f, math.MaxUint32)) * time.Millisecond
				if req.IdleTimeout == 0 {
					d.fail(fieldIdleTimeout.String(), "want more than 0")
				}
			}
		}
	case 100:
		req.ConflationKey = d.short(fieldConflationKey, f, MaxConflationKey)
	}
}

func (d *Decoder) readEvent(req *Request, f protoField) {
	switch f.number {
	case 1:
		req.Event = d.string(fieldEvent, f)
	case 2:
		d.readData(req, f)
	case 3:
		d.readAck(req, f)
	case 4:
		req.Metadata = d.readPair(fieldMetadata, f, (*Decoder).checkMetadata)
	}
}

// readMembership is for the requests that are about a group and little else.
func (d *Decoder) readMembership(req *Request, f protoField) {
	switch {
	case f.number == 1:
		req.Group = d.string(fieldGroup, f)
	case f.number == 2:
		d.readAck(req, f)
	case f.number == 3 && req.Kind == SubscribeGroupState:
		req.Presence = d.flag(fieldPresence, f)
	case f.number == 3 && req.Kind == SetGroupState:
		req.HasState = true
		for f := range d.fields("state", d.message("state", f)) {
			if f.number == 1 {
				req.State = d.readPair(fieldState, f, (*Decoder).checkState)
			}
		}
	case f.number == 100 && req.Kind == JoinGroup:
		d.readHistory(&req.History, f)
	}
}

func (d *Decoder) readHistory(h *History, f protoField) {
	*h = History{Wanted: true}
	hasLast, hasSince := false, false
	for f := range d.fields("history", d.message("history", f)) {
		switch f.number {
		case 1:
			h.Last, hasLast = uint32(d.number(fieldHistoryLast, f, math.MaxUint32)), true
		case 2:
			h.Since, hasSince = d.number(fieldHistorySince, f, math.MaxUint64), true
		case 3:
			h.Epoch = d.short(fieldHistoryEpoch, f, MaxID)
		}
	}
	switch {
	case hasLast == hasSince:
		d.fail("history", "want one of last and since")
	case hasLast && h.Last == 0:
		d.fail(fieldHistoryLast.String(), "want a number from 1")
	case hasLast:
		h.Epoch = nil
	case len(h.Epoch) == 0:
		d.fail(fieldHistoryEpoch.String(), "missing: an offset means nothing without it")
	}
}

func (d *Decoder) readSequenceAck(req *Request, f protoField) {
	if f.number == 1 {
		req.SequenceID = d.number(fieldSequenceID, f, math.MaxUint64)
	}
}

func (d *Decoder) readStream(req *Request, f protoField) {
	switch {
	case f.number == 1:
		req.StreamID = d.string(fieldStreamID, f)
	case f.number == 2 && req.Kind == StreamData:
		req.Sequence = d.number(fieldStreamSequenceID, f, math.MaxUint64)
	case f.number == 3 && req.Kind == StreamData:
		d.readData(req, f)
	case f.number == 2:
		d.failure = Failure{}
		for f := range d.fields("error", d.message("error", f)) {
			switch f.number {
			case 1:
				d.failure.Message = d.short(fieldErrorMessage, f, maxFailure)
			case 2:
				d.failure.UserErrorCode = d.short(fieldUserErrorCode, f, maxFailure)
			}
		}
		req.Failure = &d.failure
	}
}

func (d *Decoder) readInvoke(req *Request, f protoField) {
	switch {
	case f.number == 1:
		req.InvocationID = d.string(fieldInvocationID, f)
	case f.number == 2 && req.Kind == Invoke:
		req.Event = d.string(fieldEvent, f)
	case f.number == 3 && req.Kind == Invoke:
		d.readData(req, f)
	}
}

func (d *Decoder) readAuth(req *Request, f protoField) {
	switch {
	case f.number == 2:
		d.readAck(req, f)
	case f.number == 1 && req.Kind == Auth:
		req.Token = d.string(fieldToken, f)
	case f.number == 1 && d.flag(fieldTokenExpiring, f):
		req.Notices |= TokenExpiring
	}
}

// readData reads a MessageData.
func (d *Decoder) readData(req *Request, f protoField) {
	for f := range d.fields("data", d.message("data", f)) {
		switch f.number {
		case protoText:
			req.DataType, req.Data = Text, d.string(fieldData, f)
		case protoJSON:
			req.DataType, req.Data = JSON, d.string(fieldData, f)
			d.checkJSON("data", req.Data)
		case protoBinary:
			req.DataType, req.Data = Binary, d.message("data", f)
		case protoProtobuf:
			req.DataType, req.Data = Protobuf, d.message("data", f)
		default:
			continue
		}
		req.HasData = true
	}
}

// readPair reads one entry of a map of strings, and returns all so far.
func (d *Decoder) readPair(what field, f protoField, check func(d *Decoder, p Pair, total int)) []Pair {
	p := Pair{Key: []byte{}, Value: []byte{}}
	for f := range d.fields(what.String(), d.message(what.String(), f)) {
		switch f.number {
		case 1:
			p.Key = d.string(what, f)
		case 2:
			p.Value = d.string(what, f)
		}
	}
	total := 0
	for _, known := range d.pairs {
		total += len(known.Key) + len(known.Value)
	}
	d.addPair(what, p, &total, check)
	return d.pairs
}

// checkRequest checks what the other grammars check as they read.
func (d *Decoder) checkRequest(req *Request) {
	switch req.Kind {
	case SendToGroup, Event:
		if !req.HasData && len(req.Metadata) > 0 {
			req.DataType, req.HasData = Text, true // metadata alone is a message too
		}
		if !req.HasData {
			d.fail("data", "missing")
		}
	case StreamStart:
		d.checkID(fieldStreamStartID, req.StreamID)
		if req.HasData {
			d.fail("data", "not with the start of a stream")
		}
	case StreamData:
		if req.HasData && req.Sequence == 0 {
			d.fail(fieldStreamSequenceID.String(), "want a number from 1")
		}
		if !req.HasData && req.Sequence > 0 {
			d.fail("data", "missing")
		}
	}
	switch req.Kind {
	case SendToGroup, StreamStart, JoinGroup, LeaveGroup, SetGroupState, SubscribeGroupState, UnsubscribeGroupState:
		d.checkGroup(req.Group)
	case Event:
		d.checkEvent(req.Event)
	case Invoke:
		d.checkID(fieldInvocationID, req.InvocationID)
		d.checkEvent(req.Event)
	case CancelInvocation:
		d.checkID(fieldInvocationID, req.InvocationID)
	case StreamData, StreamEnd:
		d.checkID(fieldStreamID, req.StreamID)
	case Auth:
		if len(req.Token) == 0 {
			d.fail("token", "missing")
		}
	}
}
