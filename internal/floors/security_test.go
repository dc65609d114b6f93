package floors

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityTable: each test that SECURITY.md names is where it says.
func TestSecurityTable(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	// `TestA`, `TestB` in `one` and `two`
	groups := regexp.MustCompile("((?:`(?:Test|Fuzz)\\w+`,? ?)+)in ((?:`[\\w/]+`(?: and )?)+)").FindAllStringSubmatch(string(text), -1)
	names := regexp.MustCompile("`([\\w/]+)`")
	found := 0
	for _, g := range groups {
		for _, test := range names.FindAllStringSubmatch(g[1], -1) {
			for _, pkg := range names.FindAllStringSubmatch(g[2], -1) {
				found++
				if !hasTest(t, pkg[1], test[1]) {
					t.Errorf("SECURITY.md names %s, which is not in %s", test[1], pkg[1])
				}
			}
		}
	}
	if all := strings.Count(string(text), "`Test") + strings.Count(string(text), "`Fuzz"); found < all {
		t.Errorf("%d tests are named and %d were understood", all, found)
	}
}

func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
