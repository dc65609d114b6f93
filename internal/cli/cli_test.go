package cli

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the golden files")

const testKey = "0123456789abcdef0123456789abcdef"

// world is what a command gets of it.
type world struct {
	environ []string
	root    fstest.MapFS
}

// run runs a command line to its end.
func (w world) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	dev, err := os.ReadFile("../../configs/dev.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	code = Main(&Env{Stdout: &out, Stderr: &errs, Environ: w.environ, Root: w.root, DevConfig: dev}, args)
	return out.String(), errs.String(), code
}

// file writes a file and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		name           string
		args           []string
		stdout, stderr string // parts of them
		code           int
	}{
		{"nothing", nil, "", "usage: sluice COMMAND", exitUsage},
		{"help", []string{"help"}, "  doctor ", "", exitOK},
		{"help of a command", []string{"check", "--help"}, "-set key=value", "", exitOK},
		{"unknown command", []string{"srve"}, "", "sluice: there is no command \"srve\"; `sluice help` lists them", exitUsage},
		{"unknown flag", []string{"check", "--confg", "x"}, "", "sluice check: flag provided but not defined: -confg; --help tells the flags", exitUsage},
		{"argument", []string{"check", "x.yaml"}, "", `sluice check: unexpected argument "x.yaml"; --help tells the flags`, exitUsage},
		{"version", []string{"version"}, "sluice", "", exitOK},

		{"explain", []string{"explain", "--key", testKey, "--hub", "chat", "--ip", "192.0.2.1", "--set", `access.rules.deny=["192.0.2.0/24"]`},
			"address  REFUSED  access.rules.deny: 192.0.2.1 is in 192.0.2.0/24", "sluice explain: the client would be refused", exitError},
		{"explain a token from a file", []string{"explain", "--key", testKey, "--hub", "chat", "--token-file", file(t, "token", "x.y.z\n")},
			"token    REFUSED  auth: token_malformed", "would be refused", exitError},
		{"explain a bad action", []string{"explain", "--key", testKey, "--hub", "chat", "--action", "shout"}, "", `--action: "shout" is none of`, exitUsage},

		{"serve without anything", []string{"serve"}, "", "sluice serve: give --config FILE, or --dev to try Sluice on this machine", exitUsage},
		{"serve with problems", []string{"serve", "--ops", "x"}, "", "flag --ops: ops: \"x\" is not an address", exitUsage},
		{"two bases", []string{"serve", "--dev", "--config", "x"}, "", "--dev and --config exclude each other", exitUsage},
		{"no such file", []string{"check", "--config", "/nowhere.yaml"}, "", "sluice check: read the configuration: open /nowhere.yaml: no such file or directory", exitUsage},
		{"set without a value", []string{"check", "--set", "ops"}, "", "--set ops: write key=value, as --set engine.heartbeat_interval=20s", exitUsage},
		{"check without anything", []string{"check"}, "", "sluice check: give --config FILE", exitUsage},
		{"config in no format", []string{"config", "--format", "toml"}, "", `--format "toml" is neither yaml nor json`, exitUsage},
		{"config of defaults", []string{"config"}, "listen: [\":8080\"]", "", exitOK},
		{"config with problems", []string{"config", "--set", "engine.loop=1"}, "", "flag --set: engine.loop: unknown key; did you mean engine.loops?", exitUsage},
		{"config as JSON", []string{"config", "--dev", "--format", "json"}, `"origin": "flag --dev"`, "", exitOK},
		{"token without a key", []string{"token", "--hub", "h"}, "", "sluice token: --key is missing", exitUsage},
		{"doctor of too many", []string{"doctor", "--connections", "-1"}, "", "--connections -1 is not between 1 and 100000000", exitUsage},
		{"doctor elsewhere", []string{"doctor"}, "", "sluice doctor: doctor reads the limits of Linux in /proc and /sys, and there are none here", exitError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := world{}.run(t, tt.args...)
			if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit %d, want %d\nstdout: %s\nwant: %s\nstderr: %s\nwant: %s", code, tt.code, stdout, tt.stdout, stderr, tt.stderr)
			}
			if tt.stdout == "" && stdout != "" || tt.stderr == "" && stderr != "" {
				t.Errorf("unexpected output\nstdout: %s\nstderr: %s", stdout, stderr)
			}
		})
	}
}

