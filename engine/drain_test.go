package engine

import (
	"context"
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
		if reason := c.ExpectClose(uint16(frame.CloseServiceRestart)); reason != "service restart" {
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
	n := start(t, Config{CloseTimeout: short, HandshakeTimeout: short, LingerTimeout: short}, echo)
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
	go func() { done <- n.Shutdown(ctx, time.Hour) }()
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
