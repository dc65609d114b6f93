package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// lastingClient is a client of a reliable session, as published ones are: it
// remembers the largest number and takes nothing twice.
type lastingClient struct {
	*client
	t     *testing.T
	w     *world
	token string
	seen  uint64   // largest number
	data  []string // of every message, once
}

func (w *world) lasting(loop int, id auth.Identity) *lastingClient {
	w.t.Helper()
	c := &lastingClient{t: w.t, w: w, client: &client{link: &fakeLink{}}}
	var err error
	if c.Session, err = w.hub.Open(w.loops[loop], c.link, id, wire.JSONReliableV1{}); err != nil {
		w.t.Fatal(err)
	}
	c.read()
	return c
}

// read takes in what was sent, in order.
func (c *lastingClient) read() {
	c.t.Helper()
	for _, text := range c.link.take() {
		var m struct {
			Type, Event, ReconnectionToken, Data string
			SequenceID                           uint64
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			c.t.Fatalf("%v: %s", err, text)
		}
		switch {
		case m.Event == "connected":
			c.token = m.ReconnectionToken
		case m.Type != "message":
		case m.SequenceID == 0:
			c.t.Fatalf("without a number: %s", text)
		case m.SequenceID > c.seen:
			c.seen = m.SequenceID
			c.data = append(c.data, m.Data)
		}
	}
}

// acknowledge tells the session what has come.
func (c *lastingClient) acknowledge() { c.say(`{"type":"sequenceAck","sequenceId":%d}`, c.seen) }

// lose breaks the connection; what was sent and not read is lost.
func (c *lastingClient) lose() {
	c.link.take()
	c.link.closed = true
	c.Left(c.link, true)
}

// resume comes back on a new connection.
func (c *lastingClient) resume() error {
	s, ok := c.w.hub.Resumable(c.ID(), c.token)
	if !ok {
		return hub.NotResumable()
	}
	link := &fakeLink{}
	if err := s.Resume(link, wire.JSONReliableV1{}); err != nil {
		return err
	}
	c.link = link
	return nil
}

func (c *lastingClient) mustResume() {
	c.t.Helper()
	if err := c.resume(); err != nil {
		c.t.Fatal(err)
	}
	c.read()
}

func TestReliable(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a := w.lasting(0, auth.Identity{User: "ann", Permissions: everything, Groups: []string{"g"}, Expires: w.now.Add(time.Hour)})
	if a.token == "" {
		t.Fatal("no reconnection token")
	}
	b := w.open(1, "g")
	b.send("g", "1")
	w.drain()
	equal(t, "live", a.link.take(), []string{
		`{"type":"message","from":"group","group":"g","dataType":"text","data":"1","sequenceId":1}`})
	b.send("g", "2")
	w.drain()
	a.acknowledgeUpTo(1)
	a.lose()
	b.send("g", "3")
	w.drain()
	if err := w.hub.SendToUser("ann", &hub.Outgoing{DataType: wire.Text, Data: []byte("4")}, hub.Selection{}); err != nil {
		t.Fatal(err)
	}
	w.drain()
	if s := w.hub.Stats(); s.Away != 1 || s.Sessions != 2 {
		t.Errorf("%d away of %d", s.Away, s.Sessions)
	}

	a.link = nil
	if err := a.resume(); err != nil {
		t.Fatal(err)
	}
	if !a.link.expires.Equal(w.now.Add(time.Hour)) {
		t.Errorf("expires %v", a.link.expires)
	}
	b.send("g", "5")
	w.drain()
	equal(t, "after coming back", a.link.take(), []string{
		`{"type":"system","event":"connected","userId":"ann","connectionId":"` + a.ID() + `","reconnectionToken":"` + a.token + `"}`,
		`{"type":"message","from":"group","group":"g","dataType":"text","data":"2","sequenceId":2}`,
		`{"type":"message","from":"group","group":"g","dataType":"text","data":"3","sequenceId":3}`,
		`{"type":"message","from":"server","dataType":"text","data":"4","sequenceId":4}`,
		`{"type":"message","from":"group","group":"g","dataType":"text","data":"5","sequenceId":5}`,
	})
	a.acknowledgeUpTo(5)
	if n := w.node.UnackedBytes(); n != 0 {
		t.Errorf("%d bytes are held for nobody", n)
	}
	if s := w.hub.Stats(); s.Away != 0 || s.Resumed != 1 {
		t.Errorf("%d away, %d resumed", s.Away, s.Resumed)
	}
	a.Left(a.link, false)
}

func (c *lastingClient) acknowledgeUpTo(id uint64) {
	c.say(`{"type":"sequenceAck","sequenceId":%d}`, id)
}

