package overload

import (
	"cmp"
	"fmt"
	"time"
)

// Config says when a node counts as overloaded. The zero value of a field means its
// default.
type Config struct {
	// Disable turns the watch off: the node then takes what comes until one of its
	// hard limits is reached. Default: false.
	Disable bool `yaml:"disable"`

	// Memory is the mark on what the process holds and cannot give back: what was
	// alive at the latest collection, stacks and what the runtime needs itself.
	// Buffers of the kernel are not in it. By default it is nine tenths of
	// memory.limit or of GOMEMLIMIT, and where neither is set there is none.
	Memory int `yaml:"memory" unit:"bytes"`

	// LoopLag is the mark on how late an event loop comes to its ticks, twice in a row
	// when it is looked at. Default 1s.
	LoopLag time.Duration `yaml:"loop_lag"`

	// Queue is the mark on the bytes that wait for slow clients, all together. By
	// default it is nine tenths of engine.max_node_queue_bytes. At that limit itself
	// the longest queues are closed at once.
	Queue int `yaml:"queue" unit:"bytes"`
}

// WithDefaults returns the configuration with every zero replaced. The default of
// Queue is for a node whose queues may hold so many bytes; that of Memory depends
// on the process and stays 0.
func (c Config) WithDefaults(maxNodeQueueBytes int) Config {
	c.LoopLag = cmp.Or(c.LoopLag, time.Second)
	c.Queue = cmp.Or(c.Queue, part(maxNodeQueueBytes))
	return c
}

// minLoopLag is what ordinary work of a turn may take.
const minLoopLag = 100 * time.Millisecond

// minMemory is below what a node without clients takes.
const minMemory = 16 << 20

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	switch {
	case c.Memory < 0:
		report("memory", fmt.Sprintf("%d is negative (0 means the default)", c.Memory))
	case c.Memory > 0 && c.Memory < minMemory:
		report("memory", fmt.Sprintf("%d bytes are in use before the first client comes; 16MiB is the least", c.Memory))
	}
	switch {
	case c.LoopLag < 0:
		report("loop_lag", fmt.Sprintf("%v is negative (0 means the default)", c.LoopLag))
	case c.LoopLag > 0 && c.LoopLag < minLoopLag:
		report("loop_lag", fmt.Sprintf("%v is not more than one turn of a busy loop may take; %v is the least", c.LoopLag, minLoopLag))
	}
	if c.Queue < 0 {
		report("queue", fmt.Sprintf("%d is negative (0 means the default)", c.Queue))
	}
}

// part returns nine tenths of a limit: the default mark below it.
func part(limit int) int { return limit / 10 * 9 }
