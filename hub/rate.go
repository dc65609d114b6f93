package hub

import "sluice/internal/rate"

// rates bound what is published in a hub, by clients on all loops and by back
// ends together.
type rates struct{ messages, bytes *rate.Limiter }

func newRates(messages, bytes int) rates { return rates{rate.New(messages), rate.New(bytes)} }

// admits reports whether the hub may publish a message of that many bytes now,
// and books it. Any goroutine may call it.
func (h *Hub) admits(size int) bool {
	r := &h.rates
	if !r.messages.Limited() && !r.bytes.Limited() {
		return true // without a look at the clock
	}
	now := int64(h.node.now().Sub(h.node.started))
	return r.messages.Take(now, 1) && r.bytes.Take(now, int64(size))
}
