// Command gotest runs go test with the arguments it is given, shows what go
// test shows, and lists at the end every skipped test with its reason, which go
// test keeps to itself. Its exit status is that of go test.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		err = errors.Join(show(os.Stdout, events), cmd.Wait())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest: go test:", err)
		os.Exit(max(1, cmd.ProcessState.ExitCode()))
	}
}

// event is one line of go test -json; Test is empty where the package is meant.
type event struct{ Action, Package, Test, Output string }

// show prints each package when it ends, without the output of the tests that
// passed or were skipped. Tests that a panic cut short did neither.
func show(w io.Writer, events io.Reader) error {
	var skipped []string
	written := make(map[string][]event) // by package
	for dec := json.NewDecoder(events); ; {
		var e event
		if err := dec.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("read the output of go test: %w", err)
		}
		lines := written[e.Package]
		switch {
		case e.Action == "build-output":
			fmt.Fprint(w, e.Output)
		case e.Action == "output" && !strings.HasPrefix(e.Output, "=== ") && e.Output != "PASS\n":
			written[e.Package] = append(lines, e)
		case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			slices.SortStableFunc(lines, func(a, b event) int { return strings.Compare(a.place(), b.place()) })
			for _, l := range lines {
				fmt.Fprint(w, l.Output)
			}
			delete(written, e.Package)
		case e.Action == "skip":
			skipped = append(skipped, "SKIPPED "+e.Package+"."+e.Test+": "+reason(e.Test, lines)+"\n")
			fallthrough
		case e.Action == "pass":
			written[e.Package] = slices.DeleteFunc(lines, func(l event) bool { return l.Test == e.Test })
		}
	}
	fmt.Fprintf(w, "\nSkipped tests: %d\n%s", len(skipped), strings.Join(skipped, ""))
	return nil
}

// reason returns what the last line with a place ("    x_test.go:7: ") says.
func reason(test string, lines []event) string {
	for _, l := range slices.Backward(lines) {
		if place, text, _ := strings.Cut(l.Output, ": "); l.Test == test && strings.Contains(place, "_test.go:") {
			return strings.TrimPrefix(strings.TrimSpace(text), "SKIPPED: ")
		}
	}
	return "no reason given"
}

// place orders the output of a package: test by test, each below the line that
// says how it ended, and the verdict on the package last.
func (e event) place() string {
	switch {
	case e.Test == "":
		return "\xff"
	case strings.HasPrefix(strings.TrimSpace(e.Output), "--- "):
		return e.Test + "\x00"
	}
	return e.Test + "\x01"
}
