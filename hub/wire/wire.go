// Package wire is what clients say: the message grammars, one per WebSocket
// subprotocol. A Grammar turns the payload of one WebSocket message into a
// Request and appends the node's answers to a byte slice.
//
// The package owns the syntax only: whether a message is well formed and what
// it asks for. It does not know sockets, frames, connections or groups, keeps
// no state between messages and never decides whether a request is allowed.
//
// Grammars are stateless values that any goroutine may use. A Decoder holds
// reusable scratch memory and belongs to one goroutine, in practice to one
// event loop.
package wire

import "time"

// Kind says what a Request asks for. The zero value is no kind at all.
type Kind uint8

const (
	JoinGroup Kind = iota + 1
	LeaveGroup
	SendToGroup
	Event
	Ping

	// The kinds below are recognised, and no more: of their fields only ackId
	// is decoded. They are told apart from an unknown type so that the hub can
	// refuse them politely instead of closing the connection.

	SequenceAck
	Invoke
	CancelInvocation
	StreamStart // sendToGroup with a stream object
	StreamData
	StreamEnd
	SetGroupState
	SubscribeGroupState
	UnsubscribeGroupState
)

// String returns the name of the kind on the wire, a bounded set fit for a
// metric label. StreamStart, which has no name of its own, is "streamStart".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

var kindNames = [...]string{
	0:                     "unknown",
	JoinGroup:             "joinGroup",
	LeaveGroup:            "leaveGroup",
	SendToGroup:           "sendToGroup",
	Event:                 "event",
	Ping:                  "ping",
	SequenceAck:           "sequenceAck",
	Invoke:                "invoke",
	CancelInvocation:      "cancelInvocation",
	StreamStart:           "streamStart",
	StreamData:            "streamData",
	StreamEnd:             "streamEnd",
	SetGroupState:         "setGroupState",
	SubscribeGroupState:   "subscribeGroupState",
	UnsubscribeGroupState: "unsubscribeGroupState",
}

// DataType says how the publisher described its data, which every grammar
// carries to the receivers in its own way.
type DataType uint8

const (
	JSON   DataType = iota // one JSON value, kept byte for byte
	Text                   // UTF-8 text
	Binary                 // any bytes
)

// String returns the name of the data type on the wire.
func (t DataType) String() string {
	switch t {
	case JSON:
		return "json"
	case Text:
		return "text"
	default:
		return "binary"
	}
}

// MaxGroup is the longest group name, in bytes.
const MaxGroup = 1024

// Request is one decoded client message. Its slices alias the message or the
// scratch memory of the Decoder: they are valid until the message buffer is
// reused or the next Decode with the same Decoder, whichever comes first, and
// must not be changed. Keep a copy of what has to live longer.
type Request struct {
	Kind     Kind
	Group    []byte   // JoinGroup, LeaveGroup, SendToGroup: 1 to MaxGroup bytes, valid UTF-8
	Event    []byte   // Event: its name
	Data     []byte   // SendToGroup, Event: as DataType says, escapes and base64 already undone
	DataType DataType // SendToGroup, Event
	NoEcho   bool     // SendToGroup: the sender does not want its own copy
	AckID    uint64   // meaningful only when HasAck is set
	HasAck   bool     // the client waits for an acknowledgement
}

// GroupMessage is one message published to a group, as its members get it.
type GroupMessage struct {
	Group    string
	FromUser string // user id of the publisher, "" when it has none
	DataType DataType
	Data     []byte // one valid JSON value, UTF-8 text or any bytes, as DataType says; only read
}

// ErrorName tells a client program why its request failed. Clients accept
// names they do not know.
type ErrorName string

const (
	Forbidden           ErrorName = "Forbidden"           // the client has no role for it
	InternalServerError ErrorName = "InternalServerError" // our fault; a retry may help
	Duplicate           ErrorName = "Duplicate"           // this ackId was processed already; clients treat it as success
	BadRequest          ErrorName = "BadRequest"          // understood, but not possible as asked
	NotFound            ErrorName = "NotFound"            // what it names does not exist
)

// Error says that a client broke the grammar. The connection cannot go on and
// closes with Code.
type Error struct {
	Code   uint16 // WebSocket close code: 1003 or 1007 (RFC 6455 section 7.4.1)
	Reason string // names the field; at most 123 bytes of printable ASCII, fit for a close frame and a log line
}

func (e *Error) Error() string { return e.Reason }

// The two codes of an Error.
const (
	codeUnsupportedData = 1003 // a text frame where the grammar has binary ones, or the reverse
	codeInvalidPayload  = 1007 // not a message of the grammar
)

// Grammar is one way of writing the messages. Implementations are stateless,
// comparable values, usable from any goroutine.
//
// The Append methods write one whole message payload behind dst, growing it as
// append does, and keep no reference to their arguments. A grammar that lacks
// a message appends nothing, and then there is nothing to send: a raw client,
// for one, knows no acknowledgement.
//
// What only some grammars can do (sequence numbers, reconnection tokens) will
// be a second interface beside this one, found by type assertion.
type Grammar interface {
	// Name returns our own subprotocol name for the grammar, "json.sluice.v1".
	Name() string

	// Decode reads the payload of one WebSocket message into req, overwriting
	// all of it. text says whether the message came in text frames. The error
	// is an *Error, after which req holds nothing of use. msg is only read.
	Decode(d *Decoder, text bool, msg []byte, req *Request) error

	// Binary reports whether the appended messages go in binary frames.
	Binary() bool

	// AppendConnected appends the first message on a connection. An empty
	// userID means that the client is anonymous.
	AppendConnected(dst []byte, connectionID, userID string) []byte

	// AppendDisconnected appends the last message before a close, with a
	// reason for people to read. A reconnectAfter above 0 asks the client to
	// wait so long before it comes back.
	AppendDisconnected(dst []byte, reason string, reconnectAfter time.Duration) []byte

	// AppendAck appends the answer to the request with that ackID. An empty
	// name means success, and then message is not used.
	AppendAck(dst []byte, ackID uint64, name ErrorName, message string) []byte

	// AppendGroupMessage appends m as the members of its group get it.
	AppendGroupMessage(dst []byte, m *GroupMessage) []byte

	// AppendPong appends the answer to Ping.
	AppendPong(dst []byte) []byte
}
