package wire

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// JSONv1 is the grammar json.sluice.v1, one JSON object per text message, and
// the same under its compatible name.
type JSONv1 struct {
	// offsets has the place of messages in the history of their group written,
	// which only members get who have asked for it.
	offsets bool
}

var _ Grammar = JSONv1{}

// Name implements Grammar.
func (JSONv1) Name() string { return nameJSON }

// Binary implements Grammar: all of it goes in text frames.
func (JSONv1) Binary(*Message) bool { return false }

// Decode implements Grammar. The whole message must be valid JSON (RFC 8259)
// of valid UTF-8, nested at most 64 deep, and give no property of the grammar
// twice. Unknown properties are ignored, and null counts as absent.
func (JSONv1) Decode(d *Decoder, text bool, msg []byte, req *Request) error {
	*req = Request{}
	if !text {
		return &Error{Code: codeUnsupportedData, Reason: "message: binary frame, this subprotocol takes text"}
	}
	d.split(msg)
	if d.fault == nil {
		d.interpret(req)
	}
	if d.fault != nil {
		return d.fault
	}
	return nil
}

// interpret fills req from the raw values that split has kept.
func (d *Decoder) interpret(req *Request) {
	req.Kind = d.kind()
	req.AckID, req.HasAck = d.uint(fieldAckID, math.MaxUint64)
	switch req.Kind {
	case JoinGroup:
		req.Group = d.group()
		req.History = d.history()
	case LeaveGroup, UnsubscribeGroupState:
		req.Group = d.group()
	case SendToGroup:
		req.Group = d.group()
		req.NoEcho = d.bool(fieldNoEcho)
		d.metadata(req)
		d.data(req)
		ttl, _ := d.uint(fieldTTL, MaxTTL)
		req.TTL = uint16(ttl)
		req.ConflationKey = d.optional(fieldConflationKey, MaxConflationKey)
	case SequenceAck:
		req.SequenceID = d.sequence()
	case Event:
		req.Event = d.event()
		d.metadata(req)
		d.data(req)
	case Invoke:
		req.InvocationID = d.id(fieldInvocationID)
		d.target()
		req.Event = d.event()
		if d.raw[fieldData] != nil {
			d.data(req)
		}
	case CancelInvocation:
		req.InvocationID = d.id(fieldInvocationID)
	case StreamStart:
		req.Group = d.group()
		req.NoEcho = d.bool(fieldNoEcho)
		d.streamStart(req)
	case StreamData:
		req.StreamID = d.id(fieldStreamID)
		d.streamPart(req)
	case StreamEnd:
		req.StreamID = d.id(fieldStreamID)
		req.Failure = d.streamFailure()
	case SetGroupState:
		req.Group = d.group()
		req.HasState = d.raw[fieldState] != nil
		req.State = d.texts(fieldState, (*Decoder).checkState)
	case SubscribeGroupState:
		req.Group = d.group()
		req.Presence = d.bool(fieldPresence)
	case Auth:
		req.Token = d.str(fieldToken)
	case Notify:
		if d.bool(fieldTokenExpiring) {
			req.Notices |= TokenExpiring
		}
	}
}

// kind reads what the message asks for.
func (d *Decoder) kind() Kind {
	name := d.str(fieldType)
	if d.fault != nil {
		return 0
	}
	var lower [maxKeyword]byte
	kind, ok := kindByName[string(toLower(&lower, name))]
	switch {
	case !ok:
		d.fail("type", "unknown value "+quoteShort(name))
	case kind == SendToGroup && d.raw[fieldStream] != nil:
		return StreamStart
	}
	return kind
}

// kindByName has the keys in lower case: the published .NET client spells the
// values of type and dataType with other capitals than the rest.
var kindByName = func() map[string]Kind {
	m := make(map[string]Kind)
	for k, name := range kindNames {
		if kind := Kind(k); kind != 0 && kind != StreamStart {
			m[strings.ToLower(name)] = kind
		}
	}
	return m
}()

// sequence reads the number of a message, which must be there.
func (d *Decoder) sequence() uint64 {
	id, ok := d.uint(fieldSequenceID, math.MaxUint64)
	if !ok {
		d.fail("sequenceId", "missing")
	}
	return id
}

// id reads the id of an invocation or a stream, which must be there.
func (d *Decoder) id(f field) []byte { return d.checkID(f, d.str(f)) }

