// Package config is the whole configuration of a node: it composes the Config
// structs of the parts, reads them from a YAML file, and reports everything
// that is wrong with it at once.
package config

import (
	"fmt"
	"os"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
)

// Config is the configuration of a node. The zero value of a field means its
// default.
type Config struct {
	// Listen holds the addresses clients connect to: "host:port" or
	// "unix:/path". Default: ":8080".
	Listen []string `yaml:"listen"`

	// Ops is the address of the operations listener, /healthz, /readyz and
	// /metrics. It asks for no credentials: keep it off the internet. Default:
	// "127.0.0.1:8081".
	Ops string `yaml:"ops"`

	// EchoPath, when set, is a path on which every message is sent back to its
	// sender, without a token: for benchmarks and conformance suites. Default:
	// none.
	EchoPath string `yaml:"echo_path"`

	// DisableCompat stops offering the grammars under the names by which
	// published clients know them. Default: false, they are offered.
	DisableCompat bool `yaml:"disable_compat"`

	// Drain is what happens between SIGTERM and the end of the process.
	Drain Drain `yaml:"drain"`

	// Auth says who may come in.
	Auth auth.Config `yaml:"auth"`

	// Hub declares the hubs (tenants) and their limits.
	Hub hub.Config `yaml:"hub"`

	// Engine turns the event loops: limits, timeouts, compression.
	Engine engine.Config `yaml:"engine"`
}

// Drain turns the end of a node.
type Drain struct {
	// Window is the time over which the connections are closed, evenly, with
	// 1012 (service restart). Default 15s. A service manager must wait longer
	// than this before it kills.
	Window time.Duration `yaml:"window"`
}

// Validate reports what the parts cannot know.
func (c *Config) Validate(report func(key, problem string)) {
	if c.Drain.Window < 0 {
		report("drain.window", fmt.Sprintf("%v is negative (0 means the default)", c.Drain.Window))
	}
	if p := c.EchoPath; p != "" && p[0] != '/' {
		report("echo_path", fmt.Sprintf("%q does not begin with a slash", p))
	}
}

// WithDefaults returns the configuration with the zeros of its own fields
// replaced; each part replaces its own.
func (c Config) WithDefaults() Config {
	if len(c.Listen) == 0 {
		c.Listen = []string{":8080"}
	}
	if c.Ops == "" {
		c.Ops = "127.0.0.1:8081"
	}
	if c.Drain.Window == 0 {
		c.Drain.Window = 15 * time.Second
	}
	return c
}

// Load reads a YAML file, "" for none at all, lets amend change what it said,
// and validates the result. The error names every problem with its line.
func Load(path string, amend func(*Config)) (Config, error) {
	if path == "" {
		return Parse("command line", nil, amend)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data, amend)
}

// Parse is Load for YAML that is in memory; name stands for the file in what it
// reports.
func Parse(name string, data []byte, amend func(*Config)) (Config, error) {
	var c Config
	if err := Decode(name, data, &c, func() { amend(&c) }); err != nil {
		return Config{}, err
	}
	return c, nil
}
