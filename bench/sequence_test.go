package bench

import (
	"math/rand/v2"
	"testing"
)

func TestSequence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		numbers []uint64
		want    []arrival
	}{
		{"in order", []uint64{0, 1, 2}, []arrival{inOrder, inOrder, inOrder}},
		{"a gap is not an arrival", []uint64{0, 5, 6}, []arrival{inOrder, inOrder, inOrder}},
		{"late", []uint64{0, 2, 1, 3}, []arrival{inOrder, inOrder, late, inOrder}},
		{"again", []uint64{0, 0, 1, 1, 0}, []arrival{inOrder, again, inOrder, again, again}},
		{"late, then again", []uint64{1, 0, 0}, []arrival{inOrder, late, again}},
		{"the oldest that can be told", []uint64{63, 0, 0}, []arrival{inOrder, late, again}},
		{"too old to tell", []uint64{64, 0}, []arrival{inOrder, again}},
		{"a far jump forgets", []uint64{0, 1000, 999, 937, 936}, []arrival{inOrder, inOrder, late, late, again}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s sequence
			for i, n := range tt.numbers {
				if got := s.take(n); got != tt.want[i] {
					t.Errorf("message %d, number %d: got %d, want %d", i, n, got, tt.want[i])
				}
			}
		})
	}
}

// TestSequenceAgainstSet compares with the plain way: remember everything.
func TestSequenceAgainstSet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s sequence
	seen := map[uint64]bool{}
	top := uint64(0)
	for i := range 20000 {
		n := uint64(i) + r.Uint64N(30)
		want := inOrder
		switch {
		case seen[n]:
			want = again
		case len(seen) > 0 && n < top:
			want = late
		}
		seen[n] = true
		top = max(top, n)
		if got := s.take(n); got != want {
			t.Fatalf("step %d, number %d of %d: got %d, want %d", i, n, top, got, want)
		}
	}
}
