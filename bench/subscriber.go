package bench

import (
	"fmt"
	"time"

	"sluice/bench/swarm"
	"sluice/frame"
)

// subscriber is in one group and checks what comes. It belongs to its loop.
type subscriber struct {
	run     *fanoutRun
	loop    *fanoutLoop
	group   int
	ready   bool
	streams []sequence // one for each publisher that publishes to the group
}

func newSubscriber(run *fanoutRun, loop *fanoutLoop, group int) *subscriber {
	return &subscriber{
		run: run, loop: loop, group: group,
		streams: make([]sequence, (run.Publishers+run.Groups-1)/run.Groups),
	}
}

// streamFrom returns the place in streams of a publisher, or -1 if it does not
// publish to this group.
func (s *subscriber) streamFrom(publisher int) int {
	run := s.run
	switch {
	case publisher >= run.Publishers:
		return -1
	case run.Publishers <= run.Groups:
		if s.group%run.Publishers != publisher {
			return -1
		}
		return 0
	case publisher%run.Groups != s.group:
		return -1
	}
	return publisher / run.Groups
}

// Open implements swarm.Role.
func (s *subscriber) Open(c *swarm.Conn) {
	if !s.run.rig.speaksSluice() {
		c.Send(s.run.appendMessage(nil, fmt.Appendf(nil, "sub:%08x", s.group)))
	}
}

// Message implements swarm.Role.
func (s *subscriber) Message(c *swarm.Conn, _ frame.Opcode, p []byte) {
	if !s.ready { // `connected`, or the answer to "sub:"
		s.ready = true
		c.Ready()
		return
	}
	now := swarm.Now()
	st, ok := findStamp(p, s.run.rig.speaksSluice())
	from := -1
	if ok && int(st.group) == s.group {
		from = s.streamFrom(int(st.publisher))
	}
	if from < 0 {
		s.loop.strange++
		return
	}
	switch s.streams[from].take(st.number) {
	case again:
		s.loop.duplicated++
		return
	case late:
		s.loop.reordered++
	}
	s.loop.delivered++
	if s.loop.recording {
		s.loop.measured++
		s.loop.latency.Record(time.Duration(now - st.sent))
	}
	s.run.publishers[st.publisher].arrivedAt(c.Loop(), st)
}

// Closed implements swarm.Role.
func (s *subscriber) Closed(*swarm.Conn, swarm.End) {}