const good = `listen: ["127.0.0.1:0"]
ops: "127.0.0.1:0"
auth: {keys: [{secret: ` + testKey + `}]}
hub: {hubs: {chat: {}}}
`

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, yaml, env string
		args            []string
		stdout, stderr  string
		code            int
	}{
		{"good", good, "", nil, "ok\n", "", exitOK},
		{"warnings", good + "echo_path: /echo\ndrain: {window: 10m}\n", "", nil,
			"warning: FILE:5: echo_path: anybody can connect to /echo, without a token\n" +
				"warning: FILE:6: drain.window: to stop takes up to 10m15s with drain.grace and 10s for slow clients, longer than systemd (90s) and Kubernetes (30s) wait before they kill; raise TimeoutStopSec or terminationGracePeriodSeconds\n" +
				"ok\n", "", exitOK},
		{"problems of every source", "liste: []\n" + good + "engine:\n  heartbeat_interval: 25\n", "SLUICE_ENGINE_LOOP=2",
			[]string{"--listen", "8080", "--set", "engine.loops=-1"},
			"FILE:1: liste: unknown key; did you mean listen?\n" +
				"FILE:7: engine.heartbeat_interval: \"25\" has no unit; write 25s for seconds, or ms, m, h\n" +
				"env SLUICE_ENGINE_LOOP: unknown variable; did you mean SLUICE_ENGINE_LOOPS?\n" +
				"flag --set: engine.loops: -1 is not between 1 and 256 (0 means one per core)\n" +
				"flag --listen: listen[0]: \"8080\" is not an address; write host:port, as \":8080\", \"127.0.0.1:8080\" or \"[::1]:8080\"\n",
			"sluice check: 5 problems\n", exitUsage},
		{"no keys at all", "a\n", "", nil, "FILE:1: must hold further keys, each on a line of its own below it\n", "sluice check: 1 problem\n", exitUsage},
		{"empty", "", "", nil, "FILE: auth.keys: no key, so no token can be verified; make one with: openssl rand -hex 32\n", "sluice check: 1 problem\n", exitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t, "sluice.yaml", tt.yaml)
			stdout, stderr, code := world{environ: []string{tt.env}}.run(t, append([]string{"check", "--config", path}, tt.args...)...)
			stdout = strings.ReplaceAll(stdout, path, "FILE")
			if stdout != tt.stdout || stderr != tt.stderr || code != tt.code {
				t.Errorf("exit %d, want %d\nstdout:\n%s\nwant:\n%s\nstderr: %s\nwant: %s", code, tt.code, stdout, tt.stdout, stderr, tt.stderr)
			}
		})
	}
}

// TestConfigRoundTrip: what config prints is a file that means the same, but
// for the secrets; with the secret in a file of its own it is the same file.
func TestConfigRoundTrip(t *testing.T) {
	secret := file(t, "key", testKey+"\n")
	first := file(t, "first.yaml", "auth: {keys: [{id: a, secret_file: "+secret+"}]}\nhub: {hubs: {chat: {}}}\n")
	printed, stderr, code := world{environ: []string{"SLUICE_DRAIN_WINDOW=20s"}}.run(t, "config", "--config", first, "--ops", "127.0.0.1:9")
	if code != exitOK {
		t.Fatal(stderr)
	}
	second := file(t, "second.yaml", printed)
	if stdout, stderr, code := (world{}).run(t, "check", "--config", second); code != exitOK || stdout != "ok\n" {
		t.Errorf("%s%s\nof\n%s", stdout, stderr, printed)
	}
	again, _, _ := world{}.run(t, "config", "--config", second)
	if strip(again) != strip(printed) {
		t.Errorf("got\n%s\nwant\n%s", again, printed)
	}
	for _, want := range []string{"# env SLUICE_DRAIN_WINDOW", "# flag --ops", "# " + first + ":1", "# default"} {
		if !strings.Contains(printed, want) {
			t.Errorf("no %q in\n%s", want, printed)
		}
	}
}

// strip removes the comments.
func strip(yaml string) string {
	var b strings.Builder
	for line := range strings.Lines(yaml) {
		line, _, _ = strings.Cut(line, "#")
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// TestDevKey: development makes a key unless there is one.
func TestDevKey(t *testing.T) {
	for _, tt := range []struct{ env, want string }{
		{"", "# flag --dev"},
		{"SLUICE_AUTH_KEYS_0_SECRET=" + testKey, "# env SLUICE_AUTH_KEYS_0_SECRET"},
	} {
		stdout, stderr, code := world{environ: []string{tt.env}}.run(t, "config", "--dev")
		if code != exitOK || !strings.Contains(stdout, tt.want) {
			t.Errorf("exit %d, want %q in\n%s%s", code, tt.want, stdout, stderr)
		}
	}
}

var machine = fstest.MapFS{
	"proc/self/limits":                      {Data: []byte("Max open files            1024                 20000                files\n")},
	"proc/meminfo":                          {Data: []byte("MemAvailable:    8388608 kB\n")},
	"proc/sys/fs/nr_open":                   {Data: []byte("1048576\n")},
	"proc/sys/fs/file-max":                  {Data: []byte("2466170\n")},
	"proc/sys/net/core/somaxconn":           {Data: []byte("128\n")},
	"proc/sys/net/ipv4/tcp_max_syn_backlog": {Data: []byte("8192\n")},
	"proc/sys/net/ipv4/ip_local_port_range": {Data: []byte("1024\t65535\n")},
}

func TestDoctor(t *testing.T) {
	path := file(t, "sluice.yaml", good+"engine: {max_connections: 50000}\n")
	for _, tt := range []struct {
		name string
		args []string
		code int
	}{
		{"doctor-low", nil, exitError},
		{"doctor-config", []string{"--config", path}, exitError},
		{"doctor-fine", []string{"--connections", "1000"}, exitOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := world{root: machine}.run(t, append([]string{"doctor"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			// The last row is about the machine the test runs on.
			rows := strings.Split(stdout+stderr, "\n")
			var b strings.Builder
			for _, row := range rows {
				if !strings.HasPrefix(row, "processors used") {
					b.WriteString(row + "\n")
				}
			}
			golden(t, "testdata/"+tt.name+".txt", b.String())
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got\n%s", path, got)
	}
}
