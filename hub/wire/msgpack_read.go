package wire

import "unicode/utf8"

// Reading MessagePack (github.com/msgpack/msgpack/blob/master/spec.md). As for JSON
// the message is split first, and the values are interpreted afterwards: interpret
// and what it calls are the same for both.

// shape is the family of a MessagePack value.
type shape uint8

const (
	shapeNone shape = iota // not a value
	shapeNil
	shapeBool
	shapeInt // not negative
	shapeText
	shapeBinary
	shapeArray
	shapeMap
	shapeOther // floating point, negative, extension
)

var shapeNames = [...]string{"nothing", "nil", "a boolean", "an integer", "a string", "binary", "an array", "a map",
	"something else"}

func (s shape) String() string { return shapeNames[s] }

// packed is the head of one value.
type packed struct {
	shape shape
	head  int    // bytes of the head itself
	n     uint64 // of an integer its value, of an array or map its entries, else the bytes that follow
}

// packedHead reads the head that p begins with; shapeNone where it is not whole or
// not one.
func packedHead(p []byte) packed {
	if len(p) == 0 {
		return packed{}
	}
	switch c := p[0]; {
	case c < 0x80:
		return packed{shapeInt, 1, uint64(c)}
	case c < 0x90:
		return packed{shapeMap, 1, uint64(c & 0x0f)}
	case c < 0xa0:
		return packed{shapeArray, 1, uint64(c & 0x0f)}
	case c < 0xc0:
		return packed{shapeText, 1, uint64(c & 0x1f)}
	case c >= 0xe0:
		return packed{shapeOther, 1, 0} // negative
	}
	h := packedHeads[p[0]-0xc0]
	if h.shape == shapeNone || len(p) < 1+h.width {
		return packed{}
	}
	v := packed{shape: h.shape, head: 1 + h.width}
	for _, c := range p[1 : 1+h.width] {
		v.n = v.n<<8 | uint64(c)
	}
	switch {
	case h.signed && p[1]&0x80 != 0:
		return packed{shapeOther, v.head, 0} // negative
	case h.shape == shapeOther:
		v.n += uint64(h.more)
	}
	return v
}

// packedHeads are the heads from 0xc0 to 0xdf: the bytes of length or value, and of
// what follows besides.
var packedHeads = [32]struct {
	shape  shape
	width  int
	more   int
	signed bool
}{
	0x00: {shape: shapeNil}, 0x02: {shape: shapeBool}, 0x03: {shape: shapeBool},
	0x04: {shape: shapeBinary, width: 1}, 0x05: {shape: shapeBinary, width: 2}, 0x06: {shape: shapeBinary, width: 4},
	0x07: {shape: shapeOther, width: 1, more: 1}, 0x08: {shape: shapeOther, width: 2, more: 1}, 0x09: {shape: shapeOther, width: 4, more: 1}, // ext
	0x0a: {shape: shapeOther, more: 4}, 0x0b: {shape: shapeOther, more: 8}, // float
	0x0c: {shape: shapeInt, width: 1}, 0x0d: {shape: shapeInt, width: 2}, 0x0e: {shape: shapeInt, width: 4}, 0x0f: {shape: shapeInt, width: 8},
	0x10: {shape: shapeInt, width: 1, signed: true}, 0x11: {shape: shapeInt, width: 2, signed: true},
	0x12: {shape: shapeInt, width: 4, signed: true}, 0x13: {shape: shapeInt, width: 8, signed: true},
	0x14: {shape: shapeOther, more: 2}, 0x15: {shape: shapeOther, more: 3}, 0x16: {shape: shapeOther, more: 5}, // fixext
	0x17: {shape: shapeOther, more: 9}, 0x18: {shape: shapeOther, more: 17},
	0x19: {shape: shapeText, width: 1}, 0x1a: {shape: shapeText, width: 2}, 0x1b: {shape: shapeText, width: 4},
	0x1c: {shape: shapeArray, width: 2}, 0x1d: {shape: shapeArray, width: 4},
	0x1e: {shape: shapeMap, width: 2}, 0x1f: {shape: shapeMap, width: 4},
}

// packedSize returns the bytes of the value that p begins with, 0 and why where it
// is not one.
func packedSize(p []byte, depth int) (size int, problem string) {
	v := packedHead(p)
	switch v.shape {
	case shapeNone:
		return 0, "not valid MessagePack"
	case shapeNil, shapeBool, shapeInt:
		return v.head, ""
	case shapeArray, shapeMap:
		return packedEntries(p, v, depth)
	}
	if v.n > uint64(len(p)-v.head) {
		return 0, "not valid MessagePack"
	}
	size = v.head + int(v.n)
	if v.shape == shapeText && !utf8.Valid(p[v.head:size]) {
		return 0, "a string that is not UTF-8"
	}
	return size, ""
}

