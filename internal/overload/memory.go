package overload

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

// The figures of the runtime that Memory is made of.
const (
	total = iota
	released
	free
	objects
	live
)

var figures = []string{
	total:    "/memory/classes/total:bytes",
	released: "/memory/classes/heap/released:bytes",
	free:     "/memory/classes/heap/free:bytes",
	objects:  "/memory/classes/heap/objects:bytes",
	live:     "/gc/heap/live:bytes",
}

// Memory returns the bytes that the process holds and that no garbage collection
// would give back, as far as is known since the latest one. What was allocated since
// is not in it, or a node with a limit would count as overloaded before each
// collection: the collector lets the heap grow up to the limit as a matter of
// course. The closer the limit is, the more often it looks. It stops nothing and
// takes some microseconds.
func Memory() int64 {
	samples := make([]metrics.Sample, len(figures))
	for i := range samples {
		samples[i].Name = figures[i]
	}
	metrics.Read(samples)
	value := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}
	garbage := max(0, value(objects)-value(live))
	return max(0, value(total)-value(released)-value(free)-garbage)
}

// MemoryMark returns the mark for a configured value: the value, or nine tenths of
// the limit of this process where it is 0, or 0 where there is no limit.
func MemoryMark(configured int) int64 {
	if configured > 0 {
		return int64(configured)
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		return int64(part(int(limit)))
	}
	return 0
}
