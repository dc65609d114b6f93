package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep a message may nest, counting its own braces. It is the
// default of the .NET readers, so what passes here cannot make such a receiver
// fail, and it keeps the recursion of the tokenizer off the stack of the loop.
const maxDepth = 64

// Decoder is the scratch memory for decoding. The zero value is ready to use.
// One Decoder serves any number of connections and every grammar, but only one
// goroutine at a time. It keeps the last message reachable until the next
// Decode, without looking at it again, and its scratch memory stays as large as
// the largest message has made it.
type Decoder struct {
	tokens  jsontext.Decoder
	source  bytes.Buffer // what tokens reads: the message itself, not a copy
	raw     [numFields][]byte
	packed  bool   // raw is MessagePack, else JSON
	pairs   []Pair // metadata or state of the current message
	failure Failure
	scratch []byte // unescaped strings and decoded base64 of the current message
	fault   *Error // the first one found in the current message
}

// split looks for repeated names itself, among the properties that matter here:
// which of two groups is meant must never depend on the parser. Inside data a
// repeated name is the business of the application, and a hostile megabyte of
// names would keep the tokenizer's check busy for 18 ms instead of 1 ms.
var tokenOptions = []jsontext.Options{jsontext.AllowDuplicateNames(true)}

// fail records a fault unless there is one already.
func (d *Decoder) fail(what, problem string) {
	if d.fault == nil {
		d.fault = &Error{Code: codeInvalidPayload, Reason: what + ": " + problem}
	}
}

// split checks that msg is exactly one valid JSON object and keeps the raw value
// of each property that this package knows. Values are interpreted afterwards,
// because properties come in any order and dataType may follow data. A null is
// the same as no property at all: many serializers write it for an unset field.
func (d *Decoder) split(msg []byte) {
	clear(d.raw[:firstNested])
	d.scratch = d.scratch[:0]
	d.fault = nil
	d.packed = false
	if tooDeep(msg, maxDepth) {
		d.fail("message", "nested too deep")
		return
	}
	d.source = *bytes.NewBuffer(msg)
	d.tokens.Reset(&d.source, tokenOptions...)
	if d.tokens.PeekKind() != '{' {
		d.fail("message", "not a JSON object")
		return
	}
	d.tokens.ReadToken() // the '{', cannot fail
	for d.fault == nil && d.tokens.PeekKind() == '"' {
		d.readProperty(msg, fieldByName)
	}
	if _, err := d.tokens.ReadToken(); err != nil { // the '}', or what stands in its place
		d.failSyntax("message", err)
	}
	if _, err := d.tokens.ReadToken(); err != io.EOF {
		d.fail("message", "more follows the JSON object")
	}
	dropNulls(d.raw[:firstNested])
}

func dropNulls(values [][]byte) {
	for i, raw := range values {
		if string(raw) == "null" {
			values[i] = nil
		}
	}
}

// descend keeps the raw values of those properties of the object in f that this
// package knows, as split does for the message.
func (d *Decoder) descend(f field) {
	clear(d.raw[firstNested:])
	if d.packed {
		if _, ok := d.packedOf(f, shapeMap); ok {
			d.unpackMap(d.raw[f], 2, func(name []byte) field { return fieldWithin(f, name) })
		}
		dropNils(d.raw[firstNested:])
		return
	}
	object := d.enter(f)
	for object != nil && d.fault == nil && d.tokens.PeekKind() == '"' {
		d.readProperty(object, func(name []byte) field { return fieldWithin(f, name) })
	}
	dropNulls(d.raw[firstNested:])
}

// enter makes the tokenizer read the object in f, which is known to be valid JSON,
// from its first property on. It returns nil if there is none.
func (d *Decoder) enter(f field) (object []byte) {
	object = d.raw[f]
	if d.checkObject(f); object == nil || d.fault != nil {
		return nil
	}
	d.source = *bytes.NewBuffer(object)
	d.tokens.Reset(&d.source, tokenOptions...)
	d.tokens.ReadToken() // the '{'
	return object
}

// readProperty reads one name and its value, which is kept if the property is one
// that find knows. They are a part of msg.
func (d *Decoder) readProperty(msg []byte, find func(name []byte) field) {
	name, err := d.tokens.ReadValue()
	if err != nil {
		d.failSyntax("message", err)
		return
	}
	f := find(d.unquote(name))
	value, err := d.tokens.ReadValue()
	switch {
	case err != nil:
		d.failSyntax(f.String(), err)
	case f == noField:
	case d.raw[f] != nil:
		d.fail(f.String(), "given twice")
	default:
		// value itself lives only until the next read; the message lives longer.
		end := int(d.tokens.InputOffset())
		d.raw[f] = msg[end-len(value) : end : end]
	}
}

