package rate

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestBucketIsALimiter: the plain word says what the shared one says.
func TestBucketIsALimiter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int{0, 1, 7, 1000, 1 << 30} {
		var (
			l   = New(limit)
			b   Bucket
			now int64
		)
		for i := range 10_000 {
			now += r.Int64N(int64(time.Second) / 100)
			n := r.Int64N(20)
			if got, want := b.Take(limit, now, n), l.Take(now, n); got != want {
				t.Fatalf("limit %d, step %d: %v, the limiter says %v", limit, i, got, want)
			}
		}
	}
}

func TestBucketSpend(t *testing.T) {
	var b Bucket
	now := int64(0)
	for i, tt := range []struct {
		pass, spend time.Duration
		want        bool
	}{
		{0, time.Second, true},
		{0, time.Second, true},
		{0, time.Second, false}, // full
		{time.Second, 0, true},
		{0, time.Second, false},
		{time.Hour, 2 * time.Second, true}, // a pause is not saved up
		{0, time.Second, false},
	} {
		now += int64(tt.pass)
		if got := b.Spend(now, tt.spend, 3*time.Second); got != tt.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

func TestCost(t *testing.T) {
	if c := Cost(0, 5); c != 0 {
		t.Errorf("no limit costs %v", c)
	}
	if c := Cost(4, 2); c != time.Second/2 {
		t.Errorf("two of four a second cost %v", c)
	}
}
