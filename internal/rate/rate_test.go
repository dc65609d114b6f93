package rate

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	const second = int64(time.Second)
	for _, tt := range []struct {
		name  string
		limit int
		now   int64
		takes []int64
		want  []bool
	}{
		{"no limit", 0, 0, []int64{1 << 40, 1}, []bool{true, true}},
		{"a second's worth at once", 2, 5 * second, []int64{1, 1, 1}, []bool{true, true, false}},
		{"more than a second's worth when nothing is owed", 10, 0, []int64{25, 1}, []bool{true, false}},
	} {
		l := New(tt.limit)
		for i, n := range tt.takes {
			if got := l.Take(tt.now, n); got != tt.want[i] || l.Limited() != (tt.limit > 0) {
				t.Errorf("%s: unit %d: %v", tt.name, i, got)
			}
		}
	}
}

// TestLimiterPace: what is owed is paid as time goes on.
func TestLimiterPace(t *testing.T) {
	l := New(4)
	admitted := 0
	for now := int64(0); now < int64(10*time.Second); now += int64(50 * time.Millisecond) {
		if l.Take(now, 1) {
			admitted++
		}
	}
	if admitted < 40 || admitted > 44 { // 4 a second for 10 seconds, and the burst of the first
		t.Errorf("%d admitted", admitted)
	}
}

// TestLimiterConcurrent: goroutines together get no more than one would.
func TestLimiterConcurrent(t *testing.T) {
	var (
		l        = New(100)
		admitted atomic.Int64
		all      sync.WaitGroup
	)
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if l.Take(0, 1) {
					admitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := admitted.Load(); n != 100 {
		t.Errorf("%d admitted", n)
	}
}
