package hub

// Pipe is where a raw client publishes every message it sends.
type Pipe struct {
	Group  string
	NoEcho bool // it does not get its own messages, should it be in the group
}
