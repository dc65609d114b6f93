package metrics_test

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"sluice/internal/metrics"
)

var update = flag.Bool("update", false, "write the golden file anew")

func page(n *metrics.Node) string {
	var b bytes.Buffer
	n.WritePrometheus(&b)
	return b.String()
}

// TestGolden compares all of our own families, some of them counted, with what
// the page looked like before: names and labels are a promise to dashboards.
func TestGolden(t *testing.T) {
	n := metrics.New()
	n.SetBuild("v1.2.3", "0123456789ab", "go1.26.0")
	n.ConnectionsOpened.Add(3)
	n.ConnectionsClosed.With("client_gone", "client").Inc()
	n.HandshakeRejections.With("token_missing").Add(7)
	n.DroppedMessages.With("a reason nobody declared").Inc()
	n.ReceivedBytes.AddInt64(1 << 40)
	n.HandshakeDuration.Recorder().Observe(3_000_000)
	n.OnScrape(func() {
		n.Connections.Set(2)
		n.HubConnections.With("chat", "websocket").Set(2)
		n.LoopConnections.With("0").Set(2)
		n.LoopLastLag.With("0").Set(0.001)
		n.Readiness.With("ready").Set(1)
	})

	all := page(n)
	ours := all[strings.Index(all, "# HELP sluice_"):]
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(ours), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if ours != string(want) {
		t.Errorf("the page has changed; look at it, then run go test -update:\n%s", ours)
	}
}

// TestPageIsWellFormed checks what every Prometheus page must be: each family
// once, in order, under its own HELP and TYPE.
func TestPageIsWellFormed(t *testing.T) {
	n := metrics.New()
	n.SetBuild("v", "c", "g")
	var families []string
	lines := bufio.NewScanner(strings.NewReader(page(n)))
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(name, " ")
			if help == "" {
				t.Errorf("%s has no help", name)
			}
			families = append(families, name)
			lines.Scan()
			if !strings.HasPrefix(lines.Text(), "# TYPE "+name+" ") {
				t.Errorf("after HELP of %s comes %q", name, lines.Text())
			}
			continue
		}
		if len(families) == 0 || !strings.HasPrefix(line, families[len(families)-1]) {
			t.Errorf("sample outside its family: %q", line)
		}
	}
	if !slices.IsSorted(families) {
		t.Errorf("families are not sorted: %q", families)
	}
	if len(families) != len(slices.Compact(families)) {
		t.Errorf("a family comes twice: %q", families)
	}
	for _, name := range []string{"go_goroutines", "go_gc_duration_seconds", "process_cpu_seconds_total", "sluice_build_info"} {
		if !slices.Contains(families, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: promtool is not installed (Debian package prometheus): the names were not linted")
	}
	n := metrics.New()
	n.SetBuild("v1.2.3", "0123456789ab", "go1.26.0")
	n.HubConnections.With("chat", "websocket").Set(2)
	n.LoopConnections.With("0").Set(2)
	n.LoopLastLag.With("0").Set(0.001)
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(page(n))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestWith(t *testing.T) {
	n := metrics.New()
	closed := n.ConnectionsClosed
	if closed.With("client_gone", "client") == closed.With("client_close", "client") {
		t.Error("two reasons share a counter")
	}
	other := closed.With("nonsense", "client")
	for _, values := range [][]string{{"client_gone", "server"}, {"client_gone"}, {}, {"a", "b", "c"}} {
		if closed.With(values...) != other {
			t.Errorf("%q has a counter of its own", values)
		}
	}
}

func TestWithDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	n := metrics.New()
	reason := strings.Clone("client_gone")
	if got := testing.AllocsPerRun(100, func() { n.ConnectionsClosed.With(reason, "client").Inc() }); got != 0 {
		t.Errorf("%v allocations for one event, want 0", got)
	}
}

// TestScrapesTogether counts and scrapes from several goroutines, for -race.
func TestScrapesTogether(t *testing.T) {
	n := metrics.New()
	hooked := 0 // not atomic: hooks run one at a time
	n.OnScrape(func() { hooked++ })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				n.MessagesReceived.Inc()
				n.WritePrometheus(io.Discard)
			}
		})
	}
	wg.Wait()
	if hooked != 40 {
		t.Errorf("the hook ran %d times, want 40", hooked)
	}
	if !strings.Contains(page(n), "\nsluice_messages_received_total 40\n") {
		t.Error("messages were lost")
	}
}

func BenchmarkWritePrometheus(b *testing.B) {
	n := metrics.New()
	b.ReportAllocs()
	for b.Loop() {
		n.WritePrometheus(io.Discard)
	}
}
