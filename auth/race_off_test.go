//go:build !race

package auth_test

// raceEnabled says that the race detector is on: it allocates by itself, so
// counting allocations means nothing.
const raceEnabled = false
