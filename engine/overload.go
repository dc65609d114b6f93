package engine

import (
	"math"
	"strings"
	"time"
)

// What the engine does about an overload. Whether there is one is for others to
// say, who see the whole process: the engine knows no policy.

// SetOverload has new clients refused with 503 from now on, counted under that
// label; "" lets them in again. Those that are there are served on. Any goroutine.
func (e *Engine) SetOverload(label string) {
	if label == "" {
		e.overload.Store(nil)
		return
	}
	label = strings.Clone(label)
	e.overload.Store(&label)
}

// Overload returns the refusal for a new client while the node is overloaded, nil
// while it is not. Any goroutine.
func (e *Engine) Overload() *Refusal {
	label := e.overload.Load()
	if label == nil {
		return nil
	}
	return e.busy(*label, "this node is overloaded, try again later")
}

// WorstLag returns the largest [Loop.Lag]. Any goroutine.
func (e *Engine) WorstLag() (worst time.Duration) {
	for _, l := range e.loops {
		worst = max(worst, l.Lag())
	}
	return worst
}

const (
	// reliefShare is the part of what waits on a loop that one step of relief gives
	// up, and maxRelieved the most connections that go for it: a few steps do what is
	// needed, and who is only a little behind has the time to catch up meanwhile.
	reliefShare = 10
	maxRelieved = 256

	// behind is how old the oldest byte that waits for a client must be for it to
	// count as one that does not keep up.
	behind = time.Second
)

// Relieve has each loop close some of the connections for which most waits, with
// 1008, the longest queues first. It makes one step and does not wait for it.
// Clients that keep up are not touched, nor are the loops that have less than half
// of their share of what waits on all. Any goroutine, after Start.
func (e *Engine) Relieve() {
	for _, l := range e.loops {
		if l.relieving.CompareAndSwap(false, true) && !l.Post(relief{l}) {
			l.relieving.Store(false)
		}
	}
}

// relief is the task of one step.
type relief struct{ loop *Loop }

// Run implements Task.
func (r relief) Run() {
	l, e := r.loop, r.loop.engine
	l.relieving.Store(false)
	if l.queued == 0 || 2*l.queued < e.queued.Used()/int64(len(e.loops)) {
		return
	}
	target := l.queued - max(1, l.queued/reliefShare)
	left, gone := int64(math.MaxInt64), -1
	l.shedLongest(e.queued, CauseOverload, e.ticks(behind), func(mine int64) bool {
		if mine < left { // so it is for the first time, and after each that goes
			left = mine
			gone++
		}
		return mine <= target || gone >= maxRelieved
	})
}
