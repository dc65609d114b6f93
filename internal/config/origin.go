package config

import (
	"strconv"
	"strings"
)

// Source is a kind of place that values come from. Later ones override earlier
// ones.
type Source uint8

// The sources, weakest first.
const (
	Default     Source = iota // built in
	File                      // the YAML file
	Environment               // a variable SLUICE_…
	Flag                      // the command line
)

// Origin is where a value comes from. The zero value is the built-in default.
type Origin struct {
	Source Source
	Name   string // of the file, the variable or the flag
	Line   int    // in the file, from 1; else 0

	// SecretFile is the path of the file that holds the value of a secret, ""
	// when the value itself was given.
	SecretFile string
}

// String returns the origin as "default", "sluice.yaml:12",
// "env SLUICE_ENGINE_LOOPS" or "flag --listen".
func (o Origin) String() string {
	switch o.Source {
	case File:
		if o.Line > 0 {
			return o.Name + ":" + strconv.Itoa(o.Line)
		}
		return o.Name
	case Environment:
		return "env " + o.Name
	case Flag:
		return "flag " + o.Name
	}
	return "default"
}

// Origins tells where the values of a configuration come from, by key path. A
// key that is not in it has its default.
type Origins map[string]Origin

// nearest returns the origin of a key, or else of the nearest key around it.
func (o Origins) nearest(key string) Origin {
	for _, k := range ancestry(key) {
		if origin, ok := o[k]; ok {
			return origin
		}
		if origin, ok := o[k+fileSuffix]; ok {
			return origin
		}
	}
	return Origin{}
}

// replace makes origin the one of a key and of all that stands below it.
func (o Origins) replace(key string, origin Origin) {
	for k := range o {
		if below, ok := strings.CutPrefix(k, key); ok && (below == "" || below[0] == '.' || below[0] == '[') {
			delete(o, k)
		}
	}
	o[key] = origin
}
