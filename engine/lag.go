package engine

import "time"

// nanos returns the time since New in nanoseconds, never 0.
func (e *Engine) nanos() int64 { return int64(time.Since(e.started)) + 1 }

// Connections returns the sockets on the loop, those in their handshake
// included. Any goroutine.
func (l *Loop) Connections() int { return int(l.placed.Load()) }

// Lag returns how late the loop came to its latest tick, or how late it is for
// the one it has not come to yet. Any goroutine.
func (l *Loop) Lag() time.Duration {
	lag := l.lastLag.Load()
	if posted := l.ticked.Load(); posted != 0 {
		lag = max(lag, l.engine.nanos()-posted)
	}
	return time.Duration(lag)
}

// Responsive tells whether every loop has handled a tick within that time: the
// node is alive and not stuck. Any goroutine, after Start.
func (e *Engine) Responsive(within time.Duration) bool {
	now := e.nanos()
	for _, l := range e.loops {
		if now-l.handled.Load() > int64(within) {
			return false
		}
	}
	return true
}

// takeTick tells whether a tick is due, and books how late.
func (l *Loop) takeTick() bool {
	posted := l.ticked.Swap(0)
	if posted == 0 {
		return false
	}
	now := l.engine.nanos()
	l.handled.Store(now)
	l.lastLag.Store(now - posted)
	l.lag.Observe(uint64(max(0, now-posted)))
	return true
}

// Stamp and Delivered measure how long publications take from the hub to the
// sockets, without a look at the clock for each recipient: the first publication
// in each tick is stamped, and measured on every loop when what was on the dirty
// list after its delivery is written.

// stopwatch is the publication that a loop is measuring.
type stopwatch struct {
	stamped uint32 // tick of the latest stamp
	stamp   int64  // of the publication being measured, 0 for none
	behind  int    // elements of the dirty list that must be flushed before it counts
}

// Stamp returns the present for the first publication in a tick, 0 for the
// others. It is for the loop's goroutine.
func (l *Loop) Stamp() int64 {
	if l.watch.stamped == uint32(l.now) {
		return 0
	}
	l.watch.stamped = uint32(l.now)
	return l.engine.nanos()
}

// Delivered takes a stamp, of any loop of the engine, after the publication was
// sent to its connections here. It is for the loop's goroutine.
func (l *Loop) Delivered(stamp int64) {
	if l.watch.stamp == 0 && len(l.dirty) > 0 {
		l.watch.stamp, l.watch.behind = stamp, len(l.dirty)
	}
}

// flushed books that the first n elements of the dirty list are written.
func (l *Loop) flushed(n int) {
	if l.watch.stamp == 0 {
		return
	}
	l.watch.behind -= n
	if l.watch.behind <= 0 {
		l.latency.Observe(uint64(max(0, l.engine.nanos()-l.watch.stamp)))
		l.watch.stamp = 0
	}
}
