package config

import (
	"cmp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration, and what to do.
type Problem struct {
	Key    string // path, as engine.heartbeat_interval or auth.keys[0].secret; "" for the file as a whole
	Origin Origin // of what is wrong; default when something is missing
	Text   string // one line; never shows a value of unknown secrecy
}

// Problems is the error of a configuration: everything that is wrong with it,
// what is missing first, then in the order of the sources and the file.
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
		if problem.Origin.Source != Default {
			place = oneLine(problem.Origin.String())
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

func (p *Problems) add(key string, origin Origin, text string) {
	p.List = append(p.List, Problem{Key: key, Origin: origin, Text: oneLine(text)})
}

// err returns p sorted, or nil when nothing is wrong.
func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	p.sort()
	return p
}

func (p *Problems) sort() {
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Origin.Source, b.Origin.Source),
			cmp.Compare(a.Origin.Line, b.Origin.Line),
			strings.Compare(a.Key, b.Key))
	})
}
