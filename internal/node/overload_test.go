package node

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/overload"
	"sluice/internal/testkit"
)

// series tells whether the metrics page has a line.
func series(t *testing.T, n *Node, line string) bool {
	t.Helper()
	_, page := get(t, n, "/metrics")
	return strings.Contains(page, "\n"+line+"\n")
}

// tryConnect asks to be let in and returns the answer.
func tryConnect(t *testing.T, n *Node) *http.Response {
	t.Helper()
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	defer c.Close()
	c.WriteString(testkit.Head("/client/hubs/chat?access_token="+mint(t, auth.Claims{}), subprotocol))
	return c.ReadResponse()
}

// TestOverloadByQueues drives the queues over their mark with clients that do not
// read: newcomers and publications are refused, the slowest clients closed, one
// that is there and reads is served throughout, and in the end all is as before.
func TestOverloadByQueues(t *testing.T) {
	was := overloadTick
	t.Cleanup(func() { overloadTick = was }) // after the node has stopped
	overloadTick = time.Hour
	var out lines
	n := startNodeLogging(t, func(c *config.Config) {
		c.Log = logs.Config{Format: "json"}
		c.Engine.MaxQueueBytes = 64 << 20
		c.Overload.Queue = 8 << 20
		c.SockJS.Enable = true
		c.SSE.Enable = true
		c.API.Public = true
	}, &out)
	quiet := dial(t, n, auth.Claims{User: "quiet", Groups: []string{"quiet"}})
	quiet.ReadText()
	for range 4 {
		dial(t, n, auth.Claims{User: "slow", Groups: []string{"slow"}}).ReadText()
	}
	h, _ := n.hubs.Hub("chat")
	served := 0
	serve := func() {
		t.Helper()
		served++
		if err := h.SendToGroup("quiet", &hub.Outgoing{DataType: wire.Text, Data: fmt.Appendf(nil, "%d", served)}, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
		if got := quiet.ReadText(); !strings.Contains(got, fmt.Sprintf(`"data":"%d"`, served)) {
			t.Fatalf("the quiet client got %s", got)
		}
	}
	serve()
	message := []byte(strings.Repeat("x", 256<<10))
	testkit.Eventually(t, testkit.Patience, func() bool {
		if err := h.SendToGroup("slow", &hub.Outgoing{DataType: wire.Text, Data: message}, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
		return n.engine.QueuedBytes() > 16<<20
	}, "the queues are long")

	// Over the mark: refused, and nobody closed.
	n.overload.Tick()
	if l := n.overload.Level(); l != overload.Refusing {
		t.Fatalf("level %v", l)
	}
	if r := tryConnect(t, n); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("a newcomer: %v", r)
	}
	if status, body := get(t, n, "/readyz"); status != 503 || body != "overloaded\n" {
		t.Errorf("/readyz: %d %q", status, body)
	}
	service := &backEnd{t, "http://" + n.Addrs()[0].String(), testKey}
	service.want(503, "POST", "/api/hubs/chat/:send", "text/plain", "x")
	service.want(503, "POST", "/api/hubs/chat/:sendMany", "application/json", `{"messages":[{"all":true,"data":1}]}`)
	service.want(200, "HEAD", "/api/hubs/chat/users/quiet", "", "")
	if r, err := http.Post(service.base+"/sockjs/hubs/chat/000/abc/xhr?access_token="+mint(t, auth.Claims{}), "", nil); err != nil || r.StatusCode != 503 {
		t.Errorf("SockJS: %v %v", r, err)
	} else {
		r.Body.Close()
	}
	if r, err := http.Get(service.base + "/sse/hubs/chat?access_token=" + mint(t, auth.Claims{Groups: []string{"g"}})); err != nil || r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("Server-Sent Events: %v %v", r, err)
	} else {
		r.Body.Close()
	}
	for _, line := range []string{
		`sluice_overload_state{reason="queue"} 1`,
		`sluice_overload_state{reason="lag"} 0`,
		`sluice_overload_transitions_total{reason="queue",state="refusing"} 1`,
		`sluice_handshake_rejections_total{reason="overload_queue"} 3`,
		`sluice_readiness{state="overloaded"} 1`,
		`sluice_connections_closed_total{reason="overload",initiator="server"} 0`,
	} {
		if !series(t, n, line) {
			t.Errorf("the metrics have no line %s", line)
		}
	}
	serve()

	// That did not help: the slowest go.
	testkit.Eventually(t, testkit.Patience, func() bool {
		n.overload.Tick()
		serve()
		return n.overload.Level() == overload.Refusing && n.engine.QueuedBytes() < 8<<20
	}, "the slowest clients are closed")
	_, page := get(t, n, "/metrics")
	if strings.Contains(page, "\nsluice_connections_closed_total{reason=\"overload\",initiator=\"server\"} 0\n") {
		t.Error("no client was closed for it")
	}

	// And it is over.
	testkit.Eventually(t, testkit.Patience, func() bool {
		n.overload.Tick()
		serve()
		return n.overload.Level() == overload.Normal
	}, "the node takes new work again")
	if status, _ := get(t, n, "/readyz"); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
	dial(t, n, auth.Claims{}).ReadText()
	service.want(202, "POST", "/api/hubs/chat/groups/nobody/:send", "text/plain", "x")
	if !series(t, n, `sluice_overload_state{reason="queue"} 0`) {
		t.Error("the metrics do not say that it is over")
	}
	for _, state := range []string{"refusing", "shedding", "normal"} {
		if !strings.Contains(out.String(), `"msg":"overload","reason":"queue","state":"`+state+`"`) {
			t.Errorf("no line in the log about %s", state)
		}
	}
}

// TestOverloadDisabled: nothing is watched, and the rest works without.
func TestOverloadDisabled(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.Overload.Disable = true })
	if n.overload != nil {
		t.Error("there is a guard")
	}
	dial(t, n, auth.Claims{}).ReadText()
	if !series(t, n, `sluice_overload_state{reason="queue"} 0`) {
		t.Error("no series")
	}
	if status, _ := get(t, n, "/readyz"); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
}

// TestOverloadClock: the node watches by itself.
func TestOverloadClock(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.Overload.Memory = 16 << 20 })
	ballast := make([]byte, 32<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	testkit.Eventually(t, testkit.Patience, func() bool {
		return tryConnect(t, n).StatusCode == 503
	}, "newcomers are refused above the mark for memory")
	if !series(t, n, `sluice_handshake_rejections_total{reason="overload_memory"} 1`) {
		t.Error("not counted under its name")
	}
	if ballast[len(ballast)-1] != 1 {
		t.Error("no ballast")
	}
}
