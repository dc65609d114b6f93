package hub

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sluice/auth"
	"sluice/hub/wire"
)

// Config says which hubs there are and what bounds them. The zero value has no
// hub at all and safe limits.
type Config struct {
	// Hubs declares hubs by name and gives them their own limits; what is zero
	// there is taken from Limits. The case of the letters of a name does not
	// matter. Default: none.
	Hubs map[string]Limits `yaml:"hubs"`

	// CreateOnFirstUse makes a hub for every valid name a client comes with,
	// bounded by Limits. Default false. Where any token holder can choose a
	// hub, so can any token holder fill MaxHubs; hubs are never removed.
	CreateOnFirstUse bool `yaml:"create_on_first_use"`

	// MaxHubs bounds the hubs of the node, declared ones included. Default
	// 1000. An empty one costs about 8 KiB and a set of metrics.
	MaxHubs int `yaml:"max_hubs"`

	// Limits holds for every hub that does not set its own.
	Limits Limits `yaml:"limits"`
}

// Limits bounds what the clients of one hub can make the node hold.
type Limits struct {
	// MaxSessions bounds the connections of the hub; one more is closed with
	// 1013. Default 1000000: the node's own limit on connections is then the
	// one that counts.
	MaxSessions int `yaml:"max_sessions"`

	// MaxGroups bounds the groups of the hub that have members. Default
	// 100000. A group with one member costs about 250 bytes on a node of two
	// loops, and 32 more for each further loop.
	MaxGroups int `yaml:"max_groups"`

	// MaxGroupsPerSession bounds the groups that one connection is in. Default
	// 1000. Leaving a group takes time in proportion to it.
	MaxGroupsPerSession int `yaml:"max_groups_per_session"`

	// MaxGroupNameBytes bounds the length of a group name. Default and maximum
	// 1KiB.
	MaxGroupNameBytes int `yaml:"max_group_name_bytes" unit:"bytes"`
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	c.MaxHubs = cmp.Or(c.MaxHubs, 1000)
	c.Limits = c.Limits.or(Limits{
		MaxSessions:         1_000_000,
		MaxGroups:           100_000,
		MaxGroupsPerSession: 1000,
		MaxGroupNameBytes:   wire.MaxGroup,
	})
	hubs := make(map[string]Limits, len(c.Hubs))
	for name, l := range c.Hubs {
		hubs[name] = l.or(c.Limits)
	}
	c.Hubs = hubs
	return c
}

// or returns the limits with every zero taken from d.
func (l Limits) or(d Limits) Limits {
	return Limits{
		MaxSessions:         cmp.Or(l.MaxSessions, d.MaxSessions),
		MaxGroups:           cmp.Or(l.MaxGroups, d.MaxGroups),
		MaxGroupsPerSession: cmp.Or(l.MaxGroupsPerSession, d.MaxGroupsPerSession),
		MaxGroupNameBytes:   cmp.Or(l.MaxGroupNameBytes, d.MaxGroupNameBytes),
	}
}

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if c.MaxHubs < 0 {
		report("max_hubs", negative(c.MaxHubs))
	}
	if limit := c.WithDefaults().MaxHubs; limit > 0 && len(c.Hubs) > limit {
		report("max_hubs", fmt.Sprintf("%d is below the %d declared hubs", limit, len(c.Hubs)))
	}
	c.Limits.validate("limits", report)
	declared := make(map[string]string, len(c.Hubs))
	for _, name := range slices.Sorted(maps.Keys(c.Hubs)) {
		key := "hubs." + name
		if !auth.ValidHub(name) {
			report(key, "not a hub name: a letter, then at most 127 letters, digits and _ ` , . [ ]")
		}
		if first, ok := declared[auth.CanonicalHub(name)]; ok {
			report(key, fmt.Sprintf("the same hub as %q: the case of letters does not matter", first))
		}
		declared[auth.CanonicalHub(name)] = name
		limits := c.Hubs[name]
		limits.validate(key, report)
	}
}

func (l *Limits) validate(prefix string, report func(key, problem string)) {
	for _, f := range []struct {
		key string
		n   int
	}{
		{"max_sessions", l.MaxSessions},
		{"max_groups", l.MaxGroups},
		{"max_groups_per_session", l.MaxGroupsPerSession},
		{"max_group_name_bytes", l.MaxGroupNameBytes},
	} {
		if f.n < 0 {
			report(prefix+"."+f.key, negative(f.n))
		}
	}
	if l.MaxGroupNameBytes > wire.MaxGroup {
		report(prefix+".max_group_name_bytes", fmt.Sprintf("%d is above %d, the limit of the protocol", l.MaxGroupNameBytes, wire.MaxGroup))
	}
}

func negative(n int) string { return fmt.Sprintf("%d is negative (0 means the default)", n) }
