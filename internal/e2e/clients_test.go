package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// needNode skips, loudly, on a machine without Node.js or without the packages.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("SKIPPED: node is not installed, so the npm clients were not tested")
	}
	if _, err := os.Stat("npm/node_modules/ws"); err != nil {
		t.Skip("SKIPPED: npm/node_modules is missing (make test installs it), so the npm clients were not tested")
	}
}

// needChromium returns the browser or skips, loudly.
func needChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("SKIPPED: no Chromium is installed, so the browser was not tested")
	return ""
}

// TestMakeRun is the first thing a newcomer does: make run, then paste what it
// prints. Two npm clients and a browser exchange messages through a group.
func TestMakeRun(t *testing.T) {
	needNode(t)
	p := startCmd(t, makeRun())
	address := p.waitFor(`ws://\S+`)[0]
	p.waitFor(`FOR DEVELOPMENT`)
	wscat := p.waitFor(`npx wscat (-s json\.sluice\.v1 -c '(ws://\S+)')`)
	group := p.waitFor(`Both are in the group "(\w+)"`)[1]

	t.Run("two npm clients", func(t *testing.T) {
		out, errs, code := run(t, "node", "npm/chat.mjs", address, wscat[2], "lounge")
		if code != 0 || strings.TrimSpace(out) != "ok" {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	})

	t.Run("wscat as printed", func(t *testing.T) {
		listener := start(t, "node", "npm/listen.mjs", address, "1")
		listener.waitFor("connected")
		line := p.waitFor(`\{"type":"sendToGroup".*\}`)[0]
		args := append([]string{"npm/node_modules/.bin/wscat", "-x", line, "-w", "1"},
			strings.Fields(strings.ReplaceAll(wscat[1], "'", ""))...)
		if code := start(t, "node", args...).wait(); code != 0 {
			t.Fatalf("wscat: exit %d", code)
		}
		listener.waitFor("hello")
		if code := listener.wait(); code != 0 {
			t.Fatalf("listener: exit %d", code)
		}
	})

	t.Run("a browser and npm clients", func(t *testing.T) {
		browse(t, needChromium(t), address, group)
	})

	p.interrupt()
	p.waitFor("msg=stopped")
}

// makeRun starts the node with make, on free ports.
func makeRun() *exec.Cmd {
	cmd := exec.Command("make", "--no-print-directory", "run", "ARGS=--listen 127.0.0.1:0 --ops 127.0.0.1:0")
	cmd.Dir = "../.."
	return cmd
}

// browse opens a page that joins the group, answers what it hears, and tells
// what it saw to the server that the page came from.
func browse(t *testing.T, chromium, address, group string) {
	listener := start(t, "node", "npm/listen.mjs", address, "2")
	listener.waitFor("connected")
	told := openPage(t, chromium, fmt.Sprintf(page, address, group), nil)
	listener.waitFor("from the page")
	fmt.Fprintf(listener.stdin, `{"type":"sendToGroup","group":%q,"dataType":"text","data":"to the page","noEcho":true}`+"\n", group)
	listener.waitFor("the page heard: to the page")
	if code := listener.wait(); code != 0 {
		t.Errorf("listener: exit %d", code)
	}
	expectTold(t, told, "to the page")
}

const page = `<!doctype html>
<script>
const socket = new WebSocket(%q, "json.sluice.v1");
const group = %q;
const send = (data) => socket.send(JSON.stringify({type: "sendToGroup", group, dataType: "text", data, noEcho: true}));
const tell = (text) => fetch("/told", {method: "POST", body: text});
socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.event === "connected") send("from the page");
  if (message.type === "message") {
    send("the page heard: " + message.data);
    tell(message.data);
  }
};
socket.onclose = (event) => tell("closed " + event.code);
</script>
`

// TestRawClients: without a subprotocol, two npm clients, and then the WebSocket of
// a browser with one of them, exchange bare text and bytes.
func TestRawClients(t *testing.T) {
	needNode(t)
	n := serve(t)
	address := "ws://" + n.addr + "/client/hubs/chat?access_token=" + token(t, "--group", "g", "--role", "sluice.sendToGroup.g")
	t.Run("npm", func(t *testing.T) {
		out, errs, code := run(t, "node", "npm/raw.mjs", address)
		if code != 0 || strings.TrimSpace(out) != "ok" {
			t.Fatalf("exit %d\n%s%s", code, out, errs)
		}
	})
	t.Run("browser", func(t *testing.T) {
		told := openPage(t, needChromium(t), fmt.Sprintf(rawPage, address, address+"&mode=sendToGroup&group=g"), nil)
		expectTold(t, told, "text h\u00e9llo", "bytes 0,255")
	})
}

// openPage has a browser open a page, and returns what that posts to /told. files
// are what else is there to be loaded, by path.
func openPage(t *testing.T, chromium, page string, files map[string][]byte) (told <-chan string) {
	t.Helper()
	posted := make(chan string, 8)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) })
	mux.HandleFunc("POST /told", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted <- string(body)
	})
	for path, file := range files {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { w.Write(file) })
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	start(t, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), server.URL)
	return posted
}

// expectTold waits until the page has said these things, in this order.
func expectTold(t *testing.T, told <-chan string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		select {
		case got := <-told:
			if got != want {
				t.Fatalf("the page says %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("the page did not say %q in time", want)
		}
	}
}

const rawPage = `<!doctype html>
<script>
const reader = new WebSocket(%q), sender = new WebSocket(%q);
reader.binaryType = "arraybuffer";
let heard = Promise.resolve();
const tell = (text) => heard = heard.then(() => fetch("/told", {method: "POST", body: text}));
reader.onmessage = (event) =>
  tell(typeof event.data === "string" ? "text " + event.data : "bytes " + new Uint8Array(event.data).join());
const opened = (socket) => new Promise((resolve) => socket.onopen = resolve);
Promise.all([opened(reader), opened(sender)]).then(() => {
  sender.send("h\u00e9llo");
  sender.send(new Uint8Array([0, 255]));
});
</script>
`

// TestBinarySubprotocols: clients made of public packages speak Protobuf and
// MessagePack with each other and with one that speaks JSON.
func TestBinarySubprotocols(t *testing.T) {
	needNode(t)
	if _, err := os.Stat("npm/node_modules/protobufjs"); err != nil {
		t.Skip("SKIPPED: the packages in npm/package.json are not all installed (make test installs them), so the binary subprotocols were not tested")
	}
	n := serve(t)
	out, errs, code := run(t, "node", "npm/binary.mjs", "ws://"+n.addr+"/client/hubs/chat",
		token(t, "--user", "u", "--role", "sluice.joinLeaveGroup", "--role", "sluice.sendToGroup.g"), "../../hub/wire/sluice.proto")
	if code != 0 || strings.TrimSpace(out) != "ok" {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
}
