//go:build race

package conformance_test

// race tells that the race detector slows everything down.
const race = true
