package hub_test

import (
	"fmt"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

const tooFastAck = `{"type":"ack","ackId":%d,"success":false,"error":{"name":"TooManyRequests","message":"the connection is over its rate of messages"}}`

// TestPaceCoversEveryMessage: whatever a client says counts, and what is above the
// rate is not done and answered where there is an answer.
func TestPaceCoversEveryMessage(t *testing.T) {
	for name, c := range map[string]struct{ say, answer string }{
		"join":     {`{"type":"joinGroup","group":"g","ackId":1}`, fmt.Sprintf(tooFastAck, 1)},
		"leave":    {`{"type":"leaveGroup","group":"g","ackId":2}`, fmt.Sprintf(tooFastAck, 2)},
		"publish":  {`{"type":"sendToGroup","group":"g","data":1,"ackId":3}`, fmt.Sprintf(tooFastAck, 3)},
		"no ackId": {`{"type":"sendToGroup","group":"g","data":1}`, ""},
		"event":    {`{"type":"event","event":"e","data":1,"ackId":4}`, fmt.Sprintf(tooFastAck, 4)},
		"ping":     {`{"type":"ping"}`, ""},
		"ack":      {`{"type":"sequenceAck","sequenceId":1}`, ""},
		"invoke": {`{"type":"invoke","invocationId":"i","target":"event","event":"e","data":1}`,
			`{"type":"invokeResponse","invocationId":"i","success":false,"error":{"name":"TooManyRequests","message":"the connection is over its rate of messages"}}`},
		"auth": {`{"type":"auth","token":"t","ackId":5}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, hub.Tenant{MaxMessagesPerSecondPerConnection: 2, Events: hub.EventsEcho})
			c1, c2 := w.open(0), w.open(0, "g")
			c1.Receive(true, []byte(c.say))
			c1.Receive(true, []byte(c.say))
			w.drain()
			c1.link.take()
			c2.link.take()
			before := count(t, w.hub.Stats().Refused, "connection_rate_limited")
			c1.Receive(true, []byte(c.say))
			w.drain()
			got := c1.link.take()
			if want := c.answer; want != "" {
				equal(t, "answer", got, []string{want})
			} else if name != "auth" && len(got) > 0 {
				t.Errorf("answer %q", got)
			}
			if got := c2.link.data(t); len(got) > 0 {
				t.Errorf("another client got %q", got)
			}
			if n := count(t, w.hub.Stats().Refused, "connection_rate_limited"); n != before+1 {
				t.Errorf("counted %d, then %d", before, n)
			}
			if c1.link.closed {
				t.Error("closed after one")
			}
			c2.say(`{"type":"ping"}`)
			equal(t, "another client", c2.link.take(), []string{`{"type":"pong"}`})
			w.wait(time.Second)
			c1.say(`{"type":"ping"}`)
			equal(t, "a second later", c1.link.take(), []string{`{"type":"pong"}`})
		})
	}
}

// TestPaceBytes: the length of a message counts as it comes.
func TestPaceBytes(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxBytesPerSecondPerConnection: 100})
	c := w.open(0)
	const ping = `{"type":"ping"}` // 15 bytes
	for range 10 {
		c.say(ping)
	}
	if got := len(c.link.take()); got != 6 {
		t.Errorf("%d pings of 15 bytes of 100 a second were answered", got)
	}
}

// TestPaceOfAnother: a hub without rates for connections keeps nothing, and the
// rates of one connection are not those of another, also after others have gone.
func TestPaceOfAnother(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxMessagesPerSecondPerConnection: 1})
	var all []*client
	for range 200 {
		all = append(all, w.open(0))
	}
	for i, c := range all {
		if i%2 == 0 {
			c.say(`{"type":"ping"}`)
		}
	}
	for i, c := range all {
		if i%3 == 0 {
			c.Closed()
		}
	}
	for i, c := range all {
		if i%3 == 0 {
			continue
		}
		c.link.take()
		c.say(`{"type":"ping"}`)
		if got := len(c.link.take()); got != i%2 {
			t.Errorf("client %d got %d answers", i, got)
		}
	}
	if n := w.hub.Paces(); n < 133 || n > 400 {
		t.Errorf("room for %d paces of 133", n)
	}
	free := newWorld(t, 1, hub.Tenant{})
	free.open(0)
	if n := free.hub.Paces(); n != 0 {
		t.Errorf("room for %d paces in a hub without rates", n)
	}
}

// TestFlood: who is refused now and then stays; who goes on is closed.
func TestFlood(t *testing.T) {
	for _, c := range []struct {
		name   string
		tenant hub.Tenant
		every  time.Duration // between two pings
		closed time.Duration // after about so long; 0 for never
	}{
		{"within", hub.Tenant{MaxMessagesPerSecondPerConnection: 10}, 100 * time.Millisecond, 0},
		{"a half above", hub.Tenant{MaxMessagesPerSecondPerConnection: 10}, 66 * time.Millisecond, 0},
		{"three times", hub.Tenant{MaxMessagesPerSecondPerConnection: 10}, 33 * time.Millisecond, 10 * time.Second},
		{"eleven times", hub.Tenant{MaxMessagesPerSecondPerConnection: 10}, 9 * time.Millisecond, time.Second},
		{"bytes, six times", hub.Tenant{MaxBytesPerSecondPerConnection: 150}, 16 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, c.tenant)
			a, b := w.open(0), w.open(0)
			start := w.now
			for w.now.Sub(start) < time.Minute && !a.link.closed {
				a.say(`{"type":"ping"}`)
				w.now = w.now.Add(c.every)
			}
			after := w.now.Sub(start)
			switch {
			case c.closed == 0 && a.link.closed:
				t.Errorf("closed after %v", after)
			case c.closed != 0 && (!a.link.closed || after < c.closed*3/4 || after > c.closed*2):
				t.Errorf("closed %v after %v, want about %v", a.link.closed, after, c.closed)
			case c.closed != 0:
				got := a.link.take()
				equal(t, "at the end", got[len(got)-1:], []string{
					`{"type":"system","event":"disconnected","message":"the connection was over its rate of messages for too long"}`})
				if a.link.code != frame.ClosePolicyViolation {
					t.Errorf("code %d", a.link.code)
				}
			}
			want := uint64(0)
			if c.closed != 0 {
				want = 1
			}
			if n := count(t, w.hub.Stats().Refused, "connection_flood"); n != want {
				t.Errorf("counted %d", n)
			}
			if b.link.closed {
				t.Error("another client was closed")
			}
		})
	}
}

// TestPaceOfRaw: a client that cannot be told is closed.
func TestPaceOfRaw(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{MaxMessagesPerSecondPerConnection: 2})
	link := &fakeLink{}
	g, _, _ := wire.Select(nil, false)
	s, err := w.hub.OpenRaw(w.loops[0], link, auth.Identity{Permissions: everything}, g, hub.Pipe{Group: "g"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if link.closed {
			t.Fatal("closed within the rate")
		}
		s.Receive(true, []byte("x"))
	}
	if !link.closed || link.code != frame.ClosePolicyViolation {
		t.Errorf("closed %v, code %d", link.closed, link.code)
	}
	if n := count(t, w.hub.Stats().Refused, "connection_rate_limited"); n != 1 {
		t.Errorf("counted %d", n)
	}
}

// TestPaceAllocatesNothing: neither what is within the rate nor what is above it.
func TestPaceAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, limit := range []int{1, 1 << 30} {
		w := newWorld(t, 1, hub.Tenant{MaxMessagesPerSecondPerConnection: limit, MaxBytesPerSecondPerConnection: 1 << 30})
		link := &countLink{}
		s, err := w.hub.Open(w.loops[0], link, auth.Identity{}, wire.JSONv1{})
		if err != nil {
			t.Fatal(err)
		}
		link.copies = 0
		ping := []byte(`{"type":"ping"}`)
		say := func() {
			s.Receive(true, ping)
			w.now = w.now.Add(400 * time.Millisecond) // below three times the rate of 1
		}
		if n := testing.AllocsPerRun(15, say); n != 0 {
			t.Errorf("limit %d: %v allocations", limit, n)
		}
		if refused := count(t, w.hub.Stats().Refused, "connection_rate_limited"); (refused > 0) != (limit == 1) || link.copies == 0 {
			t.Errorf("limit %d: %d refused, %d answered", limit, refused, link.copies)
		}
	}
}
