package hub

import (
	"sync/atomic"

	"sluice/engine/wheel"
	"sluice/hub/wire"
	"sluice/internal/metrics"
)

// lane is what the node keeps for one loop: the loop itself and memory that its
// sessions use in turn.
type lane struct {
	// static
	index  int
	node   *Node
	fanOut *metrics.Recorder // nil when nobody asked for it

	// loop is set by the first session on the loop. Another goroutine reads it
	// after it has seen ready, or a session of the loop in one of the shared
	// maps, or a member in the loop's roster of some group: each is written
	// after the loop is.
	loop      Loop
	stopwatch Stopwatch // the loop, nil when it is none; owned by the loop
	ready     atomic.Bool

	// owned by the loop
	encoder
	decoder  wire.Decoder
	request  wire.Request
	outgoing wire.Message
	part     wire.StreamInfo // of outgoing, if it is a part of a stream
	wheel    *wheel.Wheel[extra, *extra]

	ticking atomic.Bool // a tick is on its way to the loop

	_ [64]byte // the next lane is written by another loop
}

// attach makes the loop known. Called on it, for each session.
func (l *lane) attach(loop Loop) {
	if l.loop != nil {
		return
	}
	l.loop = loop
	l.stopwatch, _ = loop.(Stopwatch)
	l.ready.Store(true)
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
