package bench

import (
	"fmt"
	"strconv"
	"time"
)

const (
	maxConnections = 1_000_000
	maxDuration    = 7 * 24 * time.Hour
)

// between is a check of a flag's value.
func between(flag string, v, least, most int) error {
	if v < least || v > most {
		return fmt.Errorf("%s %d: must be %d to %d", flag, v, least, most)
	}
	return nil
}

// lasting is a check of a flag's time.
func lasting(flag string, d, least time.Duration) error {
	if d < least || d > maxDuration {
		return fmt.Errorf("%s %v: must be %v to %v", flag, d, least, maxDuration)
	}
	return nil
}

// userName is the user of a connection: each has its own, as in life.
func userName(i int) string { return "u" + strconv.Itoa(i) }