// failSyntax records that the JSON of what is broken. The text of err may quote
// the message and stays out of the reason.
func (d *Decoder) failSyntax(what string, err error) {
	problem := "not valid JSON"
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		problem += " at byte " + strconv.FormatInt(syntax.ByteOffset, 10)
	}
	d.fail(what, problem)
}

// str returns the string in f, unescaped. A missing one is a fault.
func (d *Decoder) str(f field) []byte {
	if d.packed {
		return d.packedBytes(f, shapeText)
	}
	raw := d.raw[f]
	switch {
	case raw == nil:
		d.fail(f.String(), "missing")
		return nil
	case raw[0] != '"':
		d.fail(f.String(), "want a string, got "+describe(raw))
		return nil
	}
	return d.unquote(raw)
}

// unquote returns the text of a valid JSON string: a part of it as it stands
// when it has no escapes, else unescaped into the scratch memory.
func (d *Decoder) unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1 : len(quoted)-1]
	}
	start := len(d.scratch)
	d.scratch, _ = jsontext.AppendUnquote(d.scratch, quoted) // no error: the tokenizer has accepted it
	return d.scratch[start:len(d.scratch):len(d.scratch)]
}

// binary returns the bytes in f, for which in JSON a string in base64 stands. Line
// breaks are skipped: encoders made for mail add them.
func (d *Decoder) binary(f field) []byte {
	if d.packed {
		return d.packedBytes(f, shapeBinary)
	}
	encoded := d.str(f)
	start := len(d.scratch)
	var err error
	d.scratch, err = base64.StdEncoding.AppendDecode(d.scratch, encoded)
	if err != nil {
		d.fail(f.String(), "not valid base64")
	}
	return d.scratch[start:len(d.scratch):len(d.scratch)]
}

// uint returns the integer in f. A missing one is no fault.
func (d *Decoder) uint(f field, limit uint64) (v uint64, ok bool) {
	raw := d.raw[f]
	if raw == nil {
		return 0, false
	}
	if d.packed {
		head := packedHead(raw)
		if head.shape != shapeInt || head.n > limit {
			d.fail(f.String(), "want an integer from 0 to "+strconv.FormatUint(limit, 10))
			return 0, false
		}
		return head.n, true
	}
	// ParseUint takes digits only, which leaves out the sign, the fraction and
	// the exponent that JSON allows.
	v, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || v > limit {
		d.fail(f.String(), "want an integer from 0 to "+strconv.FormatUint(limit, 10))
		return 0, false
	}
	return v, true
}

// bool returns the flag in f. A missing one is false.
func (d *Decoder) bool(f field) bool {
	if d.packed && d.raw[f] != nil {
		_, ok := d.packedOf(f, shapeBool)
		return ok && d.raw[f][0] == 0xc3
	}
	switch raw := d.raw[f]; string(raw) {
	case "true":
		return true
	case "false", "":
		return false
	default:
		d.fail(f.String(), "want true or false, got "+describe(raw))
		return false
	}
}

// checkObject makes sure that f, when present, is an object.
func (d *Decoder) checkObject(f field) {
	if raw := d.raw[f]; raw != nil && raw[0] != '{' {
		d.fail(f.String(), "want an object, got "+describe(raw))
	}
}

// describe names the type of a valid JSON value.
func describe(raw []byte) string {
	switch jsontext.Kind(raw[0]) {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// tooDeep reports whether msg nests deeper than most. Up to the first
// syntax error, where the tokenizer stops, its count is exact.
func tooDeep(msg []byte, most int) bool {
	// Nearly every message has so few brackets that counting them, which is
	// much faster than telling them from text, answers the question.
	if bytes.Count(msg, []byte{'['})+bytes.Count(msg, []byte{'{'}) <= most {
		return false
	}
	depth := 0
	for i := 0; i < len(msg); i++ {
		switch msg[i] {
		case '[', '{':
			if depth++; depth > most {
				return true
			}
		case ']', '}':
			depth--
		case '"':
			for i++; i < len(msg) && msg[i] != '"'; i++ {
				if msg[i] == '\\' {
					i++
				}
			}
		}
	}
	return false
}
