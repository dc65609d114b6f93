package sse

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/testkit"
)

// TestStream: `connected`, the state of the history, and what comes live, with an id
// where the group has a history.
func TestStream(t *testing.T) {
	r := newRig(t, Config{}, nil)
	r.send("g", "before")
	s := r.stream(good)
	if !regexp.MustCompile(`^[A-Z2-7]{10}:1$`).MatchString(s.last) {
		t.Errorf("the first id is %q", s.last)
	}
	s.expect(`{"type":"history","group":"g","epoch":"` + s.last[:10] + `","offset":1,"complete":true}`)
	r.send("plain", "no history")
	r.send("g", "one")
	if e := s.next(); e.id != "" || e.data != `{"type":"message","from":"group","group":"plain","dataType":"text","data":"no history"}` {
		t.Errorf("without history: %v", e)
	}
	if e := s.next(); !strings.HasSuffix(e.id, ":2") || e.name != "message" || e.data != `{"type":"message","from":"group","group":"g","dataType":"text","data":"one","offset":2}` {
		t.Errorf("with history: %v", e)
	}
	if got := r.server.Streams(); len(got) != 1 || got["chat"] != 1 {
		t.Errorf("streams %v", got)
	}
	s.body.Close()
	r.waitSessions(0)
	testkit.Eventually(t, testkit.Patience, func() bool { return len(r.server.Streams()) == 0 && r.server.QueuedBytes() == 0 }, "nothing left of the stream")
}

// TestLines: JSON data with line ends between its tokens is one line.
func TestLines(t *testing.T) {
	r := newRig(t, Config{}, nil)
	s := r.stream(good)
	s.next()
	m := &hub.Outgoing{DataType: wire.JSON, Data: []byte("{\"a\":\r\n[1,\n2],\r\"b\":\"\\n\\r\"}")}
	if err := r.hub.SendToAll(m, hub.Selection{}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Data struct {
			A []int
			B string
		}
	}
	if e := s.next(); json.Unmarshal([]byte(e.data), &got) != nil || got.Data.B != "\n\r" || !slices.Equal(got.Data.A, []int{1, 2}) {
		t.Errorf("got %v", e)
	}
}

// TestResume: a client that comes back with the last id gets what it has missed, once,
// and before what comes live; by the header as well as by the query.
func TestResume(t *testing.T) {
	r := newRig(t, Config{}, nil)
	s := r.stream(good + "&group=g2")
	s.next()
	s.next()
	r.send("g", "a1")
	r.send("g2", "b1")
	s.expect("a1", "b1")
	last := s.last
	if !regexp.MustCompile(`^[A-Z2-7]{10}:1,[A-Z2-7]{10}:1$`).MatchString(last) {
		t.Fatalf("the id of two groups is %q", last)
	}
	s.body.Close()
	r.waitSessions(0)
	r.send("g", "a2")
	r.send("g2", "b2")
	for _, headers := range [][]string{{headerLastID, last}, nil} {
		path := good + "&group=g2"
		if headers == nil {
			path += "&lastEventId=" + last
		}
		s := r.stream(path, headers...)
		if s.last != last {
			t.Errorf("the first id is %s, want %s", s.last, last)
		}
		r.send("g", "live")
		s.expect(`"group":"g","epoch"`)
		first := s.next()
		s.expect(`"complete":true`, "b2", "live")
		before, after := parseID(last), parseID(first.id)
		if before[0].Offset++; !strings.Contains(first.data, "a2") || !slices.Equal(before, after) {
			t.Errorf("missed: %v after %s", first, last)
		}
		s.body.Close()
		r.waitSessions(0)
		last = s.last
		r.send("g", "a2")
		r.send("g2", "b2")
	}
}

