//go:build !purego

package engine

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A tls.Conn keeps two buffers as large as the largest record it has read: some
// 4 KiB after a handshake, 17 KiB after a full record, for as long as it lives
// (golang/go#43563). They are not exported, so they are found by reflection once,
// and let go where they are empty and the connection is quiet. An empty
// bytes.Buffer and a new one are the same to whoever has it. Where a version of Go
// has no such buffers, nothing is done; a build with the tag purego leaves all of
// it out.

// tlsBuffers are the offsets of the buffers in a tls.Conn.
var tlsBuffers = buffersOf(reflect.TypeFor[tls.Conn](), "rawInput", "hand")

func buffersOf(t reflect.Type, names ...string) (offsets []uintptr) {
	for _, name := range names {
		f, ok := t.FieldByName(name)
		if !ok || f.Type != reflect.TypeFor[bytes.Buffer]() {
			return nil
		}
		offsets = append(offsets, f.Offset)
	}
	return offsets
}

// letGo gives the buffers of a connection that waits for input back to the
// collector. Nobody else may use the connection meanwhile, and its last read must
// have found nothing: then it holds no bytes of theirs.
func letGo(c *tls.Conn) {
	for _, offset := range tlsBuffers {
		b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset))
		if b.Len() == 0 && b.Cap() > 0 {
			*b = bytes.Buffer{}
		}
	}
}
