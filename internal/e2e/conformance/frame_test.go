package conformance_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Opcodes.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

const rsv1 = 4

// frame is what stands in one frame, broken or not.
type frame struct {
	fin     bool
	rsv     byte // three bits
	op      byte
	payload []byte
}

func (f frame) String() string { return message{f.op, f.payload}.String() }

// append appends the frame as a client must send it, masked.
func (f frame) append(dst []byte) []byte {
	first := f.rsv<<4 | f.op
	if f.fin {
		first |= 128
	}
	dst = append(dst, first)
	switch n := len(f.payload); {
	case n < 126:
		dst = append(dst, 128|byte(n))
	case n < 1<<16:
		dst = append(dst, 128|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 128|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], rand.Uint32())
	dst = append(dst, key[:]...)
	for i, b := range f.payload {
		dst = append(dst, b^key[i%4])
	}
	return dst
}

func text(s string) frame         { return frame{fin: true, op: opText, payload: []byte(s)} }
func continuation(s string) frame { return frame{fin: true, op: opContinuation, payload: []byte(s)} }
func ping(s string) frame         { return frame{fin: true, op: opPing, payload: []byte(s)} }
func pong(s string) frame         { return frame{fin: true, op: opPong, payload: []byte(s)} }

// closing is a close frame with a code and a reason.
func closing(code uint16, reason string) frame {
	return frame{fin: true, op: opClose, payload: append(binary.BigEndian.AppendUint16(nil, code), reason...)}
}

// open is the frame without the FIN bit: more follow.
func (f frame) open() frame {
	f.fin = false
	return f
}

// reserved is the frame with reserved bits set.
func (f frame) reserved(bits byte) frame {
	f.rsv = bits
	return f
}

// fragments cuts the frame into frames of size bytes. The reserved bits stay
// with the first.
func (f frame) fragments(size int) []frame {
	var all []frame
	for next := f; ; next = (frame{op: opContinuation, payload: next.payload[size:]}) {
		if len(next.payload) <= size {
			next.fin = f.fin
			return append(all, next)
		}
		part := next.open()
		part.payload = next.payload[:size]
		all = append(all, part)
	}
}

// message is what comes from the server: a whole message or a control frame.
type message struct {
	op   byte
	data []byte
}

// echo is the message that answers the frame.
func (f frame) echo() message {
	if f.op == opPing {
		return message{opPong, f.payload}
	}
	return message{f.op, f.payload}
}

// code returns the code of a close frame, 1005 when it has none.
func (m message) code() uint16 {
	if len(m.data) < 2 {
		return 1005
	}
	return binary.BigEndian.Uint16(m.data)
}

func (m message) String() string {
	if len(m.data) > 64 {
		return fmt.Sprintf("opcode %d, %d bytes, %q...", m.op, len(m.data), m.data[:64])
	}
	return fmt.Sprintf("opcode %d, %q", m.op, m.data)
}
