//go:build linux

package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sluice/bench"
	"sluice/internal/testkit"
)

// run runs a scenario in this process, with flags as on the command line.
func run(tb testing.TB, name string, args ...string) (*bench.Report, error) {
	tb.Helper()
	for _, e := range bench.Scenarios() {
		if e.Name != name {
			continue
		}
		var common bench.Common
		s := e.New()
		fs := flag.NewFlagSet(name, flag.ContinueOnError)
		s.Flags(fs)
		common.Flags(fs)
		if err := fs.Parse(args); err != nil {
			tb.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			tb.Fatal(err)
		}
		if err := common.Validate(); err != nil {
			tb.Fatal(err)
		}
		return bench.Run(context.Background(), name, s, common, io.Discard)
	}
	tb.Fatalf("no scenario %s", name)
	return nil, nil
}

// want maps figures to the values they must have; above asks for more than 0.
const above = -1

func check(t *testing.T, r *bench.Report, err error, want map[string]float64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		switch got, ok := r.Figure(name); {
		case !ok:
			t.Errorf("no figure %s", name)
		case value == above && got <= 0, value != above && got != value:
			t.Errorf("%s: got %v, want %v", name, got, value)
		}
	}
	if t.Failed() {
		_ = r.WriteTable(os.Stderr)
	}
}

