package conformance_test

import (
	"bufio"
	"errors"
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
)

const (
	echoPath = "/echo"
	key      = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

	// patience bounds every wait: it is reached only when something is broken.
	patience = time.Minute
)

// node is a `sluice serve` with a configuration of its own. It starts with the
// first case that needs it and ends with the suite.
type node struct {
	name string
	yaml string // the configuration; none means --dev

	start sync.Once
	addr  string
	err   error // why it did not start

	cmd  *exec.Cmd
	log  []string // standard error; to be read after done
	done chan struct{}
}

var (
	// plain is what a developer gets.
	plain = &node{name: "plain"}

	// large takes the messages of chapter 9.
	large = &node{name: "large", yaml: `
engine:
  max_message_size: 16MiB
`}

	// fresh compresses every message by itself.
	fresh = &node{name: "no_context_takeover", yaml: `
engine:
  compression: {enabled: true}
`}

	// takeover lets messages refer to earlier ones, and compresses even the
	// smallest.
	takeover = &node{name: "context_takeover", yaml: `
engine:
  compression: {enabled: true, context_takeover: true, min_size: 1}
`}

	nodes = []*node{plain, large, fresh, takeover}
)

// address returns where the node listens; it starts it when needed.
func (n *node) address(t *testing.T) string {
	t.Helper()
	n.start.Do(func() { n.err = n.run() })
	if n.err != nil {
		t.Fatalf("node %q: %v", n.name, n.err)
	}
	return n.addr
}

func (n *node) run() error {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--key", key, "--echo", echoPath}
	if n.yaml == "" {
		args = append(args, "--dev")
	} else {
		file := filepath.Join(work, n.name+".yaml")
		if err := os.WriteFile(file, []byte(n.yaml), 0o600); err != nil {
			return err
		}
		args = append(args, "--config", file)
	}
	n.cmd = exec.Command(executable(), args...)
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := n.cmd.Start(); err != nil {
		return err
	}
	n.done = make(chan struct{})
	serving := make(chan string, 1)
	go n.read(stderr, serving)
	select {
	case n.addr = <-serving:
		return nil
	case <-n.done:
		return fmt.Errorf("ended before it served:\n%s", strings.Join(n.log, "\n"))
	case <-time.After(patience):
		return errors.New("does not say that it serves")
	}
}

var listening = regexp.MustCompile(`msg=serving .*listen=\[([^\]\s]+)\]`)

// read keeps the log and finds the address in it.
func (n *node) read(stderr io.Reader, serving chan<- string) {
	defer close(n.done)
	for s := bufio.NewScanner(stderr); s.Scan(); {
		n.log = append(n.log, s.Text())
		if m := listening.FindStringSubmatch(s.Text()); m != nil {
			serving <- m[1]
		}
	}
}

// stop ends the node. It is an error if the suite brought it down or made it
// log one: no client may.
func (n *node) stop() error {
	if n.done == nil {
		return nil // was never needed
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("node %q: %w", n.name, err)
	}
	<-n.done
	if err := n.cmd.Wait(); err != nil {
		return fmt.Errorf("node %q: %w\n%s", n.name, err, strings.Join(n.log, "\n"))
	}
	for _, line := range n.log {
		if strings.Contains(line, "level=ERROR") {
			return fmt.Errorf("node %q logged an error: %s", n.name, line)
		}
	}
	return nil
}
