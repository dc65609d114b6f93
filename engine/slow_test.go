package engine

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// TestBacklogAge: a backlog is as old as its oldest byte, give or take the time between
// two looks at which a mark had passed.
func TestBacklogAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Config{HeartbeatInterval: time.Hour}, echo)
		c, gc := r.open()
		gc.room = 0
		age := func() time.Duration { return c.describe().Age }
		send := func(n int) { c.Send(sealed(n)); r.settle() }
		tick := r.engine.cfg.tick

		send(1000)
		r.wait(10 * time.Second)
		if got := age(); got < 9*time.Second || got > 11*time.Second {
			t.Errorf("nothing read: %v", got)
		}
		send(1000) // in the middle of what waits
		r.wait(10 * time.Second)
		if got := age(); got < 19*time.Second || got > 21*time.Second {
			t.Errorf("still nothing read: %v", got)
		}
		gc.accept(1100)
		r.wait(tick)
		gc.accept(500) // the mark that was set when the first message had gone
		r.wait(tick)
		if got := age(); got < 9*time.Second || got > 21*time.Second {
			t.Errorf("the first message read: %v", got)
		}
		for range 1000 { // a client that is behind, but goes on
			send(1000)
			gc.accept(1000)
			r.wait(tick)
		}
		if got := age(); got > 10*tick {
			t.Errorf("a client that goes on: %v", got)
		}
	})
}

// TestSlowConsumers: the worst of all loops, in order, with what is known of
// them.
func TestSlowConsumers(t *testing.T) {
	n := start(t, Config{Loops: 2}, accept(func(*Conn) (Endpoint, error) { return named{&endpoint{}}, nil }))
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if got := n.SlowConsumers(ctx, 10); len(got) != 0 {
		t.Errorf("got %v with nobody there", got)
	}
	n.open() // reads everything
	for i := range 4 {
		n.with(n.openSmall(), func(c *Conn) {
			for c.unsent == 0 { // fill what the kernel takes
				c.Write(frame.OpBinary, make([]byte, 64<<10))
				c.write()
			}
			c.Write(frame.OpBinary, make([]byte, 1000*i))
			c.write()
		})
	}
	for _, most := range []int{10, 4, 3, 1, 0, -1} {
		got := n.SlowConsumers(ctx, most)
		if len(got) != max(0, min(most, 4)) {
			t.Fatalf("asked for %d, got %d", most, len(got))
		}
		if !slices.IsSortedFunc(got, worseFirst) {
			t.Errorf("not in order: %v", got)
		}
		for _, s := range got {
			if s.QueuedBytes == 0 || s.Remote == "" || len(s.Endpoint) != 1 || s.Endpoint[0].Value.String() != "chat" {
				t.Errorf("got %+v", s)
			}
		}
	}

	// A loop that does not answer is left out.
	release := n.block(n.loops[0])
	ended, end := context.WithCancel(ctx)
	end()
	if got := n.SlowConsumers(ended, 10); len(got) > 4 {
		t.Errorf("got %v", got)
	}
	release()
}

// TestPolicyIsFelt: a client that stops reading loses messages by its policy and
// stays; the others get every message, at once and in order. When it reads again,
// what it gets is in order.
func TestPolicyIsFelt(t *testing.T) {
	const others, batch, size = 30, 8, 4 << 10 // a batch fits in what the kernel holds for a socket
	for _, o := range policies[1:] {
		t.Run(o.String(), func(t *testing.T) {
			n := start(t, Config{MaxQueueBytes: 256 << 10}, echo)
			slow := n.openSmall()
			var clients []*testkit.Conn
			for range others {
				clients = append(clients, n.open())
			}
			lost := func() int {
				sum := uint64(0)
				for _, reason := range []string{"conflate", "drop_newest", "drop_oldest"} {
					sum += n.metrics.DroppedMessages.With(reason).Get()
				}
				return int(sum)
			}
			sent := 0
			for lost() < 100 && sent < 10_000 {
				n.on(n.loops[0], func() {
					for range batch {
						m := expendable(sent, size, o, "key")
						for _, c := range n.loops[0].conns {
							c.Send(m)
						}
						sent++
					}
				})
				var wg sync.WaitGroup
				for _, c := range clients {
					wg.Go(func() {
						for i := sent - batch; i < sent; i++ {
							if f, err := c.TryReadFrame(); err != nil || number(f.Payload) != i {
								t.Errorf("got %s, error %v, want message %d", f, err, i)
								return
							}
						}
					})
				}
				wg.Wait()
				if t.Failed() {
					return
				}
			}
			if lost() < 100 {
				t.Fatalf("%d messages of %d lost", lost(), sent)
			}
			if want := o != frame.OverflowConflate; (n.SlowConnections() == 1) != want { // one message is not much
				t.Errorf("%d connections count as slow", n.SlowConnections())
			}
			got, last := 0, -1
			for got+lost() < sent {
				f := slow.ReadFrame()
				if number(f.Payload) <= last {
					t.Fatalf("message %d after %d", number(f.Payload), last)
				}
				last = number(f.Payload)
				got++
			}
			if newest := last == sent-1; newest == (o == frame.OverflowDropNewest) {
				t.Errorf("of %d messages, the last one that arrived is %d", sent, last)
			}
			n.eventually("nothing waits", func() bool { return n.QueuedBytes() == 0 && n.SlowConnections() == 0 })
		})
	}
}
