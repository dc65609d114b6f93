package floors

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// mark is a promise to finish something another day. It belongs into an issue,
// where somebody will see it.
var mark = regexp.MustCompile(`\b(?:TO` + `DO|FIX` + `ME)\b`)

func TestNothingIsMarkedUnfinished(t *testing.T) {
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".git") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		n := 0
		for line := range strings.Lines(readText(t, root, file)) {
			n++
			if mark.MatchString(line) {
				t.Errorf("%s:%d: %s", file, n, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMark(t *testing.T) {
	for line, want := range map[string]bool{
		"// TO" + "DO(ann): later":     true,
		"x++ // FIX" + "ME":            true,
		"// a to-do list":              false,
		"var autoTO" + "DOS = toDo(1)": false,
	} {
		if got := mark.MatchString(line); got != want {
			t.Errorf("%q: got %v, want %v", line, got, want)
		}
	}
}
