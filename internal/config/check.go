package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// validator is a struct that knows what its values must be. report takes the
// key relative to the struct and what is wrong, once per problem.
type validator interface {
	Validate(report func(key, problem string))
}

// Check calls Validate on every struct in cfg, a pointer to a struct, that has
// it. The error is a *[Problems]. It is for configurations that did not come
// from a file, or were changed since.
func Check(cfg any) error {
	var p Problems
	p.check(reflect.ValueOf(cfg).Elem(), nil)
	return p.err()
}

// check adds what the Validate methods in v find. Where text could not be read
// its field was not set, so their verdict on that is void.
func (p *Problems) check(v reflect.Value, origins Origins) {
	unread := make(map[string]bool, len(p.List))
	for _, q := range p.List {
		if q.Key == "" && q.Origin.Source != File {
			continue // an unknown variable: no key is void because of it
		}
		unread[strings.TrimSuffix(q.Key, fileSuffix)] = true
	}
	seen := map[Problem]bool{} // a struct may have asked its parts itself
	validate("", v, func(key, text string) {
		q := Problem{Key: key, Origin: origins.nearest(key), Text: oneLine(text)}
		if seen[q] || slices.ContainsFunc(ancestry(key), func(k string) bool { return unread[k] }) {
			return
		}
		seen[q] = true
		p.List = append(p.List, q)
	})
}

// validate walks the configurable fields below v, which must be addressable.
// report gets whole key paths.
func validate(key string, v reflect.Value, report func(key, text string)) {
	if isScalar(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if c, ok := v.Addr().Interface().(validator); ok {
			c.Validate(func(k, text string) { report(strings.TrimPrefix(key+"."+k, "."), text) })
		}
		for _, f := range fields(v.Type()) {
			if f.file {
				continue // its secret has a field of its own
			}
			validate(join(key, f.name), v.Field(f.index), report)
		}
	case reflect.Slice:
		for i := range v.Len() {
			validate(key+"["+strconv.Itoa(i)+"]", v.Index(i), report)
		}
	case reflect.Map:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			item := reflect.New(v.Type().Elem()).Elem() // values in a map are not addressable
			item.Set(v.MapIndex(name))
			validate(join(key, name.String()), item, report)
		}
	}
}
