package engine

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/frame"
	"sluice/internal/later"
	"sluice/internal/testkit"
)

// provider is a handler that lets clients in when somebody else has said so.
type provider struct {
	room *later.Room

	mu     sync.Mutex
	answer *later.Event // guarded by mu; the next one
	good   bool         // guarded by mu: whether clients may come in
	asked  int          // guarded by mu
}

func newProvider(places int64) *provider {
	p := &provider{room: &later.Room{Most: places}}
	p.answer = later.NewEvent(p.room)
	return p
}

func (p *provider) Upgrade(c *Conn, r *http.Request) (Acceptance, *Refusal) {
	if r.URL.Path == "/known" {
		return echo.Upgrade(c, r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.good {
		return echo.Upgrade(c, r)
	}
	return Acceptance{}, &Refusal{Status: http.StatusServiceUnavailable, Label: "issuer_unavailable", Reason: "not known yet", Later: p.answer}
}

// says makes everybody who waits be judged again.
func (p *provider) says(good bool) {
	p.mu.Lock()
	before := p.answer
	p.good, p.answer = good, later.NewEvent(p.room)
	p.mu.Unlock()
	before.Done()
}

func (p *provider) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

var notYet = refusal("503 Service Unavailable", "", "close", "not known yet")

func (r *rig) rejected(label string) uint64 {
	return r.engine.metrics.HandshakeRejections.With(label).Get()
}

// expectNobody fails if somebody still waits.
func (r *rig) expectNobody(t *testing.T, p *provider) {
	t.Helper()
	if len(r.parked) != 0 || r.engine.WaitingHandshakes() != 0 || p.room.Waiting() != 0 {
		t.Errorf("%d, %d and %d wait; want nobody", len(r.parked), r.engine.WaitingHandshakes(), p.room.Waiting())
	}
}

func TestHandshakeWaits(t *testing.T) {
	p := newProvider(10)
	r := newRig(Config{}, p)
	c, gc := r.connect()
	whole := testkit.Head("/")
	gc.receive([]byte(whole[:20])) // a head in two pieces is kept, and must not be taken for early input
	gc.receive([]byte(whole[20:]))
	r.turn()
	if got := gc.take(); len(got) != 0 || c.state != stateHead || r.engine.WaitingHandshakes() != 1 {
		t.Fatalf("answered %q in state %d, %d wait", got, c.state, r.engine.WaitingHandshakes())
	}
	neighbour, ngc := r.connect()
	ngc.receive([]byte(testkit.Head("/known") + string(text)))
	if got := string(ngc.take()); !strings.HasPrefix(got, switching("")) || !strings.HasSuffix(got, "hello") || neighbour.state != stateOpen {
		t.Errorf("a client that need not wait, beside it: %q", got)
	}
	p.says(false) // woken in vain
	r.turn()
	if got := gc.take(); len(got) != 0 || r.engine.WaitingHandshakes() != 1 {
		t.Fatalf("answered %q after a wake in vain, %d wait", got, r.engine.WaitingHandshakes())
	}
	p.says(true)
	if r.bell.rings == 0 {
		t.Error("the loop was not woken")
	}
	r.turn()
	if got := string(gc.take()); got != switching("") || c.state != stateOpen || p.times() != 3 {
		t.Errorf("answered %q after %d times", got, p.times())
	}
	r.expectNobody(t, p)
}

// TestEarlyInput: what a client sends before it is answered is neither lost nor
// unbounded.
func TestEarlyInput(t *testing.T) {
	for name, whole := range map[string]bool{"with the head": true, "after it": false} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(10)
			r := newRig(Config{}, p)
			c, gc := r.connect()
			if whole {
				gc.receive([]byte(testkit.Head("/") + string(text) + string(text[:3])))
			} else {
				gc.receive([]byte(testkit.Head("/")))
				gc.receive(append(text[:len(text):len(text)], text[:3]...))
			}
			p.says(false)
			r.turn()
			gc.receive(text[3:])
			p.says(true)
			r.turn()
			got, ok := strings.CutPrefix(string(gc.take()), switching(""))
			hello := string(frame.AppendFrame(nil, frame.OpText, []byte("hello")))
			if !ok || got != hello+hello || c.unread != nil {
				t.Errorf("got %q after the answer", got)
			}
		})
	}
	t.Run("too much", func(t *testing.T) {
		p := newProvider(10)
		r := newRig(Config{MaxHeadBytes: 1024}, p)
		c, gc := r.connect()
		gc.receive([]byte(testkit.Head("/")))
		gc.receive(make([]byte, 1000))
		if got := gc.take(); len(got) != 0 {
			t.Fatalf("answered %q", got)
		}
		gc.receive(make([]byte, 25))
		if got := string(gc.take()); got != bad("sent too much before the handshake was answered") || c.unread != nil || r.rejected("early_input") != 1 {
			t.Errorf("answered %q", got)
		}
		p.says(true)
		r.turn()
		r.expectNobody(t, p)
		if p.times() != 1 {
			t.Error("one that is refused was judged again")
		}
	})
}

func TestWaitEndsWithTheHandshakeDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(10)
		r := newRig(timed, p)
		_, gc := r.connect()
		r.wait(4 * time.Second)
		gc.receive([]byte(testkit.Head("/")))
		r.wait(5 * time.Second)
		if got := gc.take(); len(got) != 0 {
			t.Fatalf("answered %q before the deadline", got)
		}
		r.wait(time.Second + 2*r.engine.cfg.tick)
		if got := string(gc.take()); got != notYet || r.rejected("issuer_unavailable") != 1 || r.rejected("handshake_timeout") != 0 {
			t.Errorf("answered %q at the deadline", got)
		}
		r.expectNobody(t, p)
		p.says(true)
		r.turn()
		if got := gc.take(); len(got) != 0 {
			t.Errorf("answered twice: %q", got)
		}
	})
}

func TestClientGoesWhileItWaits(t *testing.T) {
	p := newProvider(10)
	r := newRig(Config{}, p)
	c, gc := r.connect()
	gc.receive([]byte(testkit.Head("/") + string(text)))
	gc.hangUp()
	r.expectNobody(t, p)
	if r.rejected("client_gone") != 1 || r.engine.pending.Load() != 0 || c.unread != nil {
		t.Errorf("client_gone %d, %d pending, unread %v", r.rejected("client_gone"), r.engine.pending.Load(), c.unread)
	}

	_, gc = r.connect() // one that goes between the wake and its turn
	gc.receive([]byte(testkit.Head("/")))
	p.says(true)
	gc.hangUp()
	r.turn()
	r.expectNobody(t, p)
	if n := p.times(); n != 2 {
		t.Errorf("judged %d times, want once each", n)
	}
}

func TestRoomForThoseWhoWait(t *testing.T) {
	for name, c := range map[string]struct {
		places int64
		most   int
	}{"of the node": {10, 2}, "of the answer": {2, 10}} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(c.places)
			r := newRig(Config{MaxWaitingHandshakes: c.most, RetryAfter: time.Second}, p)
			var clients []*fakeConn
			for range 3 {
				_, gc := r.connect()
				gc.receive([]byte(testkit.Head("/")))
				clients = append(clients, gc)
			}
			got := string(clients[2].take())
			if !strings.HasPrefix(got, "HTTP/1.1 503") || !strings.Contains(got, "Retry-After: ") || r.rejected("waiting_limit") != 1 {
				t.Errorf("one too many is answered %q", got)
			}
			if r.engine.WaitingHandshakes() != 2 {
				t.Errorf("%d wait", r.engine.WaitingHandshakes())
			}
			p.says(true)
			r.turn()
			for _, gc := range clients[:2] {
				if got := string(gc.take()); got != switching("") {
					t.Errorf("one that had a place is answered %q", got)
				}
			}
			r.expectNobody(t, p)
		})
	}
}

// TestAskedForEver: whatever a handler says, a handshake ends.
func TestAskedForEver(t *testing.T) {
	p := newProvider(10)
	r := newRig(Config{}, p)
	_, gc := r.connect()
	gc.receive([]byte(testkit.Head("/")))
	for range 2 * maxAsked {
		p.says(false)
		r.turn()
	}
	if got := string(gc.take()); got != notYet || p.times() != maxAsked {
		t.Errorf("asked %d times, answered %q", p.times(), got)
	}
	r.expectNobody(t, p)
}

