package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// sseNode starts a node that serves Server-Sent Events and keeps the messages of its
// groups.
func sseNode(t *testing.T) *node {
	return serve(t, "--set", "sse.enable=true", "--set", "sse.retry=50ms", "--set", "hub.defaults.history_messages=100",
		"--set", "auth.origins=[\"*\"]", "--set", "landing.enable=true")
}

// command runs a command of the binary for back ends.
func (n *node) command(t *testing.T, name string, args ...string) {
	t.Helper()
	args = append([]string{name, "--key", testKey, "--hub", "chat", "--endpoint", "http://" + n.ops}, args...)
	if out, errs, code := run(t, sluice, args...); code != 0 {
		t.Fatalf("sluice %s: exit %d\n%s%s", name, code, out, errs)
	}
}

// TestCurl is the example of docs/sse.md: curl -N shows what is sent to a group, and
// goes on from an id.
func TestCurl(t *testing.T) {
	curl := need(t, "curl", "the example with curl -N was not tested")
	n := sseNode(t)
	address := "http://" + n.addr + "/sse/hubs/chat?group=news"
	bearer := "Authorization: Bearer " + token(t, "--role", "sluice.joinLeaveGroup.news")
	p := start(t, curl, "-sN", "-H", bearer, address)
	p.waitFor(`data: \{"type":"system","event":"connected"`)
	n.command(t, "send", "--group", "news", "--data", "one")
	p.waitFor(`"data":"one"`)
	id := p.waitFor(`id: (\S+:1)`)[1]
	n.command(t, "send", "--group", "news", "--data", "two")
	p.waitFor(`"data":"two"`)

	again := start(t, curl, "-sN", "-H", bearer, "-H", "Last-Event-ID: "+id, address)
	again.waitFor(`"data":"two"`)
	if strings.Contains(again.output(), `"data":"one"`) {
		t.Errorf("more than what came after %s:\n%s", id, again.output())
	}
	n.command(t, "close", "--all", "--reason", "that was all")
	for _, p := range []*process{p, again} {
		p.waitFor(`data: \{"code":1000,"reason":"that was all","reconnect":false\}`)
		if code := p.wait(); code != 0 {
			t.Errorf("curl: exit %d", code)
		}
	}
	out, _, code := run(t, curl, "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", bearer, "-H", "Last-Event-ID: over", address)
	if code != 0 || out != "204" {
		t.Errorf("who was told not to come back is answered %s", out)
	}
	if page, _, _ := run(t, curl, "-s", "http://"+n.addr+"/"); !strings.Contains(page, "/client/hubs/{hub}") {
		t.Errorf("the landing page is %s", page)
	}
}

// TestEventSource: what a page in a browser hears over a broken connection, and that
// it stays away when it is told to.
func TestEventSource(t *testing.T) {
	chromium := needChromium(t)
	n := sseNode(t)
	p := cutter(t, n.addr)
	address := "http://" + p.addr + "/sse/hubs/chat?group=news&access_token=" + token(t, "--role", "sluice.joinLeaveGroup.news")
	told := openPage(t, chromium, fmt.Sprintf(ssePage, address), nil)
	expectTold(t, told, "complete true")
	n.command(t, "send", "--group", "news", "--data", "one")
	expectTold(t, told, "heard one")
	p.cut()
	n.command(t, "send", "--group", "news", "--data", "two")
	n.command(t, "send", "--group", "news", "--data", "three")
	p.mend()
	expectTold(t, told, "complete true", "heard two", "heard three")
	n.command(t, "close", "--all", "--reason", "that was all")
	expectTold(t, told, `close {"code":1000,"reason":"that was all","reconnect":false}`, "stays away")
	if got := n.metric(t, `sluice_handshake_rejections_total{reason="stream_over"}`); got != "1" {
		t.Errorf("the page came back %s times", got)
	}
}

const ssePage = `<!doctype html>
<script>
const source = new EventSource(%q);
let order = Promise.resolve();
const tell = (text) => order = order.then(() => fetch("/told", {method: "POST", body: text}));
source.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.type === "history") tell("complete " + message.complete);
  if (message.type === "message") tell("heard " + message.data);
};
source.addEventListener("close", (event) => tell("close " + event.data));
source.onerror = () => { if (source.readyState === EventSource.CLOSED) tell("stays away"); };
</script>
`

// breakable is a network between clients and a node that breaks when it is told to.
type breakable struct {
	addr string

	mu     sync.Mutex
	broken bool       // guarded by mu
	open   []net.Conn // guarded by mu
}

// cutter returns a way to the node at addr.
func cutter(t *testing.T, addr string) *breakable {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breakable{addr: ln.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", addr)
			if err != nil || !b.add(from, to) {
				from.Close()
				continue
			}
			serving.Go(func() { io.Copy(to, from); to.Close() })
			serving.Go(func() { io.Copy(from, to); from.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); b.cut(); serving.Wait() })
	return b
}

// add takes in a connection, unless the network is broken.
func (b *breakable) add(ends ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		for _, c := range ends {
			c.Close()
		}
		return false
	}
	b.open = append(b.open, ends...)
	return true
}

func (b *breakable) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.open {
		c.Close()
	}
	b.broken, b.open = true, nil
}

func (b *breakable) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = false
}
