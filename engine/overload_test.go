package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/testkit"
)

// TestOverload: while there is one new clients are refused under its name, and
// those that are there notice nothing.
func TestOverload(t *testing.T) {
	n := start(t, Config{RetryAfter: time.Second}, echo)
	there := n.neighbour()
	n.SetOverload("overload_memory")
	c := n.dial()
	c.WriteString(testkit.Head("/"))
	got, err := readAll(c)
	got = retryAfter.ReplaceAllString(got, "Retry-After: *\r\n")
	if want := unavailable("this node is overloaded, try again later"); err != nil || got != want {
		t.Fatalf("got %q, error %v, want %q", got, err, want)
	}
	n.rejected("overload_memory", 1)
	there.check()
	n.SetOverload("")
	if r := n.Overload(); r != nil {
		t.Errorf("still %v", r)
	}
	n.neighbour()
	n.rejected("overload_memory", 1)
}

// relieved gives a loop the time to find out who is behind, makes a step and
// returns which of the connections it has closed.
func relieved(rigs []*rig, conns []*Conn) (which string) {
	for _, r := range rigs {
		r.wait(2 * behind)
	}
	rigs[0].engine.Relieve()
	for _, r := range rigs {
		r.turn()
	}
	for _, c := range conns {
		switch {
		case c.state != stateClosed:
			which += "."
		case c.cause == CauseOverload:
			which += "x"
		default:
			which += "?"
		}
	}
	return which
}

// TestRelieve: each step closes the longest queues, a tenth of what waits, and no
// client that keeps up.
func TestRelieve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Config{HeartbeatInterval: time.Hour}, echo)
		var conns []*Conn
		for _, n := range []int{10_000, 40_000, 5_000, 30_000, 0} {
			conns = append(conns, r.backlog(n))
		}
		conns[4].gc.(*fakeConn).drain()
		for i, want := range []string{".x...", ".x.x.", "xx.x.", "xxxx.", "xxxx."} {
			if got := relieved([]*rig{r}, conns); got != want {
				t.Errorf("step %d: %q, want %q", i, got, want)
			}
		}
		if q := r.engine.queued.Used(); q != 0 || r.queued != 0 {
			t.Errorf("%d bytes queued, %d by the loop's books", q, r.queued)
		}
		conns[4].gc.(*fakeConn).room = 0
		conns[4].Send(sealed(500_000)) // just now
		r.turn()
		r.engine.Relieve()
		r.turn()
		if conns[4].state != stateOpen {
			t.Error("closed for bytes that have just begun to wait")
		}
		if got := relieved([]*rig{r}, conns[4:]); got != "x" {
			t.Errorf("%q of a client that has not read for longer", got)
		}
	})
}

// TestRelieveMany: a step is bounded, and the next one goes on.
func TestRelieveMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Config{HeartbeatInterval: time.Hour}, echo)
		var conns []*Conn
		for range 2 * reliefShare * maxRelieved { // a tenth is twice as many as may go
			conns = append(conns, r.backlog(100))
		}
		count := func() (closed int) {
			for _, c := range conns {
				if c.state == stateClosed {
					closed++
				}
			}
			return closed
		}
		r.wait(2 * behind)
		r.engine.Relieve()
		r.engine.Relieve() // one is on its way
		r.turn()
		if n := count(); n != maxRelieved {
			t.Errorf("%d of %d closed", n, len(conns))
		}
		for range 100 {
			r.engine.Relieve()
			r.turn()
		}
		if n := count(); n < len(conns)*9/10 {
			t.Errorf("%d of %d closed after many steps", n, len(conns))
		}
	})
}

// TestRelieveBehindOthers: many long queues of clients that keep up do not hide the
// one that does not.
func TestRelieveBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Config{HeartbeatInterval: time.Hour}, echo)
		stalled := r.backlog(100)
		r.wait(2 * behind)
		for range 2 * maxRelieved {
			r.backlog(1000) // just now
		}
		r.engine.Relieve()
		r.turn()
		if stalled.state != stateClosed {
			t.Error("the client that has not read for long stays")
		}
		if n := r.engine.metrics.ConnectionsClosed.With(CauseOverload.String(), CauseOverload.Initiator()).Get(); n != 1 {
			t.Errorf("%d closed, want 1", n)
		}
	})
}

// TestRelieveIsFair: a loop with next to nothing of what waits leaves its clients
// alone.
func TestRelieveIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rigs := newRigs(2, Config{HeartbeatInterval: time.Hour}, echo)
		conns := []*Conn{rigs[0].backlog(90_000), rigs[0].backlog(80_000), rigs[1].backlog(15_000)}
		if got := relieved(rigs, conns); got != "x.." {
			t.Errorf("closed: %q", got)
		}
	})
}

func TestWorstLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rigs := newRigs(2, Config{}, echo)
		rigs[1].tick()
		time.Sleep(3 * time.Second)
		if lag := rigs[0].engine.WorstLag(); lag < 3*time.Second || lag > 4*time.Second {
			t.Errorf("%v", lag)
		}
		rigs[1].turn()
		time.Sleep(time.Second)
		rigs[1].tick()
		rigs[1].turn()
		if lag := rigs[0].engine.WorstLag(); lag > time.Second {
			t.Errorf("%v after a tick in time", lag)
		}
	})
}
