package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// get asks the operations listener.
func (n *node) get(path string) (status int, body string) {
	n.t.Helper()
	resp, err := http.Get("http://" + n.ops + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestOperations(t *testing.T) {
	n := serve(t, "--echo", "/echo")
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready"} {
		if status, body := n.get(path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	c := testkit.DialWebSocket(t, n.addr, "/echo")
	c.WriteText("hello")
	c.ExpectText("hello")
	testkit.Eventually(t, patience, func() bool {
		_, body := n.get("/metrics")
		return strings.Contains(body, "\nsluice_connections 1\n") &&
			strings.Contains(body, "\nsluice_messages_received_total 1\n") &&
			strings.Contains(body, "\nsluice_messages_sent_total 1\n")
	}, "the connection and its message in /metrics")
}

// TestSIGTERM: not ready, no new clients, connections closed with 1012 over
// the drain window, exit 0.
func TestSIGTERM(t *testing.T) {
	n := serve(t, "--echo", "/echo")
	const clients = 20
	var conns []*testkit.Conn
	for range clients {
		conns = append(conns, testkit.DialWebSocket(t, n.addr, "/echo"))
	}
	n.signal(syscall.SIGTERM)
	n.waitFor("msg=draining")
	for _, c := range conns {
		c.ExpectClose(1012)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

// TestSecondSignal ends a node at once although a client does not answer.
func TestSecondSignal(t *testing.T) {
	n := serve(t, "--echo", "/echo")
	testkit.DialWebSocket(t, n.addr, "/echo") // never reads, never closes
	n.signal(syscall.SIGTERM)
	n.waitFor("msg=draining")
	testkit.Eventually(t, patience, func() bool { // one that comes at once counts as the first
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		time.Sleep(50 * time.Millisecond)
		select {
		case <-n.done:
			return true
		default:
			return false
		}
	}, "the end")
	if code := n.wait(); code == 0 {
		t.Error("exit 0: that means everything was closed in good order, which it was not")
	}
	n.waitFor("second signal")
}

// TestOutOfDescriptors: a node that runs out of descriptors keeps its clients,
// and takes new ones when some are free again.
func TestOutOfDescriptors(t *testing.T) {
	config := filepath.Join(t.TempDir(), "sluice.yaml")
	// More connections than the descriptors allow, so that accept fails.
	write(t, config, `
listen: ["127.0.0.1:0"]
ops: "127.0.0.1:0"
echo_path: /echo
auth: {keys: [{secret: `+testKey+`}]}
engine: {loops: 1, max_connections: 1000, max_pending_handshakes: 1000}
`)
	n := await(start(t, "sh", "-c", `ulimit -n 48; exec "$0" serve --config "$1"`, sluice, config))

	first := testkit.DialWebSocket(t, n.addr, "/echo")
	var more []*testkit.Conn
	for range 60 { // the kernel completes these in its backlog
		c, err := testkit.TryDial("tcp", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		more = append(more, testkit.Wrap(t, c))
	}
	n.waitFor("cannot accept connections")

	first.WriteText("still here")
	first.ExpectText("still here")

	for _, c := range more {
		c.Close()
	}
	again := testkit.DialWebSocket(t, n.addr, "/echo")
	again.WriteText("new")
	again.ExpectText("new")
	first.WriteText("and still")
	first.ExpectText("and still")
	testkit.Eventually(t, patience, func() bool { // it says so a while after the last failure
		testkit.DialWebSocket(t, n.addr, "/echo").Close()
		return strings.Contains(n.output(), "accepting connections again")
	}, "the end of the burst in the log")
	if got := strings.Count(n.output(), "cannot accept connections"); got != 1 {
		t.Errorf("logged %d times, want once per burst", got)
	}
}

func TestTokenCommand(t *testing.T) {
	out, errs, code := run(t, sluice, "token", "--key", testKey, "--hub", "chat", "--user", "u", "--role", "sluice.sendToGroup", "--group", "g", "--ttl", "5m")
	if code != 0 || errs != "" || strings.Count(out, ".") != 2 || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d, stdout %q, stderr %q: want a token alone on one line", code, out, errs)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"token", "--hub", "chat"}, "--key"},
		{[]string{"token", "--key", testKey}, "--hub"},
		{[]string{"token", "--key", "short", "--hub", "chat"}, "at least 32"},
		{[]string{"token", "--key", testKey, "--hub", "no such/name"}, "hub"},
		{[]string{"token", "--key", testKey, "--hub", "chat", "--ttl", "-1s"}, "--ttl"},
		{[]string{"token", "--nonsense"}, "--help"},
		{[]string{"token", "--key", testKey, "--hub", "chat", "--api", "--user", "u"}, "--api"},
		{[]string{"token", "--key", testKey, "--hub", "no such/name", "--api"}, "hub"},
		{[]string{"token", "--key", "short", "--hub", "chat", "--api"}, "at least 32"},
	} {
		out, errs, code := run(t, sluice, tt.args...)
		if code != 2 || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: exit %d, stdout %q, stderr %q; want exit 2 and %q", tt.args, code, out, errs, tt.want)
		}
	}
}

// TestTokenLetsIn: what sluice token prints opens a connection, and says who it
// is.
func TestTokenLetsIn(t *testing.T) {
	n := serve(t)
	c := testkit.DialWebSocket(t, n.addr, "/client/hubs/chat", "Sec-WebSocket-Protocol: json.sluice.v1",
		"Authorization: Bearer "+token(t, "--user", "u", "--group", "g", "--role", "sluice.sendToGroup.g"))
	if got := c.ReadText(); !strings.Contains(got, `"userId":"u"`) {
		t.Errorf("first message: %s", got)
	}
	c.WriteText(`{"type":"sendToGroup","group":"g","dataType":"text","data":"to myself"}`)
	if got := c.ReadText(); !strings.Contains(got, `"data":"to myself"`) {
		t.Errorf("a member's own message: %s", got)
	}
	c.WriteText(`{"type":"joinGroup","group":"h","ackId":1}`)
	if got := c.ReadText(); !strings.Contains(got, "Forbidden") {
		t.Errorf("without the role: %s", got)
	}
}

func TestVersionCommand(t *testing.T) {
	out, _, code := run(t, sluice, "version")
	if code != 0 || !strings.HasPrefix(out, "sluice ") {
		t.Errorf("exit %d, stdout %q", code, out)
	}
}

// TestBadConfiguration reports every problem at once, with key path and line.
func TestBadConfiguration(t *testing.T) {
	config := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, config, `listen: ["127.0.0.1:0"]
engine:
  heartbeat_intervall: 10s
  pong_timeout: soon
  max_message_size: -1
auth:
  keys:
    - secret: short
`)
	_, errs, code := run(t, sluice, "serve", "--config", config)
	if code != 2 {
		t.Errorf("exit %d, want 2", code)
	}
	for _, want := range []string{
		"bad.yaml:3: engine.heartbeat_intervall", "heartbeat_interval",
		"bad.yaml:4: engine.pong_timeout",
		"bad.yaml:5: engine.max_message_size",
		"bad.yaml:8: auth.keys[0].secret",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("standard error does not say %q:\n%s", want, errs)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	n := serve(t)
	_, errs, code := run(t, sluice, "serve", "--dev", "--listen", n.addr, "--ops", "127.0.0.1:0")
	if code != 1 || !strings.Contains(errs, n.addr) || !strings.Contains(errs, "in use") {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
