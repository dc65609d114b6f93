package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/internal/metrics"
)

// TestEveryMetricIsExplained: the page for operators has a row for each of our
// metrics, and none for others.
func TestEveryMetricIsExplained(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, s string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(s, -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return all
	}
	n := metrics.New()
	n.SetBuild("v", "c", "g")
	n.HubConnections.With("chat", "websocket")
	n.HubQueue.With("chat")
	n.IssuerBreakerOpen.With("https://login.example.com", "keys")
	n.LoopConnections.With("0")
	n.LoopLastLag.With("0")
	shown := names(`(?m)^# HELP (sluice_\S+)`, page(n))
	explained := names("(?m)^\\| `(sluice_[a-z_]+)` \\|", string(text))
	if !slices.Equal(shown, explained) {
		t.Errorf("shown:\n%s\nexplained:\n%s", strings.Join(shown, "\n"), strings.Join(explained, "\n"))
	}
}
