package config

import (
	"strconv"
	"strings"
	"unicode"
)

// join extends a key path. A name that would break the line is quoted.
func join(key, name string) string {
	if strings.ContainsFunc(name, notGraphic) {
		name = strconv.QuoteToGraphic(name)
	}
	if key == "" {
		return name
	}
	return key + "." + name
}

// ancestry returns the key path itself and the paths of what it stands in, the
// whole file, "", last.
func ancestry(key string) []string {
	all := []string{key}
	for key != "" {
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
		all = append(all, key)
	}
	return all
}

// oneLine makes text fit for a line of a report.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || notGraphic(r) }), " ")
}

func notGraphic(r rune) bool { return !unicode.IsGraphic(r) }
