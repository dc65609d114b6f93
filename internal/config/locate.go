package config

import (
	"reflect"
	"strconv"
	"strings"
)

// maxItems bounds the index that a setting may name: a list is never longer.
const maxItems = 1000

// spelling is how the keys of one source are written.
type spelling struct {
	prefix, separator string
	what              string              // what is spelled
	field             func(string) string // spells the name of a field
	entry             func(string) string // reads the name of a map's entry
}

var (
	dotted     = spelling{"", ".", "key", strings.Clone, strings.Clone}
	underlined = spelling{envPrefix, "_", "variable", strings.ToUpper, strings.ToLower}
)

// unknown says what to do about a name that stands for no key.
func (s spelling) unknown(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return "unknown " + s.what + "; did you mean " + s.prefix + near + "?"
	}
	return "unknown " + s.what + "; `sluice config --all` prints every key"
}

// locate returns the path, part by part, that a name stands for below a type.
// Names of fields hold the separator of variables too, so every reading is
// tried: SLUICE_HUB_HUBS_MY_CHAT_MAX_GROUPS is hub.hubs.my_chat.max_groups.
func (s spelling) locate(t reflect.Type, name string) (path []string, ok bool) {
	switch {
	case name == "":
		return nil, true
	case isScalar(t):
		return nil, false
	}
	switch t.Kind() {
	case reflect.Struct:
		for _, f := range fields(t) {
			if rest, ok := s.cut(name, s.field(f.name)); ok {
				if path, ok := s.locate(t.Field(f.index).Type, rest); ok {
					return append([]string{f.name}, path...), true
				}
			}
		}
	case reflect.Slice:
		first, rest, _ := strings.Cut(name, s.separator)
		if path, ok := s.locate(t.Elem(), rest); ok && index(first) >= 0 {
			return append([]string{first}, path...), true
		}
	case reflect.Map:
		return s.locateEntry(t, name)
	}
	return nil, false
}

// locateEntry locates the key of one entry of a map, whose name can be any. An entry
// as a whole cannot be named: then every mistyped key would be one.
func (s spelling) locateEntry(t reflect.Type, name string) (path []string, ok bool) {
	for i := range name {
		rest, cut := strings.CutPrefix(name[i:], s.separator)
		if !cut || i == 0 || rest == "" {
			continue
		}
		if path, ok := s.locate(t.Elem(), rest); ok {
			return append([]string{s.entry(name[:i])}, path...), true
		}
	}
	return nil, false
}

// cut removes the first part of a name and the separator after it.
func (s spelling) cut(name, part string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, part)
	if !ok || rest == "" {
		return "", ok
	}
	rest, ok = strings.CutPrefix(rest, s.separator)
	return rest, ok && rest != ""
}

// index returns the index that a part of a path is, -1 when it is none.
func index(part string) int {
	i, err := strconv.Atoi(part)
	if err != nil || i < 0 || i >= maxItems || strconv.Itoa(i) != part {
		return -1
	}
	return i
}

// names returns the name of every key below a type that has a value of its own,
// with 0 for the items of lists and NAME for those of maps.
func (s spelling) names(t reflect.Type) []string {
	below := func(part string, t reflect.Type) (all []string) {
		if isScalar(t) {
			return []string{part}
		}
		for _, rest := range s.names(t) {
			all = append(all, part+s.separator+rest)
		}
		return all
	}
	var all []string
	switch t.Kind() {
	case reflect.Struct:
		for _, f := range fields(t) {
			of := t.Field(f.index).Type
			if of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
				all = append(all, s.field(f.name))
			}
			all = append(all, below(s.field(f.name), of)...)
		}
	case reflect.Slice:
		if !isScalar(t.Elem()) {
			all = below("0", t.Elem())
		}
	case reflect.Map:
		all = below("NAME", t.Elem())
	}
	return all
}
