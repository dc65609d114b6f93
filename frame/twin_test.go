package frame_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"unicode/utf8"

	lax "github.com/klauspost/compress/flate"

	"sluice/frame"
)

// event is a frame.Event whose payload is kept.
type event struct {
	kind    frame.EventKind
	op      frame.Opcode
	code    frame.CloseCode
	payload string
}

// outcome is what a stream of bytes comes to: the events before the first
// violation, and its code, or 0.
type outcome struct {
	events []event
	failed frame.CloseCode
}

// String keeps a failing test readable.
func (o outcome) String() string {
	s := ""
	for _, e := range o.events {
		s += fmt.Sprintf("opcode %d code %d %.40q (%d bytes), ", e.op, uint16(e.code), e.payload, len(e.payload))
	}
	return s + fmt.Sprintf("failed with %d", uint16(o.failed))
}

// twin is the naive decoder that Reader is compared with. It sees the whole
// stream at once, unmasks byte by byte, joins by copying, checks text with
// completable and inflates with the standard library.
type twin struct {
	client   bool // the role of the receiver
	most     int
	deflate  bool
	takeover bool

	out      outcome
	message  []byte
	op       byte
	zipped   bool
	open     bool // a message is in progress
	inflated []byte
	lax      io.Reader
}

func (tw *twin) run(in []byte) outcome {
	for len(in) > 0 && tw.out.failed == 0 {
		in = tw.frame(in)
	}
	return tw.out
}

func (tw *twin) fail(code frame.CloseCode) []byte {
	tw.out.failed = code
	return nil
}

// frame decodes one frame and returns what follows, or nil at the end.
func (tw *twin) frame(in []byte) []byte {
	if len(in) < 2 {
		return nil
	}
	fin, rsv, op := in[0]&0x80 != 0, in[0]>>4&7, in[0]&15
	masked, short := in[1]&0x80 != 0, int(in[1]&0x7f)
	control := op == 8 || op == 9 || op == 10
	switch {
	case !control && op > 2, rsv&3 != 0,
		control && (!fin || short > 125),
		rsv == 4 && op != 1 && op != 2:
		return tw.fail(1002)
	}
	in = in[2:]

	length, size := uint64(short), map[int]int{126: 2, 127: 8}[short]
	if size > 0 {
		if len(in) < size {
			return nil
		}
		length = 0
		for _, b := range in[:size] {
			length = length<<8 | uint64(b)
		}
		in = in[size:]
		if size == 2 && length < 126 || size == 8 && (length < 65536 || length >= 1<<63) {
			return tw.fail(1002)
		}
	}
	key := []byte{0, 0, 0, 0}
	if masked {
		if len(in) < 4 {
			return nil
		}
		key, in = in[:4], in[4:]
	}

	most := tw.most
	if tw.zipped || rsv == 4 {
		most += most/8 + 64
	}
	switch {
	case masked == tw.client,
		rsv == 4 && !tw.deflate,
		op == 0 && !tw.open,
		(op == 1 || op == 2) && tw.open:
		return tw.fail(1002)
	case !control && uint64(len(tw.message))+length > uint64(most):
		return tw.fail(1009)
	}
	if op == 1 || op == 2 {
		tw.open, tw.op, tw.zipped = true, op, rsv == 4
	}

	payload := bytes.Clone(in[:min(length, uint64(len(in)))])
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	in = in[len(payload):]
	whole := uint64(len(payload)) == length
	if control {
		if !whole {
			return nil
		}
		tw.control(op, payload)
		return in
	}
	tw.message = append(tw.message, payload...)
	if tw.op == 1 && !tw.zipped && firstBad(string(tw.message)) >= 0 {
		return tw.fail(1007)
	}
	if !whole {
		return nil
	}
	if fin {
		tw.end()
	}
	return in
}

func (tw *twin) control(op byte, payload []byte) {
	kinds := map[byte]frame.EventKind{8: frame.KindClose, 9: frame.KindPing, 10: frame.KindPong}
	e := event{kind: kinds[op], op: frame.Opcode(op), payload: string(payload)}
	if op == 8 {
		switch {
		case len(payload) == 0:
			e.code = 1005
		case len(payload) == 1:
			tw.fail(1002)
		default:
			e.code = frame.CloseCode(payload[0])<<8 | frame.CloseCode(payload[1])
			e.payload = string(payload[2:])
			if !closeCodes[e.code] && (e.code < 3000 || e.code > 4999) {
				tw.fail(1002)
			} else if !utf8.ValidString(e.payload) {
				tw.fail(1007)
			}
		}
	}
	if tw.out.failed == 0 {
		tw.out.events = append(tw.out.events, e)
	}
}

// closeCodes are the codes below 3000 that may be sent.
var closeCodes = map[frame.CloseCode]bool{
	1000: true, 1001: true, 1002: true, 1003: true, 1007: true, 1008: true,
	1009: true, 1010: true, 1011: true, 1012: true, 1013: true, 1014: true,
}

func (tw *twin) end() {
	payload := tw.message
	zipped, op := tw.zipped, tw.op
	tw.message, tw.open, tw.zipped, tw.op = nil, false, false, 0
	if zipped {
		if payload = tw.inflate(payload); tw.out.failed != 0 {
			return
		}
	}
	if op == 1 && !utf8.Valid(payload) {
		tw.fail(1007)
		return
	}
	tw.out.events = append(tw.out.events, event{kind: frame.KindMessage, op: frame.Opcode(op), payload: string(payload)})
}

// inflate takes what the standard library makes of a message. Where that
// refuses one, the decoder that Reader uses may still accept it: it lets a block
// pass that declares no distances and uses them all the same. Then its own word
// counts, provided that it does not depend on the cuts.
func (tw *twin) inflate(payload []byte) []byte {
	if len(payload) == 0 {
		return nil
	}
	if tw.lax == nil {
		tw.lax = lax.NewReader(nil)
	}
	ownPlain, ownFailed := tw.inflateWith(tw.lax, payload)
	plain, failed := tw.inflateWith(flate.NewReader(nil), payload)
	if failed != 0 {
		plain, failed = ownPlain, ownFailed
	}
	if failed != 0 {
		return tw.fail(failed)
	}
	tw.inflated = append(tw.inflated, plain...)
	return plain
}

func (tw *twin) inflateWith(decoder io.Reader, payload []byte) (plain []byte, failed frame.CloseCode) {
	const tail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"
	src := bytes.NewReader(append(bytes.Clone(payload), tail...))
	for range 256 {
		dict := plain
		if tw.takeover {
			dict = append(bytes.Clone(tw.inflated), plain...)
		}
		decoder.(flate.Resetter).Reset(src, dict)
		part, err := io.ReadAll(decoder)
		plain = append(plain, part...)
		switch left := src.Len(); {
		case len(plain) > tw.most:
			return nil, 1009
		case err != nil || left > 0 && left < len(tail):
			return nil, 1007
		case left == 0 || left == len(tail):
			return plain, 0
		}
	}
	return nil, 1007
}
