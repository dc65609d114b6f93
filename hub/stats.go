package hub

import "sync/atomic"

// tally counts what one loop does for one hub. Only the loop adds to it, once per
// fan-out and not once per copy, so the atomics are there for the reader alone;
// those of the last tally are also there for all who are not on a loop.
type tally struct {
	published atomic.Uint64 // to groups
	delivered atomic.Uint64 // copies of them
	told      atomic.Uint64 // messages from the server to single clients, each copy
	resumed   atomic.Uint64 // reliable sessions whose client came back
	dropped   [dropReasonCount]atomic.Uint64
	refused   [refusalCount]atomic.Uint64

	_ [64]byte // the next tally is written by another loop
}

// tally returns the loop's counters for the hub.
func (l *lane) tally(h *Hub) *tally { return &h.tallies[l.index] }

// outside returns the counters for what is done on no loop.
func (h *Hub) outside() *tally { return &h.tallies[len(h.tallies)-1] }

// noted counts a refusal that a back end gets, and returns its error.
func (h *Hub) noted(r refusal) error {
	if r != accepted {
		h.outside().refused[r].Add(1)
	}
	return r.err()
}

// count counts a refusal on the session's loop and returns it.
func (s *Session) count(r refusal) refusal {
	if r != accepted {
		s.tally().refused[r].Add(1)
	}
	return r
}

// Stats is a snapshot of one hub's figures. The counters never go down. They are
// read one after the other while the loops go on, so they agree only roughly.
type Stats struct {
	Hub   string // the hub's name
	Label string // what metrics call it; several hubs may share one

	Sessions int64 // open now
	Away     int64 // of them, those whose client may come back
	Groups   int64 // with at least one member now
	Queued   int64 // bytes that clients have not read yet

	Published uint64  // messages accepted for a group, from clients and back ends
	Delivered uint64  // copies of them taken by links
	Told      uint64  // messages from the server taken by links, each copy
	Resumed   uint64  // reliable sessions whose client came back, each time
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
		Label:    h.policy.label(h.name),
		Sessions: h.sessions.Load(),
		Away:     h.away.Load(),
		Groups:   h.groupCount.Load(),
		Queued:   h.queue.Used(),
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
	s.Told += t.told.Load()
	s.Resumed += t.resumed.Load()
	for i := range s.Dropped {
		s.Dropped[i].N += t.dropped[i].Load()
	}
	for i := range s.Refused {
		s.Refused[i].N += t.refused[i+1].Load()
	}
}
