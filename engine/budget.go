package engine

import (
	"cmp"
	"slices"
)

// Bytes that sockets have refused are in four books: the connection's, the
// loop's, the node's, and the list of those who have any. This file keeps them,
// and acts on them where the node is over its budget.

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
	if l.engine.queued.Add(int64(change)) > int64(l.engine.cfg.MaxNodeQueueBytes) {
		l.overBudget = true
	}
	switch n := c.backlogBytes(); {
	case n == 0:
		c.setSlow(false)
	case n > l.engine.cfg.SlowConsumerBytes:
		c.setSlow(true)
	}
}

// checkBacklogs measures every connection that had a backlog, and lets those go
// on that wait for it to drain.
func (l *Loop) checkBacklogs() {
	if l.engine.queued.Load() > int64(l.engine.cfg.MaxNodeQueueBytes) {
		l.overBudget = true // perhaps another loop saw it and left it to us
	}
	l.backlog = slices.DeleteFunc(l.backlog, func(c *Conn) bool {
		if c.state == stateClosed {
			return true
		}
		c.measure()
		drained := c.backlogBytes() == 0
		if drained {
			c.endBacklog()
		}
		if drained || c.waits() {
			c.markDirty()
		}
		return drained
	})
	if l.overBudget {
		l.shedWorst()
	}
}

// shedWorst closes the longest queues of this loop until all queues are a
// tenth below the budget of the node again, or this loop is below its share of
// that: then it is for the others, who see it at their next tick, or the loop
// that happens to look first would close short queues for others' long ones.
func (l *Loop) shedWorst() {
	target := int64(l.engine.cfg.MaxNodeQueueBytes) / 10 * 9
	share := target / int64(len(l.engine.loops))
	enough := func() bool { return l.engine.queued.Load() <= target || l.queued <= share }
	if !enough() {
		for _, c := range l.backlog {
			if c.state != stateClosed {
				c.measure()
			}
		}
		slices.SortFunc(l.backlog, func(a, b *Conn) int { return cmp.Compare(b.backlogBytes(), a.backlogBytes()) })
	}
	l.overBudget = false
	for _, c := range l.backlog {
		if enough() {
			return
		}
		if c.state == stateOpen {
			c.shed(CauseNodeQueueBudget)
		}
		c.closeNow() // nothing less gives the memory back
	}
}