// TestScenariosOverTLS: what goes over TLS arrives, and handshakes are resumed.
func TestScenariosOverTLS(t *testing.T) {
	dir := t.TempDir()
	cert, certKey := testkit.WriteCertificate(t, dir, "node", testkit.NewAuthority(t).Issue("localhost", nil))
	n := startServer(t, regexp.MustCompile(`msg=serving .*listen="\[\S+ (\S+)\]" operations=(\S+)`),
		"serve", "--dev", "--key", key, "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--echo", "/echo",
		"--set", "tls.listen=127.0.0.1:0", "--set", "tls.certificates[0].cert="+cert, "--set", "tls.certificates[0].key="+certKey)
	pid := "--server-pid=" + itoa(n.pid)
	unhurt := map[string]float64{"connections_failed": 0, "connections_lost": 0}

	r, err := run(t, "storm", "--url", "wss://"+n.addr, "--resume", "--key", key, pid, "--warmup", "50ms", "--duration", "200ms")
	check(t, r, err, map[string]float64{"connections_failed": 0, "handshakes_per_second": above})
	r, err = run(t, "echo", "--url", "wss://"+n.addr+"/echo", pid, "--connections", "10", "--depth", "4", "--warmup", "50ms", "--duration", "200ms")
	check(t, r, err, unhurt)
	r, err = run(t, "idle", "--tls", "--url", "ws://"+n.addr, "--key", key, pid, "--connections", "50", "--hold", "0s", "--settle", "0s", "--broadcast")
	check(t, r, err, unhurt)

	resp, err := http.Get("http://" + n.ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || regexp.MustCompile(`sluice_tls_handshakes_total{result="resumed"} 0\n`).Match(page) {
		t.Errorf("no session was resumed; error %v", err)
	}
}

func TestScenariosOnNode(t *testing.T) {
	n := startNode(t)
	url := "ws://" + n.addr
	pid := "--server-pid=" + itoa(n.pid)
	unhurt := func(more map[string]float64) map[string]float64 {
		for _, name := range []string{"connections_failed", "connections_lost"} {
			more[name] = 0
		}
		return more
	}
	t.Run("idle", func(t *testing.T) {
		r, err := run(t, "idle", "--url", url, "--key", key, pid, "--connections=60", "--groups=7", "--each=3", "--hold=1ms", "--settle=1ms", "--broadcast", "--reliable", "--loops=2")
		check(t, r, err, unhurt(map[string]float64{"survivors": 60, "broadcast_delivered": 180, "broadcast_missing": 0, "rss_mib": above, "latency_p50_ms": above}))
		if _, ok := r.Figure("rss_bytes_per_connection"); !ok {
			t.Error("no memory of a connection")
		}
	})
	t.Run("stalled", func(t *testing.T) {
		// Closed or not, depending on how much the kernel holds for them: the others
		// get everything.
		r, err := run(t, "fanout", "--url", url, "--key", key, pid, "--subscribers=20", "--stalled=2", "--size=40000", "--under-way=4", "--warmup=0s", "--duration=300ms")
		check(t, r, err, map[string]float64{"deliveries_per_second": above, "lost": 0, "reordered": 0, "strange": 0, "connections_failed": 0})
	})
	t.Run("reliable", func(t *testing.T) {
		r, err := run(t, "reliable", "--url", url, "--key", key, pid, "--connections=30", "--cuts=200", "--publish=200", "--away=50ms", "--duration=1s", "--loops=2")
		check(t, r, err, map[string]float64{"published": above, "received": above, "cuts": above, "recovered": above,
			"lost": 0, "duplicated": 0, "reordered": 0, "afresh": 0, "connections_failed": 0})
	})
	for _, depth := range []string{"1", "16"} {
		t.Run("echo "+depth, func(t *testing.T) {
			r, err := run(t, "echo", "--url", url+"/echo", pid, "--connections=20", "--depth", depth, "--binary="+strconv.FormatBool(depth == "1"), "--size=5000", "--warmup=0s", "--duration=200ms", "--loops=2")
			check(t, r, err, unhurt(map[string]float64{"messages_per_second": above, "wrong_answers": 0, "connections_opened": 20}))
		})
	}
	exact := map[string]float64{"deliveries_per_second": above, "lost": 0, "duplicated": 0, "reordered": 0, "strange": 0, "latency_p99_ms": above}
	for name, args := range map[string]string{
		"one group":                 "--subscribers=40",
		"several under way":         "--subscribers=40 --under-way=8 --loops=2",
		"more groups":               "--subscribers=40 --groups=13 --publishers=3 --under-way=2",
		"more publishers, any size": "--subscribers=40 --groups=3 --publishers=7 --size=1000 --loops=2",
		"several groups each":       "--subscribers=20 --groups=50 --each=10 --publishers=3",
		"at a rate":                 "--subscribers=40 --groups=2 --publishers=3 --rate=300",
	} {
		t.Run("fanout "+name, func(t *testing.T) {
			r, err := run(t, "fanout", append(strings.Fields(args), "--url", url, "--key", key, pid, "--warmup=0s", "--duration=200ms")...)
			check(t, r, err, unhurt(exact))
		})
	}
	t.Run("members", func(t *testing.T) {
		r, err := run(t, "members", "--url", url, "--key", key, pid, "--connections=20", "--groups=30", "--depth=3", "--warmup=0s", "--duration=200ms", "--loops=2")
		check(t, r, err, unhurt(map[string]float64{"requests_per_second": above, "latency_p50_ms": above, "refused": 0, "connections_opened": 20}))
	})
	t.Run("push", func(t *testing.T) {
		r, err := run(t, "push", "--url", url, "--key", key, pid, "--connections=5", "--depth=2", "--warmup=0s", "--duration=200ms", "--loops=2")
		check(t, r, err, unhurt(map[string]float64{"requests_per_second": above, "latency_p50_ms": above, "refused": 0, "received": above}))
	})
	t.Run("storm", func(t *testing.T) {
		r, err := run(t, "storm", "--url", url, "--key", key, pid, "--warmup=0s", "--duration=200ms", "--opening=10", "--loops=2")
		check(t, r, err, unhurt(map[string]float64{"handshakes_per_second": above, "latency_p50_ms": above}))
	})
	t.Run("rush", func(t *testing.T) {
		n := startServer(t, serving, "serve", "--dev", "--key", key, "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0",
			"--set", "engine.max_pending_handshakes=20") // most are refused at first
		r, err := run(t, "rush", "--url", "ws://"+n.addr, "--key", key, "--server-pid="+itoa(n.pid), "--returning=300", "--subscribers=20", "--rate=50",
			"--quiet=200ms", "--backoff=20ms", "--loops=2")
		check(t, r, err, unhurt(map[string]float64{"returned": 300, "returned_lost": 0, "lost": 0, "quiet_latency_p99_ms": above, "rush_latency_p99_ms": above, "returned_last_s": above}))
		if tries, _ := r.Figure("tries"); tries < 300 {
			t.Errorf("%v tries", tries)
		}
	})
	t.Run("soak", func(t *testing.T) {
		r, err := run(t, "soak", "--url", url, "--key", key, pid, "--ops", n.ops, "--connections=30", "--churn=200", "--publish=500",
			"--stalls=50", "--stall-time=50ms", "--duration=500ms", "--settle=5s")
		check(t, r, err, unhurt(map[string]float64{"published": above, "received": above, "left": above, "stalled": above, "stalled_closed": 0}))
		for _, name := range []string{"fds_growth", "goroutines_growth"} {
			if v, ok := r.Figure(name); !ok || v > 0 {
				t.Errorf("%s: %v %v", name, v, ok)
			}
		}
	})
}

func TestScenariosOnBareServers(t *testing.T) {
	for _, tt := range []struct {
		server, scenario, args string
		want                   map[string]float64
	}{
		{"gnet-echo", "echo", "--connections=20 --depth=4", map[string]float64{"messages_per_second": above}},
		{"gnet-write", "fanout", "--subscribers=40 --groups=3 --under-way=4", map[string]float64{"deliveries_per_second": above, "lost": 0, "strange": 0, "reordered": 0}},
		{"gnet-upgrade", "storm", "--opening=10", map[string]float64{"handshakes_per_second": above, "connections_failed": 0}},
		{"http-empty", "push", "--connections=5 --depth=2 --loops=2", map[string]float64{"requests_per_second": above, "refused": 0, "connections_lost": 0}},
		{"gnet-write-joined", "fanout", "--subscribers=40 --under-way=8", map[string]float64{"deliveries_per_second": above, "lost": 0, "strange": 0, "reordered": 0}},
	} {
		t.Run(tt.server, func(t *testing.T) {
			s := startServer(t, listens, "bench", "server", tt.server, "--listen", freeAddr(t))
			url := "tcp://" + s.addr
			if tt.scenario == "storm" {
				url = "ws://" + s.addr
			}
			args := append(strings.Fields(tt.args), "--url", url, "--server-pid", itoa(s.pid), "--warmup=0s", "--duration=200ms")
			r, err := run(t, tt.scenario, args...)
			check(t, r, err, tt.want)
		})
	}
}

// freeAddr returns an address that nobody listens on now.
func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestNoResult: what makes a result impossible is said in the error.
func TestNoResult(t *testing.T) {
	n := startNode(t)
	for _, tt := range []struct {
		scenario string
		args     []string
		want     string
	}{
		{"echo", []string{"--url", "ws://" + n.addr + "/nothing"}, "100 × handshake: HTTP 404"},
		{"echo", []string{"--url", "ws://" + freeAddr(t)}, "connection refused"},
		{"idle", []string{"--url", "ws://" + n.addr, "--token", "x"}, "handshake: HTTP 4"},
		{"idle", []string{"--url", "ws://" + n.addr + "/echo", "--server-pid", "999999999"}, "--server-pid"},
		{"idle", []string{"--url", "ws://" + n.addr + "/echo", "--broadcast"}, "--key"},
		{"soak", []string{"--url", "ws://" + n.addr}, "--key"},
		{"members", []string{"--url", "ws://" + n.addr}, "--key"},
		{"fanout", []string{"--url", "tcp://" + n.addr, "--groups", "2", "--each", "2"}, "--each"},
		{"storm", []string{"--url", "tcp://" + n.addr}, "--url"},
		{"fanout", []string{"--url", "ws://" + n.addr, "--key", key, "--size", "50"}, "--size"},
	} {
		if _, err := run(t, tt.scenario, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: got %v, want %q", tt.scenario, tt.args, err, tt.want)
		}
	}
}

// TestCommand is the command line around it: output, targets and exit status.
func TestCommand(t *testing.T) {
	n := startNode(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	targets := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	met := targets("met.yaml", "scenario: storm\ntargets: [{figure: connections_failed, max: 0}]")
	missed := targets("missed.yaml", "scenario: storm\ntargets: [{figure: connections_failed, max: -1}]")
	page := filepath.Join(dir, "page.html")
	storm := []string{"bench", "storm", "--url", "ws://" + n.addr, "--key", key, "--warmup", "0s", "--duration", "50ms"}
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"table", append(storm, "--targets", met, "--html", page), 0, "handshakes_per_second", ""},
		{"targets missed", append(storm, "--targets", missed), 1, "handshakes_per_second", "connections_failed is 0, must be at most -1"},
		{"no targets", append(storm, "--targets", "nowhere"), 2, "", "--targets"},
		{"not this machine", []string{"bench", "echo", "--url", "ws://192.0.2.1"}, 2, "", "--allow-remote"},
		{"all problems", []string{"bench", "echo", "--depth", "0", "--size", "0"}, 2, "", "--size"},
		{"help", []string{"bench", "help"}, 0, "soak", ""},
		{"help of one", []string{"bench", "fanout", "--help"}, 0, "sluice bench fanout --key", ""},
		{"no scenario", []string{"bench"}, 2, "", "scenario"},
		{"unknown", []string{"bench", "sleep"}, 2, "", `"sleep"`},
		{"unknown server", []string{"bench", "server", "nginx"}, 2, "", "gnet-echo"},
		{"open server", []string{"bench", "server", "gnet-echo", "--listen", "0.0.0.0:0"}, 2, "", "--listen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(path, tt.args...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", code, tt.code, &stdout, &stderr)
			}
		})
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("<svg")) || bytes.Contains(html, []byte(key)) {
		t.Errorf("the page has no chart, or the key: %v", err)
	}

	out, err := exec.Command(path, append(storm, "--json", "-")...).Output()
	var r bench.Report
	if err != nil || json.Unmarshal(out, &r) != nil || r.Scenario != "storm" || r.Config["duration"] != "50ms" {
		t.Errorf("%v: %s", err, out)
	}
	if bytes.Contains(out, []byte(key)) {
		t.Error("the report has the key")
	}
}
