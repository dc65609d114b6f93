package sockjs

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/testkit"
)

// say sends one text to the group that everybody of a rig is in.
func (r *rig) say(text string) {
	r.Helper()
	if err := r.hub.SendToGroup("g", &hub.Outgoing{DataType: wire.Text, Data: []byte(text)}, hub.Selection{}); err != nil {
		r.Fatal(err)
	}
	r.run(func() {})
}

// TestPolling is the life of a session that polls, with bare messages.
func TestPolling(t *testing.T) {
	r := newRig(t, Config{})
	const at = "/000/abcdefgh/xhr?access_token=good"
	r.expect("POST", "/000/abcdefgh/xhr_send?access_token=good", `["x"]`, 404, "404: there is nothing here\n")
	r.expect("POST", at, "", 200, "o\n")
	r.say("one")
	r.say(`"two"`)
	r.expect("POST", at, "", 200, `a["one","\"two\""]`+"\n")
	r.expect("POST", "/another/abcdefgh/xhr_send?access_token=good", `[]`, 204, "")
	for body, want := range map[string]string{
		``: "Payload expected.", `["x"`: "Broken JSON encoding.", `{}`: "Payload expected.", `[1]`: "Payload expected.",
	} {
		r.expect("POST", "/000/abcdefgh/xhr_send?access_token=good", body, 500, want)
	}
	r.say("still there")
	r.expect("POST", at, "", 200, `a["still there"]`+"\n")
	if err := r.hub.CloseAll(hub.Selection{}, "Go away!"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // to every later request
		r.expect("POST", at, "", 200, `c[1000,"Go away!"]`+"\n")
	}
	r.waitSessions(0)
}

// TestBinarySubprotocols: what SockJS cannot carry is refused before a session is
// made of it.
func TestBinarySubprotocols(t *testing.T) {
	r := newRig(t, Config{})
	for _, name := range []string{"msgpack.sluice.v1", "protobuf.reliable.sluice.v1", "unknown"} {
		w, _ := r.do("POST", "/000/abcdefgh/xhr?access_token=good&subprotocol="+name, "")
		if w.StatusCode != 400 {
			t.Errorf("%s: status %d", name, w.StatusCode)
		}
	}
	r.waitSessions(0)
}

// TestStreaming: one frame is one line, whatever the client sends is answered on
// the stream, and a second request for it is turned away.
func TestStreaming(t *testing.T) {
	r := newRig(t, Config{ResponseBytes: 200})
	s := r.stream("/000/abcdefgh/xhr_streaming" + query)
	s.expect("o")
	if got := s.line(); !strings.HasPrefix(got, `a["{\"type\":\"system\",\"event\":\"connected\"`) {
		t.Errorf("first message: %s", got)
	}
	r.expect("POST", "/1/abcdefgh/xhr"+query, "", 200, `c[2010,"Another connection still open"]`+"\n")
	r.expect("POST", "/1/abcdefgh/xhr_send"+query, `["{\"type\":\"ping\"}"]`, 204, "")
	s.expect(`a["{\"type\":\"pong\"}"]`)
	r.say(strings.Repeat("long", 50))
	s.line()
	if line, err := s.lines.ReadString('\n'); err == nil {
		t.Errorf("after the limit of the answer: %q", line)
	}
	r.say("between two answers")
	s = r.stream("/1/abcdefgh/xhr_streaming" + query)
	if got := s.line(); !strings.Contains(got, "between two answers") {
		t.Errorf("got %s", got)
	}
	r.expect("POST", "/1/abcdefgh/xhr_send"+query, `["nonsense"]`, 204, "")
	if got := s.line(); !strings.HasPrefix(got, "c[1007,") && !strings.HasPrefix(got, `a["{\"type\":\"system\",\"event\":\"disconnected\"`) {
		t.Errorf("got %s", got)
	}
	r.waitSessions(0)
}

// TestAbort: a client that goes away while it waits has ended its session; the
// next with its id gets a new one.
func TestAbort(t *testing.T) {
	r := newRig(t, Config{})
	s := r.stream("/0/abcdefgh/xhr_streaming" + query)
	s.expect("o")
	r.waitSessions(1)
	s.end()
	r.waitSessions(0)
	r.expect("POST", "/0/abcdefgh/xhr"+query, "", 200, "o\n")
}

// TestSilence: a client that does not come back to poll has gone.
func TestSilence(t *testing.T) {
	r := newRig(t, Config{DisconnectDelay: time.Millisecond})
	r.expect("POST", "/0/abcdefgh/xhr"+query, "", 200, "o\n")
	r.waitSessions(0)
	testkit.Eventually(t, testkit.Patience, func() bool { return len(r.server.Populations()) == 0 }, "the session is forgotten")
	if n := r.server.QueuedBytes(); n != 0 {
		t.Errorf("%d bytes still booked", n)
	}
}

// TestHeartbeat: an answer that is waited for says something now and then.
func TestHeartbeat(t *testing.T) {
	r := newRig(t, Config{HeartbeatInterval: time.Millisecond})
	r.expect("POST", "/0/abcdefgh/xhr?access_token=good", "", 200, "o\n")
	r.expect("POST", "/0/abcdefgh/xhr?access_token=good", "", 200, "h\n")
}

