// Package config is the whole configuration of a node: it composes the Config
// structs of the parts, reads them from a YAML file, the environment and flags,
// remembers where each value came from, and reports everything that is wrong at
// once. It reads no environment and starts nothing by itself; its functions may
// be called from any goroutine.
package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"sluice/access"
	"sluice/api"
	"sluice/api/login"
	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/internal/logs"
	"sluice/internal/overload"
	"sluice/sockjs"
	"sluice/sse"
)

// Config is the configuration of a node. The zero value of a field means its
// default.
type Config struct {
	// Listen holds the addresses clients connect to: "host:port" or
	// "unix:/path". Default: ":8080", or none where tls.listen has one.
	Listen []string `yaml:"listen"`

	// Ops is the address of the operations listener, /healthz, /readyz and
	// /metrics. It asks for no credentials unless ops_login says so: keep it off
	// the internet. Default: "127.0.0.1:8081".
	Ops string `yaml:"ops"`

	// OpsLogin asks for a login at an identity provider before the operations
	// pages are shown.
	OpsLogin login.Config `yaml:"ops_login"`

	// OpsPprof serves Go's profiles under /debug/pprof/ on the operations
	// listener. Default: false. They show memory contents, and taking one
	// costs CPU time: switch it on where only operators can reach it.
	OpsPprof bool `yaml:"ops_pprof"`

	// EchoPath, when set, is a path on which every message is sent back to its
	// sender, without a token: for benchmarks and conformance suites. Default:
	// none.
	EchoPath string `yaml:"echo_path"`

	// DisableCompat stops offering the grammars under the names by which
	// published clients know them. Default: false, they are offered.
	DisableCompat bool `yaml:"disable_compat"`

	// TLS turns TLS on the client ports.
	TLS engine.TLSConfig `yaml:"tls"`

	// Proxy names the load balancers in front of the node.
	Proxy engine.ProxyConfig `yaml:"proxy"`

	// Log is how the node tells what happens.
	Log logs.Config `yaml:"log"`

	// Drain is what happens between SIGTERM and the end of the process.
	Drain Drain `yaml:"drain"`

	// Memory turns the garbage collector.
	Memory Memory `yaml:"memory"`

	// Access says which addresses may come, how often, and how many of one.
	Access access.Config `yaml:"access"`

	// Overload says when the node has too much to do. Above a mark it refuses new
	// clients and publications of back ends with 503; where it stays above it for
	// three seconds more, the clients that do not keep up are closed, the longest
	// queues first, a part each second; three seconds below nine tenths of the mark
	// it takes everything again.
	Overload overload.Config `yaml:"overload"`

	// Auth says who may come in.
	Auth auth.Config `yaml:"auth"`

	// Hub declares the hubs (tenants) and their limits.
	Hub hub.Config `yaml:"hub"`

	// API turns the data plane, with which back ends send messages and manage
	// connections.
	API api.Config `yaml:"api"`

	// SockJS lets clients in that cannot open a WebSocket.
	SockJS sockjs.Config `yaml:"sockjs"`

	// SSE serves Server-Sent Events, for clients that only receive.
	SSE sse.Config `yaml:"sse"`

	// Landing turns the pages on the addresses for clients that are for people and
	// load balancers.
	Landing api.LandingConfig `yaml:"landing"`

	// Engine turns the event loops: limits, timeouts, compression.
	Engine engine.Config `yaml:"engine"`
}

// Drain turns the end of a node.
type Drain struct {
	// Grace is how long the node goes on accepting clients after it has said
	// on /readyz that it is not ready, so that load balancers notice before
	// they are refused. Default 5s; with nothing in front, 1ms does.
	Grace time.Duration `yaml:"grace"`

	// Window is the time over which the connections are closed, evenly and
	// those that were idle for longest first, with 1012 (service restart) and a
	// hint when to come back, spread over engine.retry_after. Default 15s. A
	// service manager must wait longer than this, the grace and 10s for slow
	// clients together before it kills.
	Window time.Duration `yaml:"window"`
}

