package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"
)

// EventKind says what [Reader.Next] found.
type EventKind uint8

// The kinds of events.
const (
	KindNone    EventKind = iota // all input is consumed and nothing is complete
	KindMessage                  // a whole text or binary message
	KindPing
	KindPong
	KindClose
)

// Event is one message or control frame.
type Event struct {
	Kind EventKind
	Op   Opcode

	// Code is the code of a close frame, CloseNoStatus when it has none.
	Code CloseCode

	// Payload is the message, the data of a ping or pong, or the reason of a
	// close frame. It may be changed, and is valid until the next call of
	// Reader.Next with the same Codec or until the input is reused.
	Payload []byte
}

// Reader turns the bytes that one connection receives into events. The zero
// value is ready; it holds no memory between messages. Like its Codec it
// belongs to one goroutine.
type Reader struct {
	deflate *Deflate // negotiated, nil for none

	// buf holds what has arrived of an unfinished message, unmasked, followed
	// by what has arrived of a control frame in its middle. Nil when empty.
	buf *bytebufferpool.ByteBuffer

	// The frame whose payload is arriving.
	left    int     // bytes still to come; 0 between frames
	key     [4]byte // masking key
	phase   uint8   // index in key of the next byte
	frame   Opcode
	fin     bool
	control uint8 // bytes at the end of buf that are a control frame's

	// The message that is being put together.
	message    Opcode // OpContinuation when there is none
	compressed bool
	tail       uint8 // bytes at the end of the text that begin a rune

	// A header that was cut.
	headLen uint8
	head    [maxHeader]byte
}

// SetDeflate tells the reader what the handshake negotiated. It must be called
// before the first call of Next, or not at all.
func (r *Reader) SetDeflate(d *Deflate) { r.deflate = d }

// Deflate returns what the handshake negotiated, nil for nothing.
func (r *Reader) Deflate() *Deflate { return r.deflate }

// Pending reports whether a header, a frame or a message is unfinished.
func (r *Reader) Pending() bool { return r.headLen > 0 || r.left > 0 || r.message != 0 }

// Buffered returns the memory in bytes that the reader holds for what is
// unfinished.
func (r *Reader) Buffered() int {
	if r.buf == nil {
		return 0
	}
	return cap(r.buf.B)
}

// Release gives the buffer back. It must be called once, when nothing more is to
// be read; the reader is then as after SetDeflate.
func (r *Reader) Release() {
	putBuffer(r.buf)
	*r = Reader{deflate: r.deflate}
}

// Next reads from p up to the end of the next message or control frame, and
// returns it with the number of bytes read. An event of KindNone means that all
// of p was read and more is needed: call in a loop, each time with what is left
// of p, until then.
//
// A frame that lies whole in p and is not part of a fragmented message is
// unmasked in place and its payload is a slice of p. Everything else is copied
// to a buffer of the reader's, and checked, as it arrives.
//
// An error is an [*Error]; the reader must then only be released. What comes
// out does not depend on how the input was cut.
func (r *Reader) Next(c *Codec, p []byte) (Event, int, error) {
	c.reclaim()
	if !r.Pending() {
		if ev, n, err := r.short(c, p); n > 0 {
			return ev, n, err
		}
	}
	n := 0
	for n < len(p) {
		if r.left == 0 {
			h, size, err := r.header(p[n:])
			n += size
			if err != nil || size == 0 {
				return Event{}, len(p), err
			}
			if err := r.admit(c, &h); err != nil {
				return Event{}, n, err
			}
			if rest := p[n:]; h.Length <= int64(len(rest)) && h.standsAlone() {
				payload := rest[:h.Length]
				ev, err := r.whole(c, &h, payload)
				return ev, n + len(payload), err
			}
			r.begin(&h)
		}
		part := p[n:min(len(p), n+r.left)]
		n += len(part)
		if err := r.keep(c, part); err != nil {
			return Event{}, n, err
		}
		if r.left > 0 {
			break
		}
		if r.frame.IsControl() {
			ev, err := r.endControl(c)
			return ev, n, err
		}
		if r.fin {
			ev, err := r.endMessage(c)
			return ev, n, err
		}
	}
	return Event{}, n, nil
}

// short reads what nearly all that clients send is: a message below 64 KiB, not
// compressed, in one masked frame that lies whole in p. It returns n == 0 for
// anything else, and then has touched nothing: the long way is slower by half, and
// gives the same result.
func (r *Reader) short(c *Codec, p []byte) (ev Event, n int, err error) {
	if len(p) < 2+4 || c.client || p[1]&bitMask == 0 {
		return Event{}, 0, nil
	}
	op := Opcode(p[0] &^ bitFin) // not a data opcode where another bit is set, too
	if p[0]&bitFin == 0 || op != OpText && op != OpBinary {
		return Event{}, 0, nil
	}
	body, length := 2+4, int(p[1]&bitsLen)
	if length == length16 && len(p) >= 4+4 {
		body, length = 4+4, int(binary.BigEndian.Uint16(p[2:]))
		if length < length16 {
			return Event{}, 0, nil
		}
	} else if length > maxControl {
		return Event{}, 0, nil
	}
	n = body + length
	if n > len(p) || length > c.maxMessage {
		return Event{}, 0, nil
	}
	payload := p[body:n]
	ws.Cipher(payload, [4]byte(p[body-4:]), 0)
	if op == OpText && !utf8.Valid(payload) {
		return Event{}, n, errText
	}
	return Event{Kind: KindMessage, Op: op, Payload: payload}, n, nil
}

