package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a configuration, and what to do.
type Problem struct {
	Key  string // path of the key, as engine.heartbeat_interval or auth.keys[0].secret; "" for the file as a whole
	Line int    // in the file, from 1; 0 when the key does not stand in it
	Text string // one line; never shows a value of unknown secrecy
}

// Problems is the error of a configuration: everything that is wrong with it,
// in the order of the file, what is missing first.
type Problems struct {
	Name string // of the file, "" when there is none
	List []Problem
}

// Error returns one line per problem, as
// `sluice.yaml:12: engine.heartbeat_interval: "30" has no unit; write 30s`.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, problem := range p.List {
		place := p.Name
		if problem.Line > 0 {
			place += ":" + strconv.Itoa(problem.Line)
		}
		var parts []string
		for _, part := range []string{place, problem.Key, problem.Text} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		lines[i] = strings.Join(parts, ": ")
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(key string, line int, text string) {
	p.List = append(p.List, Problem{Key: key, Line: line, Text: oneLine(text)})
}

// err returns p sorted, or nil when nothing is wrong.
func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key))
	})
	return p
}
