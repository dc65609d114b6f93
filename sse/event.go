package sse

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sluice/frame"
	"sluice/internal/outbox"
)

// The fields of an event (HTML standard, section 9.2). Every line ends with a line
// feed, every event with an empty line.

// eventMessage is the name of events that hold a message to the client, and the one
// that EventSource gives to onmessage.
const eventMessage = "message"

// eventClose is the name of the last event.
const eventClose = "close"

func appendField(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, name...), ": "...), value...)
	return append(dst, '\n')
}

// appendRetry says how long to wait before coming back.
func appendRetry(dst []byte, d time.Duration) []byte {
	dst = append(dst, "retry: "...)
	return append(strconv.AppendInt(dst, max(1, d.Milliseconds()), 10), '\n')
}

// appendData appends JSON as the data of an event, and ends it. JSON data is passed
// on as it came: there may be line ends between its tokens, and nowhere else. They
// would end the line here, so they become spaces, which mean the same.
func appendData(dst, json []byte) []byte {
	dst = append(dst, "data: "...)
	begin := len(dst)
	dst = append(dst, json...)
	for i := begin; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return append(dst, "\n\n"...)
}

// appendHeartbeat appends a comment, which clients pass over.
func appendHeartbeat(dst []byte) []byte { return append(dst, ":\n\n"...) }

// appendClose appends the last event, which says why the stream ends.
func appendClose(dst []byte, end outbox.Close, retry time.Duration) []byte {
	back := comesBack(end.Code)
	switch {
	case !back:
		dst = appendField(dst, "id", idOver)
	case retry > 0:
		dst = appendRetry(dst, retry)
	}
	dst = appendField(dst, "event", eventClose)
	data := append([]byte(`{"code":`), strconv.Itoa(int(end.Code))...)
	data = append(data, `,"reason":`...)
	data, _ = jsontext.AppendQuote(data, end.Reason) // what is no UTF-8 is replaced
	data = append(data, `,"reconnect":`...)
	return appendData(dst, append(strconv.AppendBool(data, back), '}'))
}

// comesBack tells whether the client of a stream that has ended shall come back. One
// that was too slow may: it goes on where it was.
func comesBack(code frame.CloseCode) bool {
	return code.Reconnect() || code == frame.ClosePolicyViolation
}
