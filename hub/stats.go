package hub

import "sync/atomic"

// tally counts what one loop does for one hub. Only the loop adds to it, once per
// fan-out and not once per copy, so the atomics are there for the reader alone.
type tally struct {
	published atomic.Uint64
	delivered atomic.Uint64
	dropped   [dropReasonCount]atomic.Uint64
	refused   [refusalCount]atomic.Uint64

	_ [64]byte // the next tally is written by another loop
}

// tally returns the loop's counters for the hub.
func (l *lane) tally(h *Hub) *tally { return &h.tallies[l.index] }

// Stats is a snapshot of one hub's figures. The counters never go down. They are
// read one after the other while the loops go on, so they agree only roughly.
type Stats struct {
	Hub string // the hub's name

	Sessions int64 // open now
	Groups   int64 // with at least one member now

	Published uint64  // messages accepted from clients for a group
	Delivered uint64  // copies of them taken by links
	Dropped   []Count // messages to clients that were lost, by reason
	Refused   []Count // requests and clients turned down, by reason
}

// Count is the figure for one value of a metric label. Every value of a bounded
// set is listed, zero or not.
type Count struct {
	Label string
	N     uint64
}

// Stats returns a snapshot of the hub's figures.
func (h *Hub) Stats() Stats {
	s := Stats{
		Hub:      h.name,
		Sessions: h.sessions.Load(),
		Groups:   h.groupCount.Load(),
		Dropped:  make([]Count, dropReasonCount),
		Refused:  make([]Count, refusalCount-1),
	}
	for i := range s.Dropped {
		s.Dropped[i].Label = dropLabels[i]
	}
	for i := range s.Refused {
		s.Refused[i].Label = refusals[i+1].label // 0 is no refusal
	}
	for i := range h.tallies {
		h.tallies[i].addTo(&s)
	}
	return s
}

func (t *tally) addTo(s *Stats) {
	s.Published += t.published.Load()
	s.Delivered += t.delivered.Load()
	for i := range s.Dropped {
		s.Dropped[i].N += t.dropped[i].Load()
	}
	for i := range s.Refused {
		s.Refused[i].N += t.refused[i+1].Load()
	}
}
