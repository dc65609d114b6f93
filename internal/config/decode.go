package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode reads YAML into dst, a pointer to a struct, and validates it (see
// [Check]). The error is a *[Problems] and names everything that is wrong; dst
// then holds what could be read. name stands for the file in it. What overrides
// the file, such as flags, is put into dst by amend, between the two.
//
// Fields are known by their yaml tag; a field without one is not configurable.
// Keys must be known and stand once. Values are text, booleans, whole and
// floating-point numbers, durations, sizes (integers tagged `unit:"bytes"`),
// encoding.TextUnmarshalers, and structs, slices and string-keyed maps of
// these. Anchors, aliases and tags are refused: a file means what it says where
// it says it.
func Decode(name string, data []byte, dst any, amend ...func()) error {
	d := &decoder{problems: &Problems{Name: name}, lines: map[string]int{}}
	root, err := parse(data)
	if err != nil {
		line, text := syntaxProblem(err)
		d.problems.add("", line, text)
		return d.problems.err() // nothing was read: to validate it would mislead
	}
	v := reflect.ValueOf(dst).Elem()
	if root != nil {
		d.value("", root, v, "")
	}
	for _, a := range amend {
		a()
	}
	d.problems.check(v, d.line)
	return d.problems.err()
}

// parse returns the root of the only document, nil when there is none.
func parse(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&next); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins here; put everything into one", next.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return doc.Content[0], nil
}

// errorLine is how package yaml begins an error that has a line.
var errorLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

func syntaxProblem(err error) (line int, text string) {
	text = err.Error()
	if m := errorLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // 0, no line, where it is absurd
		text = text[len(m[0]):]
	}
	return line, oneLine(strings.TrimPrefix(text, "yaml: "))
}

// decoder carries one file through its nodes.
type decoder struct {
	problems *Problems
	lines    map[string]int // key path to the line it stands on
}

// value gives v what stands at a key. unit is the field's unit tag.
func (d *decoder) value(key string, n *yaml.Node, v reflect.Value, unit string) {
	if text := refused(n); text != "" {
		d.problems.add(key, n.Line, text)
		return
	}
	t := v.Type()
	switch {
	case isScalar(t):
		d.scalar(key, n, v, unit)
	case n.ShortTag() == "!!null": // a key with nothing in it: all defaults
	case t.Kind() == reflect.Struct:
		d.structure(key, n, v)
	case t.Kind() == reflect.Map:
		d.table(key, n, v)
	case t.Kind() == reflect.Slice:
		d.list(key, n, v)
	default:
		panic(fmt.Sprintf("config: %s is a %s, which cannot be configured", key, t))
	}
}

// refused says why a node is not taken at all.
func refused(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode:
		return "aliases are not supported; write the value out"
	case n.Anchor != "":
		return "anchors are not supported; write the value out where it is needed"
	case n.Style&yaml.TaggedStyle != 0:
		return "tags are not supported; write the plain value"
	}
	return ""
}

func (d *decoder) scalar(key string, n *yaml.Node, v reflect.Value, unit string) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.problems.add(key, n.Line, "must be a single value, not a list or further keys")
	case n.ShortTag() == "!!null":
		d.problems.add(key, n.Line, `has no value; give it one, or remove the key for the default`)
	default:
		if err := setScalar(v, unit, n.Value); err != nil {
			d.problems.add(key, n.Line, err.Error())
		}
	}
}

func (d *decoder) list(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.problems.add(key, n.Line, "must be a list, as [a, b]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", key, i)
		d.lines[at] = item.Line
		d.value(at, item, v.Index(i), "")
	}
}

func (d *decoder) table(key string, n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(key, n, func(at string, name, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(at, value, item, "")
		v.SetMapIndex(reflect.ValueOf(name.Value).Convert(v.Type().Key()), item)
	})
}

func (d *decoder) structure(key string, n *yaml.Node, v reflect.Value) {
	known := fields(v.Type())
	d.pairs(key, n, func(at string, name, value *yaml.Node) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == name.Value })
		if i < 0 {
			d.problems.add(at, name.Line, unknownKey(name.Value, known))
			return
		}
		d.value(at, value, v.Field(known[i].index), known[i].unit)
	})
}

// pairs calls f for each key of a mapping that stands there for the first time.
func (d *decoder) pairs(key string, n *yaml.Node, f func(at string, name, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.problems.add(key, n.Line, "must hold further keys, each on a line of its own below it")
		return
	}
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || refused(name) != "" {
			d.problems.add(key, name.Line, "holds a key that is not plain text")
			continue
		}
		at := join(key, name.Value)
		if line, ok := first[name.Value]; ok {
			d.problems.add(at, name.Line, fmt.Sprintf("stands here a second time, first on line %d; remove one", line))
			continue
		}
		first[name.Value] = name.Line
		d.lines[at] = name.Line
		f(at, name, value)
	}
}

// line returns where a key stands, or else the nearest key around it; 0 when
// the file has none of them.
func (d *decoder) line(key string) int {
	for _, k := range ancestry(key) {
		if line, ok := d.lines[k]; ok {
			return line
		}
	}
	return 0
}

// field is a configurable field of a struct.
type field struct {
	name, unit string
	index      int
}

func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			all = append(all, field{name: name, unit: t.Field(i).Tag.Get("unit"), index: i})
		}
	}
	return all
}
