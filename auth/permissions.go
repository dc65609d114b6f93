package auth

import (
	"slices"
	"strings"
)

// Action is what a client may be allowed to do with a group.
type Action uint8

const (
	JoinLeaveGroup Action = iota // join and leave it
	SendToGroup                  // publish to it; members receive without permission
	actions
)

// actionNames are the names of the actions in roles.
var actionNames = [actions]string{JoinLeaveGroup: "joinLeaveGroup", SendToGroup: "sendToGroup"}

// The limits of one action in one list of roles; roles beyond them are ignored.
const (
	maxPatterns = 10
	maxLiterals = 1000
)

// Permissions are a list of roles in a form quick to ask. They never change and
// may be shared. The zero value and nil allow nothing.
type Permissions struct {
	grants [actions]grant
}

// grant is the groups for which one action is allowed.
type grant struct {
	all      bool
	literals []string // sorted: half the memory of a map, and as fast at this size
	patterns []pattern
}

// IgnoredRole is a role with one of our names that allows nothing.
type IgnoredRole struct {
	Role string
	Why  string
}

// CompileRoles compiles a list of roles. Each action has three forms of role:
//
//	sluice.sendToGroup              every group
//	sluice.sendToGroup.{group}      one group; the name may contain dots
//	sluice.sendToGroups.{pattern}   the groups that match, see below
//
// and the same for joinLeaveGroup. The names webpubsub.… of published libraries
// mean the same. In a pattern ? stands for one character except a dot, * for
// any number of them, ** for any number including dots, and \ takes the special
// meaning from a following \, * or ?. It has at most 1024 characters and 5
// stars. An action takes at most 10 patterns and 1000 single groups.
//
// Roles of other systems are skipped. One of ours that breaks a rule is skipped
// too and returned in ignored, so that a slip in one role does not lock a
// client out.
func CompileRoles(roles []string) (p *Permissions, ignored []IgnoredRole) {
	for _, role := range roles {
		name, ours := strings.CutPrefix(role, "sluice.")
		if !ours {
			name, ours = strings.CutPrefix(role, "webpubsub.")
		}
		if !ours {
			continue
		}
		if p == nil {
			p = &Permissions{}
		}
		if why := p.grant(name); why != "" {
			ignored = append(ignored, IgnoredRole{role, why})
		}
	}
	if p != nil {
		for i := range p.grants {
			p.grants[i].pack()
		}
	}
	return p, ignored
}

// grant adds one role, without its prefix, and returns why it cannot.
func (p *Permissions) grant(role string) (why string) {
	for action, name := range actionNames {
		rest, ok := strings.CutPrefix(role, name)
		if !ok {
			continue
		}
		g := &p.grants[action]
		if rest == "" {
			g.all = true
			return ""
		}
		if group, ok := strings.CutPrefix(rest, "."); ok {
			return g.addLiteral(group)
		}
		if text, ok := strings.CutPrefix(rest, "s."); ok {
			return g.addPattern(text)
		}
	}
	return "no such role"
}

func (g *grant) addLiteral(group string) (why string) {
	switch {
	case !ValidGroup(group):
		return "not the name of a group"
	case len(g.literals) == maxLiterals:
		return "more than 1000 groups"
	}
	g.literals = append(g.literals, group)
	return ""
}

func (g *grant) addPattern(text string) (why string) {
	p, why := parsePattern(text)
	switch {
	case why != "":
		return why
	case p.matchesAll():
		g.all = true
		return ""
	case len(g.patterns) == maxPatterns:
		return "more than 10 patterns"
	}
	g.patterns = append(g.patterns, p)
	return ""
}

// pack gives the grant its final form.
func (g *grant) pack() {
	if g.all {
		*g = grant{all: true}
		return
	}
	slices.Sort(g.literals)
	g.literals = slices.Clip(slices.Compact(g.literals))
}

// Allowed reports whether the action is allowed on the group. It does not
// allocate, and keeps nothing of group.
func (p *Permissions) Allowed(a Action, group []byte) bool {
	if p == nil {
		return false
	}
	g := &p.grants[a]
	if g.all || g.hasLiteral(group) {
		return true
	}
	for _, p := range g.patterns {
		if p.match(group) {
			return true
		}
	}
	return false
}

// hasLiteral is a binary search, written out because the conversions in its
// comparisons do not allocate.
func (g *grant) hasLiteral(group []byte) bool {
	low, high := 0, len(g.literals)
	for low < high {
		mid := int(uint(low+high) / 2)
		if g.literals[mid] < string(group) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < len(g.literals) && g.literals[low] == string(group)
}

// Why returns the role that allows an action on a group, by its name here; "" where
// none does. Where several do it is the widest.
func (p *Permissions) Why(a Action, group string) string {
	if p == nil {
		return ""
	}
	g, name := &p.grants[a], "sluice."+actionNames[a]
	switch {
	case g.all:
		return name
	case g.hasLiteral([]byte(group)):
		return name + "." + group
	}
	for _, p := range g.patterns {
		if p.match([]byte(group)) {
			return name + "s." + p.String()
		}
	}
	return ""
}

// String returns the name of the action in roles.
func (a Action) String() string { return actionNames[a] }
