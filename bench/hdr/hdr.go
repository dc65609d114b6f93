// Package hdr is a histogram of durations with a fixed relative precision over
// the whole range of an int64: what is called a high dynamic range histogram.
//
// It is a hundred lines of our own because a load generator needs five of its
// operations and records hundreds of thousands of values per second: recording
// is one shift and one increment in an array of 57 KiB, without a range to
// choose and without an error to handle.
//
// A Histogram belongs to one goroutine. Keep one per event loop and merge.
package hdr

import (
	"math"
	"math/bits"
	"time"
)

const (
	// A bucket is at most 1/128 of its values wide, so a quantile is at most
	// 0.8 % above the value that was recorded.
	precisionBits = 7
	buckets       = (64-precisionBits)<<precisionBits + 1<<precisionBits
)

// Histogram counts durations. The zero value is empty and ready.
type Histogram struct {
	counts   [buckets]uint64
	total    uint64
	sum      float64
	min, max int64
}

// bucket returns the index for a value. Values below 256 have a bucket each;
// above, every power of two is cut into 128:
//
//	value  0 … 255   256 … 511   512 … 1023   …
//	width      1         2           4        …
func bucket(v int64) int {
	shift := max(0, bits.Len64(uint64(v))-precisionBits-1)
	return shift<<precisionBits + int(v>>shift)
}

// upper returns the largest value of a bucket.
func upper(bucket int) int64 {
	shift := max(0, bucket>>precisionBits-1)
	return (int64(bucket-shift<<precisionBits)+1)<<shift - 1
}

// Record counts one duration. A negative one counts as zero: clocks that do not
// agree must not end a measurement.
func (h *Histogram) Record(d time.Duration) {
	v := max(0, int64(d))
	h.counts[bucket(v)]++
	if h.total == 0 || v < h.min {
		h.min = v
	}
	h.max = max(h.max, v)
	h.total++
	h.sum += float64(v)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	if other.total == 0 {
		return
	}
	for i, n := range other.counts {
		h.counts[i] += n
	}
	if h.total == 0 || other.min < h.min {
		h.min = other.min
	}
	h.max = max(h.max, other.max)
	h.total += other.total
	h.sum += other.sum
}

// Reset empties the histogram.
func (h *Histogram) Reset() { *h = Histogram{} }

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Min returns the smallest duration, exactly; 0 when there is none.
func (h *Histogram) Min() time.Duration { return time.Duration(h.min) }

// Max returns the largest duration, exactly; 0 when there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Mean returns the mean, exactly but for rounding; 0 when there is none.
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.total))
}

// Quantile returns a duration that the share q of all durations, from 0 to 1,
// does not exceed: at most 0.8 % above the smallest such one.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(min(1, max(0, q)) * float64(h.total)))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= max(1, rank) {
			return time.Duration(min(upper(i), h.max))
		}
	}
	return h.Max()
}
