package logs

import (
	"fmt"
	"log/slog"
)

// Config turns the log. The zero value of a field means its default.
type Config struct {
	// Format is "text", one line of key=value pairs for each event, or "json",
	// one object for each. Default: text.
	Format string `yaml:"format"`

	// Level is the least important level that is written: "debug", "info",
	// "warn" or "error". Connections that open, close and are refused are info;
	// debug adds clients that leave before they have asked for anything, such
	// as probes of a load balancer. Default: info.
	Level string `yaml:"level"`

	// Users adds the user id to the lines about a client's connection. Default:
	// false, because user ids may be personal data.
	Users bool `yaml:"users"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	if c.Format == "" {
		c.Format = "text"
	}
	if c.Level == "" {
		c.Level = "info"
	}
	return c
}

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if f := c.WithDefaults().Format; f != "text" && f != "json" {
		report("format", fmt.Sprintf("%q is neither text nor json", f))
	}
	if _, ok := levels[c.WithDefaults().Level]; !ok {
		report("level", fmt.Sprintf("%q is none of debug, info, warn and error", c.Level))
	}
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// level returns the level of a valid configuration.
func (c Config) level() slog.Level { return levels[c.Level] }
