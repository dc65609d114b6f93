package login

import "strings"

// maxPath bounds the page to come back to, which is part of the state.
const maxPath = 512

// localPath returns where to go after a login: the path and query that were asked
// for, or the list of the pages for whatever could lead away from them.
func localPath(wanted string) string {
	switch {
	case wanted == "" || len(wanted) > maxPath,
		wanted[0] != '/',
		strings.HasPrefix(wanted, "//"),     // a host
		strings.HasPrefix(wanted, base+"/"), // in circles
		strings.ContainsFunc(wanted, unsafeInPath):
		return "/"
	}
	return wanted
}

// unsafeInPath: browsers drop control characters and take a backslash for a slash.
func unsafeInPath(r rune) bool { return r <= ' ' || r == '\\' || r == '#' || r >= 0x7f }