// TestReconnectWindow: a session whose client does not come back in time is over.
func TestReconnectWindow(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{ReconnectWindow: 10 * time.Second})
	a := w.lasting(0, auth.Identity{User: "ann", Groups: []string{"g"}})
	a.lose()
	w.wait(9 * time.Second)
	if !w.hub.HasGroup("g") || !w.hub.HasUser("ann") {
		t.Fatal("over before its time")
	}
	a.mustResume()
	w.wait(time.Minute)
	if a.link.closed {
		t.Fatal("over while its client is there")
	}
	a.lose()
	w.wait(11 * time.Second)
	if w.hub.HasGroup("g") || w.hub.HasUser("ann") || w.hub.HasConnection(a.ID()) {
		t.Error("it is still there")
	}
	wantAfresh(t, a.resume())
}

func wantAfresh(t *testing.T, err error) {
	t.Helper()
	if fe, ok := errors.AsType[*frame.Error](err); !ok || fe.Code != frame.ClosePolicyViolation {
		t.Errorf("got %v, want a close with 1008", err)
	}
}

// TestFinalEnds: ends that leave nothing to come back to.
func TestFinalEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, a *lastingClient){
		"closed by the client": func(_ *world, a *lastingClient) { a.Left(a.link, false) },
		"closed by a back end": func(w *world, a *lastingClient) {
			_ = w.hub.CloseConnection(a.ID(), "enough")
			w.drain()
			if a.link.code != frame.CloseNormal {
				t.Errorf("code %d", a.link.code)
			}
			a.Left(a.link, true)
		},
		"closed by a back end while away": func(w *world, a *lastingClient) {
			a.lose()
			_ = w.hub.CloseAll(hub.Selection{}, "enough")
			w.drain()
		},
		"draining": func(_ *world, a *lastingClient) {
			a.Draining(time.Second)
			a.Left(a.link, true)
		},
		"broke the grammar": func(_ *world, a *lastingClient) {
			a.say(`{`)
			a.Left(a.link, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2, hub.Tenant{})
			a := w.lasting(0, auth.Identity{Groups: []string{"g"}})
			w.open(1).send("g", "kept")
			w.drain()
			end(w, a)
			if w.hub.HasConnection(a.ID()) || w.hub.HasGroup("g") || w.node.UnackedBytes() != 0 {
				t.Errorf("something is left; %d bytes", w.node.UnackedBytes())
			}
			wantAfresh(t, a.resume())
		})
	}
}

func TestNotResumable(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.lasting(0, auth.Identity{})
	plain := w.open(0)
	other, _ := newWorld(t, 1, hub.Tenant{}).node.Hub("chat")
	for _, tt := range []struct {
		name, id, token string
		hub             *hub.Hub
	}{
		{"another's token", plain.ID(), a.token, w.hub},
		{"no token", a.ID(), "", w.hub},
		{"no id", "", a.token, w.hub},
		{"unknown id", strings.Repeat("a", 26), a.token, w.hub},
		{"another node", a.ID(), a.token, other},
	} {
		if _, ok := tt.hub.Resumable(tt.id, tt.token); ok {
			t.Errorf("%s: may come back", tt.name)
		}
	}
	if n := count(t, w.hub.Stats().Refused, "not_resumed"); n != 4 {
		t.Errorf("%d counted", n)
	}
	s, ok := w.hub.Resumable(a.ID(), a.token)
	if !ok {
		t.Fatal("its own token was refused")
	}
	wantAfresh(t, s.Resume(&fakeLink{}, wire.JSONv1{})) // in another grammar
}

// TestBackBeforeGone: a client that comes back before the node has seen its
// connection break takes the place of the old one.
func TestBackBeforeGone(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.lasting(0, auth.Identity{Groups: []string{"g"}})
	old := a.link
	a.mustResume()
	if !old.closed || old.code != frame.CloseReplaced {
		t.Errorf("the old connection: closed %v, code %d", old.closed, old.code)
	}
	a.Left(old, true)
	w.open(0).send("g", "x")
	a.read()
	equal(t, "messages", a.data, []string{"x"})
	if s := w.hub.Stats(); s.Away != 0 {
		t.Errorf("%d away", s.Away)
	}
}

// TestUnackedLimits: a session that holds too much is ended, whether its client
// is there or not, and not while its group is walked.
func TestUnackedLimits(t *testing.T) {
	for name, tenant := range map[string]hub.Tenant{
		"messages": {MaxUnackedMessages: 3},
		"bytes":    {MaxUnackedBytes: 3*len(`{"type":"message","from":"group","group":"g","dataType":"text","data":"x"`) + 1},
	} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, away: %v", name, away), func(t *testing.T) {
				w := newWorld(t, 1, tenant)
				first, a, last := w.open(0, "g"), w.lasting(0, auth.Identity{Groups: []string{"g"}}), w.open(0, "g")
				if away {
					a.lose()
				}
				for range 5 {
					w.open(0).send("g", "x")
				}
				if n := len(first.link.data(t)) + len(last.link.data(t)); n != 10 {
					t.Errorf("the neighbours got %d messages", n)
				}
				w.wait(2 * time.Second)
				if !away {
					if !a.link.closed || a.link.code != frame.ClosePolicyViolation {
						t.Fatalf("closed %v, code %d", a.link.closed, a.link.code)
					}
					a.Left(a.link, true)
				}
				if w.hub.HasConnection(a.ID()) || w.node.UnackedBytes() != 0 {
					t.Errorf("it is still there; %d bytes", w.node.UnackedBytes())
				}
				if n := count(t, w.hub.Stats().Refused, "unacked_full"); n != 1 {
					t.Errorf("%d counted", n)
				}
				wantAfresh(t, a.resume())
			})
		}
	}
}