func (d *Decoder) checkID(f field, id []byte) []byte {
	switch {
	case d.fault != nil:
	case len(id) == 0:
		d.fail(f.String(), "empty")
	case len(id) > MaxID:
		d.fail(f.String(), "longer than "+strconv.Itoa(MaxID)+" bytes")
	}
	return id
}

// optional reads a string that need not be there.
func (d *Decoder) optional(f field, most int) []byte {
	if d.raw[f] == nil {
		return nil
	}
	s := d.str(f)
	if len(s) > most {
		d.fail(f.String(), "longer than "+strconv.Itoa(most)+" bytes")
	}
	return s
}

// target reads what an invocation is for: there are only events.
func (d *Decoder) target() {
	if d.raw[fieldTarget] == nil {
		return
	}
	name := d.str(fieldTarget)
	var lower [maxKeyword]byte
	if d.fault == nil && string(toLower(&lower, name)) != "event" {
		d.fail("target", "unknown value "+quoteShort(name))
	}
}

// group reads a group name.
func (d *Decoder) group() []byte { return d.checkGroup(d.str(fieldGroup)) }

func (d *Decoder) checkGroup(name []byte) []byte {
	switch {
	case d.fault != nil:
	case len(name) > MaxGroup:
		d.fail("group", "longer than "+strconv.Itoa(MaxGroup)+" bytes")
	case len(bytes.TrimSpace(name)) == 0:
		d.fail("group", "empty")
	}
	return name
}

// maxEvent is the longest event name, in bytes.
const maxEvent = 128

// event reads an event name: a letter, then letters, digits, '_', '.' or '-'.
func (d *Decoder) event() []byte { return d.checkEvent(d.str(fieldEvent)) }

func (d *Decoder) checkEvent(name []byte) []byte {
	if d.fault != nil {
		return nil
	}
	valid := 0 < len(name) && len(name) <= maxEvent && isLetter(name[0])
	for _, c := range name {
		valid = valid && (isLetter(c) || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-')
	}
	if !valid {
		d.fail("event", "not a valid name")
	}
	return name
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// data reads the data and how to understand it.
func (d *Decoder) data(req *Request) {
	req.DataType = d.dataType()
	req.HasData = true
	switch {
	case d.raw[fieldData] == nil && len(req.Metadata) > 0:
		req.DataType = Text // metadata alone is a message too
	case d.raw[fieldData] == nil:
		d.fail("data", "missing")
	case req.DataType == JSON && !d.packed:
		req.Data = d.raw[fieldData]
	case req.DataType == JSON:
		req.Data = d.str(fieldData)
		d.checkJSON("data", req.Data)
	case req.DataType == Text:
		req.Data = d.str(fieldData)
	default:
		req.Data = d.binary(fieldData)
	}
}

// checkJSON makes sure that text, which came as a string or bytes, is one JSON
// value that receivers of JSON messages can be given.
func (d *Decoder) checkJSON(what string, text []byte) {
	switch {
	case d.fault != nil:
	case tooDeep(text, maxDepth-1): // a message is around it
		d.fail(what, "nested too deep")
	case !jsontext.Value(text).IsValid(tokenOptions...):
		d.fail(what, "not one JSON value")
	}
}

// dataType reads how the data is to be understood: as JSON unless it is said
// otherwise.
func (d *Decoder) dataType() DataType {
	if d.raw[fieldDataType] == nil {
		return JSON
	}
	name := d.str(fieldDataType)
	if d.fault != nil {
		return JSON
	}
	var lower [maxKeyword]byte
	switch string(toLower(&lower, name)) {
	case "json":
		return JSON
	case "text":
		return Text
	case "binary":
		return Binary
	case "protobuf":
		return Protobuf
	}
	d.fail("dataType", "unknown value "+quoteShort(name))
	return JSON
}

// maxKeyword is longer than any value of type or dataType.
const maxKeyword = 32

// toLower returns word with the ASCII letters in lower case, kept in buf, or
// nothing when it is too long to be a keyword. Unicode case folding would let
// words through that only look like keywords.
func toLower(buf *[maxKeyword]byte, word []byte) []byte {
	if len(word) > len(buf) {
		return nil
	}
	for i, c := range word {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[i] = c
	}
	return buf[:len(word)]
}

// quoteShort quotes the start of what a client sent, in printable ASCII, for
// the reason of an Error.
func quoteShort(b []byte) string {
	const enough = 40 // bytes of the result
	q := strconv.QuoteToASCII(string(b[:min(len(b), enough)]))
	if len(q) > enough {
		q = q[:enough] + "..."
	}
	return q
}
