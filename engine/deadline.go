package engine

import (
	"time"

	"sluice/engine/wheel"
	"sluice/frame"
)

// Every connection has one place on its loop's wheel, armed for the earliest of
// its deadlines. Traffic does not touch the wheel: it only stores when it was,
// and the deadline that comes too early because of it looks again.

// heartbeatDue returns when a silent client is pinged: after three quarters to
// the whole of the interval. Where in between depends on the slot, so that
// clients that came together are not pinged together.
func (c *Conn) heartbeatDue() wheel.Tick {
	interval := c.loop.engine.ticks(c.loop.engine.cfg.HeartbeatInterval)
	const golden = 2654435769 // 2^32 divided by the golden ratio: neighbours land far apart
	early := uint64(uint32(c.slot)*golden) * uint64(interval/4) >> 32
	return c.lastSeen + interval - wheel.Tick(early)
}

// arm puts an open connection on the wheel for its earliest deadline.
func (c *Conn) arm() {
	e := c.loop.engine
	due := c.heartbeatDue()
	if c.pinged != 0 {
		// Looked at again before that where the answer has more time than the
		// interval: it may be here by then, and the next ping due.
		due = min(c.pinged+e.ticks(e.cfg.PongTimeout), c.loop.now+e.ticks(e.cfg.HeartbeatInterval)*3/4)
	}
	if c.assembly != 0 {
		due = min(due, c.assembly)
	}
	if c.expires != 0 {
		due = min(due, c.expires)
	}
	if idle := e.cfg.IdleTimeout; idle > 0 {
		due = min(due, c.lastMessage+e.ticks(idle))
	}
	c.loop.wheel.Arm(c, due)
}

// Expire sets the time at which the connection ends with CloseTokenExpired, in
// place of the one it had; zero means never.
func (c *Conn) Expire(at time.Time) {
	c.expires = 0
	if !at.IsZero() {
		c.expires = c.loop.after(max(0, time.Until(at)))
	}
	if c.state == stateOpen {
		c.arm()
	}
}

// armAssembly starts the deadline of an unfinished frame or message, if it has
// none yet.
func (c *Conn) armAssembly() {
	if c.assembly == 0 && c.state == stateOpen && c.reader.Pending() {
		c.assembly = c.loop.after(c.loop.engine.cfg.AssemblyTimeout)
		c.arm()
	}
}

// onDeadline is called by the wheel when the earliest deadline has come.
func (l *Loop) onDeadline(c *Conn) {
	defer l.recover(c)
	switch c.state {
	case stateHead:
		if w := l.parked[c]; w != nil {
			c.refuse(w.refusal, w.opening.request)
			return
		}
		c.cause = CauseHandshakeTimeout
		c.refuse(&Refusal{Status: 408, Label: c.cause.String(),
			Reason: "the request head did not arrive in time"}, nil)
	case stateOpen:
		c.onOpenDeadline()
	default: // the client did not do its part of the close
		c.closeNow()
	}
}

func (c *Conn) onOpenDeadline() {
	e, now := c.loop.engine, c.loop.now
	switch {
	case c.expires != 0 && now >= c.expires:
		c.end(CauseTokenExpired, frame.CloseTokenExpired, "token expired")
		return
	case c.assembly != 0 && now >= c.assembly:
		c.fail(CauseAssemblyTimeout, frame.ClosePolicyViolation, "a message was begun and not finished in time")
		return
	case c.pinged != 0 && now >= c.pinged+e.ticks(e.cfg.PongTimeout):
		e.metrics.HeartbeatTimeouts.Inc()
		c.fail(CauseHeartbeatTimeout, frame.CloseGoingAway, "no answer to a ping")
		return
	case e.cfg.IdleTimeout > 0 && now >= c.lastMessage+e.ticks(e.cfg.IdleTimeout):
		c.end(CauseIdleTimeout, frame.CloseNormal, "idle")
		return
	case c.pinged == 0 && now >= c.heartbeatDue():
		c.pinged = now
		c.control(pingFrame)
		if s, ok := c.gc.(*session); ok {
			letGo(s.tls) // a quiet client
		}
	}
	c.arm()
}

const (
	// firstTick is where the clock starts: not at 0, which stands for "never".
	firstTick wheel.Tick = 1

	// maxTicks is the longest wait, 20 months of the default tick: a token may
	// say it is valid for a thousand years.
	maxTicks = 1 << 30
)

// ticks rounds a duration up to whole ticks of the engine's clock, at least
// one.
func (e *Engine) ticks(d time.Duration) wheel.Tick {
	return wheel.Tick(min(max(1, d/e.cfg.tick+1), maxTicks))
}

// clock returns the present tick.
func (e *Engine) clock() wheel.Tick {
	return firstTick + wheel.Tick(time.Since(e.started)/e.cfg.tick)
}

// micros returns the time since New; it wraps after 71 minutes.
func (e *Engine) micros() uint32 { return uint32(time.Since(e.started).Microseconds()) }

// tickLoops is the one clock of the engine: it wakes every loop once per tick.
func (e *Engine) tickLoops() {
	defer close(e.tickerDone)
	t, second := time.NewTicker(e.cfg.tick), time.NewTicker(time.Second)
	defer t.Stop()
	defer second.Stop()
	defer e.journal.refill() // what the last second has left out is told too
	for {
		select {
		case <-e.stopTicker:
			return
		case <-second.C:
			e.journal.refill()
		case <-t.C:
			for _, l := range e.loops {
				l.tick()
			}
		}
	}
}
