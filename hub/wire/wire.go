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
	SequenceAck
	Invoke
	CancelInvocation
	StreamStart // sendToGroup with a stream object
	StreamData
	StreamEnd
	SetGroupState
	SubscribeGroupState
	UnsubscribeGroupState

	// Extensions, under our own names only.

	Auth   // a new token for the connection
	Notify // asks for notices that are not sent unasked
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
	Auth:                  "auth",
	Notify:                "notify",
}

// DataType says how the publisher described its data, which every grammar
// carries to the receivers in its own way.
type DataType uint8

const (
	JSON     DataType = iota // one JSON value, kept byte for byte
	Text                     // UTF-8 text
	Binary                   // any bytes
	Protobuf                 // a google.protobuf.Any, encoded
)

// String returns the name of the data type on the wire.
func (t DataType) String() string {
	switch t {
	case JSON:
		return "json"
	case Text:
		return "text"
	case Binary:
		return "binary"
	default:
		return "protobuf"
	}
}

// Limits of what a message may hold.
const (
	MaxGroup         = 1024 // bytes of a group name
	MaxID            = 128  // bytes of a stream or invocation id
	MaxConflationKey = 256  // bytes
	MaxTTL           = 300  // seconds a publisher may ask for
	MaxMetadata      = 8 << 10
	MaxState         = 8 << 10 // bytes of the keys and values of one group state
)

// Pair is one entry of metadata or of a group state. Its bytes live as long as
// what it is part of.
type Pair struct{ Key, Value []byte }

// Request is one decoded client message. Its slices alias the message or the
// scratch memory of the Decoder: they are valid until the message buffer is
// reused or the next Decode with the same Decoder, whichever comes first, and
// must not be changed. Keep a copy of what has to live longer.
type Request struct {
	Kind   Kind
	HasAck bool   // the client waits for an acknowledgement
	AckID  uint64 // meaningful only when HasAck is set

	Group []byte // what is about a group: 1 to MaxGroup bytes, valid UTF-8
	Event []byte // Event, Invoke: its name

	Data     []byte   // SendToGroup, Event, Invoke, StreamData: as DataType says, escapes and base64 already undone
	DataType DataType // the same
	HasData  bool     // StreamData without data only keeps the stream alive; Invoke may have none

	NoEcho        bool   // SendToGroup, StreamStart: the sender does not want its own copy
	TTL           uint16 // SendToGroup: seconds, 0 for none given
	Metadata      []Pair // SendToGroup, Event
	ConflationKey []byte // SendToGroup, extension: only the newest message of a key is of use to a slow receiver

	History    History // JoinGroup, extension
	SequenceID uint64  // SequenceAck

	InvocationID []byte // Invoke, CancelInvocation: 1 to MaxID bytes

	StreamID    []byte        // StreamStart, StreamData, StreamEnd: 1 to MaxID bytes
	Sequence    uint64        // StreamData: streamSequenceId, from 1; 0 for none given
	IdleTimeout time.Duration // StreamStart: 0 for none given
	Failure     *Failure      // StreamEnd: nil when the stream ends well

	State    []Pair // SetGroupState
	HasState bool   // SetGroupState without it clears the state
	Presence bool   // SubscribeGroupState, extension: every member counts, and joining and leaving is told

	Token   []byte  // Auth
	Notices Notices // Notify
}

// History is what a joining client wants of the messages that came before.
type History struct {
	Wanted bool
	Last   uint32 // so many of the newest; 0 when Since counts
	Epoch  []byte // with Since: the epoch that Since was read in
	Since  uint64 // those after this offset
}

// Notices is a set of notices.
type Notices uint8

// TokenExpiring is the notice some time before the client's token expires.
const TokenExpiring Notices = 1 << 0

// Failure is why a stream did not end well, in the publisher's own words.
type Failure struct{ Message, UserErrorCode []byte }

// Message is one message with data, as its receivers get it. It is only read.
type Message struct {
	Group    string // "" for a message from the server that is not for a group
	FromUser string // user id of the publishing client, "" when it has none
	DataType DataType
	Data     []byte // one valid JSON value, UTF-8 text or any bytes, as DataType says
	Metadata []Pair
	Stream   *StreamInfo // nil when it is not a part of a stream

	// Offset is the place in the history of the group, from 1; 0 where none is
	// kept. Only the grammars with Offsets write it.
	Offset uint64
}

// StreamInfo is the place of a message in a stream.
type StreamInfo struct {
	ID       string
	Sequence uint64
	End      bool
	Error    *StreamError // with End, when the stream did not end well
}

// StreamError tells receivers why a stream broke off.
type StreamError struct {
	Name          ErrorName // IdleTimeout, InternalServerError, Forbidden, Cancelled or UserError
	Message       string
	UserErrorCode string // "" for none
}

