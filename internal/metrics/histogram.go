package metrics

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Histogram is the distribution of a value, in buckets with upper bounds. Values
// are whole numbers of a small unit, such as nanoseconds; the page shows them in
// the unit of the family's name.
//
// VictoriaMetrics has histograms too, but each value takes their lock. Here every
// goroutine on a hot path adds to a Recorder of its own.
type Histogram struct {
	name   string
	bounds []uint64 // static
	scale  float64  // static: from the small unit to the one on the page

	mu        sync.Mutex
	recorders []*Recorder // guarded by mu
}

// nanosecond is the scale of durations.
const nanosecond = 1e-9

// durations returns bounds in the steps 1, 2.5, 5, 10 from one duration to
// another, in nanoseconds.
func durations(from, to time.Duration) (bounds []uint64) {
	for decade := from; ; decade *= 10 {
		for _, step := range []time.Duration{10, 25, 50} {
			bound := decade * step / 10
			if bound > to {
				return bounds
			}
			bounds = append(bounds, uint64(bound))
		}
	}
}

// histogram declares a family; the bounds are in the small unit and rise.
func (n *Node) histogram(name, help string, scale float64, bounds ...uint64) *Histogram {
	h := &Histogram{name: name, bounds: bounds, scale: scale}
	n.family(name, "histogram", help).histogram = h
	return h
}

// Recorder returns a new place to add values to, for one goroutine or a few.
func (h *Histogram) Recorder() *Recorder {
	r := &Recorder{bounds: h.bounds, buckets: make([]atomic.Uint64, len(h.bounds)+1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recorders = append(h.recorders, r)
	return r
}

// write appends the samples: cumulative buckets, the sum, the count.
func (h *Histogram) write(page *bytes.Buffer) {
	counts, sum := make([]uint64, len(h.bounds)+1), uint64(0)
	h.mu.Lock()
	for _, r := range h.recorders {
		for i := range r.buckets {
			counts[i] += r.buckets[i].Load()
		}
		sum += r.sum.Load()
	}
	h.mu.Unlock()
	total := uint64(0)
	for i, bound := range h.bounds {
		total += counts[i]
		fmt.Fprintf(page, "%s_bucket{le=\"%g\"} %d\n", h.name, float64(bound)*h.scale, total)
	}
	total += counts[len(h.bounds)]
	fmt.Fprintf(page, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n",
		h.name, total, h.name, float64(sum)*h.scale, h.name, total)
}

// Recorder is one goroutine's part of a Histogram. A nil Recorder forgets what
// it is told.
type Recorder struct {
	bounds  []uint64 // static
	buckets []atomic.Uint64
	sum     atomic.Uint64
}

// Observe adds one value. It takes no lock and does not allocate; any goroutine
// may call it, but where many do so often, each should have its own Recorder.
func (r *Recorder) Observe(v uint64) {
	if r == nil {
		return
	}
	i := 0
	for i < len(r.bounds) && v > r.bounds[i] {
		i++
	}
	r.buckets[i].Add(1)
	r.sum.Add(v)
}
