package frame

// Overflow says what becomes of a message for a receiver that does not read and
// whose queue is full.
type Overflow uint8

const (
	OverflowClose      Overflow = iota // the receiver is closed
	OverflowDropNewest                 // the message is dropped
	OverflowDropOldest                 // what waits for longest is dropped for it
	OverflowConflate                   // it takes the place of one that waits with the same key
)

// Expendable says what may become of the message, and the key of one that may be
// conflated. Call it before the message is shared.
func (m *Message) Expendable(o Overflow, key string) { m.overflow, m.key = o, key }

// Overflow returns what may become of the message.
func (m *Message) Overflow() Overflow { return m.overflow }

// Key returns the key of a message that may be conflated.
func (m *Message) Key() string { return m.key }
