package node

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/testkit"
)

// withSSE has Server-Sent Events served, and the last messages of the groups kept.
func withSSE(c *config.Config) {
	c.SSE.Enable = true
	c.Hub.Defaults.HistoryMessages = 100
}

// events is a stream of Server-Sent Events over a socket of the test's own.
type events struct {
	*testing.T
	conn  *testkit.Conn
	lines *bufio.Reader
	last  string // id
}

// openEvents asks for a stream; it must be let in.
func openEvents(t *testing.T, conn *testkit.Conn, path string, headers ...string) *events {
	t.Helper()
	conn.WriteString("GET " + path + " HTTP/1.1\r\nHost: sluice\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n")
	resp := conn.ReadResponse()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s %s", resp.Status, body)
	}
	return &events{T: t, conn: conn, lines: bufio.NewReader(resp.Body)}
}

// next returns the data of the next event, "" at the end of the stream.
func (e *events) next() (data string) {
	e.Helper()
	for {
		line, err := e.lines.ReadString('\n')
		if err == io.EOF && data == "" {
			return ""
		}
		if err != nil {
			e.Fatalf("%q, %v", line, err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.last = value
		case "data":
			data = value
		case "":
			if data != "" {
				return data
			}
		}
	}
}

func (e *events) expect(wants ...string) {
	e.Helper()
	for _, want := range wants {
		if got := e.next(); !strings.Contains(got, want) {
			e.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestEventStream: over real sockets, in plain text and over TLS, what a WebSocket
// client says to a group comes as events; after a broken connection Last-Event-ID
// brings what was missed.
func TestEventStream(t *testing.T) {
	testkit.NoLeaks(t)
	s := startSecure(t, withSSE)
	n := s.Node
	sender := dial(t, n, auth.Claims{User: "ann", Roles: []string{"sluice.sendToGroup"}})
	sender.ReadText()
	say := func(text string) {
		sender.WriteText(`{"type":"sendToGroup","group":"news","dataType":"text","data":"` + text + `","ackId":1}`)
		sender.ReadText() // the acknowledgement, or Duplicate: it was done
	}
	path := "/sse/hubs/Chat?access_token=" + mint(t, auth.Claims{User: "ben", Roles: []string{"sluice.joinLeaveGroup.news"}}) + "&group=news"
	plain := func() *testkit.Conn { return testkit.Dial(t, "tcp", n.Addrs()[0].String()) }

	first := openEvents(t, plain(), path)
	over := openEvents(t, s.dial(s.client("localhost")), path)
	for _, e := range []*events{first, over} {
		e.expect(`"event":"connected","userId":"ben"`, `"type":"history"`)
	}
	say("one")
	for _, e := range []*events{first, over} {
		e.expect(`"fromUserId":"ann","dataType":"text","data":"one","offset":1`)
	}
	counted(t, n, `sluice_hub_connections{hub="chat",transport="sse"}`, 2)
	counted(t, n, `sluice_hub_connections{hub="chat",transport="websocket"}`, 1)
	counted(t, n, "sluice_http_connections", 2)

	first.conn.Reset()
	testkit.Eventually(t, testkit.Patience, func() bool { return n.hubs.Stats()[0].Sessions == 2 }, "the stream is gone")
	say("two")
	say("three")
	back := openEvents(t, plain(), path, "Last-Event-ID: "+first.last)
	back.expect("connected", `"complete":true`, `"data":"two"`, `"data":"three"`)
	say("four")
	back.expect(`"data":"four","offset":4`)
	over.expect(`"data":"two"`, `"data":"three"`, `"data":"four"`)
	if back.last != over.last || !strings.HasSuffix(back.last, ":4") {
		t.Errorf("the last ids are %s and %s", back.last, over.last)
	}
}

// TestEventStreamRefused: the same rules as for every other client.
func TestEventStreamRefused(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		withSSE(c)
		c.Hub.CreateOnFirstUse = false
		c.Hub.Hubs = map[string]hub.Tenant{"chat": {}}
		c.Auth.Origins = []string{"https://*.example.com"}
		c.SSE.MaxStreams = 1
	})
	token := "access_token=" + mint(t, auth.Claims{Roles: []string{"sluice.joinLeaveGroup.news"}})
	for _, tt := range []struct {
		path, header string
		status       int
	}{
		{"/sse/hubs/chat", "", 401},
		{"/sse/hubs/lobby?" + token, "", 401},
		{"/sse/hubs/chat?" + token + "&group=secret", "", 403},
		{"/sse/hubs/chat?" + token, "Origin: https://example.org", 403},
		{"/sse/hubs/chat?connection_id=x&" + token, "", 400},
		{"/sse/hubs/chat?" + token, "Last-Event-ID: over", 204},
		{"/sse/nothing", "", 404},
	} {
		headers := []string{"Host: sluice"}
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
		c.WriteString("GET " + tt.path + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n")
		if resp := c.ReadResponse(); resp.StatusCode != tt.status {
			body, _ := io.ReadAll(resp.Body)
			t.Errorf("%.30s %s: %s %s, want %d", tt.path, tt.header, resp.Status, body, tt.status)
		}
	}
	e := openEvents(t, testkit.Dial(t, "tcp", n.Addrs()[0].String()), "/sse/hubs/chat?"+token, "Origin: https://app.example.com")
	e.expect("connected")
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	c.WriteString("GET /sse/hubs/chat?" + token + " HTTP/1.1\r\nHost: sluice\r\n\r\n")
	if resp := c.ReadResponse(); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one more than there may be: %s", resp.Status)
	}
	counted(t, n, `sluice_handshake_rejections_total{reason="stream_limit"}`, 1)
	counted(t, n, `sluice_handshake_rejections_total{reason="group_forbidden"}`, 1)
}

// TestEventStreamEnds: with its token, and with the node, which says when to come
// back.
func TestEventStreamEnds(t *testing.T) {
	testkit.NoLeaks(t)
	cfg := config.Config{
		Listen: []string{"127.0.0.1:0"}, Ops: "127.0.0.1:0",
		Drain: config.Drain{Grace: time.Millisecond, Window: 100 * time.Millisecond},
		Auth:  auth.Config{Keys: []auth.Key{{Secret: testKey}}, Leeway: time.Millisecond},
		Hub:   hub.Config{CreateOnFirstUse: true},
	}
	cfg.SSE.Enable = true
	log := logs.Open(cfg.Log, t.Output())
	defer log.Close()
	n, err := Start(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	open := func(c auth.Claims) *events {
		return openEvents(t, testkit.Dial(t, "tcp", n.Addrs()[0].String()), "/sse/hubs/chat?access_token="+mint(t, c))
	}
	lasting, short := open(auth.Claims{}), open(auth.Claims{TTL: 2 * time.Second})
	lasting.expect("connected")
	short.expect("connected", `{"code":4401,"reason":"token expired","reconnect":true}`, "")
	if err := n.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	lasting.expect(`"message":"service restart","reconnectAfterMs":`, `{"code":1012,"reason":"service restart","reconnect":true}`, "")
}

// TestLanding: the pages are there where they are wanted, and nobody else is kept
// from the event loops.
func TestLanding(t *testing.T) {
	ask := func(n *Node, path string) (int, string) {
		t.Helper()
		c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
		c.WriteString("GET " + path + " HTTP/1.1\r\nHost: sluice\r\n\r\n")
		resp := c.ReadResponse()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	off := startNode(t, nil)
	for _, path := range []string{"/", "/health", "/sse/hubs/chat"} {
		if status, _ := ask(off, path); status == 200 || status == 401 {
			t.Errorf("not enabled, %s: %d", path, status)
		}
	}
	on := startNode(t, func(c *config.Config) { c.Landing.Enable = true })
	if status, body := ask(on, "/"); status != 200 || !strings.Contains(body, "/client/hubs/{hub}") {
		t.Errorf("/: %d %s", status, body)
	}
	if status, body := ask(on, "/health"); status != 200 || body != "ready\n" {
		t.Errorf("/health: %d %s", status, body)
	}
	if status, _ := ask(on, "/elsewhere"); status != 426 { // the loops want a WebSocket
		t.Errorf("/elsewhere: %d", status)
	}
	dial(t, on, auth.Claims{}).ReadText()
	on.state.Store(draining)
	if status, body := ask(on, "/health"); status != 503 || body != "draining\n" {
		t.Errorf("/health of a node that drains: %d %s", status, body)
	}
	on.state.Store(serving)
}
