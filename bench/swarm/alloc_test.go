package swarm

import (
	"bytes"
	"testing"

	"sluice/frame"
)

// parrot answers each message with the same frame.
type parrot struct{ answer []byte }

func (parrot) Open(*Conn)                                  {}
func (p parrot) Message(c *Conn, _ frame.Opcode, _ []byte) { c.Send(p.answer) }
func (parrot) Closed(*Conn, End)                           {}

// TestAllocations: a message in and its answer out allocate nothing, or the
// collector of the client would show in what is measured.
func TestAllocations(t *testing.T) {
	if race {
		t.Skip("SKIPPED: the race detector allocates")
	}
	l := &Loop{swarm: new(Swarm), codec: frame.NewCodec(frame.Config{Client: true}), counts: newCounts()}
	c := &Conn{loop: l, fd: -1, state: opened, plan: Plan{Role: parrot{AppendFrame(nil, frame.OpText, []byte("answer"))}}}
	burst := bytes.Repeat(frame.AppendFrame(nil, frame.OpText, []byte("message")), 8)
	turn := func() {
		c.feed(burst)
		l.dirty = l.dirty[:0]
		c.queued = false
		l.release(c.out)
		c.out = nil
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations for 8 messages", n)
	}
}
