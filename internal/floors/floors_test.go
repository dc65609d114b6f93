package floors

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

func TestArrowsGoDown(t *testing.T) {
	pkgs, err := read(os.DirFS("../.."), "sluice")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range sluice.check(pkgs) {
		t.Error(rule)
	}
}

// TestCheck shows that each rule can be broken.
func TestCheck(t *testing.T) {
	h := house{
		floors:    map[string]int{"m/cellar": 0, "m/wine": 0, "m/hall": 1, "m/kit": 0, "m/bench": 1},
		testsOnly: []string{"m/kit", "m/bench"},
		homes:     map[string][]string{"other/loops": {"m/hall"}},
	}
	for _, tt := range []struct {
		name string
		hall pkg
		rest []pkg
		want []string
	}{
		{"sound", pkg{
			imports:     []string{"m/cellar", "fmt", "other/loops", "other/loops/sub", "else/where"},
			testImports: []string{"m/hall", "m/kit", "m/cellar", "testing"},
		}, nil, nil},
		{"up", pkg{}, []pkg{{path: "m/cellar", imports: []string{"m/hall"}}},
			[]string{"m/cellar (floor 0) imports m/hall (floor 1)"}},
		{"sideways", pkg{}, []pkg{{path: "m/cellar", imports: []string{"m/wine"}}},
			[]string{"m/cellar (floor 0) imports m/wine (floor 0)"}},
		{"up from a test", pkg{}, []pkg{{path: "m/cellar", testImports: []string{"m/hall"}}},
			[]string{"m/cellar (floor 0) imports m/hall (floor 1)"}},
		{"somebody else's module", pkg{}, []pkg{{path: "m/cellar", imports: []string{"other/loops/sub"}}},
			[]string{"m/cellar imports other/loops/sub, which belongs to m/hall"}},
		{"somebody else's module in a test", pkg{}, []pkg{{path: "m/cellar", testImports: []string{"other/loops"}}},
			[]string{"m/cellar imports other/loops, which belongs to m/hall"}},
		{"a module of a similar name", pkg{}, []pkg{{path: "m/cellar", imports: []string{"other/loopsided"}}}, nil},
		{"tests only", pkg{imports: []string{"m/kit"}}, nil,
			[]string{"code of m/hall imports m/kit, which is for tests"}},
		{"tests only, for another such", pkg{}, []pkg{{path: "m/bench", imports: []string{"m/kit"}}}, nil},
		{"no floor", pkg{}, []pkg{{path: "m/attic"}},
			[]string{"m/attic has no floor; enter it in house_test.go"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.hall.path = "m/hall"
			pkgs := append(tt.rest, tt.hall)
			for _, path := range []string{"m/cellar", "m/wine", "m/kit", "m/bench"} {
				pkgs = append(pkgs, pkg{path: path})
			}
			if got := h.check(pkgs); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := h.check(nil); len(got) != len(h.floors) {
		t.Errorf("of a house without packages: %q", got)
	}
}

// read returns the packages below root. It reads the files and does not ask
// `go list`: that would leave out the files of other platforms, and the test
// cache would not see when one of them changes.
func read(root fs.FS, module string) ([]pkg, error) {
	byPath := map[string]*pkg{}
	err := fs.WalkDir(root, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() {
			if name == "testdata" || name == "node_modules" || name != "." && strings.ContainsAny(name[:1], "._") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		p := byPath[path.Dir(file)]
		if p == nil {
			p = &pkg{path: path.Join(module, path.Dir(file))}
			byPath[path.Dir(file)] = p
		}
		return p.read(root, file)
	})
	pkgs := make([]pkg, 0, len(byPath))
	for _, p := range byPath {
		pkgs = append(pkgs, *p)
	}
	return pkgs, err
}

// read adds the imports of one file.
func (p *pkg) read(root fs.FS, file string) error {
	src, err := fs.ReadFile(root, file)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
	if err != nil {
		return err
	}
	list := &p.imports
	if strings.HasSuffix(file, "_test.go") {
		list = &p.testImports
	}
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		*list = append(*list, imported)
	}
	return nil
}

func TestRead(t *testing.T) {
	pkgs, err := read(fstest.MapFS{
		"main.go":             {Data: []byte("package main\nimport \"m/a\"")},
		"a/a.go":              {Data: []byte("package a\nimport (\n\t\"fmt\"\n\tb \"m/b\"\n)\nfunc F() {}")},
		"a/a_plan9.go":        {Data: []byte("//go:build plan9\n\npackage a\nimport _ \"m/c\"")},
		"a/a_test.go":         {Data: []byte("package a_test\nimport \"m/a\"")},
		"a/testdata/x.go":     {Data: []byte("no Go")},
		"a/node_modules/x.go": {Data: []byte("no Go")},
		".git/x.go":           {Data: []byte("no Go")},
		"a/README.md":         {Data: []byte("no Go")},
	}, "m")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(pkgs, func(a, b pkg) int { return strings.Compare(a.path, b.path) })
	want := []pkg{
		{"m", []string{"m/a"}, nil},
		{"m/a", []string{"fmt", "m/b", "m/c"}, []string{"m/a"}},
	}
	if !reflect.DeepEqual(pkgs, want) {
		t.Errorf("got %q, want %q", pkgs, want)
	}
}
