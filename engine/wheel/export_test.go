package wheel

import "fmt"

// Check returns an error when the lists and the counters of w do not agree.
func (w *Wheel[T, P]) Check() error {
	if w.walking || w.cursor != nil || w.walked != w.now {
		return fmt.Errorf("at rest: walking %v, cursor %p, walked %d, now %d", w.walking, w.cursor, w.walked, w.now)
	}
	count := 0
	for slot, t := range w.lists {
		var prev *T
		for ; t != nil; prev, t = t, P(t).WheelNode().next {
			n := P(t).WheelNode()
			count++
			if n.prev != prev {
				return fmt.Errorf("list %d: a node's prev is not the node before it", slot)
			}
			if int(n.slot) != slot+1 {
				return fmt.Errorf("list %d: a node says it is in list %d", slot, int(n.slot)-1)
			}
			if overdue := slot == len(w.lists)-1; overdue == n.due.after(w.now) {
				return fmt.Errorf("list %d: due %d at time %d", slot, n.due, w.now)
			}
		}
	}
	if count != w.count {
		return fmt.Errorf("Len is %d, the lists hold %d", w.count, count)
	}
	return nil
}

// Linked reports whether n still points to a neighbour.
func (n *Node[T]) Linked() bool { return n.next != nil || n.prev != nil }
