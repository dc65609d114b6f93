package frame

import "encoding/binary"

// Opcode says what a frame carries (RFC 6455 5.2).
type Opcode byte

// The opcodes of RFC 6455 11.8. The others are reserved, and a frame with one
// of them fails the connection.
const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xA
)

// IsControl reports whether op is a control opcode (RFC 6455 5.5).
func (op Opcode) IsControl() bool { return op&0x8 != 0 }

func (op Opcode) isReserved() bool { return op > OpPong || op > OpBinary && op < OpClose }

// A frame header as it stands on the wire (RFC 6455 5.2):
//
//	byte 0   FIN RSV1 RSV2 RSV3 opcode(4)
//	byte 1   MASK length(7)
//	 + 2     length, big endian, when the 7 bits say 126
//	 + 8     length, big endian, when the 7 bits say 127
//	 + 4     masking key, when MASK is set
const (
	bitFin   = 0x80
	bitRSV1  = 0x40
	bitsRSV  = 0x30 // RSV2 and RSV3: no extension we know uses them
	bitsOp   = 0x0f
	bitMask  = 0x80
	bitsLen  = 0x7f
	length16 = 126
	length64 = 127

	maxHeader  = 14  // bytes
	maxControl = 125 // payload bytes of a control frame (RFC 6455 5.5)
)

// Header is one frame header.
type Header struct {
	Fin    bool
	RSV1   bool // the message is compressed (RFC 7692 6)
	Masked bool
	Op     Opcode
	Key    [4]byte // masking key, zero unless Masked
	Length int64   // payload bytes, never negative
}

// ParseHeader reads the header at the start of p and returns its size n in
// bytes. n is 0 when p is too short to hold it.
//
// It refuses, with an [*Error], what no peer may send on any connection: RSV2
// and RSV3, RSV1 where RFC 7692 forbids it, reserved opcodes, control frames
// that are fragmented or longer than 125 bytes, and lengths with the top bit
// set or not in their shortest form. Rules that depend on the role, the
// extension or the frames before are left to [Reader].
func ParseHeader(p []byte) (h Header, n int, err error) {
	if len(p) < 2 {
		return Header{}, 0, nil
	}
	h.Fin = p[0]&bitFin != 0
	h.RSV1 = p[0]&bitRSV1 != 0
	h.Op = Opcode(p[0] & bitsOp)
	h.Masked = p[1]&bitMask != 0
	h.Length = int64(p[1] & bitsLen)
	switch {
	case p[0]&bitsRSV != 0:
		return Header{}, 0, errReservedBits
	case h.Op.isReserved():
		return Header{}, 0, errReservedOpcode
	case h.Op.IsControl() && (!h.Fin || h.Length > maxControl):
		return Header{}, 0, errControl
	case h.RSV1 && h.Op != OpText && h.Op != OpBinary:
		return Header{}, 0, errCompressedBit
	}

	n = 2
	if h.Length > maxControl {
		if h.Length, n, err = parseLength(p); n == 0 {
			return Header{}, 0, err
		}
	}
	if h.Masked {
		if len(p) < n+4 {
			return Header{}, 0, nil
		}
		h.Key = [4]byte(p[n:])
		n += 4
	}
	return h, n, nil
}

// parseLength reads the extended length of the header p. n is the offset just
// behind it, or 0 when p is too short or the length is refused.
func parseLength(p []byte) (length int64, n int, err error) {
	if p[1]&bitsLen == length16 {
		if len(p) < 4 {
			return 0, 0, nil
		}
		v := binary.BigEndian.Uint16(p[2:])
		if v < length16 {
			return 0, 0, errLength
		}
		return int64(v), 4, nil
	}
	if len(p) < 10 {
		return 0, 0, nil
	}
	v := binary.BigEndian.Uint64(p[2:])
	if v <= 0xffff || v>>63 != 0 {
		return 0, 0, errLength
	}
	return int64(v), 10, nil
}

// AppendHeader appends h, with the length in its shortest form.
func AppendHeader(dst []byte, h Header) []byte {
	b0, b1 := byte(h.Op), byte(0)
	if h.Fin {
		b0 |= bitFin
	}
	if h.RSV1 {
		b0 |= bitRSV1
	}
	if h.Masked {
		b1 = bitMask
	}
	switch {
	case h.Length < length16:
		dst = append(dst, b0, b1|byte(h.Length))
	case h.Length <= 0xffff:
		dst = append(dst, b0, b1|length16, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, b0, b1|length64)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = append(dst, h.Key[:]...)
	}
	return dst
}
