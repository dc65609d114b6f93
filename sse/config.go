package sse

import (
	"cmp"
	"fmt"
	"time"
)

// Config turns Server-Sent Events. The zero value of a field means its default.
type Config struct {
	// Enable serves Server-Sent Events at /sse/hubs/{hub} on the addresses for
	// clients, for clients that only receive. Default: false. Each stream takes a
	// goroutine and one of engine.max_http_connections.
	Enable bool `yaml:"enable"`

	// MaxStreams bounds the streams that are open; more are answered 503. Default
	// 128. Above it raise engine.max_http_connections too, which has to leave
	// something to the HTTP API and SockJS.
	MaxStreams int `yaml:"max_streams"`

	// MaxQueueBytes bounds what waits for the client of one stream. Above it the
	// group's rule for slow consumers applies. Default 256KiB.
	MaxQueueBytes int `yaml:"max_queue_bytes" unit:"bytes"`

	// MaxNodeQueueBytes bounds what waits in all streams together, and once more
	// what they have yet to tell of histories to clients that came back. Default
	// 64MiB.
	MaxNodeQueueBytes int `yaml:"max_node_queue_bytes" unit:"bytes"`

	// HeartbeatInterval is how long a stream stays silent before it gets a comment.
	// Default 25s; proxies in front cut off at 60s or less.
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval"`

	// Retry is how long a browser waits before it comes back after a broken stream:
	// between this and twice as much, another time for each stream, so that they do
	// not all come at once. Default 3s.
	Retry time.Duration `yaml:"retry"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	c.MaxStreams = cmp.Or(c.MaxStreams, 128)
	c.MaxQueueBytes = cmp.Or(c.MaxQueueBytes, 256<<10)
	c.MaxNodeQueueBytes = cmp.Or(c.MaxNodeQueueBytes, 64<<20)
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, 25*time.Second)
	c.Retry = cmp.Or(c.Retry, 3*time.Second)
	return c
}

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	for _, n := range []struct {
		key         string
		value, most int
	}{
		{"max_streams", c.MaxStreams, 1 << 20},
		{"max_queue_bytes", c.MaxQueueBytes, 1 << 30},
		{"max_node_queue_bytes", c.MaxNodeQueueBytes, 1 << 40},
	} {
		if n.value < 0 || n.value > n.most {
			report(n.key, fmt.Sprintf("%d is not between 1 and %d (0 means the default)", n.value, n.most))
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"heartbeat_interval", c.HeartbeatInterval}, {"retry", c.Retry}} {
		if d.value < 0 || d.value > time.Hour {
			report(d.key, fmt.Sprintf("%v is not between 1ms and 1h (0 means the default)", d.value))
		}
	}
}