// TestGap: a history that does not reach back any more says so, and so does an id
// that nobody has given.
func TestGap(t *testing.T) {
	r := newRig(t, Config{}, func(c *hub.Tenant) { c.Groups[0].HistoryMessages = 2 })
	s := r.stream(good)
	last := s.last
	for i := range 4 {
		r.send("g", fmt.Sprint("m", i+1))
	}
	s.expect(`"complete":true`, "m1", "m2", "m3", "m4")
	for _, id := range []string{last, "not an id", "AAAAAAAAAA:4", strings.Repeat("x", 2*maxID)} {
		s := r.stream(good, headerLastID, id)
		if !strings.HasSuffix(s.last, ":2") {
			t.Errorf("%s: the first id is %s", id, s.last)
		}
		s.expect(`"complete":false`, "m3", "m4")
	}
}

// TestEnds is what the last event says, and whether a browser stays away then.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *rig)
		want []string // data of the last events
		over bool
	}{
		{"a service", func(t *testing.T, r *rig) { r.hub.CloseAll(hub.Selection{}, "go away") },
			[]string{`"event":"disconnected","message":"go away"`, `{"code":1000,"reason":"go away","reconnect":false}`}, true},
		{"the node", func(t *testing.T, r *rig) { r.server.Drain(t.Context(), time.Millisecond, 5*time.Second) },
			[]string{`"message":"service restart","reconnectAfterMs":`, `{"code":1012,"reason":"service restart","reconnect":true}`}, false},
		{"the token", func(t *testing.T, r *rig) {}, []string{`{"code":4401,"reason":"token expired","reconnect":true}`}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Config{}, nil)
			if tt.name == "the token" {
				r.expires = time.Now().Add(50 * time.Millisecond)
			}
			s := r.stream(good)
			s.expect(`"type":"history"`)
			tt.end(t, r)
			var e event
			for _, want := range tt.want {
				if e = s.next(); !strings.Contains(e.data, want) {
					t.Errorf("got %v, want %s", e, want)
				}
			}
			s.expectEnd()
			if e.name != "close" || (e.id == idOver) != tt.over || (e.retry != "") != (tt.name == "the node") {
				t.Errorf("the last event is %v", e)
			}
			r.waitSessions(0)
			if !tt.over {
				return
			}
			resp := r.open(http.MethodGet, good, headerLastID, s.last)
			if resp.StatusCode != http.StatusNoContent || r.counted(r.refused, "stream_over") != 1 {
				t.Errorf("who comes back all the same: %s", resp.Status)
			}
		})
	}
}

// TestDraining: a node that goes away takes no streams.
func TestDraining(t *testing.T) {
	r := newRig(t, Config{}, nil)
	r.server.Drain(t.Context(), time.Millisecond, time.Second)
	if resp := r.open(http.MethodGet, good); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s", resp.Status)
	}
}

// TestClose ends streams without their loops.
func TestClose(t *testing.T) {
	r := newRig(t, Config{}, nil)
	s := r.stream(good)
	s.next()
	r.server.Close()
	s.expectEnd()
}

// TestLimits: more streams than there may be are sent away and let in later.
func TestLimits(t *testing.T) {
	r := newRig(t, Config{MaxStreams: 1}, nil)
	s := r.stream(good)
	if resp := r.open(http.MethodGet, good); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if r.counted(r.refused, "stream_limit") != 1 {
		t.Error("not counted")
	}
	s.body.Close()
	r.waitSessions(0)
	testkit.Eventually(t, testkit.Patience, func() bool { return len(r.server.Streams()) == 0 }, "room")
	r.stream(good)
}

// TestHubFull: what the hub has against the client is a status.
func TestHubFull(t *testing.T) {
	r := newRig(t, Config{}, func(c *hub.Tenant) { c.MaxSessions = 1 })
	r.stream(good)
	if resp := r.open(http.MethodGet, good); resp.StatusCode != http.StatusServiceUnavailable || r.counted(r.refused, "stream_refused") != 1 {
		t.Errorf("%s", resp.Status)
	}
	if len(r.server.Streams()) != 1 {
		t.Error("a stream is left of it")
	}
}

