package config

import (
	"cmp"
	"encoding"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// referencePage has a part that people write and, below the mark, one that is
// made from the structs.
const (
	referencePage = "../../docs/configuration.md"
	referenceMark = "<!-- Everything below is generated from the Go structs by `make docs`. -->\n"
)

// machineDefaults are what withDefaults finds out on the machine it runs on.
var machineDefaults = []string{"engine.loops", "engine.max_connections", "engine.max_pending_handshakes", "tls.handshakes.workers"}

// TestReference compares the page with the structs, their comments and the
// defaults the code takes.
func TestReference(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	written, _, ok := strings.Cut(string(page), referenceMark)
	if !ok {
		t.Fatalf("%s has lost the line %q", referencePage, referenceMark)
	}
	r := reference{t: t, comments: map[reflect.Type]comments{}}
	r.page.WriteString("\n## The node\n")
	r.keys("", reflect.TypeFor[Config](), reflect.ValueOf(Config{}.WithDefaults()))
	want := written + referenceMark + r.page.String()
	if *update {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("%s is stale; renew it with: make docs", referencePage)
	}
	for _, key := range machineDefaults {
		if !strings.Contains(want, "### `"+key+"`\n") {
			t.Errorf("there is no key %s any more", key)
		}
	}
}

// reference writes the generated part.
type reference struct {
	t        *testing.T
	page     strings.Builder
	comments map[reflect.Type]comments
}

// comments are the doc comments of a struct, its own under "".
type comments map[string]string

// keys writes the keys of a struct, and then a section for each struct in it. v
// holds the defaults; it is not valid where every item has its own.
func (r *reference) keys(key string, t reflect.Type, v reflect.Value) {
	var sections []func()
	whole := map[reflect.Type]string{} // structs that stand there once, to their keys
	for _, f := range fields(t) {
		at, ft := join(key, f.name), t.Field(f.index).Type
		var value reflect.Value
		if v.IsValid() {
			value = v.Field(f.index)
		}
		switch {
		case f.file:
			r.secretFile(at)
		case ft.Kind() == reflect.Struct && !isScalar(ft):
			whole[ft] = at
			sections = append(sections, func() {
				fmt.Fprintf(&r.page, "\n## `%s`\n", at)
				r.paragraph(t, r.of(t)[t.Field(f.index).Name])
				r.keys(at, ft, value)
			})
		default:
			r.key(at, t, f, value)
			if below, part := items(ft); below != nil {
				sections = append(sections, func() { r.items(at+part, below, whole[below]) })
			}
		}
	}
	for _, write := range sections {
		write()
	}
}

// items writes the keys of the items of a list or map. twin is the key of a
// struct with the same ones, "" where there is none.
func (r *reference) items(key string, t reflect.Type, twin string) {
	fmt.Fprintf(&r.page, "\n## `%s`\n", key)
	if twin == "" {
		r.paragraph(t, r.of(t)[""])
		r.keys(key, t, reflect.Value{})
		return
	}
	names := fields(t)
	fmt.Fprintf(&r.page, "\nThe keys are those of [`%s`](#%s), for this one alone: `%s.%s` is `%s`, for example.\n",
		twin, strings.ReplaceAll(twin, ".", ""), key, names[0].name, variable(key+"."+names[0].name))
}

// items returns the struct that a list or map holds, and how a key says so.
func items(t reflect.Type) (below reflect.Type, part string) {
	switch {
	case t.Kind() == reflect.Slice && !isScalar(t.Elem()):
		return t.Elem(), "[0]"
	case t.Kind() == reflect.Map:
		return t.Elem(), ".NAME"
	}
	return nil, ""
}

func (r *reference) key(key string, parent reflect.Type, f field, v reflect.Value) {
	goField := parent.Field(f.index)
	text := r.of(parent)[goField.Name]
	if text == "" {
		r.t.Errorf("%s.%s has no comment", parent, goField.Name)
	}
	facts := []string{typeName(goField.Type, f.unit)}
	switch {
	case slices.Contains(machineDefaults, key):
		facts = append(facts, "default depends on the machine")
	case v.IsValid() && defaultText(v, f.unit) != "":
		facts = append(facts, "default `"+defaultText(v, f.unit)+"`")
		r.compare(key, text, v, f.unit)
	}
	r.heading(key, facts)
	r.paragraph(parent, text)
}

// said is the default that a comment gives.
var said = regexp.MustCompile(`\bDefault(?: and maximum)?:?\s+"?([^\s",;]*[^\s",;.:])`)

// compare finds comments that say another default than the code takes.
func (r *reference) compare(key, text string, v reflect.Value, unit string) {
	m := said.FindStringSubmatch(text)
	if m == nil || m[1] == "none" || m[1] == "off" {
		return
	}
	if v.Kind() == reflect.Slice {
		return // described, not quoted
	}
	claimed := reflect.New(v.Type()).Elem()
	if err := setScalar(claimed, unit, m[1]); err != nil || !reflect.DeepEqual(claimed.Interface(), v.Interface()) {
		r.t.Errorf("%s: its comment says %q, the code takes %s", key, m[0], defaultText(v, unit))
	}
}

func (r *reference) secretFile(key string) {
	r.heading(key, []string{"text"})
	secret := strings.TrimSuffix(key[strings.LastIndex(key, ".")+1:], fileSuffix)
	fmt.Fprintf(&r.page, "\nThe path of a file that holds `%s`, in one line, instead: for secrets that Docker, Kubernetes or systemd put into files.\n", secret)
}

func (r *reference) heading(key string, facts []string) {
	fmt.Fprintf(&r.page, "\n### `%s`\n\n%s · `%s`\n", key, strings.Join(facts, ", "), variable(key))
}

func variable(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(brackets.Replace(key), ".", "_"))
}

