package hub

import (
	"errors"
	"time"

	"sluice/hub/wire"
)

// What a back end asks a hub for, from any goroutine. Nothing here waits for a
// client. A method with a context waits for event loops and for nothing else.

// Outgoing is a message from a back end. From the call that sends it on, nobody
// changes what its slices hold; several messages may share it.
type Outgoing struct {
	DataType wire.DataType
	Data     []byte // one valid JSON value, UTF-8 text or any bytes, as DataType says
	Metadata []wire.Pair

	// TTL is how long the message is kept for a reliable session that is away.
	// 0 means as long as the session.
	TTL time.Duration

	// ConflationKey says that only the newest message with this key is of use to
	// a receiver that is slow. "" leaves that to the rules of the hub and group.
	ConflationKey string
}

// Selection narrows the connections that an operation is for.
type Selection struct {
	// Excluded are connection ids that are left out.
	Excluded []string

	// Match is called for each connection, on its loop; nil takes all. It must
	// not block and not keep the subject.
	Match func(Subject) bool
}

// Subject is a connection as a filter sees it. It is valid within the call that
// passes it.
type Subject interface {
	ConnectionID() string
	UserID() string // "" for an anonymous client
	InGroup(name string) bool
	Groups() []string // in no order
	Subprotocol() string
}

// ConnectionInfo is what a back end gets to know of a connection.
type ConnectionInfo struct {
	ID   string
	User string // "" for an anonymous client
}

// The errors of operations that name one thing. Others say that an event loop
// is overloaded or gone.
var (
	ErrNoConnection  = errors.New("there is no such connection")
	ErrInvalidGroup  = errors.New("the group name is blank or too long")
	ErrTooManyGroups = errors.New("the connection is in as many groups as allowed")
	ErrGroupsFull    = errors.New("the hub has as many groups as allowed")
	ErrGroupFull     = errors.New("the group has as many members as its presence allows")
	ErrTooManyRules  = errors.New("the connection has as many permissions of its own as allowed")
	ErrOverloaded    = errors.New("overloaded: not all event loops have taken it; try again")
	ErrRateLimited   = errors.New("the hub is over its rate of messages; try again later")

	ErrMessageTooLarge = errors.New("the message is larger than the hub allows")
)
