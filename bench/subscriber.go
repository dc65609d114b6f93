package bench

import (
	"fmt"
	"time"

	"sluice/bench/swarm"
	"sluice/frame"
)

// subscriber is in run.Each groups, one after the other from first on, and checks
// what comes. It belongs to its loop.
type subscriber struct {
	run     *fanoutRun
	loop    *fanoutLoop
	first   int
	ready   bool
	streams []sequence // for each group, one for each publisher that publishes to it
}

func newSubscriber(run *fanoutRun, loop *fanoutLoop, i int) *subscriber {
	return &subscriber{
		run: run, loop: loop, first: i * run.Each % run.Groups,
		streams: make([]sequence, run.Each*run.publishersEach()),
	}
}

// publishersEach is the most publishers that one group has.
func (run *fanoutRun) publishersEach() int { return (run.Publishers + run.Groups - 1) / run.Groups }

// streamFrom returns the place in streams of a publisher's messages to a group,
// or -1 if none should come here.
func (s *subscriber) streamFrom(publisher, group int) int {
	run := s.run
	place := (group - s.first + run.Groups) % run.Groups
	switch {
	case group >= run.Groups || place >= run.Each || publisher >= run.Publishers:
		return -1
	case run.Publishers <= run.Groups:
		if group%run.Publishers != publisher {
			return -1
		}
		return place
	case publisher%run.Groups != group:
		return -1
	}
	return place*run.publishersEach() + publisher/run.Groups
}

// Open implements swarm.Role.
func (s *subscriber) Open(c *swarm.Conn) {
	if !s.run.rig.speaksSluice() {
		c.Send(s.run.appendMessage(nil, fmt.Appendf(nil, "sub:%08x", s.first)))
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
	if ok {
		from = s.streamFrom(int(st.publisher), int(st.group))
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
