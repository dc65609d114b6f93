package wheel

// Tick is a point in time, counted in steps whose length the owner of the wheel
// chooses. It wraps around: two ticks compare correctly while they are less than
// 2³¹ steps apart (248 days of 10 ms, 6.8 years of 100 ms).
type Tick uint32

// after reports whether t is later than u, across the wrap-around.
func (t Tick) after(u Tick) bool { return int32(t-u) > 0 }

// Node is the wheel's part of a T: embed one in T and *T satisfies [Element].
// The zero Node is not armed. An armed Node must not be copied, and belongs to
// the wheel that armed it until it fires or is disarmed.
type Node[T any] struct {
	next, prev *T // neighbours in the slot's list; nil at its ends and when not armed
	due        Tick
	slot       uint32 // index of the list the node is in, plus one; 0 is not armed
}

// WheelNode returns n. A T that embeds its Node gets this method for free.
func (n *Node[T]) WheelNode() *Node[T] { return n }

// Element is what a wheel asks of the things it fires: a pointer type that gives
// access to its one Node. WheelNode must return the same Node every time.
type Element[T any] interface {
	*T
	WheelNode() *Node[T]
}
