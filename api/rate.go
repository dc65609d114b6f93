package api

import (
	"sync"
	"time"

	"sluice/auth"
	"sluice/internal/rate"
)

// callRates bound the calls about each hub. They are asked for hubs that exist
// only, so there are no more of them than hubs. Safe for concurrent use.
type callRates struct {
	// Static.
	now   func() time.Time
	began time.Time
	limit int

	hubs sync.Map // canonical name to *rate.Limiter
}

// newCallRates returns nil for no limit.
func newCallRates(perSecond int, now func() time.Time) *callRates {
	if perSecond == 0 {
		return nil
	}
	return &callRates{now: now, began: now(), limit: perSecond}
}

// admit reports whether there may be a call about the hub now, and books it. A nil
// c admits all.
func (c *callRates) admit(hub string) bool {
	if c == nil {
		return true
	}
	hub = auth.CanonicalHub(hub)
	l, ok := c.hubs.Load(hub)
	if !ok {
		l, _ = c.hubs.LoadOrStore(hub, rate.New(c.limit))
	}
	return l.(*rate.Limiter).Take(int64(c.now().Sub(c.began)), 1)
}
