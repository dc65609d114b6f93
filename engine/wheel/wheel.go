// Package wheel is a timing wheel for very many deadlines that have one owner:
// one wheel for each event loop, one deadline for each connection.
//
// The wheel owns the lists that thread through the armed elements and nothing
// else. It has no clock, no goroutine and no lock: the owner passes the time in
// with [Wheel.Advance], and every method is for the owner's goroutine only. It
// allocates in [New] and never again, because the links stand inside the elements.
//
// # How it turns
//
// The wheel is a circle of slots, each a list. A deadline hangs in the slot
// `due mod slots`, however far away it is. Advance walks the slots of the ticks
// that have passed; what it finds there is either due, and fires, or belongs to a
// later turn of the wheel, and is left where it is.
//
//	slot   0    1    2    3    4    5    6    7     8 slots, now = 10
//	      16   17   now  11        13
//	      24             19                         19 waits for the next turn
//
// # Cost
//
//   - Arm (also of an armed element) and Disarm: constant time.
//   - Advance: one step for each tick that has passed, at most one turn, plus one
//     step for each element in the slots walked. A deadline beyond the horizon of
//     one turn is passed over once in each turn, so choose slots such that the
//     common deadlines are nearer than slots ticks. (A hierarchy of wheels would
//     pass over fewer and move each far deadline several times.)
//   - Memory: 24 bytes in each element, armed or not (on 64-bit machines), and
//     8 bytes for each slot: 32 KiB for 4096 slots.
package wheel

import "math/bits"

// Wheel holds the deadlines of elements of type T. See the package comment for
// who may use it; make one with [New].
type Wheel[T any, P Element[T]] struct {
	// Static after New.
	mask Tick // number of slots of the circle, a power of two, minus one

	// lists holds the head of each slot's list, and after those the head of the
	// overdue list: what was armed for a tick that had already passed.
	lists []*T
	count int // elements in all lists

	now    Tick // the latest time passed to Advance
	walked Tick // slots up to this tick are walked; behind now only inside Advance

	// walking is true inside Advance; cursor is the element it looks at next.
	// They are fields and not variables of Advance because fire may disarm or
	// move any element, the next one included.
	walking bool
	cursor  *T
}

// New returns an empty wheel that stands at now. The number of slots is rounded up
// to a power of two.
func New[T any, P Element[T]](slots int, now Tick) *Wheel[T, P] {
	size := 1 << bits.Len(uint(max(slots, 1)-1))
	return &Wheel[T, P]{
		mask:   Tick(size - 1),
		lists:  make([]*T, size+1),
		now:    now,
		walked: now,
	}
}

// Len returns the number of armed elements.
func (w *Wheel[T, P]) Len() int { return w.count }

// Armed reports whether t waits for a deadline.
func (w *Wheel[T, P]) Armed(t *T) bool { return P(t).WheelNode().slot != 0 }

// Arm sets the deadline of t, in place of the one it may have; due is less than 2³¹
// ticks away. A due that is not after the time of the latest Advance fires at the
// next Advance, also when that one brings no new time.
func (w *Wheel[T, P]) Arm(t *T, due Tick) {
	n := P(t).WheelNode()
	if n.slot != 0 {
		w.unlink(t, n)
	}
	slot := w.slotOf(due)
	if !due.after(w.now) {
		// As old as the present and no older, or a long jump could carry the
		// time so far past due that due would compare as yet to come.
		due, slot = w.now, w.overdue()
	}
	n.due = due
	w.link(t, n, slot)
}

// Disarm takes the deadline of t away. It does nothing when t is not armed.
func (w *Wheel[T, P]) Disarm(t *T) {
	if n := P(t).WheelNode(); n.slot != 0 {
		w.unlink(t, n)
	}
}

// Advance sets the time to now and calls fire for each element whose deadline is
// not after it: never early, each exactly once, in no promised order. Time does
// not run backwards: an earlier now counts as the time the wheel already has.
//
// An element is no longer armed when fire is called with it. The callback may arm,
// move and disarm any element, its own included; one that it disarms does not fire,
// and one that it arms or moves fires in a later Advance even if it is due at once,
// so Advance always ends. Should fire panic, the wheel stays in order and the next
// Advance continues with the element after. Advance panics when fire calls it.
func (w *Wheel[T, P]) Advance(now Tick, fire func(*T)) {
	if w.walking {
		panic("wheel: Advance called from its own callback")
	}
	w.walking = true
	defer w.stopWalking()

	if now.after(w.now) {
		w.now = now
	}
	w.walk(w.overdue(), fire)

	// After a long stop (a suspended machine) one turn covers every slot.
	if turn := w.mask + 1; w.now-w.walked > turn {
		w.walked = w.now - turn
	}
	for w.walked != w.now {
		w.walk(w.slotOf(w.walked+1), fire)
		w.walked++ // only now: after a panic in fire the rest of the slot is still to come
	}
}

// walk fires what is due in one list. Elements that fire adds to the list go to its
// head, behind the cursor, and are not seen.
func (w *Wheel[T, P]) walk(slot Tick, fire func(*T)) {
	for w.cursor = w.lists[slot]; w.cursor != nil; {
		t := w.cursor
		n := P(t).WheelNode()
		if n.due.after(w.now) { // a later turn
			w.cursor = n.next
			continue
		}
		w.unlink(t, n) // moves the cursor on
		fire(t)
	}
}

func (w *Wheel[T, P]) stopWalking() {
	w.walking = false
	w.cursor = nil
}

// slotOf returns the list in which a tick that is still to come has its deadlines.
func (w *Wheel[T, P]) slotOf(t Tick) Tick { return t & w.mask }

// overdue returns the list that the next Advance walks first.
func (w *Wheel[T, P]) overdue() Tick { return w.mask + 1 }

// link puts t, which is in no list, at the head of a list.
func (w *Wheel[T, P]) link(t *T, n *Node[T], slot Tick) {
	head := w.lists[slot]
	if head != nil {
		P(head).WheelNode().prev = t
	}
	n.next = head
	n.slot = uint32(slot) + 1
	w.lists[slot] = t
	w.count++
}

// unlink takes t out of its list and leaves its node as new, so that it keeps no
// neighbour alive.
func (w *Wheel[T, P]) unlink(t *T, n *Node[T]) {
	if w.cursor == t {
		w.cursor = n.next
	}
	if n.prev != nil {
		P(n.prev).WheelNode().next = n.next
	} else {
		w.lists[n.slot-1] = n.next
	}
	if n.next != nil {
		P(n.next).WheelNode().prev = n.prev
	}
	*n = Node[T]{}
	w.count--
}
