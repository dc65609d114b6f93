package bench

import (
	"bytes"
	"sync/atomic"
	"time"

	"sluice/bench/swarm"
	"sluice/frame"
)

// publisher publishes to its groups in turn. It belongs to the loop of its
// connection but for what is atomic.
type publisher struct {
	run     *fanoutRun
	index   int
	conn    *swarm.Conn
	streams []*stream
	turn    int // in streams

	due      int64 // when the next message shall be sent, with --rate
	interval int64
	scratch  []byte

	copies atomic.Uint64 // that all messages so far should make
}

// stream is what one publisher sends to one group.
type stream struct {
	group   int
	members int
	number  uint64 // of the next message
	payload []byte // the message but for its stamp
	stamp   []byte // the place of the stamp in it

	// arrived counts the copies of the message n at index n % len; reset by
	// whoever counts the last one. Any loop.
	arrived []atomic.Int32
}

func newPublisher(run *fanoutRun, index int) *publisher {
	p := &publisher{run: run, index: index}
	for g := index % run.Groups; g < run.Groups; g += run.Publishers {
		p.streams = append(p.streams, newStream(run, g))
	}
	return p
}

// streamOf returns the publisher's stream to a group.
func (p *publisher) streamOf(group int) *stream {
	return p.streams[group/p.run.Publishers%len(p.streams)]
}

func newStream(run *fanoutRun, group int) *stream {
	s := &stream{group: group, members: run.members(group)}
	data := bytes.Repeat([]byte{'.'}, run.Size-run.envelope(group))
	stamp{}.put(data)
	if run.rig.speaksSluice() {
		s.payload = publication(group, data)
	} else {
		s.payload = data
	}
	at := bytes.Index(s.payload, data)
	s.stamp = s.payload[at : at+stampSize]
	if run.Rate == 0 {
		// Larger than what is under way, so that a slot is free again long
		// before its next use, even if copies arrive out of turn.
		s.arrived = make([]atomic.Int32, 4*run.UnderWay)
	}
	return s
}

// Open implements swarm.Role.
func (p *publisher) Open(c *swarm.Conn) { p.conn = c }

// Message implements swarm.Role: the only one is `connected`.
func (p *publisher) Message(c *swarm.Conn, _ frame.Opcode, _ []byte) { c.Ready() }

// Closed implements swarm.Role.
func (p *publisher) Closed(*swarm.Conn, swarm.End) {}

// start begins to publish.
func (p *publisher) start(begin int64) {
	if p.run.Rate == 0 {
		for range p.run.UnderWay {
			p.publish(swarm.Now())
		}
		return
	}
	p.interval = int64(float64(time.Second) / p.run.Rate * float64(p.run.Publishers))
	p.due = begin + p.interval*int64(p.index)/int64(p.run.Publishers) // publishers take turns
	p.keepRate(p.conn.Loop())
}

// keepRate publishes what is due. Each message carries the time at which it was
// due, so that the latency of one that had to wait for us counts the wait:
// otherwise a server that stalls would be measured less while it stalls
// (coordinated omission).
func (p *publisher) keepRate(l *swarm.Loop) {
	if p.run.stopped.Load() || !p.conn.Live() {
		return
	}
	for now := swarm.Now(); p.due <= now; p.due += p.interval {
		p.publish(p.due)
	}
	l.At(p.due, p.keepRate)
}

func (p *publisher) publish(sent int64) {
	if p.run.stopped.Load() || !p.conn.Live() {
		return
	}
	s := p.streams[p.turn]
	p.turn = (p.turn + 1) % len(p.streams)
	stamp{uint32(s.group), uint16(p.index), s.number, sent}.put(s.stamp)
	s.number++
	p.copies.Add(uint64(s.members))
	p.scratch = p.run.appendMessage(p.scratch[:0], s.payload)
	p.conn.Send(p.scratch)
}

// appendMessage appends a message as it goes to the server. A bare server gets
// the very frame that it is to write to everybody: unmasked.
func (run *fanoutRun) appendMessage(dst, payload []byte) []byte {
	if run.rig.scheme == "tcp" {
		return frame.AppendFrame(dst, frame.OpText, payload)
	}
	return swarm.AppendFrame(dst, frame.OpText, payload)
}

// arrivedAt notes that a copy arrived, on the loop of a subscriber. When
// everybody has the message, the next one may go.
func (p *publisher) arrivedAt(l *swarm.Loop, st stamp) {
	s := p.streamOf(int(st.group))
	if s.arrived == nil {
		return // the rate alone says when to publish
	}
	slot := &s.arrived[st.number%uint64(len(s.arrived))]
	if slot.Add(1) < int32(s.members) {
		return
	}
	slot.Store(0)
	if p.conn.Loop() == l {
		p.publish(swarm.Now())
		return
	}
	p.conn.Loop().Post(func(*swarm.Loop) { p.publish(swarm.Now()) })
}
