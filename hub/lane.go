package hub

import (
	"slices"

	"sluice/frame"
	"sluice/hub/wire"
	"sluice/internal/metrics"
)

// maxScratch is the largest encoding buffer that a lane keeps, in bytes. A
// larger message is rare; its buffer goes back to the collector.
const maxScratch = 64 << 10

// lane is what the node keeps for one loop: the loop itself and memory that its
// sessions use in turn.
type lane struct {
	index int // static

	// loop is set by the first session on the loop. Another goroutine reads it
	// only after it has seen a member in the loop's roster of some group: the
	// roster's atomic count orders the two.
	loop      Loop
	stopwatch Stopwatch // the loop, nil when it is none; owned by the loop

	// owned by the loop
	decoder  wire.Decoder
	request  wire.Request
	outgoing wire.GroupMessage
	scratch  []byte

	fanOut *metrics.Recorder // static; nil when nobody asked for it

	_ [64]byte // the next lane is written by another loop
}

// stamp returns the time of a publication that is to be measured, else 0.
func (l *lane) stamp() int64 {
	if l.stopwatch == nil {
		return 0
	}
	return l.stopwatch.Stamp()
}

// delivered reports a stamp once everything is sent on this loop.
func (l *lane) delivered(stamp int64) {
	if stamp != 0 && l.stopwatch != nil {
		l.stopwatch.Delivered(stamp)
	}
}

// blank returns the buffer to append one message to: empty but for the room that
// the frame header needs. It is valid until seal takes it back.
func (l *lane) blank() []byte {
	if l.scratch == nil {
		l.scratch = make([]byte, frame.HeadRoom, 512)
	}
	return l.scratch[:frame.HeadRoom]
}

// seal turns what was appended to blank's buffer into a message of exactly its
// size, because messages wait in the queues of slow clients. It returns nil when
// nothing was appended: the grammar has no such message.
func (l *lane) seal(g wire.Grammar, buf []byte) *frame.Message {
	l.scratch = buf
	if cap(buf) > maxScratch {
		l.scratch = nil
	}
	if len(buf) == frame.HeadRoom {
		return nil
	}
	op := frame.OpText
	if g.Binary() {
		op = frame.OpBinary
	}
	return frame.Seal(op, slices.Clone(buf))
}
