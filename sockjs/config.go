package sockjs

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config turns SockJS. The zero value of a field means its default.
type Config struct {
	// Enable serves SockJS, for clients that cannot open a WebSocket, on the
	// addresses for clients. Default: false. All requests of one client must
	// reach one node: a load balancer in front has to be sticky.
	Enable bool `yaml:"enable"`

	// Prefix is what the path of a hub's address begins with; clients are given
	// the prefix and the hub's name. Default "/sockjs/hubs/".
	Prefix string `yaml:"prefix"`

	// ClientURL is the address of the script sockjs-client, for the page that old
	// browsers load in an iframe. Default: none, and there is no such page.
	ClientURL string `yaml:"client_url"`

	// Legacy serves the transports htmlfile and jsonp, for browsers of the years
	// before 2012. Default: false. They have pages of other origins read answers
	// as scripts, past the rules of browsers: leave them off.
	Legacy bool `yaml:"legacy"`

	// MaxSessions bounds the sessions over HTTP; more are answered 503. Default
	// 10000.
	MaxSessions int `yaml:"max_sessions"`

	// MaxQueueBytes bounds what waits for the client of one session. Above it the
	// group's rule for slow consumers applies. Default 256KiB.
	MaxQueueBytes int `yaml:"max_queue_bytes" unit:"bytes"`

	// MaxNodeQueueBytes bounds what waits in all sessions over HTTP together.
	// Default 64MiB.
	MaxNodeQueueBytes int `yaml:"max_node_queue_bytes" unit:"bytes"`

	// MaxBody bounds the body of a request, and so what a client sends at once; a
	// larger one is answered 413. Default 256KiB.
	MaxBody int `yaml:"max_body" unit:"bytes"`

	// MaxRequestsPerSecond bounds the requests of one session: a send above it is
	// answered 429, a poll waits. Default 100.
	MaxRequestsPerSecond int `yaml:"max_requests_per_second"`

	// ResponseBytes is how much is sent in one streaming answer before the client
	// has to ask again, so that its memory of the answer does not grow for ever.
	// Default 128KiB.
	ResponseBytes int `yaml:"response_bytes" unit:"bytes"`

	// HeartbeatInterval is how long an answer that is waited for stays silent.
	// Default 25s; proxies in front cut off at 60s or less.
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval"`

	// DisconnectDelay is how long a client may be without a request that waits
	// for messages before its session ends. Default 5s.
	DisconnectDelay time.Duration `yaml:"disconnect_delay"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	c.Prefix = cmp.Or(c.Prefix, "/sockjs/hubs/")
	c.MaxSessions = cmp.Or(c.MaxSessions, 10_000)
	c.MaxQueueBytes = cmp.Or(c.MaxQueueBytes, 256<<10)
	c.MaxNodeQueueBytes = cmp.Or(c.MaxNodeQueueBytes, 64<<20)
	c.MaxBody = cmp.Or(c.MaxBody, 256<<10)
	c.MaxRequestsPerSecond = cmp.Or(c.MaxRequestsPerSecond, 100)
	c.ResponseBytes = cmp.Or(c.ResponseBytes, 128<<10)
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, 25*time.Second)
	c.DisconnectDelay = cmp.Or(c.DisconnectDelay, 5*time.Second)
	return c
}

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if p := c.Prefix; p != "" && (len(p) < 2 || p[0] != '/' || p[len(p)-1] != '/' || strings.ContainsAny(p, "?#%")) {
		report("prefix", fmt.Sprintf("%q does not begin and end with a slash, with a name between", p))
	}
	for _, taken := range []string{"/client/", "/api/", "/sse/"} {
		if strings.HasPrefix(c.Prefix, taken) {
			report("prefix", fmt.Sprintf("%q is below %s, which is for something else", c.Prefix, taken))
		}
	}
	if u, err := url.Parse(c.ClientURL); err != nil || c.ClientURL != "" && u.Scheme != "http" && u.Scheme != "https" && !strings.HasPrefix(c.ClientURL, "/") ||
		strings.ContainsAny(c.ClientURL, "\"'<>&") {
		report("client_url", "is neither an http address nor a path, without quotes, ampersands and angle brackets")
	}
	for _, n := range []struct {
		key         string
		value, most int
	}{
		{"max_sessions", c.MaxSessions, 10_000_000},
		{"max_queue_bytes", c.MaxQueueBytes, 1 << 30},
		{"max_node_queue_bytes", c.MaxNodeQueueBytes, 1 << 40},
		{"max_body", c.MaxBody, 1 << 30},
		{"max_requests_per_second", c.MaxRequestsPerSecond, 1_000_000},
		{"response_bytes", c.ResponseBytes, 1 << 30},
	} {
		if n.value < 0 || n.value > n.most {
			report(n.key, fmt.Sprintf("%d is not between 1 and %d (0 means the default)", n.value, n.most))
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"heartbeat_interval", c.HeartbeatInterval}, {"disconnect_delay", c.DisconnectDelay}} {
		if d.value < 0 || d.value > time.Hour {
			report(d.key, fmt.Sprintf("%v is not between 1ms and 1h (0 means the default)", d.value))
		}
	}
}