// Validate reports what the parts cannot know.
func (c *Config) Validate(report func(key, problem string)) {
	if c.Drain.Grace < 0 {
		report("drain.grace", fmt.Sprintf("%v is negative (0 means the default)", c.Drain.Grace))
	}
	if c.Drain.Window < 0 {
		report("drain.window", fmt.Sprintf("%v is negative (0 means the default)", c.Drain.Window))
	}
	c.Memory.validate(report)
	switch p := c.EchoPath; {
	case p == "/client" || strings.HasPrefix(p, "/client/"):
		report("echo_path", fmt.Sprintf("%q is where clients connect, with a token; choose another path", p))
	case strings.HasPrefix(p, "/sse/") && c.SSE.Enable:
		report("echo_path", fmt.Sprintf("%q is where Server-Sent Events are served; choose another path", p))
	case p != "" && p[0] != '/':
		report("echo_path", fmt.Sprintf("%q does not begin with a slash", p))
	}
	validateSecrets("auth.keys", c.Auth.Keys, report)
	for name, h := range c.Hub.Hubs {
		validateSecrets("hub.hubs."+name+".keys", h.Keys, report)
	}
	c.validateListeners(report)
}

// validateSecrets reports keys that are no secret.
func validateSecrets(at string, keys []auth.Key, report func(key, problem string)) {
	for i, k := range keys {
		if strings.HasPrefix(string(k.Secret), placeholder) {
			report(fmt.Sprintf("%s[%d].secret", at, i), "is still the text of the example, which everybody knows; make one with: openssl rand -hex 32")
		}
	}
}

// placeholder begins the secret in the file that is there to be copied.
const placeholder = "REPLACE-ME"

// WithDefaults returns the configuration with every zero replaced: what a node
// on this machine runs with.
func (c Config) WithDefaults() Config {
	if len(c.Listen) == 0 && len(c.TLS.Listen) == 0 {
		c.Listen = []string{":8080"}
	}
	c.Ops = cmp.Or(c.Ops, "127.0.0.1:8081")
	c.OpsLogin = c.OpsLogin.WithDefaults()
	c.Log = c.Log.WithDefaults()
	c.TLS = c.TLS.WithDefaults()
	c.Drain.Grace = cmp.Or(c.Drain.Grace, 5*time.Second)
	c.Drain.Window = cmp.Or(c.Drain.Window, 15*time.Second)
	c.Memory = c.Memory.withDefaults()
	c.Auth = c.Auth.WithDefaults()
	c.Hub = c.Hub.WithDefaults()
	c.API = c.API.WithDefaults()
	c.SockJS = c.SockJS.WithDefaults()
	c.SSE = c.SSE.WithDefaults()
	c.Engine = c.Engine.WithDefaults()
	c.Access = c.Access.WithDefaults(min(c.Engine.MaxPendingHandshakes, c.TLS.Handshakes.Max), c.Engine.MaxHTTPConnections)
	c.Overload = c.Overload.WithDefaults(c.Engine.MaxNodeQueueBytes)
	return c
}

// Loaded is a configuration and what is to be said about it.
type Loaded struct {
	// Config holds what was given; zero means the default.
	Config Config
	// Origins tells where its values come from.
	Origins Origins
	// Warnings are what may be meant but rarely is. There are none of a
	// configuration with problems.
	Warnings Problems
}

// Load reads the YAML of a file, puts the settings over it and validates the
// result. name stands for the file in what is reported; no data is an empty
// file. The error is a *[Problems]; what could be read is returned all the same.
func Load(name string, data []byte, settings ...Setting) (*Loaded, error) {
	l := &Loaded{Warnings: Problems{Name: name}}
	var err error
	l.Origins, err = Decode(name, data, &l.Config, settings...)
	if err == nil {
		l.Config.warn(func(key, text string) { l.Warnings.add(key, l.Origins.nearest(key), text) })
		l.Warnings.sort()
	}
	return l, err
}
