package bench

// sequence watches the numbers of one stream of messages arrive at one
// receiver. The zero value expects number 0.
type sequence struct {
	next uint64 // one above the largest number seen
	seen uint64 // bit i: number next-1-i has been seen
}

// arrival is what a message's number says about its way.
type arrival uint8

const (
	inOrder arrival = iota
	late            // after a higher number: reordered
	again           // a duplicate
)

// window is how far back a sequence can tell a late message from a duplicate.
// Whatever is older counts as a duplicate.
const window = 64

// take notes a number.
func (s *sequence) take(number uint64) arrival {
	if number >= s.next {
		s.seen = s.seen<<min(window, number-s.next+1) | 1
		s.next = number + 1
		return inOrder
	}
	back := s.next - 1 - number
	if back >= window || s.seen&(1<<back) != 0 {
		return again
	}
	s.seen |= 1 << back
	return late
}
