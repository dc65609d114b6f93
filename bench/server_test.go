//go:build linux

package bench_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

const key = "0123456789abcdef0123456789abcdef"

// binary is sluice, built once for all tests; TestMain removes it.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(tempDir, "sluice")
	out, err := exec.Command("go", "build", "-o", path, "sluice").CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return path, err
})

var tempDir string

func TestMain(m *testing.M) {
	var err error
	if tempDir, err = os.MkdirTemp("", "sluice-bench"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(tempDir)
	os.Exit(code)
}

// server is a process to measure.
type server struct {
	pid       int
	addr, ops string // ops only of a node
}

var (
	serving = regexp.MustCompile(`msg=serving .*listen=\[?"?([^\s\]"]+).* operations=(\S+)`)
	listens = regexp.MustCompile(`listens on (\S+)()`)
)

// startNode starts a node that echoes on /echo.
func startNode(tb testing.TB) server {
	return startServer(tb, serving, "serve", "--dev", "--key", key, "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--echo", "/echo", "--set", "api.public=true")
}

func startServer(tb testing.TB, address *regexp.Regexp, args ...string) server {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for s := bufio.NewScanner(stderr); s.Scan(); {
		if m := address.FindStringSubmatch(s.Text()); m != nil {
			go io.Copy(io.Discard, stderr)
			return server{cmd.Process.Pid, m[1], m[2]}
		}
	}
	tb.Fatalf("%q did not start", args)
	return server{}
}
