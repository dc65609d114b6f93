package hub

import (
	"sync/atomic"
	"time"
)

// rates bound what is published in a hub, by clients on all loops and by back
// ends together.
type rates struct{ messages, bytes rate }

func newRates(messages, bytes int) rates {
	return rates{rate{limit: int64(messages)}, rate{limit: int64(bytes)}}
}

// admits reports whether the hub may publish a message of that many bytes now,
// and books it. Any goroutine may call it.
func (h *Hub) admits(size int) bool {
	r := &h.rates
	if r.messages.limit == 0 && r.bytes.limit == 0 {
		return true // without a look at the clock
	}
	now := int64(h.node.now().Sub(h.node.started))
	return r.messages.take(now, 1) && r.bytes.take(now, int64(size))
}

// rate admits so many units per second, and at once as many as a second brings,
// by the generic cell rate algorithm: one word, changed without a lock, says when
// all that was admitted would be paid for at an even pace.
type rate struct {
	limit int64        // units per second, static; 0 for no limit
	paid  atomic.Int64 // nanoseconds since the node's start
}

// take books n units at the time now, or none. A rate that owes nothing admits
// any number: a limit of bytes must not forbid large messages for ever.
func (r *rate) take(now, n int64) bool {
	if r.limit == 0 {
		return true
	}
	const burst = int64(time.Second)
	cost := n * int64(time.Second) / r.limit
	for {
		paid := r.paid.Load()
		start := max(paid, now)
		if start > now && start+cost > now+burst {
			return false
		}
		if r.paid.CompareAndSwap(paid, start+cost) {
			return true
		}
	}
}
