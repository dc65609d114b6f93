package sockjs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"sluice/frame"
)

// The frames that a server sends. A frame is text: one of these letters and, for
// messages and the close, a JSON array.
const (
	frameOpen      = "o"
	frameHeartbeat = "h"
)

// appendMessage appends one message to an array of them that is under way:
// `a["m1"` for the first, `,"m2"` for the others; the caller closes it with ].
func appendMessage(dst []byte, first bool, payload []byte) []byte {
	if first {
		dst = append(dst, "a["...)
	} else {
		dst = append(dst, ',')
	}
	return appendString(dst, payload)
}

// appendClose appends the frame that ends a session: c[code,"reason"].
func appendClose(dst []byte, code frame.CloseCode, reason string) []byte {
	dst = append(dst, "c["...)
	dst = strconv.AppendUint(dst, uint64(code), 10)
	dst = append(dst, ',')
	return append(appendString(dst, []byte(reason)), ']')
}

const hexDigits = "0123456789abcdef"

// appendString appends text as a JSON string, with everything escaped that
// browsers, or what stands between, have been seen to change: the list is the
// protocol's. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c < ' ':
				dst = appendEscape(dst, rune(c))
			default:
				dst = append(dst, c)
			}
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if escaped(r) {
			dst = appendEscape(dst, r)
		} else {
			dst = append(dst, text[i:i+n]...)
		}
		i += n
	}
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// escaped tells whether a character beyond ASCII must be escaped. Surrogates
// cannot occur: there are none in UTF-8.
func escaped(r rune) bool {
	return r >= 0x200c && r <= 0x200f || r >= 0x2028 && r <= 0x202f || r >= 0x2060 && r <= 0x206f || r >= 0xfff0 && r <= 0xffff
}

// payloadError is what is wrong with what a client sends, in the words of the
// protocol.
type payloadError string

func (e payloadError) Error() string { return string(e) }

const (
	errNoPayload  payloadError = "Payload expected."
	errBrokenJSON payloadError = "Broken JSON encoding."
)

// decodeMessages returns the messages in a body: a JSON array of strings. The
// body is only read, and no message refers to it.
func decodeMessages(body []byte) ([]string, error) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, errNoPayload
	case !json.Valid(body):
		return nil, errBrokenJSON
	}
	var messages []*string
	if json.Unmarshal(body, &messages) != nil || body[0] != '[' {
		return nil, errNoPayload
	}
	texts := make([]string, len(messages))
	for i, m := range messages {
		if m == nil { // a null is no string
			return nil, errNoPayload
		}
		texts[i] = *m
	}
	return texts, nil
}

// decodeText is decodeMessages for a message of a WebSocket, which may be one bare
// string, and may be empty.
func decodeText(payload []byte) ([]string, error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 {
		return nil, nil
	}
	if payload[0] != '"' {
		return decodeMessages(payload)
	}
	var text string
	if json.Unmarshal(payload, &text) != nil {
		return nil, errBrokenJSON
	}
	return []string{text}, nil
}
