// Package e2e tests the built binary the way its users meet it: started by
// make run or with flags, talked to by other people's clients.
package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "sluice/internal/cli" // so that a cached result does not outlive a change of the binary
)

// patience bounds every wait of these tests: it is never reached unless
// something is broken.
const patience = 30 * time.Second

// testKey signs the tokens of nodes that the tests start themselves.
const testKey = "0123456789abcdef0123456789abcdef"

// sluice is the path of the binary, built once.
var sluice string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sluice = filepath.Join(dir, "sluice")
	build := exec.Command("go", "build", "-o", sluice, "sluice")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the binary:", err)
		return 1
	}
	return m.Run()
}

// process is a running command whose output is kept and can be waited for.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Writer
	done  chan struct{}

	mu    sync.Mutex
	lines []string // guarded by mu
	added chan struct{}
}

// start runs a command until the test ends. Standard output and standard error
// are read as one.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return startCmd(t, exec.Command(name, args...))
}

func startCmd(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{}), added: make(chan struct{}, 1)}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	// A group of its own, so that what make starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(r)
	go func() {
		_ = cmd.Wait() // its answer is the process state
		w.Close()
		close(p.done)
	}()
	t.Cleanup(func() {
		select {
		case <-p.done:
		default:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-p.done
		}
		if t.Failed() {
			t.Logf("output of %s:\n%s", strings.Join(cmd.Args, " "), p.output())
		}
	})
	return p
}

func (p *process) read(r io.Reader) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, s.Text())
		p.mu.Unlock()
		select {
		case p.added <- struct{}{}:
		default:
		}
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// waitFor returns the submatches of the first match in the output.
func (p *process) waitFor(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	ended := p.done
	for {
		if m := re.FindStringSubmatch(p.output()); m != nil {
			return m
		}
		select {
		case <-p.added:
		case <-ended: // once more, with its last words
			ended = nil
			if m := re.FindStringSubmatch(p.output()); m != nil {
				return m
			}
			p.t.Fatalf("%q ended without saying %q", p.cmd.Args, pattern)
		case <-ctx.Done():
			p.t.Fatalf("%q did not say %q in time", p.cmd.Args, pattern)
		}
	}
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%q did not end in time", p.cmd.Args)
		return -1
	}
}

// interrupt is Ctrl-C: the whole process group gets it.
func (p *process) interrupt() {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// node is a running sluice serve.
type node struct {
	*process
	addr string // for clients, host:port
	ops  string
}

// serve starts a development node on free ports.
func serve(t *testing.T, args ...string) *node {
	t.Helper()
	args = append([]string{"serve", "--dev", "--key", testKey, "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"}, args...)
	return await(start(t, sluice, args...))
}

// await waits until the node says where it serves.
func await(p *process) *node {
	p.t.Helper()
	m := p.waitFor(`msg=serving .*listen=\[?"?([^\s\]"]+).* operations=(\S+)`)
	return &node{process: p, addr: m[1], ops: m[2]}
}

// token runs sluice token for the hub "chat".
func token(t *testing.T, flags ...string) string {
	t.Helper()
	args := append([]string{"token", "--key", testKey, "--hub", "chat"}, flags...)
	out, err := exec.Command(sluice, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// run runs a command to its end and returns its output and exit code.
func run(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
