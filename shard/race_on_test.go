//go:build race

package shard_test

// raceEnabled tells the allocation guards that the race detector allocates too.
const raceEnabled = true
