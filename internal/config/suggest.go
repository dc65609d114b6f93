package config

import "strings"

// unknownKey says what to do about a key that does not exist.
func unknownKey(name string, known []field) string {
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	if near := nearest(name, names); near != "" {
		return "unknown key; did you mean " + near + "?"
	}
	return "unknown key; known here: " + strings.Join(names, ", ")
}

// nearest returns the known name that a mistyped one most likely stands for, ""
// when none is near: a third of its letters may be wrong.
func nearest(name string, known []string) string {
	const longest = 64 // no key is longer; a file could make us compare megabytes
	if len(name) > longest {
		return ""
	}
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best, allowed := "", len(name)/3+1
	for _, k := range known {
		if d := distance(plain(name), plain(k)); d < allowed {
			best, allowed = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance: how many bytes must be inserted,
// removed or replaced to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of a[:i] to every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
