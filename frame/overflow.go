package frame

// Overflow says what becomes of a message when its recipient reads too slowly
// and too much waits for it.
type Overflow uint8

const (
	OverflowClose      Overflow = iota // it must not be lost: the connection is closed instead
	OverflowDropNewest                 // what waits is kept, the message is lost
	OverflowDropOldest                 // what has waited for the longest is lost
	OverflowConflate                   // it replaces an older message with its key; else as OverflowDropOldest
)

// String returns the name of the policy. It is a metric label and stays the
// same between releases.
func (o Overflow) String() string {
	switch o {
	case OverflowClose:
		return "close"
	case OverflowDropNewest:
		return "drop_newest"
	case OverflowDropOldest:
		return "drop_oldest"
	case OverflowConflate:
		return "conflate"
	}
	return "other"
}
