package engine

import (
	"fmt"
	"runtime"
	"time"
)

// HandshakeConfig bounds TLS handshakes, and the reading of PROXY headers before
// them.
type HandshakeConfig struct {
	// Workers is how many handshakes may compute at the same time; the others
	// wait for them or for their clients. Default: one less than there are cores
	// (GOMAXPROCS), at least one, so that the event loops have one to themselves in
	// a storm.
	Workers int `yaml:"workers"`

	// Max bounds the handshakes under way. One more waits for a second to be
	// accepted; where none has ended by then its connection is closed. They count as
	// pending handshakes too, see engine.max_pending_handshakes. Default 512.
	Max int `yaml:"max"`

	// Timeout is the time a client has from the TCP connection to the end of its
	// handshake; then the connection is closed. Default 5s.
	Timeout time.Duration `yaml:"timeout"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c HandshakeConfig) WithDefaults() HandshakeConfig {
	def(&c.Workers, max(1, runtime.GOMAXPROCS(0)-1))
	def(&c.Max, 512)
	def(&c.Timeout, 5*time.Second)
	return c
}

// Validate reports every problem with its key, relative to this struct.
func (c *HandshakeConfig) Validate(report func(key, problem string)) {
	for _, f := range []struct {
		key     string
		n, most int
	}{
		{"workers", c.Workers, 4096},
		{"max", c.Max, 1 << 20},
	} {
		if f.n < 0 || f.n > f.most {
			report(f.key, fmt.Sprintf("%d is not between 1 and %d (0 means the default)", f.n, f.most))
		}
	}
	if c.Timeout < 0 {
		report("timeout", fmt.Sprintf("%v is negative (0 means the default)", c.Timeout))
	}
}
