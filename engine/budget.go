package engine

import (
	"cmp"
	"slices"

	"sluice/engine/wheel"
	"sluice/internal/budget"
)

// Bytes that sockets have refused are in four books: the connection's, the
// loop's, the node's, and the list of those who have any; and in a fifth, where
// the endpoint shares a budget with others. This file keeps them, and acts on
// them where a budget is exceeded.

// measure asks gnet what it still holds and books the difference.
func (c *Conn) measure() {
	n := int32(c.gc.OutboundBuffered())
	l := c.loop
	switch {
	case c.backlog != nil:
		c.backlog.look(n, l.now)
	case n == 0:
		return
	default:
		c.backlog = l.backlogs.get()
		c.backlog.begin(n, l.now)
		if e, ok := c.endpoint.(Budgeted); ok {
			c.backlog.budget = e.QueueBudget()
		}
		l.backlog = append(l.backlog, c)
	}
	if n != c.unsent {
		c.book(n)
	}
}

// setSlow says whether the connection counts as a slow consumer.
func (c *Conn) setSlow(slow bool) {
	e := c.loop.engine
	switch {
	case slow == c.has(flagSlow):
	case slow:
		c.set(flagSlow)
		e.slow.Add(1)
		e.metrics.SlowConsumers.Inc()
	default:
		c.clear(flagSlow)
		e.slow.Add(-1)
	}
}

// book sets the bytes that gnet holds.
func (c *Conn) book(n int32) {
	change := int(n - c.unsent)
	c.unsent = n
	c.charge(change)
}

// charge enters a change of the backlog in all the books. The connection counts
// as a slow consumer from above the low mark until nothing waits.
func (c *Conn) charge(change int) {
	l := c.loop
	l.queued += int64(change)
	l.spend(l.engine.queued, change)
	if c.backlog != nil && c.backlog.budget != nil {
		l.spend(c.backlog.budget, change)
	}
	switch n := c.backlogBytes(); {
	case n == 0:
		c.setSlow(false)
	case n > l.engine.cfg.SlowConsumerBytes:
		c.setSlow(true)
	}
}

// spend enters a change in a budget.
func (l *Loop) spend(b *budget.Budget, change int) {
	if b.Add(change) {
		l.exceed(b)
	}
}

// exceed remembers a budget that was seen over its limit.
func (l *Loop) exceed(b *budget.Budget) {
	if !slices.Contains(l.exceeded, b) {
		l.exceeded = append(l.exceeded, b)
	}
}

// checkBacklogs measures every connection that had a backlog, and lets those go
// on that wait for it to drain. Where a budget is exceeded, perhaps another loop
// saw it and left it to this one.
func (l *Loop) checkBacklogs() {
	if l.engine.queued.Over() {
		l.exceed(l.engine.queued)
	}
	l.backlog = slices.DeleteFunc(l.backlog, func(c *Conn) bool {
		if c.state == stateClosed {
			return true
		}
		c.measure()
		if b := c.backlog.budget; b != nil && b.Over() {
			l.exceed(b)
		}
		drained := c.backlogBytes() == 0
		if drained {
			c.endBacklog()
		}
		if drained || c.waits() {
			c.markDirty()
		}
		return drained
	})
	l.shedWorst()
}

// shedWorst sees to the budgets that were exceeded.
func (l *Loop) shedWorst() {
	for len(l.exceeded) > 0 {
		b := l.exceeded[0]
		l.exceeded = slices.Delete(l.exceeded, 0, 1)
		l.shedFor(b)
	}
}

// shedFor closes the longest queues of this loop that are held against a budget
// until all of these are a tenth below it again, or this loop is below its share
// of that: then it is for the others, who see it at their next tick, or the loop
// that happens to look first would close short queues for others' long ones.
func (l *Loop) shedFor(b *budget.Budget) {
	target := b.Limit() / 10 * 9
	share := target / int64(len(l.engine.loops))
	enough := func(mine int64) bool { return b.Used() <= target || mine <= share }
	if enough(l.owed(b)) {
		return
	}
	cause := CauseQueueBudget
	if b == l.engine.queued {
		cause = CauseNodeQueueBudget
	}
	l.shedLongest(b, cause, 0, enough)
}

// shedLongest closes the queues of this loop that are held against a budget and
// have bytes as old as that, the longest first, until it is enough: asked before
// each with the bytes that are left of all of them.
func (l *Loop) shedLongest(b *budget.Budget, cause Cause, age wheel.Tick, enough func(mine int64) bool) {
	for _, c := range l.backlog {
		if c.state != stateClosed {
			c.measure()
		}
	}
	mine := l.owed(b)
	slices.SortFunc(l.backlog, func(a, b *Conn) int { return cmp.Compare(b.backlogBytes(), a.backlogBytes()) })
	for _, c := range l.backlog {
		if enough(mine) || c.backlogBytes() == 0 { // those that follow have nothing either
			return
		}
		if !c.owes(b) || l.now-c.backlog.since < age {
			continue
		}
		mine -= int64(c.backlogBytes())
		if c.state == stateOpen {
			c.shed(cause)
		}
		c.closeNow() // nothing less gives the memory back
	}
}

// owes tells whether what waits for the connection is held against a budget.
func (c *Conn) owes(b *budget.Budget) bool {
	return c.backlog != nil && (b == c.loop.engine.queued || b == c.backlog.budget)
}

// owed returns the bytes of this loop that are held against a budget.
func (l *Loop) owed(b *budget.Budget) int64 {
	if b == l.engine.queued {
		return l.queued
	}
	n := 0
	for _, c := range l.backlog {
		if c.owes(b) {
			n += c.backlogBytes()
		}
	}
	return int64(n)
}
