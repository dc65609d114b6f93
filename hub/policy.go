package hub

import (
	"cmp"

	"sluice/auth"
	"sluice/frame"
)

// policy is a hub's settings in the form in which it asks them. It does not
// change.
type policy struct {
	Tenant
	overflow frame.Overflow
	rules    []groupRule
}

// groupRule is a GroupRule, compiled.
type groupRule struct {
	match    auth.Pattern
	overflow frame.Overflow
}

// newPolicy compiles settings in which every zero is replaced. Keys are for those
// who verify tokens, not for a hub to keep.
func newPolicy(t Tenant) policy {
	t.Keys = nil
	p := policy{Tenant: t, overflow: overflow(t.SlowConsumer)}
	for _, rule := range t.Groups {
		match, _ := auth.ParsePattern(rule.Match) // validated
		p.rules = append(p.rules, groupRule{match, overflow(cmp.Or(rule.SlowConsumer, t.SlowConsumer))})
	}
	return p
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

// overflowOf returns what becomes of the messages of a group for members that do
// not read.
func (p *policy) overflowOf(group string) frame.Overflow {
	for i := range p.rules {
		if p.rules[i].match.Match(group) {
			return p.rules[i].overflow
		}
	}
	return p.overflow
}

// label returns what metrics call the hub of that name.
func (p *policy) label(name string) string { return cmp.Or(p.Label, name) }

// admitUser decides about one more connection of a user that has so many: whether
// these have to go for it, or why it may not come.
func (p *policy) admitUser(there int) (replaces bool, r refusal) {
	switch {
	case p.DuplicateLogin == NewestWins:
		return true, accepted
	case p.DuplicateLogin == OldestWins && there > 0, there >= p.MaxConnectionsPerUser:
		return false, userFull
	}
	return false, accepted
}