// TestOverloaded: an event loop that takes nothing is no reason to wait.
func TestOverloaded(t *testing.T) {
	r := newRig(t, Config{}, nil)
	r.server.options.Loops = []hub.Loop{overloaded{}}
	if resp := r.open(http.MethodGet, good); resp.StatusCode != http.StatusServiceUnavailable || r.counted(r.refused, "stream_limit") != 1 {
		t.Errorf("%s", resp.Status)
	}
}

// TestOwed: histories that many clients have yet to take are bounded.
func TestOwed(t *testing.T) {
	r := newRig(t, Config{MaxNodeQueueBytes: 300}, nil)
	r.send("g", strings.Repeat("x", 200))
	if resp := r.open(http.MethodGet, good, headerLastID, "AAAAAAAAAA:1"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s", resp.Status)
	}
	r.waitSessions(0)
	if n := r.server.QueuedBytes(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// raw is a client that reads when it likes.
func (r *rig) raw(headers ...string) net.Conn {
	r.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", good, strings.Join(headers, ""))
	r.waitSessions(1)
	return c
}

// TestSlow: a client that does not read is shed when too much waits for it, and
// others get all.
func TestSlow(t *testing.T) {
	r := newRig(t, Config{MaxQueueBytes: 64 << 10}, nil)
	r.raw()
	text := strings.Repeat("x", 8<<10)
	testkit.Eventually(t, testkit.Patience, func() bool {
		r.send("plain", text)
		return r.hub.Stats().Sessions == 0
	}, "the slow client is gone")
	if r.counted(r.dropped, "slow_consumer") == 0 {
		t.Error("not counted")
	}
	if n := r.server.QueuedBytes(); n != 0 {
		t.Errorf("%d bytes still wait", n)
	}
	s := r.stream(good)
	r.send("plain", "to others")
	s.expect(`"type":"history"`, "to others")
}

// TestStalled: one that takes nothing of what is written ends too, though little
// waits for it.
func TestStalled(t *testing.T) {
	r := newRig(t, Config{MaxQueueBytes: 64 << 20}, nil)
	r.server.writeTimeout = 50 * time.Millisecond
	r.raw()
	for range 16 { // more than the kernel holds
		r.send("plain", strings.Repeat("x", 1<<20))
	}
	r.waitSessions(0)
	if r.counted(r.dropped, "slow_consumer") != 1 {
		t.Error("not counted")
	}
}

// TestHeartbeat: a silent stream gets comments.
func TestHeartbeat(t *testing.T) {
	r := newRig(t, Config{HeartbeatInterval: time.Millisecond}, nil)
	s := r.stream(good)
	s.next()
	for range 3 {
		if line, err := s.lines.ReadString('\n'); err != nil || line != ":\n" && line != "\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// TestComesBack holds the rule against the bands of the codes.
func TestComesBack(t *testing.T) {
	for code, want := range map[frame.CloseCode]bool{
		frame.CloseNormal: false, frame.CloseReplaced: false, frame.CloseServiceRestart: true, frame.CloseTokenExpired: true,
		frame.CloseInternalError: true, frame.ClosePolicyViolation: true,
	} {
		if comesBack(code) != want {
			t.Errorf("%d: %v", code, !want)
		}
	}
}

// TestAnswers is what clients are told that get no stream.
func TestAnswers(t *testing.T) {
	r := newRig(t, Config{}, nil)
	for _, tt := range []struct {
		method, path string
		headers      []string
		status       int
		label        string
	}{
		{"GET", "/sse/", nil, 404, "unknown_path"},
		{"GET", "/sse/hubs/a%2fb?token=good", nil, 404, "unknown_path"},
		{"GET", "/sse/hubs/?token=good", nil, 400, "invalid_hub"},
		{"GET", "/sse/hubs/chat/x?token=good", nil, 400, "invalid_hub"},
		{"POST", good, nil, 405, "method"},
		{"HEAD", good, nil, 405, "method"},
		{"GET", "/sse/hubs/chat", nil, 401, "token_missing"},
		{"GET", "/sse/hubs/chat?token=comeback", nil, 400, "mode"},
		{"GET", good + "&group=%zz", nil, 400, "mode"},
		{"GET", good + "&group=%20", nil, 400, "invalid_group"},
		{"GET", good + "&group=g1&group=secret", nil, 403, "group_forbidden"},
		{"GET", good, []string{"Origin", "https://evil.example"}, 403, "origin_denied"},
		{"OPTIONS", good, []string{"Origin", "https://app.example", "Access-Control-Request-Headers", "authorization"}, 204, ""},
		{"GET", good + "&group=g1", []string{"Origin", "https://app.example"}, 200, ""},
	} {
		t.Run(fmt.Sprint(tt.method, tt.path, tt.status), func(t *testing.T) {
			before := r.counted(r.refused, tt.label)
			resp := r.open(tt.method, tt.path, tt.headers...)
			if resp.StatusCode != tt.status {
				body, _ := io.ReadAll(resp.Body)
				t.Fatalf("%s %s", resp.Status, body)
			}
			if tt.label != "" && r.counted(r.refused, tt.label) != before+1 {
				t.Errorf("not counted as %s", tt.label)
			}
			allowed := resp.Header.Get("Access-Control-Allow-Origin")
			if len(tt.headers) > 0 && (tt.status == 403) != (allowed == "") {
				t.Errorf("Access-Control-Allow-Origin: %q", allowed)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("headers %v", resp.Header)
			}
		})
	}
	t.Run("a body", func(t *testing.T) {
		resp, err := http.DefaultTransport.RoundTrip(func() *http.Request {
			req, _ := http.NewRequest("GET", r.base+good, strings.NewReader("x"))
			return req
		}())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s", resp.Status)
		}
	})
}

// TestOutlasts: the time limits of the server, a second in these tests, are not for
// streams.
func TestOutlasts(t *testing.T) {
	r := newRig(t, Config{HeartbeatInterval: 100 * time.Millisecond}, nil)
	s := r.stream(good)
	s.next()
	for range 15 {
		for range 2 {
			if line, err := s.lines.ReadString('\n'); err != nil {
				t.Fatalf("%q, %v", line, err)
			}
		}
	}
	r.send("g", "still there")
	s.expect("still there")
}

// TestRevokedMeanwhile: a client that takes its time over what it has missed does not
// hear the rest when its token is no longer good, nor what came live.
func TestRevokedMeanwhile(t *testing.T) {
	const messages = 50
	r := newRig(t, Config{}, func(c *hub.Tenant) { c.Groups[0].HistoryBytes = 64 << 20 })
	for i := range messages {
		r.send("g", fmt.Sprint("m", i, strings.Repeat("x", 200<<10))) // more than the kernel holds
	}
	c := r.raw("Last-Event-ID: AAAAAAAAAA:1\r\n")
	r.send("g", "live")
	r.hub.CloseRevoked(func(auth.Origin) bool { return true }, "the token was revoked")
	r.waitSessions(0)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &reader{T: t, body: resp.Body, lines: bufio.NewReader(resp.Body)}
	heard := 0
	for e := s.next(); ; e = s.next() {
		if e.name == "close" {
			if !strings.Contains(e.data, `"code":1008`) {
				t.Errorf("the last event is %v", e)
			}
			break
		}
		if strings.Contains(e.data, `"type":"message"`) {
			heard++
		}
	}
	if places := parseID(s.last); heard == 0 || heard == messages || len(places) != 1 || places[0].Offset != uint64(heard) {
		t.Errorf("heard %d messages, and the last id is %s", heard, s.last)
	}
}

// TestRetryAfter: who is banned is not told to come back before that is over.
func TestRetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	newRig(t, Config{}, nil).server.refuse(w, &engine.Refusal{Status: http.StatusTooManyRequests, Label: "address_banned", RetryAfter: 1500 * time.Millisecond})
	if got := w.Header().Get("Retry-After"); got != "2" && got != "3" {
		t.Errorf("%q for a second and a half", got)
	}
}
