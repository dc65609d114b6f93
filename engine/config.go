package engine

import (
	"fmt"
	"math"
	"runtime"
	"time"

	"sluice/frame"
)

// Config turns the engine. The zero value of a field means its default, so an
// empty Config is a safe one.
type Config struct {
	// Loops is the number of event loops, 1 to 256. Default: one per core
	// (GOMAXPROCS).
	Loops int `yaml:"loops"`

	// MaxConnections is the number of upgraded connections above which opening
	// handshakes are answered 503. Default: the descriptor limit of the process
	// less MaxPendingHandshakes, MaxHTTPConnections and a reserve. Set above what
	// the limit allows, the kernel refuses first: nobody is disconnected, but new
	// clients wait in the listen backlog instead of getting an answer.
	MaxConnections int `yaml:"max_connections"`

	// MaxPendingHandshakes bounds the sockets that have not finished their
	// opening handshake, or were refused and are on their way out. One more waits for
	// a second to be accepted; where none has left by then it is closed. Default
	// 1024, or a quarter of the descriptor limit where that is less.
	MaxPendingHandshakes int `yaml:"max_pending_handshakes"`

	// MaxWaitingHandshakes bounds, of these sockets, those that wait for an identity
	// provider to say whether they may come in; one more is answered 503. They must
	// leave room for clients that need not wait, and be more than one address may
	// have. Default 768, or three quarters of MaxPendingHandshakes where that is less.
	MaxWaitingHandshakes int `yaml:"max_waiting_handshakes"`

	// MaxHTTPConnections bounds the connections to the client port that net/http
	// serves, because their requests are not for the event loops; one more is
	// answered 503. Those on which no request is under way hold at most half of
	// the places. Default 256, or a sixteenth of the descriptor limit where that
	// is less.
	MaxHTTPConnections int `yaml:"max_http_connections"`

	// HandshakeTimeout is the time a client has from the TCP connection to the
	// last byte of its request head; then 408. It is also the time from the TCP
	// connection in which an identity provider that has to be asked about the
	// client must have answered; then 503. Default 10s.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"`

	// MaxHeadBytes bounds the request head; a longer one is answered 431.
	// Tokens in the query or a header must fit. Default 16KiB.
	MaxHeadBytes int `yaml:"max_head_bytes" unit:"bytes"`

	// RetryAfter is what a 503 tells the client to wait; the answer spreads it
	// over once to twice this time so that clients do not come back together.
	// Default 5s.
	RetryAfter time.Duration `yaml:"retry_after"`

	// MaxMessageSize bounds one message from a client, all its fragments and
	// after inflation; a larger one closes the connection with 1009.
	// Default 1MiB.
	MaxMessageSize int `yaml:"max_message_size" unit:"bytes"`

	// AssemblyTimeout is the time a client has from the first byte of a frame
	// or fragmented message to its last; then 1008. It is what bounds a client
	// that sends one byte a second. Default 30s.
	AssemblyTimeout time.Duration `yaml:"assembly_timeout"`

	// HeartbeatInterval is the silence after which a client is pinged, at the
	// latest; the pings are spread over its last quarter. Default 25s: below the
	// idle timeouts of common load balancers (30s to 60s).
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval"`

	// PongTimeout is the time a pinged client has to send anything at all;
	// then it counts as dead. Default 10s.
	PongTimeout time.Duration `yaml:"pong_timeout"`

	// IdleTimeout closes a connection on which no message went either way for
	// so long, answered pings or not. Default 0: never.
	IdleTimeout time.Duration `yaml:"idle_timeout"`

	// SlowConsumerBytes is the low mark of the outbound queue: above it a
	// connection counts as a slow consumer. Default 256KiB, or a quarter of
	// MaxQueueBytes where that is less.
	SlowConsumerBytes int `yaml:"slow_consumer_bytes" unit:"bytes"`

	// MaxQueueBytes is the high mark: a connection whose unsent bytes would
	// pass it loses messages that may be lost, and is closed with 1008 if that
	// is not enough. An empty queue takes one message of any size.
	// Default 1MiB.
	MaxQueueBytes int `yaml:"max_queue_bytes" unit:"bytes"`

	// MaxNodeQueueBytes is the budget for the unsent bytes of all connections;
	// above it the connections with the longest queues are closed first.
	// Default 1GiB. Memory in use can be twice this in the worst moment,
	// because a queue grows by copying.
	MaxNodeQueueBytes int `yaml:"max_node_queue_bytes" unit:"bytes"`

	// CloseTimeout is the time a client has to answer a close frame and to
	// take what was sent before it. Default 5s.
	CloseTimeout time.Duration `yaml:"close_timeout"`

	// LingerTimeout is how long the socket is kept open for the client's end
	// of file after ours, so that the kernel does not answer late bytes with a
	// reset that would destroy the close frame on its way. Default 2s.
	LingerTimeout time.Duration `yaml:"linger_timeout"`

	// InboxTasks bounds the tasks that wait for one loop. Default 65536.
	InboxTasks int `yaml:"inbox_tasks"`

	// Compression is permessage-deflate (RFC 7692). Default: off.
	Compression frame.DeflateConfig `yaml:"compression"`

	// LogLinesPerSecond bounds the log lines about connections, of each kind
	// (opened, closed, refused, panic); one line more says how many were left
	// out. Default 100.
	LogLinesPerSecond int `yaml:"log_lines_per_second"`

	// Handshakes bounds what clients do before they come to a loop. In a file it
	// stands with the rest of TLS.
	Handshakes HandshakeConfig `yaml:"-"`

	// Proxy names the proxies in front. In a file it stands by itself.
	Proxy ProxyConfig `yaml:"-"`

	// HSTS is in the refusals of clients that came over TLS, if it is not 0. In a
	// file it stands with the rest of TLS.
	HSTS time.Duration `yaml:"-"`

	// tick is the resolution of every deadline; tests shorten it.
	tick time.Duration
}