// TestFullInboxOfWakes: a wake that the loop does not take leaves the client to
// its deadline.
func TestFullInboxOfWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(10)
		cfg := timed
		cfg.InboxTasks = 1
		r := newRig(cfg, p)
		_, gc := r.connect()
		gc.receive([]byte(testkit.Head("/")))
		r.Post(taskFunc(func() {}))
		p.says(true)
		r.wait(timed.HandshakeTimeout + 2*r.engine.cfg.tick)
		if got := string(gc.take()); got != notYet {
			t.Errorf("answered %q", got)
		}
		r.expectNobody(t, p)
	})
}

// TestCapacityAfterAWait: the node is another one than when the client came.
func TestCapacityAfterAWait(t *testing.T) {
	p := newProvider(10)
	r := newRig(Config{MaxConnections: 1}, p)
	_, gc := r.connect()
	gc.receive([]byte(testkit.Head("/")))
	_, other := r.connect()
	other.receive([]byte(testkit.Head("/known")))
	p.says(true)
	r.turn()
	if got := string(gc.take()); !strings.HasPrefix(got, "HTTP/1.1 503") || r.rejected("capacity") != 1 {
		t.Errorf("answered %q", got)
	}
}

func TestPanicAfterAWait(t *testing.T) {
	p := newProvider(10)
	first := true
	r := newRig(Config{}, handlerFunc(func(c *Conn, req *http.Request) (Acceptance, *Refusal) {
		if first {
			first = false
			return p.Upgrade(c, req)
		}
		panic("a bug")
	}))
	_, gc := r.connect()
	gc.receive([]byte(testkit.Head("/")))
	p.says(true)
	r.turn()
	if got := string(gc.take()); !strings.HasPrefix(got, "HTTP/1.1 500") || r.engine.metrics.Panics.Get() != 1 {
		t.Errorf("answered %q", got)
	}
	r.expectNobody(t, p)
}

// TestWaitingOnSockets: many clients over real sockets, those who need not wait
// beside them, and the end of the node with some still waiting.
func TestWaitingOnSockets(t *testing.T) {
	const clients = 40
	p := newProvider(2 * clients)
	n := start(t, Config{Loops: 2}, p)
	known := n.openAt("/known")
	var waiting []*testkit.Conn
	for range clients {
		c := n.dial()
		c.WriteString(testkit.Head("/"))
		c.WriteText("early")
		waiting = append(waiting, c)
	}
	n.eventually("all wait", func() bool { return n.WaitingHandshakes() == clients })
	known.WriteText("hello")
	known.ExpectText("hello")
	p.says(true)
	for _, c := range waiting {
		if got := c.ReadResponse().StatusCode; got != http.StatusSwitchingProtocols {
			t.Fatalf("status %d", got)
		}
		c.ExpectText("early")
		c.WriteText("late")
		c.ExpectText("late")
	}
	p.says(false)
	last := n.dial()
	last.WriteString(testkit.Head("/"))
	n.eventually("the last one waits", func() bool { return n.WaitingHandshakes() == 1 })
	for _, c := range append(waiting, known) {
		c.Close()
	}
	done := make(chan struct{})
	go func() { defer close(done); n.shutdown(n.cfg.tick) }()
	if got := last.ReadResponse().StatusCode; got != http.StatusServiceUnavailable {
		t.Errorf("a client that waits is answered %d when the node goes away", got)
	}
	last.Close()
	<-done
	n.rejected("draining", 1)
	if n.WaitingHandshakes() != 0 || p.room.Waiting() != 0 {
		t.Errorf("%d and %d wait after the end", n.WaitingHandshakes(), p.room.Waiting())
	}
}

// TestHasWaited: whoever counts handshakes can tell one that comes again.
func TestHasWaited(t *testing.T) {
	p := newProvider(10)
	var waited []bool
	r := newRig(Config{}, handlerFunc(func(c *Conn, req *http.Request) (Acceptance, *Refusal) {
		waited = append(waited, HasWaited(req))
		return p.Upgrade(c, req)
	}))
	_, gc := r.connect()
	gc.receive([]byte(testkit.Head("/")))
	for range 2 {
		p.says(false)
		r.turn()
	}
	if !slices.Equal(waited, []bool{false, true, true}) {
		t.Errorf("has waited: %v", waited)
	}
}
