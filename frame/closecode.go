package frame

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// CloseCode says why a connection ends (RFC 6455 7.4 and the IANA registry).
//
// Whether a client should come back follows from the band of the code:
//
//	1000-2999   by code, see Reconnect
//	3000-3499   yes   registered by libraries and frameworks
//	3500-3999   no
//	4000-4499   yes   ours
//	4500-4999   no
type CloseCode uint16

// The codes of RFC 6455 7.4.1 and the IANA registry, and ours from 4000 on.
const (
	CloseNormal             CloseCode = 1000
	CloseGoingAway          CloseCode = 1001
	CloseProtocolError      CloseCode = 1002
	CloseUnsupportedData    CloseCode = 1003
	CloseNoStatus           CloseCode = 1005 // never on the wire: a close frame without a code
	CloseAbnormal           CloseCode = 1006 // never on the wire: no close frame at all
	CloseInvalidPayload     CloseCode = 1007
	ClosePolicyViolation    CloseCode = 1008
	CloseMessageTooBig      CloseCode = 1009
	CloseMandatoryExtension CloseCode = 1010
	CloseInternalError      CloseCode = 1011
	CloseServiceRestart     CloseCode = 1012
	CloseTryAgainLater      CloseCode = 1013
	CloseBadGateway         CloseCode = 1014
	CloseTokenExpired       CloseCode = 4401 // get a new token, then reconnect
	CloseReplaced           CloseCode = 4500 // the same user has connected again, and one connection is all it may have
)

// Sendable reports whether c may stand in a close frame (RFC 6455 7.4). A
// received frame with any other code is a protocol error.
func (c CloseCode) Sendable() bool {
	switch {
	case c >= 1000 && c <= 1014:
		return c != 1004 && c != CloseNoStatus && c != CloseAbnormal
	default:
		return c >= 3000 && c <= 4999
	}
}

// Reconnect reports whether a client that was closed with c should connect
// again. It is false where the next connection would end the same way.
func (c CloseCode) Reconnect() bool {
	switch c {
	case CloseGoingAway, CloseAbnormal, CloseInternalError, CloseServiceRestart, CloseTryAgainLater, CloseBadGateway:
		return true
	}
	return c >= 3000 && c < 3500 || c >= 4000 && c < 4500
}

// String returns a short label for metrics and logs. The set of labels is
// bounded: a code without a name is "other".
func (c CloseCode) String() string {
	switch c {
	case CloseNormal:
		return "normal"
	case CloseGoingAway:
		return "going_away"
	case CloseProtocolError:
		return "protocol_error"
	case CloseUnsupportedData:
		return "unsupported_data"
	case CloseNoStatus:
		return "no_status"
	case CloseAbnormal:
		return "abnormal"
	case CloseInvalidPayload:
		return "invalid_payload"
	case ClosePolicyViolation:
		return "policy_violation"
	case CloseMessageTooBig:
		return "message_too_big"
	case CloseMandatoryExtension:
		return "mandatory_extension"
	case CloseInternalError:
		return "internal_error"
	case CloseServiceRestart:
		return "service_restart"
	case CloseTryAgainLater:
		return "try_again_later"
	case CloseBadGateway:
		return "bad_gateway"
	case CloseTokenExpired:
		return "token_expired"
	case CloseReplaced:
		return "replaced"
	default:
		return "other"
	}
}

// AppendCloseBody appends the payload of a close frame. The reason is cut to
// 123 bytes on a rune boundary, and bytes that are not UTF-8 become question
// marks. A code that may not be sent, such as CloseNoStatus, gives an empty
// body.
func AppendCloseBody(dst []byte, code CloseCode, reason string) []byte {
	if !code.Sendable() {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, cutReason(reason)...)
}

func cutReason(reason string) string {
	const room = maxControl - 2
	// A question mark is never longer than what it stands for.
	reason = strings.ToValidUTF8(reason, "?")
	if len(reason) <= room {
		return reason
	}
	end := room
	for !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}

// parseCloseBody reads the payload of a close frame (RFC 6455 5.5.1 and 7.4).
// The reason is a slice of p.
func parseCloseBody(p []byte) (code CloseCode, reason []byte, err error) {
	switch len(p) {
	case 0:
		return CloseNoStatus, nil, nil
	case 1:
		return 0, nil, errCloseBody
	}
	code, reason = CloseCode(binary.BigEndian.Uint16(p)), p[2:]
	if !code.Sendable() {
		return 0, nil, errCloseCode
	}
	if !utf8.Valid(reason) {
		return 0, nil, errReasonText
	}
	return code, reason, nil
}
