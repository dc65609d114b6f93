package wire

import (
	"math"
	"strconv"
	"time"
)

// maxFailure bounds each of the texts with which a publisher breaks off a stream,
// in bytes.
const maxFailure = 1024

// streamStart reads which stream begins. It has no data yet: what a publisher
// sends with it would be a part without a number.
func (d *Decoder) streamStart(req *Request) {
	d.descend(fieldStream)
	req.StreamID = d.id(fieldStreamStartID)
	ms, ok := d.uint(fieldIdleTimeout, math.MaxUint32)
	if ok && ms == 0 {
		d.fail(fieldIdleTimeout.String(), "want more than 0")
	}
	req.IdleTimeout = time.Duration(ms) * time.Millisecond
	if d.raw[fieldData] != nil {
		d.fail("data", "not with the start of a stream")
	}
}

// streamPart reads one part of a stream, or nothing: then the stream goes on and
// that is all.
func (d *Decoder) streamPart(req *Request) {
	number, ok := d.uint(fieldStreamSequenceID, math.MaxUint64)
	if !ok && d.raw[fieldData] == nil {
		return
	}
	if number == 0 {
		d.fail(fieldStreamSequenceID.String(), "want a number from 1")
	}
	req.Sequence = number
	d.data(req)
}

// streamFailure reads why a stream breaks off, nil if it ends well.
func (d *Decoder) streamFailure() *Failure {
	if d.raw[fieldError] == nil {
		return nil
	}
	d.descend(fieldError)
	d.failure = Failure{
		Message:       d.optional(fieldErrorMessage, maxFailure),
		UserErrorCode: d.optional(fieldUserErrorCode, maxFailure),
	}
	return &d.failure
}

// AppendStreamAck implements Grammar.
func (JSONv1) AppendStreamAck(dst []byte, streamID string, expected uint64) []byte {
	dst = append(dst, `{"type":"streamAck"`...)
	dst = appendStreamID(dst, streamID)
	dst = appendExpected(dst, expected)
	return append(dst, '}')
}

// AppendStreamNack implements Grammar.
func (JSONv1) AppendStreamNack(dst []byte, streamID string, expected uint64, name ErrorName, message string) []byte {
	dst = append(dst, `{"type":"streamNack"`...)
	dst = appendStreamID(dst, streamID)
	dst = appendExpected(dst, expected)
	dst = appendText(dst, "name", name)
	dst = appendText(dst, "message", message)
	return append(dst, '}')
}

// AppendStreamClosed implements Grammar.
func (JSONv1) AppendStreamClosed(dst []byte, streamID string, name ErrorName, message string) []byte {
	dst = append(dst, `{"type":"streamClosed"`...)
	dst = appendStreamID(dst, streamID)
	if name != "" {
		dst = appendError(dst, name, message)
	}
	return append(dst, '}')
}

// appendStream appends the place of a message in a stream, nothing for none.
func appendStream(dst []byte, s *StreamInfo) []byte {
	if s == nil {
		return dst
	}
	dst = append(dst, `,"stream":{"streamId":`...)
	dst = appendString(dst, s.ID)
	dst = appendUint(dst, "streamSequenceId", s.Sequence)
	if s.End {
		dst = append(dst, `,"endOfStream":true`...)
	}
	if e := s.Error; e != nil {
		dst = append(dst, `,"error":{"name":`...)
		dst = appendString(dst, e.Name)
		dst = appendText(dst, "message", e.Message)
		if e.UserErrorCode != "" {
			dst = appendText(dst, "userErrorCode", e.UserErrorCode)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendStreamID[S ~[]byte | ~string](dst []byte, id S) []byte {
	return appendText(dst, "streamId", id)
}

func appendExpected(dst []byte, expected uint64) []byte {
	return appendUint(dst, "expectedSequenceId", expected)
}

// appendUint appends a property that is a number.
func appendUint(dst []byte, name string, n uint64) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return strconv.AppendUint(dst, n, 10)
}
