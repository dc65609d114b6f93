package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/frame"
	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// TestDrainSpread: the closes of a drain are spread evenly over its window, all
// have begun at its end, and who came in the last moment is not forgotten.
func TestDrainSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, ticks = 1000, 100
		r := newRig(timed, echo)
		e := r.engine
		var conns []*Conn
		for range clients {
			c, _ := r.open()
			conns = append(conns, c)
		}
		closing := func() (n int) {
			for _, c := range conns {
				if c.state != stateOpen {
					n++
				}
			}
			return n
		}
		e.drainUntil.Store(uint32(e.clock() + ticks))
		before, busiest := 0, 0
		for range ticks {
			r.wait(e.cfg.tick)
			now := closing()
			before, busiest = now, max(busiest, now-before)
		}
		if before != clients || busiest > clients/ticks+1 {
			t.Errorf("%d of %d closed in the window, %d of them at one tick", before, clients, busiest)
		}
		late, gc := r.open()
		r.wait(e.cfg.tick)
		if got := gc.frames(t); late.cause != CauseDraining || len(got) != 1 || got[0].Code != frame.CloseServiceRestart {
			t.Errorf("a late client: cause %s, %+v", late.cause, got)
		}
	})
}

func TestShutdown(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	var clients []*testkit.Conn
	for range 40 {
		clients = append(clients, n.open())
	}
	done := make(chan struct{})
	go func() { defer close(done); n.shutdown(100 * time.Millisecond) }()
	for _, c := range clients {
		if reason := c.ExpectClose(uint16(frame.CloseServiceRestart)); !strings.HasPrefix(reason, "service restart; reconnect in ") {
			t.Errorf("reason %q", reason)
		}
		c.Close()
	}
	<-done
	n.closedBy(CauseDraining, 40)
	if c, err := testkit.TryDial("tcp", n.addr); err == nil {
		c.Close()
		t.Error("clients are still let in")
	}
}

// TestShutdownUnanswered: clients that do not take part in the close are cut
// off after the close timeout.
func TestShutdownUnanswered(t *testing.T) {
	n := start(t, Config{CloseTimeout: short, LingerTimeout: short}, echo)
	n.open()
	slow := n.openSmall()
	n.with(slow, func(c *Conn) { c.Write(frame.OpBinary, make([]byte, 8<<20)) })
	n.dial().WriteString("GET ")
	n.eventually("all there", func() bool { return n.connections.Load() == 2 && n.pending.Load() == 1 })
	n.shutdown(time.Millisecond)
	n.closedBy(CauseDraining, 2)
}

// TestShutdownCutShort: when the context ends, everybody is let go of at once:
// those who have been told and those whose turn has not come.
func TestShutdownCutShort(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	var clients []*testkit.Conn
	for range 20 {
		clients = append(clients, n.open())
	}
	n.dial().WriteString("GET ")
	n.eventually("all there", func() bool { return n.pending.Load() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Shutdown(ctx, 10*time.Second) }()
	n.eventually("the first one told", func() bool {
		told := false
		for _, l := range n.loops {
			n.on(l, func() {
				for _, c := range l.conns {
					told = told || c.state == stateClosing
				}
			})
		}
		return told
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	n.closedBy(CauseDraining, 20)
	n.rejected("draining", 1)
	n.quiet()
	for _, c := range clients {
		for {
			f, err := c.TryReadFrame()
			if err != nil {
				break
			}
			if f.Op != byte(frame.OpClose) {
				t.Errorf("got %s", f)
			}
		}
	}
}

// TestStartFails: an engine that cannot start leaves nothing behind.
func TestStartFails(t *testing.T) {
	testkit.NoLeaks(t)
	e := New(Config{Loops: 3}, metrics.New(), discard)
	restore := limitDescriptors(t, 5) // enough for one loop
	err := e.Start(echo)
	restore()
	if err == nil {
		t.Fatal("no error")
	}
}

// TestDrainIdleFirst: those who have been silent for the longest time go first.
func TestDrainIdleFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(timed, echo)
		var conns []*Conn
		for range 10 {
			c, _ := r.open()
			conns = append(conns, c)
		}
		r.wait(time.Second)
		for _, i := range []int{0, 3} {
			conns[i].gc.(*fakeConn).receive(testkit.MaskedFrame(0x81, []byte("busy")))
		}
		r.engine.drainUntil.Store(uint32(r.engine.clock() + 10))
		for range 10 {
			r.wait(r.engine.cfg.tick)
			open, busy := 0, 0
			for i, c := range conns {
				if c.state == stateOpen {
					open++
					if i == 0 || i == 3 {
						busy++
					}
				}
			}
			if busy != min(open, 2) {
				t.Errorf("%d open, %d of them busy", open, busy)
			}
		}
	})
}

