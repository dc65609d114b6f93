//go:build race

package engine

// raceEnabled tells the allocation guards that the race detector allocates too.
const raceEnabled = true
