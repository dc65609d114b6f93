package frame

import (
	"github.com/gobwas/ws"
	"github.com/valyala/bytebufferpool"
)

// Config is what the connections of a node have in common. The zero value is a
// server with the defaults.
type Config struct {
	// Client selects the role: a client masks what it sends and refuses masked
	// frames, a server the other way round.
	Client bool `yaml:"-"`

	// MaxMessageSize bounds one message in bytes, over all of its fragments and
	// after decompression. Default 1 MiB. A loop may hold that much per
	// connection that is in the middle of a message.
	MaxMessageSize int `yaml:"max_message_size" unit:"bytes"`

	// Deflate turns on and tunes permessage-deflate.
	Deflate DeflateConfig `yaml:"deflate"`
}

const (
	defaultMaxMessageSize = 1 << 20
	maxMaxMessageSize     = 1 << 30 // a message is one slice, and so is its compressed form
)

// Validate reports every value that cannot be used.
func (cfg *Config) Validate(report func(key, problem string)) {
	if cfg.MaxMessageSize < 0 || cfg.MaxMessageSize > maxMaxMessageSize {
		report("max_message_size", "must be between 1 byte and 1 GiB, or 0 for the default")
	}
	cfg.Deflate.Validate(func(key, problem string) { report("deflate."+key, problem) })
}

// Codec is what the connections of one event loop share: limits, scratch
// memory and the compression coders, which at a megabyte each cannot be had per
// connection. It belongs to one goroutine.
type Codec struct {
	// Fixed by NewCodec.
	client     bool
	maxMessage int // bytes
	maxWire    int // bytes of a compressed message on the wire

	// The buffer behind the payload returned last, given back to its pool by
	// the next call of Reader.Next.
	lent *bytebufferpool.ByteBuffer

	inflater inflater
	deflater deflater
}

// NewCodec returns the codec of one loop. cfg must pass Validate.
func NewCodec(cfg Config) *Codec {
	if cfg.MaxMessageSize == 0 {
		cfg.MaxMessageSize = defaultMaxMessageSize
	}
	return &Codec{
		client:     cfg.Client,
		maxMessage: cfg.MaxMessageSize,
		maxWire:    maxDeflated(cfg.MaxMessageSize),
		deflater:   newDeflater(cfg.Deflate),
	}
}

// AppendMessage appends one message, or one control frame, in the form that
// this codec's role sends: masked by a client, and compressed when d allows it
// and it helps. d is what the recipient negotiated, nil for nothing, and is
// advanced if it has a context. The payload is left as it is, and may be one
// that [Reader.Next] returned.
func (c *Codec) AppendMessage(dst []byte, op Opcode, payload []byte, d *Deflate) []byte {
	if d == nil && !c.client {
		return AppendFrame(dst, op, payload)
	}
	h := Header{Fin: true, Op: op, Masked: c.client, Length: int64(len(payload))}
	if c.client {
		h.Key = newMaskKey()
	}
	if d != nil && !op.IsControl() && len(payload) >= c.deflater.minSize {
		if framed, ok := c.appendDeflated(dst, h, payload, d); ok {
			return framed
		}
	}
	dst = AppendHeader(dst, h)
	body := len(dst)
	dst = append(dst, payload...)
	if c.client {
		ws.Cipher(dst[body:], h.Key, 0)
	}
	return dst
}

// appendDeflated appends the compressed form, or returns false when it is not
// smaller than the plain one; dst then holds what it held before.
func (c *Codec) appendDeflated(dst []byte, h Header, payload []byte, d *Deflate) (framed []byte, ok bool) {
	h.RSV1 = true
	start := len(dst)
	// The header comes first but the length is known last. The plain length
	// leaves room that is never too small and nearly always just right.
	framed = AppendHeader(dst, h)
	body := len(framed)
	framed = c.deflater.append(framed, payload, &d.send)
	h.Length = int64(len(framed) - body)
	if h.Length >= int64(len(payload)) {
		return dst, false
	}
	d.send.remember(payload)

	head := AppendHeader(framed[:start], h)
	if len(head) < body {
		framed = append(head, framed[body:]...)
	}
	if h.Masked {
		ws.Cipher(framed[len(head):], h.Key, 0)
	}
	return framed, true
}

// lend makes b the buffer behind the payload that is about to be returned.
func (c *Codec) lend(b *bytebufferpool.ByteBuffer) { c.lent = b }

// reclaim ends the life of the payload returned last.
func (c *Codec) reclaim() {
	if c.lent != nil {
		putBuffer(c.lent)
		c.lent = nil
	}
}
