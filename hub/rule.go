package hub

import (
	"cmp"
	"fmt"
	"slices"
	"time"

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

	// HistoryMessages is how many of the newest messages of each of the groups
	// are kept. Default: as for the whole hub.
	HistoryMessages int `yaml:"history_messages"`

	// HistoryBytes bounds the bytes of these. Default: as for the whole hub.
	HistoryBytes int `yaml:"history_bytes" unit:"bytes"`

	// HistoryAge is how long each is kept. Default: as for the whole hub.
	HistoryAge time.Duration `yaml:"history_age"`
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
		validateHistory(at, rule.HistoryMessages, rule.HistoryBytes, rule.HistoryAge, report)
	}
}

// maxHistory is the most of a history: a client that joins gets all it asks for at
// once.
const (
	maxHistoryMessages = 10_000
	maxHistoryBytes    = 64 << 20
	maxHistoryAge      = 7 * 24 * time.Hour
)

func validateHistory(at string, messages, bytes int, age time.Duration, report func(key, problem string)) {
	if messages < 0 || messages > maxHistoryMessages {
		report(at+".history_messages", fmt.Sprintf("%d is not between 0, for none, and %d", messages, maxHistoryMessages))
	}
	if bytes < 0 || bytes > maxHistoryBytes {
		report(at+".history_bytes", fmt.Sprintf("%d is not between 0 and %d", bytes, maxHistoryBytes))
	}
	if age < 0 || age > maxHistoryAge {
		report(at+".history_age", fmt.Sprintf("%v is not between 0 and %v", age, maxHistoryAge))
	}
}

// groupPolicy is what holds for a group.
type groupPolicy struct {
	overflow frame.Overflow // of its messages
	presence bool           // whether a list of its members is kept
	history  historyLimit
}

// groupPolicies are those of a hub: that of the whole hub first, then one for each
// rule. They do not change.
type groupPolicies struct {
	all   []groupPolicy
	match []auth.Pattern // match[i] is that of all[i+1]

	remember bool // whether any of them keeps a history
}

// newGroupPolicies compiles settings in which every zero is replaced.
func newGroupPolicies(t *Tenant) groupPolicies {
	p := groupPolicies{all: []groupPolicy{{overflow(t.SlowConsumer), t.Presence,
		historyLimit{t.HistoryMessages, t.HistoryBytes, t.HistoryAge}}}}
	for _, rule := range t.Groups {
		match, _ := auth.ParsePattern(rule.Match) // validated
		p.match = append(p.match, match)
		p.all = append(p.all, groupPolicy{overflow(cmp.Or(rule.SlowConsumer, t.SlowConsumer)), rule.Presence || t.Presence,
			historyLimit{cmp.Or(rule.HistoryMessages, t.HistoryMessages), cmp.Or(rule.HistoryBytes, t.HistoryBytes), cmp.Or(rule.HistoryAge, t.HistoryAge)}})
	}
	p.remember = slices.ContainsFunc(p.all, func(g groupPolicy) bool { return g.history.kept() })
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