func TestEventSource(t *testing.T) {
	r := newRig(t, Config{ResponseBytes: 1})
	resp, body := r.do("GET", "/0/abcdefgh/eventsource"+query, "") // ends with the first message, `connected`
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("Content-Type %q", ct)
	}
	if !strings.HasPrefix(body, "\r\ndata: o\r\n\r\n") {
		t.Errorf("got %q", body)
	}
}

// TestGuessing: whoever guesses the id of a session gets nothing without its
// token, not even a word about whether there is one.
func TestGuessing(t *testing.T) {
	r := newRig(t, Config{})
	r.expect("POST", "/0/abcdefgh/xhr"+query, "", 200, "o\n")
	for _, other := range []string{"", "?access_token=good-but-another"} {
		r.expect("POST", "/0/abcdefgh/xhr"+other, "", 404, "404: there is nothing here\n")
		r.expect("POST", "/0/abcdefgh/xhr_send"+other, `["x"]`, 404, "404: there is nothing here\n")
	}
	if got := r.refused["session_denied"]; got != 4 {
		t.Errorf("counted %d of 4", got)
	}
}

// TestStrangers: without a token nothing is kept.
func TestStrangers(t *testing.T) {
	r := newRig(t, Config{MaxSessions: 1})
	for _, what := range []string{"a", "b", "c"} {
		r.expect("POST", "/0/"+what+"/xhr", "", 401, "no token\n")
	}
	if n := len(r.server.sessions); n != 0 {
		t.Errorf("%d sessions", n)
	}
	r.expect("POST", "/0/a/xhr"+query, "", 200, "o\n")
	r.expect("POST", "/0/b/xhr"+query, "", 503, "too many sessions\n")
	if r.refused["token_missing"] != 3 || r.refused["session_limit"] != 1 {
		t.Errorf("counted %v", r.refused)
	}
}

// TestOverflow: the group's rule decides about what a slow client does not read.
func TestOverflow(t *testing.T) {
	for _, tt := range []struct {
		overflow frame.Overflow
		key      string
		want     string
		dropped  string
	}{
		{frame.OverflowClose, "", `c[1008,"slow consumer: too much was waiting to be read"]`, "slow_consumer"},
		{frame.OverflowDropNewest, "", `a["1111","2222"]`, "drop_newest"},
		{frame.OverflowDropOldest, "", `a["2222","3333"]`, "drop_oldest"},
		{frame.OverflowConflate, "k", `a["2222","3333"]`, "conflate"},
	} {
		t.Run(tt.overflow.String(), func(t *testing.T) {
			r := newRig(t, Config{MaxQueueBytes: 10})
			r.expect("POST", "/0/a/xhr?access_token=good", "", 200, "o\n")
			s := r.server.sessions["chat/a"]
			for _, text := range []string{"1111", "2222", "3333"} {
				m := frame.Seal(frame.OpText, append(make([]byte, frame.HeadRoom), text...))
				m.Expendable(tt.overflow, tt.key)
				r.run(func() { s.Send(m) })
			}
			r.expect("POST", "/0/a/xhr?access_token=good", "", 200, tt.want+"\n")
			if r.dropped[tt.dropped] != 1 || len(r.dropped) != 1 {
				t.Errorf("counted %v", r.dropped)
			}
			if n := r.server.QueuedBytes(); n != 0 {
				t.Errorf("%d bytes still booked", n)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	r := newRig(t, Config{MaxBody: 16, MaxRequestsPerSecond: 3})
	r.expect("POST", "/0/a/xhr"+query, "", 200, "o\n")
	r.expect("POST", "/0/a/xhr_send"+query, `["`+strings.Repeat("x", 16)+`"]`, 413, "the body cannot be read\n")
	status := 0
	for range 100 { // more than 3 of a hundred in one second
		resp, _ := r.do("POST", "/0/a/xhr_send"+query, `[]`)
		if status = resp.StatusCode; status == http.StatusTooManyRequests {
			break
		}
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("status %d", status)
	}
	r.expect("POST", "/0/a/xhr"+query, strings.Repeat("x", maxIgnored+1), 413, "a body is not expected\n")
}

// TestDrain tells every client to come back elsewhere, and takes no new one.
func TestDrain(t *testing.T) {
	r := newRig(t, Config{})
	s := r.stream("/0/a/xhr_streaming?access_token=good")
	s.expect("o")
	r.server.Drain(context.Background(), 0, time.Second)
	s.expect(`c[1012,"service restart"]`)
	r.waitSessions(0)
	r.expect("POST", "/0/b/xhr"+query, "", 503, "the node is going away\n")
}

// TestExpiry ends a session with its token.
func TestExpiry(t *testing.T) {
	r := newRig(t, Config{})
	s := r.stream("/0/a/xhr_streaming?access_token=good")
	s.expect("o")
	r.run(func() { r.server.sessions["chat/a"].Expire(time.Now()) })
	s.expect(`c[4401,"token expired"]`)
	r.waitSessions(0)
}