const (
	defaultTick = 50 * time.Millisecond

	// fdReserve is kept from MaxConnections for listeners, pollers, bells, the
	// operations listener, log files and outgoing connections.
	fdReserve = 128

	maxLoops = 256

	// maxQueue bounds a message and a queue: their bytes are counted in 32
	// bits, and a queue may hold one message more.
	maxQueue = 1 << 30
)

// WithDefaults returns the configuration with every zero replaced by what the
// engine takes for it in this process.
func (c Config) WithDefaults() Config { return c.withDefaults(fdLimit()) }

// withDefaults returns the configuration with every zero replaced. fdLimit is
// the soft limit on open files, 0 when it is not known.
func (c Config) withDefaults(fdLimit int) Config {
	def(&c.Loops, min(runtime.GOMAXPROCS(0), maxLoops))
	def(&c.HandshakeTimeout, 10*time.Second)
	def(&c.MaxHeadBytes, 16<<10)
	def(&c.RetryAfter, 5*time.Second)
	def(&c.MaxMessageSize, 1<<20)
	def(&c.AssemblyTimeout, 30*time.Second)
	def(&c.HeartbeatInterval, 25*time.Second)
	def(&c.PongTimeout, 10*time.Second)
	def(&c.MaxQueueBytes, 1<<20)
	def(&c.SlowConsumerBytes, min(256<<10, max(1, c.MaxQueueBytes/4)))
	def(&c.MaxNodeQueueBytes, 1<<30)
	def(&c.CloseTimeout, 5*time.Second)
	def(&c.LingerTimeout, 2*time.Second)
	def(&c.InboxTasks, 1<<16)
	def(&c.LogLinesPerSecond, 100)
	c.Compression = c.Compression.WithDefaults()
	c.Handshakes = c.Handshakes.WithDefaults()
	def(&c.tick, defaultTick)
	if fdLimit <= 0 {
		fdLimit = 1024
	}
	def(&c.MaxPendingHandshakes, min(1024, max(1, fdLimit/4)))
	def(&c.MaxWaitingHandshakes, min(768, max(1, c.MaxPendingHandshakes/4*3)))
	def(&c.MaxHTTPConnections, min(256, max(1, fdLimit/16)))
	def(&c.MaxConnections, max(1, fdLimit-c.MaxPendingHandshakes-c.MaxHTTPConnections-fdReserve))
	return c
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if c.Loops < 0 || c.Loops > maxLoops {
		report("loops", fmt.Sprintf("%d is not between 1 and %d (0 means one per core)", c.Loops, maxLoops))
	}
	for _, f := range []struct {
		key     string
		n, most int
	}{
		{"max_connections", c.MaxConnections, math.MaxInt32},
		{"max_pending_handshakes", c.MaxPendingHandshakes, math.MaxInt32},
		{"max_waiting_handshakes", c.MaxWaitingHandshakes, math.MaxInt32},
		{"max_http_connections", c.MaxHTTPConnections, 1 << 20},
		{"max_head_bytes", c.MaxHeadBytes, maxQueue},
		{"max_message_size", c.MaxMessageSize, maxQueue},
		{"slow_consumer_bytes", c.SlowConsumerBytes, maxQueue},
		{"max_queue_bytes", c.MaxQueueBytes, maxQueue},
		{"max_node_queue_bytes", c.MaxNodeQueueBytes, math.MaxInt},
		{"inbox_tasks", c.InboxTasks, math.MaxInt32},
		{"log_lines_per_second", c.LogLinesPerSecond, math.MaxInt32},
	} {
		switch {
		case f.n < 0:
			report(f.key, fmt.Sprintf("%d is negative (0 means the default)", f.n))
		case f.n > f.most:
			report(f.key, fmt.Sprintf("%d is above %d", f.n, f.most))
		}
	}
	for _, f := range []struct {
		key string
		d   time.Duration
	}{
		{"handshake_timeout", c.HandshakeTimeout},
		{"retry_after", c.RetryAfter},
		{"assembly_timeout", c.AssemblyTimeout},
		{"heartbeat_interval", c.HeartbeatInterval},
		{"pong_timeout", c.PongTimeout},
		{"idle_timeout", c.IdleTimeout},
		{"close_timeout", c.CloseTimeout},
		{"linger_timeout", c.LingerTimeout},
	} {
		switch {
		case f.d < 0:
			report(f.key, fmt.Sprintf("%v is negative (0 means the default)", f.d))
		case f.d > 0 && f.d < defaultTick:
			report(f.key, fmt.Sprintf("%v is shorter than the resolution of the timers, %v", f.d, defaultTick))
		}
	}
	c.Compression.Validate(func(key, problem string) { report("compression."+key, problem) })
	d := c.withDefaults(0)
	if c.MaxHeadBytes > 0 && c.MaxHeadBytes < 256 {
		report("max_head_bytes", "below 256 bytes no opening handshake fits")
	}
	if c.MaxPendingHandshakes > 0 && c.MaxWaitingHandshakes > c.MaxPendingHandshakes {
		report("max_waiting_handshakes", "is above max_pending_handshakes, which bounds those who wait too")
	}
	if d.SlowConsumerBytes > d.MaxQueueBytes {
		report("slow_consumer_bytes", "is above max_queue_bytes, so no connection would ever count as slow")
	}
}
