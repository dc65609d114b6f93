package hub

import (
	"time"

	"sluice/internal/rate"
)

// pace is what the hub keeps of one connection to hold it to its own rates. It
// stands in the hub's residents and not in the session, so that hubs without such
// rates have no byte of it. Owned by the session's loop.
type pace struct {
	messages, bytes rate.Bucket

	// refused holds how much time the rates would have taken for what was refused.
	refused rate.Bucket
}

// maxRefused is how much time's worth of refused messages ends a connection. A
// second's worth flows out in each second, so a client that stays below twice its
// rate is only refused, and one at ten times its rate is closed after about one
// second.
const maxRefused = 10 * time.Second

// maxFine bounds what one refused message adds to that, or a single large one
// above a low rate of bytes would be the end.
const maxFine = time.Second

// paced reports whether single connections have a rate.
func (p *policy) paced() bool {
	return p.MaxMessagesPerSecondPerConnection > 0 || p.MaxBytesPerSecondPerConnection > 0
}

// keepsPace books a message of that many bytes and reports whether it is within
// the rates of the connection. Too many that are not close it.
func (s *Session) keepsPace(size int) bool {
	n, p := s.hub.node, &s.hub.policy
	k := &s.hub.residents[s.lane.index].paces[s.place]
	now := int64(n.now().Sub(n.started))
	if k.messages.Take(p.MaxMessagesPerSecondPerConnection, now, 1) &&
		k.bytes.Take(p.MaxBytesPerSecondPerConnection, now, int64(size)) {
		return true
	}
	fine := max(rate.Cost(p.MaxMessagesPerSecondPerConnection, 1), rate.Cost(p.MaxBytesPerSecondPerConnection, int64(size)))
	if !k.refused.Spend(now, min(fine, maxFine), maxRefused) {
		s.refuse(flooding)
	}
	return false
}
