// Package overload decides when a node has too much to do and what it does about
// that: first it refuses new work, then it has the slowest clients closed, and when
// there is little enough again it stops both by itself.
//
// It owns the decision and nothing else: what is measured and what is done are
// functions of its caller. It starts no goroutine and knows no clock: the caller
// calls [Guard.Tick] about once a second.
package overload

import (
	"sync"
	"sync/atomic"
)

// Level is what is done about one kind of overload.
type Level int32

// The levels, in the order in which they come.
const (
	Normal   Level = iota // nothing
	Refusing              // new work is refused
	Shedding              // and the slowest clients are closed
)

// String returns the name of the level, a metric label.
func (l Level) String() string { return [...]string{"normal", "refusing", "shedding"}[l] }

const (
	// patience is how many ticks in a row a measure may stay above its mark while
	// new work is refused, before the slowest clients go.
	patience = 3

	// calm is how many ticks in a row a measure has to stay below nine tenths of its
	// mark before new work is taken again.
	calm = 3
)

// Mark is one thing that there can be too much of.
type Mark struct {
	// Name is a metric label.
	Name string
	// Limit is the most there should be; with 0 nothing is watched.
	Limit int64
	// Ticks is how many ticks in a row there must be more before anything is done: two
	// or three for what may be high for a moment. 0 is one.
	Ticks int
	// Measure returns how much there is. It is called in Tick and must not block.
	Measure func() int64
}

// Change is a step from one level to another.
type Change struct {
	Name     string
	From, To Level
	// Value is what was measured, Limit the mark.
	Value, Limit int64
}

// Options say what is watched and what is done.
type Options struct {
	// Marks are watched. Of several that are passed the first one of the highest
	// level is given as the reason.
	Marks []Mark

	// Refuse has new work refused for the reason of that name, "" takes it again. It
	// is called when the reason changes.
	Refuse func(name string)

	// Shed has some of the slowest clients closed: one step of it, at each tick
	// for as long as that is needed.
	Shed func()

	// Changed is told of every change of a level.
	Changed func(Change)
}

// Guard watches the marks. Make one with [New].
type Guard struct {
	options Options // static

	mu      sync.Mutex
	watches []watch // guarded by mu
	reason  string  // guarded by mu; why new work is refused, "" while it is not

	level atomic.Int32 // the highest of all
}

// New returns a guard of those marks that have a limit.
func New(o Options) *Guard {
	g := &Guard{options: o}
	for _, m := range o.Marks {
		if m.Limit > 0 {
			g.watches = append(g.watches, watch{mark: m})
		}
	}
	return g
}

// Level returns the highest level of all marks. Any goroutine.
func (g *Guard) Level() Level { return Level(g.level.Load()) }

// Levels calls each with the level of every mark that is watched. Any goroutine.
func (g *Guard) Levels(each func(name string, l Level)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.watches {
		each(g.watches[i].mark.Name, g.watches[i].level)
	}
}

// Tick measures everything once and acts on it. Any goroutine; the functions of
// the options are called from within and must not call the guard.
func (g *Guard) Tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	level, reason := Normal, ""
	for i := range g.watches {
		w := &g.watches[i]
		from, value := w.level, w.mark.Measure()
		w.step(value)
		if w.level != from {
			g.options.Changed(Change{Name: w.mark.Name, From: from, To: w.level, Value: value, Limit: w.mark.Limit})
		}
		if w.level > level {
			level, reason = w.level, w.mark.Name
		}
	}
	g.level.Store(int32(level))
	if reason != g.reason {
		g.reason = reason
		g.options.Refuse(reason)
	}
	if level == Shedding {
		g.options.Shed()
	}
}

// watch is the state of one mark.
type watch struct {
	mark  Mark
	level Level
	above int // ticks in a row above the mark
	below int // ticks in a row below nine tenths of it
}

// step takes one measure. Between nine tenths of the mark and the mark nothing
// changes: what has begun goes on, and what has not does not begin.
func (w *watch) step(value int64) {
	low, begin := w.mark.Limit-w.mark.Limit/10, max(1, w.mark.Ticks)
	switch {
	case value > w.mark.Limit:
		w.above++
		w.below = 0
	case value < low:
		w.above = 0
		w.below++
	default:
		w.above, w.below = 0, 0
	}
	switch {
	case w.level == Normal && w.above >= begin:
		w.level = Refusing
	case w.level == Refusing && w.above >= begin+patience:
		w.level = Shedding
	case w.level == Shedding && w.below > 0:
		w.level = Refusing // and calm is counted from here
	case w.level == Refusing && w.below >= calm:
		w.level = Normal
	}
}