// Connected is the first message on a connection, and on one that recovers.
type Connected struct {
	ConnectionID      string
	UserID            string // "" for an anonymous client
	ReconnectionToken string // "" where the session ends with its connection
}

// InvokeResponse is the answer to Invoke.
type InvokeResponse struct {
	InvocationID string
	Error        ErrorName // "" for success
	ErrorMessage string
	DataType     DataType // of a success
	Data         []byte
}

// GroupState is what subscribers of a group's state get: all of it first, then
// what changes.
type GroupState struct {
	Group    string
	Snapshot bool
	Items    []StateItem
}

// StateItem is the state of one connection in a group.
type StateItem struct {
	ConnectionID string
	UserID       string // "" for an anonymous client
	HasState     bool   // false: it has none, or none any more
	State        []Pair
	UpdatedAt    int64       // milliseconds since 1970
	Event        MemberEvent // only for those who asked for presence
}

// MemberEvent is what happened to a member of a group.
type MemberEvent uint8

const (
	NoMemberEvent MemberEvent = iota
	MemberJoined
	MemberLeft
)

// String returns the name of the event on the wire, "" for none.
func (e MemberEvent) String() string {
	return [...]string{NoMemberEvent: "", MemberJoined: "joined", MemberLeft: "left"}[e]
}

// HistoryInfo goes before the messages of a history.
type HistoryInfo struct {
	Group    string
	Epoch    string
	Offset   uint64 // of the newest message; what comes live follows it
	Complete bool   // false: some of what was asked for is not kept any more
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
	TooManyRequests     ErrorName = "TooManyRequests"     // over a limit on rates; later it may succeed
	Unauthorized        ErrorName = "Unauthorized"        // Auth: the token was refused
	InvalidSequenceID   ErrorName = "InvalidSequenceId"   // a stream's data came out of order
	StreamNotFound      ErrorName = "StreamNotFound"
	IdleTimeout         ErrorName = "IdleTimeout" // a stream was silent for too long
	Cancelled           ErrorName = "Cancelled"
	UserError           ErrorName = "UserError" // the publisher ended the stream with an error
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
type Grammar interface {
	// Name returns our own subprotocol name for the grammar, "json.sluice.v1";
	// "" for raw clients, which have none.
	Name() string

	// Decode reads the payload of one WebSocket message into req, overwriting
	// all of it. text says whether the message came in text frames. The error
	// is an *Error, after which req holds nothing of use. msg is only read.
	Decode(d *Decoder, text bool, msg []byte, req *Request) error

	// Binary reports whether what AppendMessage appends for m goes in a binary
	// frame; a nil m asks for every other message.
	Binary(m *Message) bool

	// AppendMessage appends m as its receivers get it. For a Sequenced grammar
	// it is a beginning that AppendSequenceID completes.
	AppendMessage(dst []byte, m *Message) []byte

	AppendConnected(dst []byte, c *Connected) []byte

	// AppendDisconnected appends the last message before a close, with a
	// reason for people to read. A reconnectAfter above 0 asks the client to
	// wait so long before it comes back.
	AppendDisconnected(dst []byte, reason string, reconnectAfter time.Duration) []byte

	// AppendAck appends the answer to the request with that ackID. An empty
	// name means success, and then message is not used.
	AppendAck(dst []byte, ackID uint64, name ErrorName, message string) []byte

	// AppendPong appends the answer to Ping.
	AppendPong(dst []byte) []byte

	AppendInvokeResponse(dst []byte, r *InvokeResponse) []byte

	// AppendStreamAck tells a publisher which part of a stream is awaited next.
	AppendStreamAck(dst []byte, streamID string, expected uint64) []byte

	// AppendStreamNack tells a publisher to go back to the part that is awaited.
	AppendStreamNack(dst []byte, streamID string, expected uint64, name ErrorName, message string) []byte

	// AppendStreamClosed tells a publisher that a stream is over; an empty name
	// means that it ended well.
	AppendStreamClosed(dst []byte, streamID string, name ErrorName, message string) []byte

	AppendGroupState(dst []byte, s *GroupState) []byte

	AppendHistory(dst []byte, h *HistoryInfo) []byte

	// AppendTokenExpiring appends the notice that the client's token expires
	// after that time.
	AppendTokenExpiring(dst []byte, in time.Duration) []byte

	// Offsets returns the grammar that writes Message.Offset too, for members
	// who have asked for the history of a group; the grammar itself where it has
	// no way to.
	Offsets() Grammar
}

// Sequenced is a Grammar for sessions that survive their connection: each
// message with data carries a number that counts the messages of its receiver.
type Sequenced interface {
	Grammar

	// AppendSequenceID appends what completes a message made by AppendMessage,
	// which all receivers share, for the receiver whose message number id it is.
	AppendSequenceID(dst []byte, id uint64) []byte
}
