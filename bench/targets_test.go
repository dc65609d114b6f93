package bench

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	targets, err := ParseTargets([]byte(`
scenario: echo
targets:
  - {figure: latency_p99_ms, max: 5}
  - {figure: messages_per_second, min: 1000}
  - {figure: rss, min: 1, max: 2}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		r    Report
		want []string
	}{
		{"met", Report{Scenario: "echo", Figures: []Figure{
			{"latency_p99_ms", 5, ""}, {"messages_per_second", 1000, ""}, {"rss", 1.5, ""}}}, nil},
		{"missed", Report{Scenario: "echo", Figures: []Figure{
			{"latency_p99_ms", 5.125, ""}, {"messages_per_second", 10, ""}, {"rss", 3, ""}}}, []string{
			"latency_p99_ms is 5.125, must be at most 5",
			"messages_per_second is 10, must be at least 1000",
			"rss is 3, must be at most 2"}},
		{"not a number", Report{Scenario: "echo", Figures: []Figure{
			{"latency_p99_ms", math.NaN(), ""}, {"messages_per_second", 1000, ""}, {"rss", 1, ""}}}, []string{
			"latency_p99_ms is NaN, must be at most 5"}},
		{"not measured", Report{Scenario: "echo", Figures: []Figure{
			{"latency_p99_ms", 1, ""}, {"messages_per_second", 1000, ""}}}, []string{
			"rss was not measured (does it need --server-pid or --ops?)"}},
		{"another scenario", Report{Scenario: "idle"}, []string{"the targets are for the scenario echo, not idle"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := targets.Check(&tt.r); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBadTargets(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "scenario",
		"scenario: nap":                          `"nap"`,
		"scenario: echo":                         "targets",
		"scenario: echo\ntargets: [{max: 1}]":    "targets[0]",
		"scenario: echo\ntargets: [{figure: x}]": "targets[0]",
		"scenario: echo\ntargets: [{figure: x, most: 1}]": "most",
	} {
		if _, err := ParseTargets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestReadyTargets reads every file that comes with Sluice. It has the name of its
// scenario, or of the command that uses it.
func TestReadyTargets(t *testing.T) {
	files, err := filepath.Glob("../configs/targets/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scenario := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if scenario == "capacity" {
			scenario = "idle"
		}
		if targets, err := ParseTargets(text); err != nil || targets.Scenario != scenario {
			t.Errorf("%s: %+v %v", file, targets, err)
		}
	}
}
