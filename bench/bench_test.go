// Package bench measures the built binary as a whole process. A benchmark here
// starts a node of its own and reads what the kernel says of it.
package bench

import (
	"bufio"
	"fmt"
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
	"time"

	"sluice/internal/testkit"
)

const key = "0123456789abcdef0123456789abcdef"

// BenchmarkIdleConnection reports the resident memory of the node per
// connection that is upgraded, authenticated, in one group and idle: the slope
// between 1,000 connections and 1,000 plus b.N. Run it with a fixed number:
//
//	go test ./bench -run '^$' -bench Idle -benchtime 10000x
func BenchmarkIdleConnection(b *testing.B) {
	n := startNode(b)
	n.open(b, 1000)
	before := n.settledRSS(b)
	b.ResetTimer()
	n.open(b, b.N)
	b.StopTimer()
	after := n.settledRSS(b)
	b.ReportMetric(float64(after-before)/float64(b.N), "RSS-B/conn")
}

// node is a running sluice serve and the connections held to it.
type node struct {
	cmd   *exec.Cmd
	addr  string
	path  string
	conns []net.Conn
}

func startNode(b *testing.B) *node {
	b.Helper()
	bin := filepath.Join(b.TempDir(), "sluice")
	if out, err := exec.Command("go", "build", "-o", bin, "sluice").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	token, err := exec.Command(bin, "token", "--key", key, "--hub", "bench", "--user", "u", "--group", "g").Output()
	if err != nil {
		b.Fatal(err)
	}
	n := &node{path: "/client/hubs/bench?access_token=" + strings.TrimSpace(string(token))}
	n.cmd = exec.Command(bin, "serve", "--dev", "--key", key, "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0")
	stderr, err := n.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		for _, c := range n.conns {
			c.Close()
		}
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
	})
	s := bufio.NewScanner(stderr)
	listen := regexp.MustCompile(`msg=serving .*listen=\[?"?([^\s\]"]+)`)
	for s.Scan() {
		if m := listen.FindStringSubmatch(s.Text()); m != nil {
			n.addr = m[1]
			go io.Copy(io.Discard, stderr)
			return n
		}
	}
	b.Fatal("the node did not start")
	return nil
}

// open adds connections, one after the other.
func (n *node) open(b *testing.B, count int) {
	b.Helper()
	head := []byte(testkit.Head(n.path, "Sec-WebSocket-Protocol: json.sluice.v1"))
	for range count {
		c, err := net.Dial("tcp", n.addr)
		if err != nil {
			b.Fatalf("connection %d: %v", len(n.conns), err)
		}
		n.conns = append(n.conns, c)
		if _, err := c.Write(head); err != nil {
			b.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			b.Fatalf("connection %d: %v %v", len(n.conns), resp, err)
		}
	}
}

// settledRSS waits until the resident memory has not changed for three seconds:
// the collector has run and freed pages have gone back.
func (n *node) settledRSS(b *testing.B) int {
	b.Helper()
	last, same := n.rss(b), 0
	for same < 3 {
		time.Sleep(time.Second)
		if now := n.rss(b); now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
	return last
}

// rss returns the resident memory of the node in bytes.
func (n *node) rss(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.cmd.Process.Pid))
	if err != nil {
		b.Skip("SKIPPED: no /proc on this system, so the memory of the node cannot be read")
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		b.Fatal("no VmRSS in /proc")
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		b.Fatal(err)
	}
	return kb << 10
}
