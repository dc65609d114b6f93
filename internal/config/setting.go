package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// envPrefix begins the names of the variables that are configuration.
const envPrefix = "SLUICE_"

// Setting gives one key its value over what the file says.
type Setting struct {
	// Origin is where the setting stands. The name of a variable is also what
	// tells its key: the path in upper case with underscores, so that
	// SLUICE_AUTH_KEYS_0_SECRET is auth.keys[0].secret.
	Origin Origin
	// Key is the path, such as engine.loops or auth.keys[0].secret; not used
	// for variables.
	Key string
	// Text is the value: of a list of plain values, its items with commas
	// between them; of every list, and of what has keys of its own, also YAML
	// or JSON. It replaces the value as a whole.
	Text string
}

// Environ returns the settings among variables of the form NAME=value, by name.
// An empty variable counts as not set, because that is how container tools pass
// what was left out.
func Environ(environ []string) []Setting {
	var all []Setting
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && text != "" {
			all = append(all, Setting{Origin: Origin{Source: Environment, Name: name}, Text: text})
		}
	}
	slices.SortFunc(all, func(a, b Setting) int { return strings.Compare(a.Origin.Name, b.Origin.Name) })
	return all
}

// serviceLink is what Kubernetes puts into the environment of every pod about a
// service called "sluice" or "sluice-…": a node must start beside one.
var serviceLink = regexp.MustCompile(
	`^SLUICE_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?=)`)

// brackets makes auth.keys[0].secret auth.keys.0.secret.
var brackets = strings.NewReplacer("[", ".", "]", "")

// override puts a setting over what v holds.
func (d *decoder) override(v reflect.Value, s Setting) {
	d.source = s.Origin
	spelling, name := dotted, brackets.Replace(s.Key)
	if s.Origin.Source == Environment {
		if serviceLink.MatchString(s.Origin.Name + "=" + s.Text) {
			return
		}
		spelling, name = underlined, strings.TrimPrefix(s.Origin.Name, envPrefix)
	}
	path, ok := spelling.locate(v.Type(), name)
	switch {
	case !ok || name == "":
		d.problem(join("", s.Key), 0, spelling.unknown(name, spelling.names(v.Type())))
	case !utf8.ValidString(s.Text): // the file must be, too
		d.problem(join("", s.Key), 0, "the value is not UTF-8 text")
	default:
		d.assign("", v, path, field{}, s.Text)
	}
}

// assign gives what a path below v leads to its value, and makes the items on
// the way that do not exist yet.
func (d *decoder) assign(key string, v reflect.Value, path []string, f field, text string) {
	if len(path) == 0 {
		d.origins.replace(key, d.source)
		v.SetZero() // nothing of what is overridden remains
		if n, err := node(v.Type(), f, text); err != nil {
			_, problem := syntaxProblem(err)
			d.problem(key, 0, problem)
		} else {
			d.value(key, n, v, f)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		known := fields(v.Type())
		f := known[slices.IndexFunc(known, func(f field) bool { return f.name == path[0] })]
		d.assign(join(key, f.name), v.Field(f.index), path[1:], f, text)
	case reflect.Slice:
		d.assignItem(key, v, path, text)
	case reflect.Map:
		name := entryName(v, path[0])
		item := reflect.New(v.Type().Elem()).Elem() // values in a map are not addressable
		if old := v.MapIndex(name); old.IsValid() {
			item.Set(old)
		}
		d.assign(join(key, name.String()), item, path[1:], field{}, text)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(name, item)
	}
}

// assignItem goes on in the item of a list; the one after the last makes the
// list longer.
func (d *decoder) assignItem(key string, v reflect.Value, path []string, text string) {
	i := index(path[0])
	switch {
	case i > v.Len():
		d.problem(fmt.Sprintf("%s[%d]", key, i), 0, fmt.Sprintf("the list has %d items, so the next one is %d", v.Len(), v.Len()))
		return
	case i == v.Len():
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	}
	d.assign(fmt.Sprintf("%s[%d]", key, i), v.Index(i), path[1:], field{}, text)
}

// entryName returns the name of a map's entry. Variables come in capitals only,
// so an entry that exists is found in any case.
func entryName(m reflect.Value, name string) reflect.Value {
	exact := reflect.ValueOf(name).Convert(m.Type().Key())
	if m.MapIndex(exact).IsValid() {
		return exact
	}
	for _, k := range m.MapKeys() {
		if strings.EqualFold(k.String(), name) {
			return k
		}
	}
	return exact
}

// node makes of a setting's text what the file would say.
func node(t reflect.Type, f field, text string) (*yaml.Node, error) {
	plain := func(text string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	}
	if isScalar(t) {
		return plain(text), nil
	}
	text = strings.TrimSpace(text)
	// Both ends count: a list of addresses may begin with [::]:8080.
	bracketed := strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]")
	if t.Kind() == reflect.Slice && isScalar(t.Elem()) && !bracketed {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for item := range strings.SplitSeq(text, ",") {
			list.Content = append(list.Content, plain(strings.TrimSpace(item)))
		}
		return list, nil
	}
	root, err := parse([]byte(text))
	if root == nil && err == nil {
		root = plain(text)
	}
	return root, err
}
