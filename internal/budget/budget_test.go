package budget

import "testing"

func TestBudget(t *testing.T) {
	b := New(10)
	for _, tt := range []struct {
		n    int
		over bool
	}{{4, false}, {6, false}, {1, true}, {-1, false}, {100, true}, {-110, false}} {
		if over := b.Add(tt.n); over != tt.over || b.Over() != tt.over {
			t.Errorf("after %+d of %d: over %v, want %v", tt.n, b.Used(), over, tt.over)
		}
	}
	if b.Used() != 0 || b.Limit() != 10 {
		t.Errorf("%d of %d used", b.Used(), b.Limit())
	}
	if none := New(0); none.Add(1<<62) || none.Over() {
		t.Error("a budget without a limit is over it")
	}
}
