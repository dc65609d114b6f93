package hub

import (
	"cmp"
	"fmt"

	"sluice/auth"
	"sluice/frame"
)

// GroupRule is what holds for the groups of some names.
type GroupRule struct {
	// Match is the pattern of the names, as in roles: ? stands for one character
	// except a dot, * for any number of them, ** for any number including dots,
	// and \ takes the special meaning from a following \, * or ?.
	Match string `yaml:"match"`

	// SlowConsumer is what happens to members that do not read, by the same
	// words as for the whole hub.
	SlowConsumer string `yaml:"slow_consumer"`

	// Presence keeps a list of who is in each of the groups. Default: as for the
	// whole hub; a rule cannot take it away.
	Presence bool `yaml:"presence"`
}

// maxGroupRules bounds the patterns that a new group is held against.
const maxGroupRules = 100

var slowConsumers = []string{SlowClose, SlowDropNewest, SlowDropOldest, SlowConflate}

func (t *Tenant) validateGroups(key string, report func(key, problem string)) {
	if n := len(t.Groups); n > maxGroupRules {
		report(key, fmt.Sprintf("%d rules; at most %d", n, maxGroupRules))
	}
	for i, rule := range t.Groups {
		at := fmt.Sprintf("%s[%d]", key, i)
		if _, err := auth.ParsePattern(rule.Match); err != nil {
			report(at+".match", err.Error())
		}
		oneOf(at+".slow_consumer", rule.SlowConsumer, report, slowConsumers...)
	}
}

// groupPolicy is what holds for a group.
type groupPolicy struct {
	overflow frame.Overflow // of its messages
	presence bool           // whether a list of its members is kept
}

// groupPolicies are those of a hub: that of the whole hub first, then one for each
// rule. They do not change.
type groupPolicies struct {
	all   []groupPolicy
	match []auth.Pattern // match[i] is that of all[i+1]
}

// newGroupPolicies compiles settings in which every zero is replaced.
func newGroupPolicies(t *Tenant) groupPolicies {
	p := groupPolicies{all: []groupPolicy{{overflow(t.SlowConsumer), t.Presence}}}
	for _, rule := range t.Groups {
		match, _ := auth.ParsePattern(rule.Match) // validated
		p.match = append(p.match, match)
		p.all = append(p.all, groupPolicy{overflow(cmp.Or(rule.SlowConsumer, t.SlowConsumer)), rule.Presence || t.Presence})
	}
	return p
}

// of returns the index in all of the policy of the group of that name.
func (p *groupPolicies) of(group string) uint8 {
	for i := range p.match {
		if p.match[i].Match(group) {
			return uint8(i + 1) // at most maxGroupRules
		}
	}
	return 0
}

func overflow(slowConsumer string) frame.Overflow {
	switch slowConsumer {
	case SlowDropNewest:
		return frame.OverflowDropNewest
	case SlowDropOldest:
		return frame.OverflowDropOldest
	case SlowConflate:
		return frame.OverflowConflate
	}
	return frame.OverflowClose
}
