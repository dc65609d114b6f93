//go:build !race

package frame_test

// raceEnabled says that the race detector is on: it makes sync.Pool drop
// buffers at random, so counting allocations means nothing.
const raceEnabled = false