func packedEntries(p []byte, v packed, depth int) (size int, problem string) {
	if depth == maxDepth {
		return 0, "nested too deep"
	}
	if v.shape == shapeMap {
		v.n *= 2
	}
	size = v.head
	for ; v.n > 0; v.n-- { // each takes a byte at least, so this ends with p
		n, problem := packedSize(p[size:], depth+1)
		if problem != "" {
			return 0, problem
		}
		size += n
	}
	return size, ""
}

// unpack checks that msg is exactly one valid map and keeps the value of each
// property that this package knows; see split.
func (d *Decoder) unpack(msg []byte) {
	clear(d.raw[:firstNested])
	d.scratch = d.scratch[:0]
	d.fault = nil
	d.packed = true
	if packedHead(msg).shape != shapeMap {
		d.fail("message", "not a MessagePack map")
		return
	}
	rest := d.unpackMap(msg, 1, fieldByName)
	if d.fault == nil && len(rest) > 0 {
		d.fail("message", "more follows the map")
	}
	dropNils(d.raw[:firstNested])
}

func dropNils(values [][]byte) {
	for i, raw := range values {
		if len(raw) > 0 && raw[0] == 0xc0 {
			values[i] = nil
		}
	}
}

// unpackMap keeps the values of the map that p begins with whose names find knows,
// and returns what follows it.
func (d *Decoder) unpackMap(p []byte, depth int, find func(name []byte) field) []byte {
	head := packedHead(p)
	p = p[head.head:]
	for n := head.n; n > 0 && d.fault == nil; n-- {
		var f field
		if f, p = d.unpackName(p, find); d.fault != nil {
			break
		}
		size, problem := packedSize(p, depth)
		switch {
		case problem != "":
			d.fail(f.String(), problem)
			return nil
		case f == noField:
		case d.raw[f] != nil:
			d.fail(f.String(), "given twice")
		default:
			d.raw[f] = p[:size:size]
		}
		p = p[size:]
	}
	return p
}

func (d *Decoder) unpackName(p []byte, find func(name []byte) field) (field, []byte) {
	size, problem := packedSize(p, maxDepth)
	if problem == "" && packedHead(p).shape != shapeText {
		problem = "want strings as names, got " + packedHead(p).shape.String()
	}
	if problem != "" {
		d.fail("message", problem)
		return noField, nil
	}
	return find(packedText(p[:size])), p[size:]
}

// packedText returns what a string or binary value holds.
func packedText(raw []byte) []byte { return raw[packedHead(raw).head:] }

// packedOf returns the value in f, which must be there, if it has that shape.
func (d *Decoder) packedOf(f field, want shape) (v packed, ok bool) {
	if d.raw[f] == nil {
		d.fail(f.String(), "missing")
		return v, false
	}
	if v = packedHead(d.raw[f]); v.shape != want {
		d.fail(f.String(), "want "+want.String()+", got "+v.shape.String())
		return v, false
	}
	return v, true
}

// packedBytes is str and base64 for MessagePack.
func (d *Decoder) packedBytes(f field, want shape) []byte {
	if _, ok := d.packedOf(f, want); !ok {
		return nil
	}
	b := packedText(d.raw[f])
	return b[:len(b):len(b)]
}

// packedTexts is texts for MessagePack.
func (d *Decoder) packedTexts(f field, check func(d *Decoder, p Pair, total int)) []Pair {
	v, ok := d.packedOf(f, shapeMap)
	if !ok {
		return nil
	}
	d.pairs = d.pairs[:0]
	p, total := d.raw[f][v.head:], 0
	for n := v.n; n > 0 && d.fault == nil; n-- {
		var pair Pair
		pair.Key, p = d.packedMember(f, p)
		pair.Value, p = d.packedMember(f, p)
		d.addPair(f, pair, &total, check)
	}
	return d.pairs
}

func (d *Decoder) packedMember(f field, p []byte) (text, rest []byte) {
	if d.fault != nil {
		return nil, nil
	}
	if s := packedHead(p).shape; s != shapeText {
		d.fail(f.String(), "want strings as values, got "+s.String())
		return nil, nil
	}
	size, _ := packedSize(p, maxDepth) // valid: the whole was
	text = packedText(p[:size])
	return text[:len(text):len(text)], p[size:]
}
