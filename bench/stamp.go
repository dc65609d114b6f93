package bench

import (
	"bytes"
	"encoding/hex"
	"strconv"
)

// A published message begins with a stamp of fixed size: who, what and when in
// hexadecimal digits, so that it is also text and JSON. The rest is filler.
//
//	group  publisher  number        sent
//	8      4          12            16 digits
//	0000002a0001000000000007000000012a05f200
//
// It begins with the group so that a bare server needs no more than that to
// know where a message goes.
const stampSize = 8 + 4 + 12 + 16

type stamp struct {
	group     uint32
	publisher uint16
	number    uint64 // counts from 0 in the messages of one publisher to one group; 48 bits
	sent      int64  // when it should have been sent, on the clock of swarm.Now
}

// put writes the stamp over the first stampSize bytes of p.
func (s stamp) put(p []byte) {
	putHex(p[:8], uint64(s.group))
	putHex(p[8:12], uint64(s.publisher))
	putHex(p[12:24], s.number)
	putHex(p[24:40], uint64(s.sent))
}

// parseStamp reads the stamp at the start of p.
func parseStamp(p []byte) (s stamp, ok bool) {
	var b [stampSize / 2]byte
	if len(p) < stampSize {
		return s, false
	}
	if _, err := hex.Decode(b[:], p[:stampSize]); err != nil {
		return s, false
	}
	n := func(b []byte) (v uint64) {
		for _, x := range b {
			v = v<<8 | uint64(x)
		}
		return v
	}
	return stamp{uint32(n(b[:4])), uint16(n(b[4:6])), n(b[6:12]), int64(n(b[12:]))}, true
}

func putHex(dst []byte, v uint64) {
	const digits = "0123456789abcdef"
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[v&15]
		v >>= 4
	}
}

// dataProperty is where the data of a group message of Sluice begins. Nothing
// that stands before it in the message can hold these bytes: a quote inside a
// string is escaped.
var dataProperty = []byte(`"data":"`)

// findStamp reads the stamp of a message as a subscriber gets it.
func findStamp(message []byte, sluice bool) (stamp, bool) {
	if sluice {
		i := bytes.Index(message, dataProperty)
		if i < 0 {
			return stamp{}, false
		}
		message = message[i+len(dataProperty):]
	}
	return parseStamp(message)
}

// groupName is the name of a group in a token.
func groupName(group int) string { return "g" + strconv.Itoa(group) }