// header returns the next header and how many bytes of p belong to it. The size
// is 0 when even all of p, which it then keeps, does not complete it.
func (r *Reader) header(p []byte) (h Header, size int, err error) {
	if r.headLen == 0 {
		if h, size, err = ParseHeader(p); size > 0 || err != nil {
			return h, size, err
		}
	}
	had := int(r.headLen)
	held := had + copy(r.head[had:], p)
	if h, size, err = ParseHeader(r.head[:held]); size > 0 {
		r.headLen = 0
		return h, size - had, nil
	}
	r.headLen = uint8(held)
	return h, 0, err
}

// admit checks a header against the role, the extension, the message in
// progress and the limit, before a byte of payload is kept.
func (r *Reader) admit(c *Codec, h *Header) error {
	switch {
	case h.Masked && c.client:
		return errMasked
	case !h.Masked && !c.client:
		return errUnmasked
	case h.RSV1 && r.deflate == nil:
		return errReservedBits
	case h.Op.IsControl():
		return nil
	case h.Op == OpContinuation && r.message == 0:
		return errContinuation
	case h.Op != OpContinuation && r.message != 0:
		return errInterleaved
	case h.Length > int64(c.limit(r.compressed || h.RSV1)-r.held()):
		return errTooBig
	}
	return nil
}

func (h *Header) standsAlone() bool { return h.Fin && h.Op != OpContinuation }

// held returns how many bytes are in buf.
func (r *Reader) held() int {
	if r.buf == nil {
		return 0
	}
	return len(r.buf.B)
}

// limit returns the longest message in bytes as it stands on the wire.
func (c *Codec) limit(compressed bool) int {
	if compressed {
		return c.maxWire
	}
	return c.maxMessage
}

// whole returns the event of a frame that is complete in the input.
func (r *Reader) whole(c *Codec, h *Header, payload []byte) (Event, error) {
	if h.Masked {
		ws.Cipher(payload, h.Key, 0)
	}
	switch {
	case h.Op.IsControl():
		return controlEvent(h.Op, payload)
	case h.RSV1:
		return r.inflated(c, h.Op, payload)
	case h.Op == OpText && !utf8.Valid(payload):
		return Event{}, errText
	}
	return Event{Kind: KindMessage, Op: h.Op, Payload: payload}, nil
}

// begin starts a frame that is kept.
func (r *Reader) begin(h *Header) {
	r.left, r.key, r.phase = int(h.Length), h.Key, 0
	r.frame, r.fin = h.Op, h.Fin
	if h.Op == OpText || h.Op == OpBinary {
		r.message, r.compressed = h.Op, h.RSV1
	}
}

// keep stores and checks the next part of the frame's payload.
func (r *Reader) keep(c *Codec, part []byte) error {
	if len(part) == 0 {
		return nil
	}
	r.buf = growBuffer(r.buf, len(part), r.most(c))
	start := len(r.buf.B)
	r.buf.B = append(r.buf.B, part...)
	r.left -= len(part)
	if !c.client {
		ws.Cipher(r.buf.B[start:], r.key, int(r.phase))
		r.phase = (r.phase + uint8(len(part)%4)) % 4
	}
	if r.frame.IsControl() {
		r.control += uint8(len(part))
		return nil
	}
	if r.message != OpText || r.compressed {
		return nil
	}
	tail, ok := scanText(r.buf.B[start-int(r.tail):])
	if !ok {
		return errText
	}
	r.tail = uint8(tail)
	return nil
}

// most returns how long buf can become. Only the last frame of a message says
// where it ends; room made to measure for any other would have to be made again
// for the next, and copying a message once per frame is quadratic.
func (r *Reader) most(c *Codec) int {
	if r.fin && !r.frame.IsControl() {
		return r.held() + r.left
	}
	return c.limit(r.compressed) + maxControl
}

// endControl takes the finished control frame off the end of buf.
func (r *Reader) endControl(c *Codec) (Event, error) {
	var payload []byte
	if r.control > 0 {
		end := len(r.buf.B) - int(r.control)
		r.buf.B, payload = r.buf.B[:end], r.buf.B[end:]
		r.control = 0
		if r.message == 0 {
			c.lend(r.buf)
			r.buf = nil
		}
	}
	return controlEvent(r.frame, payload)
}

// endMessage returns the finished message, whose buffer is now the codec's.
func (r *Reader) endMessage(c *Codec) (Event, error) {
	op, compressed, tail := r.message, r.compressed, r.tail
	var payload []byte
	if r.buf != nil {
		payload = r.buf.B
		c.lend(r.buf)
		r.buf = nil
	}
	r.message, r.compressed, r.tail = 0, false, 0
	if tail > 0 {
		return Event{}, errText
	}
	if compressed {
		return r.inflated(c, op, payload)
	}
	return Event{Kind: KindMessage, Op: op, Payload: payload}, nil
}

// inflated returns a compressed message.
func (r *Reader) inflated(c *Codec, op Opcode, payload []byte) (Event, error) {
	plain, err := c.inflater.inflate(payload, &r.deflate.receive, c.maxMessage)
	if err != nil {
		return Event{}, err
	}
	if op == OpText && !utf8.Valid(plain) {
		return Event{}, errText
	}
	return Event{Kind: KindMessage, Op: op, Payload: plain}, nil
}

func controlEvent(op Opcode, payload []byte) (Event, error) {
	switch op {
	case OpPing:
		return Event{Kind: KindPing, Op: op, Payload: payload}, nil
	case OpPong:
		return Event{Kind: KindPong, Op: op, Payload: payload}, nil
	}
	code, reason, err := parseCloseBody(payload)
	if err != nil {
		return Event{}, err
	}
	return Event{Kind: KindClose, Op: op, Code: code, Payload: reason}, nil
}