// TestDuplicateAcks: what has succeeded is not done again, what has failed may be
// tried again.
func TestDuplicateAcks(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.lasting(0, auth.Identity{Permissions: roles("sluice.sendToGroup.g")})
	b := w.open(0, "g")
	ask := func(group string) {
		a.say(`{"type":"sendToGroup","group":%q,"dataType":"text","data":"x","ackId":7}`, group)
	}
	ask("forbidden")
	ask("g")
	a.lose()
	a.mustResume()
	ask("g")
	got := a.link.take()
	if len(got) != 1 || !strings.Contains(got[0], `"success":false,"error":{"name":"Duplicate"`) {
		t.Errorf("got %q", got)
	}
	equal(t, "published", b.link.data(t), []string{"x"})
}

// TestTTL: a message that is too old by the time its client comes back is left
// out; its number is not given to another.
func TestTTL(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.lasting(0, auth.Identity{Groups: []string{"g"}})
	a.lose()
	send := func(text string, ttl time.Duration) {
		if err := w.hub.SendToGroup("g", &hub.Outgoing{DataType: wire.Text, Data: []byte(text), TTL: ttl}, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
		w.drain()
	}
	send("short", 5*time.Second)
	send("long", 20*time.Second)
	w.open(0).say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"client's","ttlSeconds":5}`)
	send("for ever", 0)
	w.wait(10 * time.Second)
	a.mustResume()
	equal(t, "messages", a.data, []string{"long", "for ever"})
	if a.seen != 4 {
		t.Errorf("the last number is %d", a.seen)
	}
	if n := count(t, w.hub.Stats().Dropped, "expired"); n != 2 {
		t.Errorf("%d expired", n)
	}
	a.acknowledge()
	if n := w.node.UnackedBytes(); n != 0 {
		t.Errorf("%d bytes are held", n)
	}
}

// slowLink takes everything and is slow to pass it on.
type slowLink struct {
	fakeLink
	queued int
}

func (l *slowLink) QueuedBytes() int { return l.queued }

func (l *slowLink) Write(op frame.Opcode, p []byte) bool {
	l.queued += len(p)
	return l.fakeLink.Write(op, p)
}

// TestLongReplay: a link gets no more of a replay at a time than it can pass on.
func TestLongReplay(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.lasting(0, auth.Identity{Groups: []string{"g"}})
	a.lose()
	b := w.open(0)
	for range 20 {
		b.send("g", strings.Repeat("x", 100<<10))
	}
	s, _ := w.hub.Resumable(a.ID(), a.token)
	link := &slowLink{}
	if err := s.Resume(link, wire.JSONReliableV1{}); err != nil {
		t.Fatal(err)
	}
	b.send("g", "live")
	turns := 0
	for ; len(link.got) < 22 && turns < 100; turns++ {
		if link.queued > 400<<10 {
			t.Fatalf("%d bytes wait in the link", link.queued)
		}
		link.queued = 0
		w.wait(time.Second)
	}
	if turns < 5 || len(link.got) != 22 || !strings.Contains(link.got[21], `"data":"live","sequenceId":21}`) {
		t.Errorf("%d messages in %d turns", len(link.got), turns)
	}
	s.Left(link, false)
}

// TestReliableChaos: whatever happens to the connection, each message arrives
// exactly once and in order.
func TestReliableChaos(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, 2, hub.Tenant{})
		a := w.lasting(0, auth.Identity{Groups: []string{"g"}})
		b := w.open(1)
		var want []string
		connected := true
		for range 400 {
			switch random.IntN(8) {
			case 0, 1, 2:
				want = append(want, fmt.Sprint(len(want)))
				b.send("g", want[len(want)-1])
			case 3:
				w.drain()
			case 4:
				if connected {
					a.read()
				}
			case 5:
				if connected {
					a.acknowledge()
				}
			case 6:
				if connected {
					a.lose()
					connected = false
				}
			case 7:
				if !connected || random.IntN(4) == 0 {
					a.mustResume()
					connected = true
				}
			}
		}
		if !connected {
			a.mustResume()
		}
		w.drain()
		a.read()
		equal(t, fmt.Sprint("seed ", seed), a.data, want)
		a.acknowledge()
		if n := w.node.UnackedBytes(); n != 0 {
			t.Errorf("seed %d: %d bytes are held", seed, n)
		}
		a.Left(a.link, false)
	}
}
