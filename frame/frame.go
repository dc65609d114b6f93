// Package frame is the WebSocket protocol on byte slices: RFC 6455 frames and
// RFC 7692 compression, for both roles.
//
// It owns the decoding state of a connection ([Reader]), what the connections
// of one event loop share ([Codec]), the negotiated compression ([Deflate]) and
// encoded messages ([Message]). It owns no socket, starts no goroutine and
// knows nothing of the opening handshake beyond the value of the
// Sec-WebSocket-Extensions header.
//
// A Codec, and every Reader and Deflate used with it, belongs to one goroutine.
// A Message is immutable and may be used from anywhere. The functions
// are pure.
package frame

import (
	"math/rand/v2"

	"github.com/gobwas/ws"
)

// AppendFrame appends an unmasked frame with FIN set, which is what a server
// sends (RFC 6455 5.1).
func AppendFrame(dst []byte, op Opcode, payload []byte) []byte {
	if n := len(payload); n < length16 {
		return append(append(dst, bitFin|byte(op), byte(n)), payload...)
	} else if n <= 0xffff {
		return append(append(dst, bitFin|byte(op), length16, byte(n>>8), byte(n)), payload...)
	}
	dst = AppendHeader(dst, Header{Fin: true, Op: op, Length: int64(len(payload))})
	return append(dst, payload...)
}

// AppendMaskedFrame appends a frame with FIN set whose payload is masked with
// key, which is what a client sends. The payload itself is left as it is.
func AppendMaskedFrame(dst []byte, op Opcode, payload []byte, key [4]byte) []byte {
	dst = AppendHeader(dst, Header{Fin: true, Op: op, Masked: true, Key: key, Length: int64(len(payload))})
	body := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[body:], key, 0)
	return dst
}

// AppendClose appends a server's close frame. The payload is the one that
// [AppendCloseBody] writes.
func AppendClose(dst []byte, code CloseCode, reason string) []byte {
	var body [maxControl]byte
	return AppendFrame(dst, OpClose, AppendCloseBody(body[:0], code, reason))
}

// newMaskKey returns a key that a peer cannot predict (RFC 6455 5.3). The
// generator behind rand/v2 is ChaCha8 seeded by the operating system, and it
// needs no system call per frame.
func newMaskKey() [4]byte {
	k := rand.Uint32()
	return [4]byte{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24)}
}
