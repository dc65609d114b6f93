package hdr

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	last := -1
	for _, v := range []int64{0, 1, 127, 128, 255, 256, 257, 258, 511, 512, 1000, 1 << 20, 1<<40 + 12345, math.MaxInt64} {
		b := bucket(v)
		if b < last || b >= buckets {
			t.Errorf("bucket(%d) = %d after %d, of %d", v, b, last, buckets)
		}
		last = b
		if up := upper(b); up < v || float64(up-v) > float64(v)/128 {
			t.Errorf("bucket of %d ends at %d", v, up)
		}
	}
	for b := range bucket(1 << 50) {
		if bucket(upper(b)) != b || bucket(upper(b)+1) != b+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d; the next value is in %d", b, upper(b), bucket(upper(b)), bucket(upper(b)+1))
		}
	}
}

// TestAgainstSorted compares with the plain way: keep all, sort, index.
func TestAgainstSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var parts [3]Histogram
	var all []time.Duration
	for i := range 20000 {
		d := time.Duration(math.Exp(r.Float64() * 25))
		parts[i%3].Record(d)
		all = append(all, d)
	}
	var h Histogram
	for i := range parts {
		h.Merge(&parts[i])
	}
	h.Merge(&Histogram{})
	slices.Sort(all)
	if h.Count() != 20000 || h.Min() != all[0] || h.Max() != all[len(all)-1] {
		t.Errorf("count %d, min %v, max %v; want 20000, %v, %v", h.Count(), h.Min(), h.Max(), all[0], all[len(all)-1])
	}
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(0, int(math.Ceil(q*20000))-1)]
		if got := h.Quantile(q); got < want || float64(got) > float64(want)*(1+1.0/128) {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
}

func TestEmptyAndNegative(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Mean() != 0 || h.Max() != 0 {
		t.Error("an empty histogram is not all zeros")
	}
	h.Record(-time.Second)
	h.Record(time.Second)
	if h.Min() != 0 || h.Mean() != time.Second/2 {
		t.Errorf("min %v, mean %v", h.Min(), h.Mean())
	}
	h.Reset()
	if h.Count() != 0 {
		t.Error("Reset left something")
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	d := time.Duration(1)
	for b.Loop() {
		h.Record(d)
		d = d*5 + 3
		d &= 1<<32 - 1
	}
}
