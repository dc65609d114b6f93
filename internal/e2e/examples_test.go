package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// example is a command with what the examples want to know of a node.
func (n *node) example(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "SLUICE_KEY="+testKey, "SLUICE_CLIENTS=ws://"+n.addr, "SLUICE_API=http://"+n.ops,
		"PATH="+filepath.Dir(sluice)+":"+os.Getenv("PATH"))
	return cmd
}

// TestExampleChat opens the page of the chat in a browser and talks to it.
func TestExampleChat(t *testing.T) {
	needNode(t)
	chromium := needChromium(t)
	n := serve(t)
	cmd := n.example("node", "../../examples/chat/server.mjs")
	cmd.Env = append(cmd.Env, "PORT=0")
	page := startCmd(t, cmd).waitFor(`open (\S+)`)[1]

	listener := start(t, "node", "npm/listen.mjs", "ws://"+n.addr+"/client/hubs/chat?access_token="+token(t, "--user", "bob", "--group", "lobby"), "1")
	listener.waitFor("connected")
	// The browser prints what the page holds when its time is up: by then it has
	// connected and heard itself.
	browser := start(t, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=100000", "--timeout=4000", "--dump-dom",
		page+"/?user=alice%20%3Cb%3E")
	browser.waitFor(`you are here as alice &lt;b&gt;`)
}

// TestExampleTicker has a reader fall behind: it is not closed, misses old prices,
// and gets the newest.
func TestExampleTicker(t *testing.T) {
	needNode(t)
	n := serve(t)
	// The reader wants the package ws, which is installed for the tests.
	script := filepath.Join("npm", "watch-"+strconv.Itoa(os.Getpid())+".mjs")
	write(t, script, read(t, "../../examples/ticker/watch.mjs"))
	t.Cleanup(func() { os.Remove(script) })
	cmd := n.example("node", script)
	cmd.Env = append(cmd.Env, "SLOW=4000")
	reader := startCmd(t, cmd)
	reader.waitFor("watching")

	const count = 700
	cmd = n.example("node", "../../examples/ticker/publish.mjs")
	cmd.Env = append(cmd.Env, "COUNT="+strconv.Itoa(count))
	if code := startCmd(t, cmd).wait(); code != 0 {
		t.Fatalf("the publisher: exit %d", code)
	}
	newest := strconv.Itoa(count)
	for _, share := range []string{"ACME", "EMCA", "MACE"} {
		reader.waitFor(share + ` \S+ \(number ` + newest + `;`)
	}
	out := reader.output()
	left := regexp.MustCompile(`number ` + newest + `; (\d+) older`).FindStringSubmatch(out)
	if left == nil || left[1] == "0" || strings.Contains(out, "closed") {
		t.Errorf("nothing was left out, or the reader was closed: %q", left)
	}
}

// TestExampleNotify tells a user something, from Go and from a shell.
func TestExampleNotify(t *testing.T) {
	needNode(t)
	n := serve(t)
	commands := [][]string{{"go", "run", "../../examples/notify", "-user", "alice", "hello", "from Go"}}
	if _, err := exec.LookPath("curl"); err == nil {
		commands = append(commands, []string{"../../examples/notify/notify.sh", "alice", "hello from sh"})
	} else {
		t.Log("SKIPPED: curl is not installed: examples/notify/notify.sh was not tested")
	}
	listener := start(t, "node", "npm/listen.mjs", "ws://"+n.addr+"/client/hubs/chat?access_token="+token(t, "--user", "alice"), strconv.Itoa(len(commands)))
	listener.waitFor("connected")
	for _, command := range commands {
		p := startCmd(t, n.example(command[0], command[1:]...))
		if code := p.wait(); code != 0 {
			t.Fatalf("%q: exit %d: %s", command, code, p.output())
		}
		listener.waitFor("hello from (Go|sh)")
	}
	if code := listener.wait(); code != 0 {
		t.Errorf("the listener: exit %d", code)
	}
	bad := n.example("go", "run", "../../examples/notify", "-user", "alice", "-hub", "9", "hello")
	if p := startCmd(t, bad); p.wait() == 0 || !strings.Contains(p.output(), "400 Bad Request") {
		t.Errorf("a wrong hub: %s", p.output())
	}
}