// paragraph writes a comment with the keys instead of the names of Go.
func (r *reference) paragraph(t reflect.Type, text string) {
	for _, f := range fields(t) {
		if !f.file {
			name := regexp.MustCompile(`\b` + t.Field(f.index).Name + `\b`)
			text = name.ReplaceAllString(text, "`"+f.name+"`")
		}
	}
	var p comment.Printer
	p.TextWidth = -1 // one line per paragraph
	parsed := new(comment.Parser).Parse(text)
	for _, line := range strings.SplitAfter(string(p.Text(parsed)), "\n\n") {
		fmt.Fprintf(&r.page, "\n%s\n", strings.ReplaceAll(strings.TrimSpace(line), "*", `\*`))
	}
}

// of returns the comments of a struct of this module, from its source.
func (r *reference) of(t reflect.Type) comments {
	if c, ok := r.comments[t]; ok {
		return c
	}
	dir := path.Join("../..", strings.TrimPrefix(t.PkgPath(), "sluice"))
	files, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path.Join(dir, file), nil, parser.ParseComments)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				if c := structComments(g, t.Name()); c != nil {
					r.comments[t] = c
					return c
				}
			}
		}
	}
	r.t.Fatalf("%s is not in %s", t, dir)
	return nil
}

// structComments returns the comments of the struct of that name, nil when the
// declaration is another.
func structComments(g *ast.GenDecl, name string) comments {
	for _, spec := range g.Specs {
		s := spec.(*ast.TypeSpec)
		def, ok := s.Type.(*ast.StructType)
		if !ok || s.Name.Name != name {
			continue
		}
		c := comments{"": cmp.Or(s.Doc.Text(), g.Doc.Text())}
		for _, f := range def.Fields.List {
			for _, n := range f.Names {
				c[n.Name] = f.Doc.Text()
			}
		}
		return c
	}
	return nil
}

func typeName(t reflect.Type, unit string) string {
	switch {
	case isSecret(t):
		return "secret text"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case unit == "bytes":
		return "size"
	case t.Kind() == reflect.Slice && isScalar(t.Elem()):
		return "list of " + typeName(t.Elem(), unit)
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map:
		return "keys by name"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.String, reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "text"
	}
	return "whole number"
}

// defaultText returns a default, "" when there is nothing to show.
func defaultText(v reflect.Value, unit string) string {
	switch {
	case v.Kind() == reflect.Map, v.Kind() == reflect.Slice && v.Len() == 0, v.Kind() == reflect.String && v.Len() == 0:
		return ""
	case v.Kind() == reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, defaultText(v.Index(i), unit))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	text, quote := scalarText(v, unit)
	if quote {
		text = `"` + text + `"`
	}
	return text
}