// farewell is an endpoint that tells its client when to come back.
type farewell struct {
	*endpoint
	conn *Conn
	told []time.Duration
}

func (f *farewell) Draining(reconnectAfter time.Duration) {
	f.told = append(f.told, reconnectAfter)
	f.conn.Write(frame.OpText, []byte("so long"))
}

// TestDrainHint: each client is told once, in its own language and in the close
// frame, to wait a time of its own.
func TestDrainHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends []*farewell
		r := newRig(timed, accept(func(c *Conn) (Endpoint, error) {
			ends = append(ends, &farewell{endpoint: &endpoint{}, conn: c})
			return ends[len(ends)-1], nil
		}))
		var conns []*fakeConn
		for range 50 {
			_, gc := r.open()
			conns = append(conns, gc)
		}
		r.engine.drainUntil.Store(uint32(r.engine.clock()))
		r.wait(r.engine.cfg.tick)
		waits := map[time.Duration]bool{}
		for i, gc := range conns {
			if len(ends[i].told) != 1 {
				t.Fatalf("told %d times", len(ends[i].told))
			}
			wait := ends[i].told[0]
			waits[wait] = true
			if most := r.engine.cfg.RetryAfter + 100*time.Millisecond; wait <= 0 || wait > most {
				t.Errorf("to wait %v, at most %v", wait, most)
			}
			got := gc.frames(t)
			want := fmt.Sprintf("service restart; reconnect in %.1fs", wait.Seconds())
			if len(got) != 2 || string(got[0].Payload) != "so long" || string(got[1].Payload) != want {
				t.Errorf("got %+v, want the farewell and %q", got, want)
			}
		}
		if len(waits) < 10 {
			t.Errorf("%d clients share %d times to wait", len(conns), len(waits))
		}
	})
}

// TestDrainAfterTasks: what waits in the inbox when a step of the drain is due
// reaches its connections before the step closes them, however much it is.
func TestDrainAfterTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(timed, echo)
		c, gc := r.open()
		const messages = 3 * tasksPerTurn
		for i := range messages {
			r.Post(taskFunc(func() {
				if !c.Write(frame.OpText, fmt.Append(nil, i)) {
					t.Errorf("message %d came too late", i)
				}
			}))
		}
		r.engine.drainUntil.Store(uint32(r.engine.clock()))
		time.Sleep(r.engine.cfg.tick)
		r.tick()
		for r.bell.rings > 0 {
			r.turn()
		}
		got := gc.frames(t)
		if len(got) != messages+1 || got[messages].Code != frame.CloseServiceRestart {
			t.Fatalf("%d frames, the last %+v", len(got), got[len(got)-1])
		}
	})
}

// TestDrainInboxFull: a full inbox postpones a step of the drain and nothing
// else.
func TestDrainInboxFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := timed
		cfg.InboxTasks = 1
		r := newRig(cfg, echo)
		c, _ := r.open()
		r.Post(taskFunc(func() {}))
		r.engine.drainUntil.Store(uint32(r.engine.clock()))
		r.wait(r.engine.cfg.tick)
		if c.state != stateOpen {
			t.Error("closed although the step found no place")
		}
		r.wait(r.engine.cfg.tick)
		if c.cause != CauseDraining {
			t.Errorf("cause %s", c.cause)
		}
	})
}

// TestShutdownPending: a handshake that is not finished is answered at once and
// does not hold the shutdown.
func TestShutdownPending(t *testing.T) {
	n := start(t, Config{RetryAfter: time.Second}, echo)
	c := n.dial()
	c.WriteString("GET ")
	n.eventually("a pending handshake", func() bool { return n.pending.Load() == 1 })
	done := make(chan struct{})
	go func() { defer close(done); n.shutdown(time.Hour) }()
	got, err := readAll(c)
	got = retryAfter.ReplaceAllString(got, "Retry-After: *\r\n")
	if want := unavailable("this node is going away, connect to another one"); err != nil || got != want {
		t.Fatalf("got %q, error %v, want %q", got, err, want)
	}
	c.Close()
	<-done
	n.rejected("draining", 1)
}

// TestShutdownRunsTasks: every task that was taken has run when Shutdown
// returns.
func TestShutdownRunsTasks(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	const tasks = 10_000
	var ran atomic.Int64
	for i := range tasks {
		if !n.loops[i%2].Post(taskFunc(func() { ran.Add(1) })) {
			t.Fatal("refused")
		}
	}
	n.shutdown(time.Millisecond)
	if ran.Load() != tasks {
		t.Errorf("%d of %d tasks ran", ran.Load(), tasks)
	}
}
