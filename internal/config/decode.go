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

// Decode reads YAML into dst, a pointer to a struct, puts the settings over it,
// later ones over earlier ones, and validates the result (see [Check]). It
// returns where the values come from. The error is a *[Problems] and names
// everything that is wrong; dst then holds what could be read. name stands for
// the file in both.
//
// Fields are known by their yaml tag; a field without one is not configurable.
// Keys must be known and stand once. Values are text, booleans, whole and
// floating-point numbers, durations, sizes (integers tagged `unit:"bytes"`),
// encoding.TextUnmarshalers, and structs, slices and string-keyed maps of
// these. A secret may also stand in a file that its key with "_file" names.
// Anchors, aliases and tags are refused: a file means what it says where
// it says it.
func Decode(name string, data []byte, dst any, settings ...Setting) (Origins, error) {
	d := &decoder{
		problems: &Problems{Name: name},
		origins:  Origins{},
		source:   Origin{Source: File, Name: name},
	}
	root, err := parse(data)
	if err != nil {
		line, text := syntaxProblem(err)
		d.problem("", line, text)
		return d.origins, d.problems.err() // nothing was read: to validate it would mislead
	}
	v := reflect.ValueOf(dst).Elem()
	if root != nil {
		d.value("", root, v, field{})
	}
	for _, s := range settings {
		d.override(v, s)
	}
	d.problems.check(v, d.origins)
	return d.origins, d.problems.err()
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

// decoder carries the sources, one after the other, into a value.
type decoder struct {
	problems *Problems
	origins  Origins
	source   Origin // of what is being read
}

// at returns the origin of what stands on a line. Only the lines of the file
// mean anything to its reader.
func (d *decoder) at(line int) Origin {
	origin := d.source
	if origin.Source == File {
		origin.Line = line
	}
	return origin
}

func (d *decoder) problem(key string, line int, text string) {
	d.problems.add(key, d.at(line), text)
}

// value gives v what stands at a key. f is the field it is, zero when v is an
// item or an entry.
func (d *decoder) value(key string, n *yaml.Node, v reflect.Value, f field) {
	if text := refused(n); text != "" {
		d.problem(key, n.Line, text)
		return
	}
	t := v.Type()
	switch {
	case isScalar(t):
		d.scalar(key, n, v, f)
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

func (d *decoder) scalar(key string, n *yaml.Node, v reflect.Value, f field) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.problem(key, n.Line, "must be a single value, not a list or further keys")
	case n.ShortTag() == "!!null":
		d.problem(key, n.Line, `has no value; give it one, or remove the key for the default`)
	case isSecret(v.Type()):
		d.secret(key, n, v, f)
	default:
		if err := setScalar(v, f.unit, n.Value); err != nil {
			d.problem(key, n.Line, err.Error())
		}
	}
}

func (d *decoder) list(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		example := "a, b"
		if t := v.Type().Elem(); t.Kind() == reflect.Struct && !isScalar(t) {
			example = "{" + fields(t)[0].name + ": …}, …"
		}
		d.problem(key, n.Line, "must be a list, as ["+example+"]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", key, i)
		d.origins[at] = d.at(item.Line)
		d.value(at, item, v.Index(i), field{})
	}
}

func (d *decoder) table(key string, n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(key, n, func(at string, name, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(at, value, item, field{})
		v.SetMapIndex(reflect.ValueOf(name.Value).Convert(v.Type().Key()), item)
	})
}

func (d *decoder) structure(key string, n *yaml.Node, v reflect.Value) {
	known := fields(v.Type())
	d.pairs(key, n, func(at string, name, value *yaml.Node) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == name.Value })
		if i < 0 {
			d.problem(at, name.Line, unknownKey(name.Value, known))
			return
		}
		d.value(at, value, v.Field(known[i].index), known[i])
	})
}

// pairs calls f for each key of a mapping that stands there for the first time.
func (d *decoder) pairs(key string, n *yaml.Node, f func(at string, name, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.problem(key, n.Line, "must hold further keys, each on a line of its own below it")
		return
	}
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || refused(name) != "" {
			d.problem(key, name.Line, "holds a key that is not plain text")
			continue
		}
		at := join(key, name.Value)
		if line, ok := first[name.Value]; ok {
			d.problem(at, name.Line, fmt.Sprintf("stands here a second time, first on line %d; remove one", line))
			continue
		}
		first[name.Value] = name.Line
		d.origins[at] = d.at(name.Line)
		f(at, name, value)
	}
}

// field is a configurable field of a struct.
type field struct {
	name, unit string
	index      int
	file       bool // the value is the path of the file with the secret
}

// fields returns the fields of a struct in their order. A secret is two.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		all = append(all, field{name: name, unit: t.Field(i).Tag.Get("unit"), index: i})
		if isSecret(t.Field(i).Type) {
			all = append(all, field{name: name + fileSuffix, index: i, file: true})
		}
	}
	return all
}
