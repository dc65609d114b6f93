package swarm

import "time"

// hopeless is how many connections in a row may fail before an opening gives up.
const hopeless = 200

// opening opens connections on one loop, a bounded number at a time.
type opening struct {
	// Static after construction.
	plan     func(l *Loop, i int) (Plan, bool)
	limit    int           // connections being opened at a time
	interval time.Duration // between two, 0 for as fast as the limit allows
	done     func(gaveUp bool)

	// Owned by the loop.
	next     int // index of the next connection
	active   int
	due      int64 // when the next may begin
	waiting  bool  // for due, with a timer
	failures int   // in a row
	over     bool  // no more will begin
}

func (l *Loop) begin(o *opening) {
	o.due = Now()
	l.openings = append(l.openings, o)
}

// Open opens one connection more, on this loop.
func (l *Loop) Open(plan func() Plan) {
	l.begin(&opening{
		limit: 1,
		plan: func(l *Loop, i int) (Plan, bool) {
			if i > l.index {
				return Plan{}, false
			}
			return plan(), true
		},
		next: l.index,
		done: func(bool) {},
	})
}

// Connect opens one connection more on this loop, now: it takes no place among those
// that may be opening.
func (l *Loop) Connect(plan Plan) { l.connect(plan, nil) }

// openMore begins what the limits allow.
func (l *Loop) openMore() {
	openings := l.openings
	l.openings = nil // an opening that fails may begin another
	for _, o := range openings {
		l.advance(o)
		if o.over && o.active == 0 {
			o.done(o.failures >= hopeless)
		} else {
			l.openings = append(l.openings, o)
		}
	}
}

func (l *Loop) advance(o *opening) {
	for !o.over && !o.waiting && o.active < o.limit {
		if o.interval > 0 {
			if wait := o.due - Now(); wait > 0 {
				o.waiting = true
				l.At(o.due, func(*Loop) { o.waiting = false })
				return
			}
			o.due += int64(o.interval)
		}
		plan, ok := Plan{}, false
		if o.failures < hopeless {
			plan, ok = o.plan(l, o.next)
		}
		if !ok {
			o.over = true
			return
		}
		o.next += len(l.swarm.loops)
		o.active++
		l.connect(plan, o)
	}
}
