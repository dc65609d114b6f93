package conformance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"

	// What the binary is made of. The cache of go test looks at imports: without
	// this one it would give yesterday's result for a server changed today.
	_ "sluice/internal/cli"
)

// work is the directory of the binary and the configuration files.
var work string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	if work, err = os.MkdirTemp("", "sluice-conformance-"); err != nil {
		return failed(err)
	}
	defer os.RemoveAll(work)
	build := exec.Command("go", "build", "-o", executable(), "sluice")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return failed(fmt.Errorf("build the binary: %w", err))
	}
	code = m.Run()
	for _, n := range nodes {
		if err := n.stop(); err != nil {
			code = failed(err)
		}
	}
	fmt.Println(results.summary())
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "conformance:", err)
	return 1
}

func executable() string { return filepath.Join(work, "sluice") }

// tally counts cases. A case that runs several times, by -count or against two
// nodes, counts once and has passed if it always has.
type tally struct {
	mu     sync.Mutex
	passed map[string]bool // guarded by mu; by number for cases of the suite, by name for our own
}

var results = tally{passed: make(map[string]bool)}

var suiteNumber = regexp.MustCompile(`/(\d+(\.\d+)+)$`)

// count has the outcome of a case in the summary.
func (r *tally) count(t *testing.T) {
	name := t.Name()
	if m := suiteNumber.FindStringSubmatch(name); m != nil {
		name = m[1]
	}
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		before, again := r.passed[name]
		r.passed[name] = !t.Failed() && (before || !again)
	})
}

func (r *tally) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var suite, suitePassed, own, ownPassed int
	for name, passed := range r.passed {
		all, good := &own, &ownPassed
		if name[0] != 'T' {
			all, good = &suite, &suitePassed
		}
		*all++
		if passed {
			*good++
		}
	}
	return fmt.Sprintf("conformance: %d cases of the suite run, %d passed; %d of our own, %d passed",
		suite, suitePassed, own, ownPassed)
}
