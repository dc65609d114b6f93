package floors

import (
	"fmt"
	"slices"
	"strings"
)

// house says where packages stand and what belongs to whom.
type house struct {
	floors    map[string]int      // by import path
	testsOnly []string            // packages that only tests may import
	homes     map[string][]string // module of somebody else: the packages, tests included, that may import it
}

// pkg is one package as it is written.
type pkg struct {
	path        string
	imports     []string // of its code, for any platform
	testImports []string // of its tests, the external ones included
}

// check returns every rule that the packages break. Tests keep to the same
// arrows as code, so that a package can be tested without what stands above it.
func (h house) check(pkgs []pkg) (broken []string) {
	exists := map[string]bool{}
	for _, p := range pkgs {
		exists[p.path] = true
		if _, ok := h.floors[p.path]; !ok {
			broken = append(broken, p.path+" has no floor; enter it in house_test.go")
			continue
		}
		for _, imported := range p.imports {
			broken = append(broken, h.arrow(p.path, imported)...)
			if slices.Contains(h.testsOnly, imported) && !slices.Contains(h.testsOnly, p.path) {
				broken = append(broken, fmt.Sprintf("code of %s imports %s, which is for tests", p.path, imported))
			}
		}
		for _, imported := range p.testImports {
			if imported != p.path { // an external test stands beside its package
				broken = append(broken, h.arrow(p.path, imported)...)
			}
		}
	}
	for path := range h.floors {
		if !exists[path] {
			broken = append(broken, path+" has a floor but does not exist")
		}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

// arrow returns what is wrong with one import.
func (h house) arrow(from, to string) (broken []string) {
	if floor, ours := h.floors[to]; ours && floor >= h.floors[from] {
		broken = append(broken, fmt.Sprintf("%s (floor %d) imports %s (floor %d)", from, h.floors[from], to, floor))
	}
	for module, homes := range h.homes {
		if (to == module || strings.HasPrefix(to, module+"/")) && !slices.Contains(homes, from) {
			broken = append(broken, fmt.Sprintf("%s imports %s, which belongs to %s", from, to, strings.Join(homes, " and ")))
		}
	}
	return broken
}
