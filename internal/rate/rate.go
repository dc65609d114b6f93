// Package rate bounds how many units pass per second. Any goroutine may use a
// Limiter; it takes no lock and knows no clock.
package rate

import (
	"sync/atomic"
	"time"
)

// Limiter admits so many units per second, and at once as many as a second brings,
// by the generic cell rate algorithm: one word, changed without a lock, says when
// all that was admitted would be paid for at an even pace.
type Limiter struct {
	limit int64        // units per second, static; 0 for no limit
	paid  atomic.Int64 // nanoseconds since a moment that is the caller's
}

// New returns a limiter of so many units per second, 0 for no limit.
func New(perSecond int) *Limiter { return &Limiter{limit: int64(perSecond)} }

// Limited reports whether there is a limit: without one nobody has to look at the
// clock.
func (l *Limiter) Limited() bool { return l.limit > 0 }

// Take books n units at the time now, in nanoseconds since a moment that is always
// the same, or none. A limiter that owes nothing admits any number: a limit of
// bytes must not forbid large messages for ever.
func (l *Limiter) Take(now, n int64) bool {
	if l.limit == 0 {
		return true
	}
	cost := cost(l.limit, n)
	for {
		was := l.paid.Load()
		paid, ok := Book(was, now, cost, int64(time.Second))
		if !ok {
			return false
		}
		if l.paid.CompareAndSwap(was, paid) {
			return true
		}
	}
}

// cost returns the nanoseconds in which the limit brings n units.
func cost(limit, n int64) int64 { return n * int64(time.Second) / limit }

// Book is the step of the algorithm, for whoever keeps the word elsewhere: it returns
// when all would be paid for with that cost added, or what was paid and false where
// that is further away than the burst. All are nanoseconds.
func Book(paid, now, cost, burst int64) (int64, bool) {
	start := max(paid, now)
	if start > now && start+cost > now+burst {
		return paid, false
	}
	return start + cost, true
}
