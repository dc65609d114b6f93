package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// WriteYAML writes the configuration that a node runs with, defaults included,
// as a file that can be loaded again; a comment says where each value comes
// from. Secrets are replaced by "[redacted]". What is empty, or not set in one
// of several items, is left out unless all is set.
func (l *Loaded) WriteYAML(w io.Writer, all bool) error {
	return writeYAML(w, rows(l.Config.WithDefaults(), l.Origins, all))
}

// WriteJSON writes the same as one object, key path to value and origin, for
// programs. Sizes are in bytes.
func (l *Loaded) WriteJSON(w io.Writer, all bool) error {
	return writeJSON(w, rows(l.Config.WithDefaults(), l.Origins, all))
}

func writeYAML(w io.Writer, rows []row) error {
	width := 0
	for _, r := range rows {
		// A long list would push every comment off the screen.
		if n := utf8.RuneCountInString(r.left()); n <= 48 {
			width = max(width, n)
		}
	}
	var b strings.Builder
	for _, r := range rows {
		if r.origin == "" {
			fmt.Fprintln(&b, r.left())
		} else {
			fmt.Fprintf(&b, "%-*s  # %s\n", width, r.left(), oneLine(r.origin))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeJSON(w io.Writer, rows []row) error {
	type entry struct {
		Value  any    `json:"value"`
		Origin string `json:"origin"`
	}
	entries := map[string]entry{}
	for _, r := range rows {
		if r.origin != "" {
			entries[r.key] = entry{r.json, r.origin}
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(entries)
}

// row is one line of the file.
type row struct {
	key    string // whole path
	indent string // with the dash of a list where an item begins
	name   string // last part of the key
	yaml   string // value, "" where keys follow
	json   any
	origin string // "" where keys follow
}

func (r row) left() string {
	name := r.name
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		name = strconv.Quote(name)
	}
	return strings.TrimSuffix(r.indent+name+": "+r.yaml, " ")
}

// rows returns the rows of a configuration, a struct.
func rows(cfg any, origins Origins, all bool) []row {
	p := printer{origins: origins, all: all}
	p.fields("", "", reflect.ValueOf(cfg), false)
	return p.rows
}

// printer collects the rows of a configuration.
type printer struct {
	origins Origins
	all     bool
	rows    []row
}

// fields adds the fields of a struct. item says that it is one of several, in
// which a field that is not set is no news.
func (p *printer) fields(key, indent string, v reflect.Value, item bool) {
	for _, f := range fields(v.Type()) {
		if f.file {
			continue // its secret says so
		}
		r := row{key: join(key, f.name), indent: indent, name: f.name}
		p.field(r, v.Field(f.index), f, item)
	}
}

func (p *printer) field(r row, v reflect.Value, f field, item bool) {
	t := v.Type()
	origin, set := p.origin(r.key, v)
	if item && !set {
		origin = "not set here"
	}
	empty := (v.Kind() == reflect.String || v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
	if !p.all && !set && (item || empty) && t.Kind() != reflect.Struct {
		return
	}
	r.origin = origin
	switch {
	case isSecret(t):
		p.secret(r, v)
	case isScalar(t):
		p.scalar(r, v, f.unit)
	case t.Kind() == reflect.Slice && isScalar(t.Elem()):
		p.list(r, v)
	case t.Kind() == reflect.Struct:
		p.below(r, func(indent string) { p.fields(r.key, indent, v, item) })
	case empty && t.Kind() == reflect.Slice:
		r.yaml, r.json = "[]", []any{}
		p.rows = append(p.rows, r)
	case t.Kind() == reflect.Slice:
		p.below(r, func(indent string) { p.items(r.key, indent, v) })
	default:
		p.below(r, func(indent string) { p.entries(r.key, indent, v) })
	}
}

// origin returns where the value of a key comes from, and whether anything but
// the default does. The items of a list can come from several places.
func (p *printer) origin(key string, v reflect.Value) (text string, set bool) {
	origin, set := p.origins[key]
	if file, ok := p.origins[key+fileSuffix]; ok && isSecret(v.Type()) {
		origin, set = file, true
	}
	text = origin.String()
	if v.Kind() != reflect.Slice {
		return text, set
	}
	for i := range v.Len() {
		own, ok := p.origins[key+"["+strconv.Itoa(i)+"]"]
		switch {
		case !ok || own.Source == origin.Source && own.Name == origin.Name:
		case !set:
			text, set = own.String(), true
		default:
			text += ", " + own.String()
		}
	}
	return text, set
}

// below adds a row whose keys stand below it, "{}" where there are none.
func (p *printer) below(r row, keys func(indent string)) {
	at := len(p.rows)
	origin := r.origin
	r.origin = ""
	p.rows = append(p.rows, r)
	keys(strings.ReplaceAll(r.indent, "-", " ") + "  ")
	if len(p.rows) == at+1 {
		p.rows[at].yaml, p.rows[at].json, p.rows[at].origin = "{}", struct{}{}, origin
	}
}

func (p *printer) entries(key, indent string, v reflect.Value) {
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		r := row{key: join(key, name.String()), indent: indent, name: name.String()}
		r.origin = cmp.Or(p.origins[r.key], p.origins.nearest(r.key)).String()
		p.below(r, func(indent string) { p.fields(r.key, indent, v.MapIndex(name), true) })
	}
}

// items adds a list of structs; the first row of each gets the dash.
func (p *printer) items(key, indent string, v reflect.Value) {
	for i := range v.Len() {
		at, all := len(p.rows), p.all
		for len(p.rows) == at { // an item of which nothing is set counts all the same
			p.fields(key+"["+strconv.Itoa(i)+"]", indent+"  ", v.Index(i), true)
			p.all = true
		}
		p.all = all
		p.rows[at].indent = indent + "- "
	}
}

func (p *printer) scalar(r row, v reflect.Value, unit string) {
	text, quote := scalarText(v, unit)
	r.yaml, r.json = text, text
	switch {
	case quote:
		r.yaml = strconv.Quote(text)
	case v.Type() != reflect.TypeFor[time.Duration]():
		r.json = v.Interface()
	}
	p.rows = append(p.rows, r)
}

// secret never shows one: it prints the path of its file, or that there is one.
func (p *printer) secret(r row, v reflect.Value) {
	if v.Len() == 0 {
		v = reflect.ValueOf("")
	}
	if path := p.origins[r.key+fileSuffix].SecretFile; path != "" {
		r.key, r.name = r.key+fileSuffix, r.name+fileSuffix
		v = reflect.ValueOf(path)
	}
	p.scalar(r, v, "")
}

func (p *printer) list(r row, v reflect.Value) {
	texts, items := make([]string, v.Len()), make([]string, v.Len())
	for i := range v.Len() {
		text, quote := scalarText(v.Index(i), "")
		texts[i], items[i] = text, text
		if quote {
			items[i] = strconv.Quote(text)
		}
	}
	r.yaml, r.json = "["+strings.Join(items, ", ")+"]", texts
	p.rows = append(p.rows, r)
}
