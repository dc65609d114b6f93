package frame

import "fmt"

// Error is a violation of the protocol by the peer. It ends the connection: the
// receiver answers with a close frame of this code and reason.
type Error struct {
	Code   CloseCode
	Reason string // short, fit for a close frame, free of the peer's data
}

// Error implements the error interface.
func (e *Error) Error() string {
	return fmt.Sprintf("websocket: %s (%d)", e.Reason, uint16(e.Code))
}

// Every violation is one of these values, so that a hostile peer cannot make us
// allocate by breaking the rules.
var (
	errReservedBits   = &Error{CloseProtocolError, "reserved bit set"}
	errReservedOpcode = &Error{CloseProtocolError, "reserved opcode"}
	errCompressedBit  = &Error{CloseProtocolError, "RSV1 not on the first frame of a message"}
	errControl        = &Error{CloseProtocolError, "control frame fragmented or too long"}
	errLength         = &Error{CloseProtocolError, "length not in its shortest form or too large"}
	errUnmasked       = &Error{CloseProtocolError, "frame of a client is not masked"}
	errMasked         = &Error{CloseProtocolError, "frame of a server is masked"}
	errContinuation   = &Error{CloseProtocolError, "continuation without a message"}
	errInterleaved    = &Error{CloseProtocolError, "new message inside a fragmented one"}
	errCloseBody      = &Error{CloseProtocolError, "close frame of one byte"}
	errCloseCode      = &Error{CloseProtocolError, "close code not allowed on the wire"}

	errReasonText  = &Error{CloseInvalidPayload, "close reason is not UTF-8"}
	errText        = &Error{CloseInvalidPayload, "text is not UTF-8"}
	errDeflateData = &Error{CloseInvalidPayload, "compressed data is corrupt"}

	errTooBig = &Error{CloseMessageTooBig, "message too big"}
)

// What a client finds wrong with a server's answer to its offer of compression.
var (
	errAnswerSyntax  = &Error{CloseProtocolError, "malformed Sec-WebSocket-Extensions answer"}
	errAnswerUnasked = &Error{CloseMandatoryExtension, "answer with an extension that was not offered"}
	errAnswerParams  = &Error{CloseMandatoryExtension, "answer with parameters that do not fit the offer"}
)
