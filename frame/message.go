package frame

import "sync"

// HeadRoom is the number of bytes in front of a payload that [Seal] needs for
// the frame header.
const HeadRoom = 10

// Message is one encoded message for any number of recipients. It is immutable
// and may be used from any goroutine. Its frames are a server's: unmasked.
type Message struct {
	op       Opcode
	start    uint8    // of the frame in buf
	overflow Overflow // see Expendable
	key      string
	buf      []byte // head room, header right-aligned in it, payload

	once sync.Once
	twin []byte // the compressed frame, or the plain one where that is not smaller; guarded by once
}

// Seal makes a message of buf without copying it: the payload is
// buf[HeadRoom:], and the header is written into the room before it. buf, which
// must have that room, is now owned by the message.
func Seal(op Opcode, buf []byte) *Message {
	payload := buf[HeadRoom:]
	var room [maxHeader]byte
	head := AppendHeader(room[:0], Header{Fin: true, Op: op, Length: int64(len(payload))})
	start := HeadRoom - len(head)
	copy(buf[start:], head)
	return &Message{op: op, start: uint8(start), buf: buf}
}

// Expendable says that the message may be lost on the way to a slow recipient,
// and how; a key is for OverflowConflate only. Call it before the message is
// shared, or not at all: a message that nobody has called expendable is
// OverflowClose.
func (m *Message) Expendable(o Overflow, key string) { m.overflow, m.key = o, key }

// Overflow returns what becomes of the message when it does not fit.
func (m *Message) Overflow() Overflow { return m.overflow }

// Key returns the conflation key: of the messages with this key that wait for
// one recipient, only the newest is of use. Empty means that the message
// replaces no other.
func (m *Message) Key() string { return m.key }

// Op returns the opcode of the message.
func (m *Message) Op() Opcode { return m.op }

// Payload returns the plain payload. It must not be changed.
func (m *Message) Payload() []byte { return m.buf[HeadRoom:] }

// Frame returns the plain frame as it goes on the wire. It must not be changed.
func (m *Message) Frame() []byte { return m.buf[m.start:] }

// Deflated returns the frame to send to a connection that negotiated d, which
// may be nil. It must not be changed.
//
// The compressed twin is made once per message, by the first caller's codec,
// and shared by all connections; callers on other loops wait for it, which
// takes no longer than making their own. The plain frame is returned when the
// payload is below the minimum size, does not shrink, does not fit the
// connection's window, or when the connection has a context and so cannot share
// a frame: [Codec.AppendMessage] serves that one better.
func (m *Message) Deflated(c *Codec, d *Deflate) []byte {
	size := len(m.buf) - HeadRoom
	if d == nil || m.op.IsControl() || size < c.deflater.minSize || d.Takeover() {
		return m.Frame()
	}
	// A twin refers back no further than its payload is long.
	if d.send.bits < maxWindowBits && size > d.send.window() {
		return m.Frame()
	}
	m.once.Do(func() { m.twin = m.deflate(c) })
	return m.twin
}

func (m *Message) deflate(c *Codec) []byte {
	h := Header{Fin: true, Op: m.op, Length: int64(len(m.buf) - HeadRoom)}
	framed, ok := c.appendDeflated(scratch(c.deflater.twin), h, m.Payload(), &contextFree[maxWindowBits])
	if !ok {
		return m.Frame()
	}
	c.deflater.twin = framed
	return append(make([]byte, 0, len(framed)), framed...)
}
