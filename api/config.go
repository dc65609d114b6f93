package api

import (
	"cmp"
	"fmt"
	"time"
)

// Config turns the data plane. The zero value of a field means its default.
type Config struct {
	// Disable takes the data plane off the operations listener. Default: false,
	// back ends reach it there, with a token.
	Disable bool `yaml:"disable"`

	// Public serves the data plane below /api/ on the addresses for clients too,
	// so that published packages for back ends need one address for everything.
	// Default: false. Whoever reaches the clients' port reaches it then: with
	// nothing but a token between, keep the keys of the hubs safe.
	Public bool `yaml:"public"`

	// MaxBody bounds the body of a request, and so a message from a back end; a
	// larger one is answered 413. Default 1MiB.
	MaxBody int `yaml:"max_body" unit:"bytes"`

	// RequestTimeout is the time that a client of the HTTP server has for one
	// request, from its first byte to the last of its body; then the connection
	// is closed. It is that of the operations pages and of SockJS too. Default
	// 10s.
	RequestTimeout time.Duration `yaml:"request_timeout"`

	// MaxCallsPerSecond bounds the calls about one hub that have a good token; a
	// second's worth may come at once. What is above is answered 429. Default
	// none: max_messages_per_second of the hub bounds what the calls send.
	MaxCallsPerSecond int `yaml:"max_calls_per_second"`

	// TokenWindow is how long after it was made a token may be used about a hub with
	// single_use_api_tokens, and so how long it is remembered, with auth.leeway.
	// Default 5m.
	TokenWindow time.Duration `yaml:"token_window"`

	// MaxUsedTokens bounds the used tokens that are remembered of each such hub; one
	// call more is answered 503, because forgetting one would let it be used again. It
	// bounds the calls: the default is for 277 a second on the average of six minutes,
	// and costs 6 MB. Default 100000.
	MaxUsedTokens int `yaml:"max_used_tokens"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.TokenWindow = cmp.Or(c.TokenWindow, 5*time.Minute)
	c.MaxUsedTokens = cmp.Or(c.MaxUsedTokens, 100_000)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, defaultRequestTimeout)
	return c
}

const (
	defaultRequestTimeout = 10 * time.Second
	minRequestTimeout     = 10 * time.Millisecond
	maxRequestTimeout     = time.Hour
)

// maxCallsPerSecond is far above what one node can answer.
const maxCallsPerSecond = 1_000_000_000

// A call takes its time, and what is remembered is memory.
const (
	minTokenWindow = time.Second
	maxTokenWindow = 24 * time.Hour
	maxUsedTokens  = 100_000_000
)

// maxBody is what one message can be at the most.
const maxBody = 1 << 30

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if c.MaxBody < 0 || c.MaxBody > maxBody {
		report("max_body", fmt.Sprintf("%d is not between 1 and %d (0 means the default)", c.MaxBody, maxBody))
	}
	if d := c.RequestTimeout; d != 0 && (d < minRequestTimeout || d > maxRequestTimeout) {
		report("request_timeout", fmt.Sprintf("%v is not between %v and %v (0 means the default)", d, minRequestTimeout, maxRequestTimeout))
	}
	if c.MaxCallsPerSecond < 0 || c.MaxCallsPerSecond > maxCallsPerSecond {
		report("max_calls_per_second", fmt.Sprintf("%d is not between 1 and %d (0 means no limit)", c.MaxCallsPerSecond, maxCallsPerSecond))
	}
	if w := c.TokenWindow; w != 0 && (w < minTokenWindow || w > maxTokenWindow) {
		report("token_window", fmt.Sprintf("%v is not between %v and %v (0 means the default)", w, minTokenWindow, maxTokenWindow))
	}
	if c.MaxUsedTokens < 0 || c.MaxUsedTokens > maxUsedTokens {
		report("max_used_tokens", fmt.Sprintf("%d is not between 1 and %d (0 means the default)", c.MaxUsedTokens, maxUsedTokens))
	}
}
