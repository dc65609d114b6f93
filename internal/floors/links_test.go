package floors

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// link is the target of an inline Markdown link or image.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// code is what Markdown does not read: fenced blocks and inline code.
var code = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```|`[^`\n]*`")

// TestLinks follows every relative link of every page, headings included.
// Addresses on the web are not tried: a test must not depend on them.
func TestLinks(t *testing.T) {
	root := os.DirFS("../..")
	for _, page := range pages(t, root) {
		text := readText(t, root, page)
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = path.Join(path.Dir(page), target)
			}
			if _, err := fs.Stat(root, file); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
				continue
			}
			if heading != "" && !headings(readText(t, root, file))[heading] {
				t.Errorf("%s: link to %s: no such heading", page, m[1])
			}
		}
	}
}

// pages returns every Markdown file of the project.
func pages(t *testing.T, root fs.FS) (all []string) {
	err := fs.WalkDir(root, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".git") {
			return fs.SkipDir
		}
		if strings.HasSuffix(file, ".md") {
			all = append(all, file)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("found %d pages: %v", len(all), err)
	}
	return all
}

func readText(t *testing.T, root fs.FS, file string) string {
	t.Helper()
	text, err := fs.ReadFile(root, file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// headings returns the anchors that a page's headings get: lower case, spaces
// as hyphens, punctuation gone.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	for line := range strings.Lines(text) {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || line[0] != '#' {
			continue
		}
		anchors[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))] = true
	}
	return anchors
}
