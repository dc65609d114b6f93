//go:build !race

package wheel_test

// raceEnabled tells the allocation guards that the race detector allocates too.
const raceEnabled = false
