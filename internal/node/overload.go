package node

import (
	"time"

	"sluice/internal/metrics"
	"sluice/internal/overload"
)

// newOverload makes what watches for overload, nil where that is off.
func (n *Node) newOverload(m *metrics.Node) *overload.Guard {
	cfg := n.cfg.Overload
	if cfg.Disable {
		return nil
	}
	return overload.New(overload.Options{
		Marks: []overload.Mark{
			{Name: "memory", Limit: overload.MemoryMark(cfg.Memory), Measure: overload.Memory},
			{Name: "lag", Limit: int64(cfg.LoopLag), Ticks: 2, Measure: func() int64 { return int64(n.engine.WorstLag()) }},
			{Name: "queue", Limit: int64(cfg.Queue), Measure: func() int64 { return int64(n.engine.QueuedBytes()) }},
		},
		Refuse: func(name string) {
			if name != "" {
				name = "overload_" + name
			}
			n.engine.SetOverload(name)
		},
		Shed: n.engine.Relieve,
		Changed: func(c overload.Change) {
			m.OverloadChanges.With(c.Name, c.To.String()).Inc()
			n.logOverload(c)
		},
	})
}

// logOverload writes one line for each step up or down.
func (n *Node) logOverload(c overload.Change) {
	value, limit := any(c.Value), any(c.Limit)
	if c.Name == "lag" {
		value, limit = time.Duration(c.Value), time.Duration(c.Limit)
	}
	attrs := []any{"reason", c.Name, "state", c.To.String(), "before", c.From.String(), "value", value, "mark", limit}
	if c.To > c.From {
		n.log.Warn("overload", attrs...)
		return
	}
	n.log.Info("overload", attrs...)
}

// overloadTick is the time between two looks; a test that looks by itself makes it
// longer.
var overloadTick = time.Second

// watchOverload is the guard's clock, until the node stops.
func (n *Node) watchOverload() { n.every(overloadTick, n.overload.Tick) }

// overloaded tells whether new work is refused.
func (n *Node) overloaded() bool { return n.overload != nil && n.overload.Level() > overload.Normal }

// observeOverload fills in the levels.
func (n *Node) observeOverload(m *metrics.Node) {
	if n.overload != nil {
		n.overload.Levels(func(name string, l overload.Level) { m.OverloadState.With(name).Set(float64(l)) })
	}
}
