package config

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

// Memory turns the garbage collector.
type Memory struct {
	// GCPercent is how much may be allocated between two collections, in
	// percent of what is live. Default 25. Go's own 100 costs half a kilobyte
	// more for each connection that is idle, and saves an eighth of the
	// processor time of a handshake where there are many; messages are passed
	// on without allocating for each recipient. The variable GOGC goes before
	// it.
	GCPercent int `yaml:"gc_percent"`

	// Limit is the memory above which the collector works as hard as it can
	// before the process takes more. At nine tenths of it the node refuses new
	// clients, see overload.memory. Default: none. In a container set it to nine tenths of the container's limit. The
	// variable GOMEMLIMIT goes before it.
	Limit int `yaml:"limit" unit:"bytes"`
}

// minMemoryLimit is below what a node without clients takes.
const minMemoryLimit = 32 << 20

func (m *Memory) validate(report func(key, problem string)) {
	if m.GCPercent < 0 {
		report("memory.gc_percent", fmt.Sprintf("%d is negative (0 means the default)", m.GCPercent))
	}
	switch {
	case m.Limit < 0:
		report("memory.limit", fmt.Sprintf("%d is negative (0 means none)", m.Limit))
	case m.Limit > 0 && m.Limit < minMemoryLimit:
		report("memory.limit", fmt.Sprintf("%d bytes are too few for any node; 32MiB is the least", m.Limit))
	}
}

func (m Memory) withDefaults() Memory {
	m.GCPercent = cmp.Or(m.GCPercent, 25)
	return m
}

// Apply sets the collector of this process, but for what the variables of the
// Go runtime have set already.
func (m Memory) Apply(gogc, gomemlimit string) {
	m = m.withDefaults()
	if gogc == "" {
		debug.SetGCPercent(m.GCPercent)
	}
	if gomemlimit == "" && m.Limit > 0 {
		debug.SetMemoryLimit(int64(m.Limit))
	}
}
