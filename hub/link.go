package hub

import (
	"time"

	"sluice/frame"
)

// Task is work for a loop. Run is called once, on the loop's goroutine.
type Task = interface{ Run() }

// Loop is one event loop as the hub sees it: a goroutine that owns sessions. The
// loop of an index stays the same for the life of the node.
type Loop interface {
	// Index is the number of the loop: from 0, below the count given to [New].
	Index() int

	// Post gives the loop a task from any goroutine and does not block. Tasks
	// posted by one goroutine run in the order of its calls. False means that
	// the task will never run: the loop's inbox is full, or it has stopped.
	Post(t Task) bool
}

// Stopwatch is a Loop that can also measure how long messages take from the hub
// to the sockets.
type Stopwatch interface {
	// Stamp returns the present for a publication that shall be measured, 0 for
	// one that need not be. Called on the loop.
	Stamp() int64

	// Delivered tells that a publication with that stamp, of any loop, has been
	// sent to its links on this loop. Called on the loop.
	Delivered(stamp int64)
}

// Link is the client at the other end of a session: a connection of the engine,
// a session of the HTTP fallback, a fake in a test. The methods are called on the
// session's loop only and do not block. None may call back into the hub:
// the hub is walking its member lists, so a link that ends here reports
// [Session.Closed] after the method has returned.
type Link interface {
	// Send queues a message behind those queued before. The message is shared
	// with other links and read only. False means that this link will not get
	// it: the link is closed, or its slow-consumer policy refused.
	Send(m *frame.Message) bool

	// Write queues a message for this link alone, copying the payload. It answers
	// as Send does.
	Write(op frame.Opcode, payload []byte) bool

	// Expire sets the time at which the link ends because the client's token has
	// expired, in place of the one it had.
	Expire(at time.Time)

	// Close ends the link after what is queued, with a close code and a reason
	// for people to read. Calling it again does nothing.
	Close(code frame.CloseCode, reason string)
}
