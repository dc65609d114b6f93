//go:build race

package hub_test

// raceEnabled says that the race detector is on; it allocates on its own.
const raceEnabled = true
