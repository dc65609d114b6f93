package wire

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// The beginning of every message of a group, as AppendMessage writes it.
var groupMessage = []byte(`{"type":"message","from":"group","group":`)

// JSONPlace reads the group and the offset out of what AppendMessage of the JSON
// grammar with offsets has written, and of nothing else: ok is false for a message
// that has no offset, or is not for a group. It is for transports that say the
// place of a message in their own way. msg is only read and not kept.
func JSONPlace(msg []byte) (group string, offset uint64, ok bool) {
	// The offset is the last property. What looks like it and ends with the last
	// brace cannot be a part of the data or the metadata: their own end would
	// stand between.
	const property = `,"offset":`
	digits := len(msg) - 1
	for digits > 0 && '0' <= msg[digits-1] && msg[digits-1] <= '9' {
		digits--
	}
	rest, isGroup := bytes.CutPrefix(msg, groupMessage)
	if !isGroup || msg[len(msg)-1] != '}' || !bytes.HasSuffix(msg[:digits], []byte(property)) {
		return "", 0, false
	}
	for _, d := range msg[digits : len(msg)-1] {
		offset = offset*10 + uint64(d-'0')
	}
	name, err := jsontext.AppendUnquote(nil, firstString(rest))
	return string(name), offset, err == nil && offset > 0
}

// firstString returns the JSON string that text begins with, quotes included, or
// all of it.
func firstString(text []byte) []byte {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1]
		}
	}
	return text
}
