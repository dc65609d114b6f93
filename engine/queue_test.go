package engine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"sluice/frame"
	"sluice/internal/budget"
	"sluice/internal/testkit"
)

// sealed returns a shared message with a payload of n bytes.
func sealed(n int) *frame.Message {
	return frame.Seal(frame.OpBinary, bytes.Repeat([]byte{byte(n)}, frame.HeadRoom+n))
}

// TestJoinedOutput: what is sent in one turn arrives in one write, in order,
// whatever it is made of.
func TestJoinedOutput(t *testing.T) {
	m := sealed(100)
	shared := func(c *Conn) []byte { c.Send(m); return m.Frame() }
	own := func(c *Conn) []byte {
		c.Write(frame.OpText, []byte("own"))
		return frame.AppendFrame(nil, frame.OpText, []byte("own"))
	}
	closing := func(c *Conn) []byte {
		c.Close(frame.CloseNormal, "bye")
		return frame.AppendClose(nil, frame.CloseNormal, "bye")
	}
	tests := []struct {
		name string
		send []func(c *Conn) []byte
	}{
		{"one shared", []func(*Conn) []byte{shared}},
		{"one of its own", []func(*Conn) []byte{own}},
		{"shared", []func(*Conn) []byte{shared, shared, shared}},
		{"mixed", []func(*Conn) []byte{shared, own, shared, own}},
		{"with a close", []func(*Conn) []byte{shared, closing}},
		{"mixed with a close", []func(*Conn) []byte{own, shared, closing}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(Config{}, echo)
			c, gc := r.open()
			var want []byte
			for _, send := range tt.send {
				r.Post(taskFunc(func() { want = append(want, send(c)...) }))
			}
			r.turn()
			if gc.writes != 1 || !bytes.Equal(gc.out, want) {
				t.Errorf("%d writes of %q, want one of %q", gc.writes, gc.out, want)
			}
			if c.out != nil || c.series != nil {
				t.Error("an idle connection holds output")
			}
		})
	}
	t.Run("answers to one read", func(t *testing.T) {
		r := newRig(Config{}, echo)
		_, gc := r.open()
		gc.receive(bytes.Repeat(text, 16))
		if want := bytes.Repeat(frame.AppendFrame(nil, frame.OpText, []byte("hello")), 16); gc.writes != 1 || !bytes.Equal(gc.out, want) {
			t.Errorf("%d writes of %q", gc.writes, gc.out)
		}
	})
	t.Run("answer to the head and first messages", func(t *testing.T) {
		r := newRig(Config{}, accept(func(c *Conn) (Endpoint, error) {
			c.Write(frame.OpText, []byte("welcome"))
			return &endpoint{}, nil
		}))
		_, gc := r.connect()
		gc.receive([]byte(testkit.Head("/")))
		if want := switching("") + string(frame.AppendFrame(nil, frame.OpText, []byte("welcome"))); gc.writes != 1 || string(gc.out) != want {
			t.Errorf("%d writes of %q", gc.writes, gc.out)
		}
	})
}

// TestJoinLimit: within a turn a queue is written when it has reached joinBytes,
// and with Writev above writevBytes; the bytes are the same.
func TestJoinLimit(t *testing.T) {
	tests := []struct {
		sizes          []int
		writes, writev int
	}{
		{[]int{joinBytes / 2, joinBytes / 4}, 1, 0},
		{[]int{joinBytes / 2, joinBytes/2 - 8}, 1, 0}, // just reached
		{[]int{joinBytes / 2, joinBytes / 2, joinBytes / 2}, 2, 0},
		{slices.Repeat([]int{joinBytes / 4}, 16), 4, 0},
		{[]int{writevBytes - 4}, 1, 0},
		{[]int{writevBytes - 3}, 1, 1},
		{[]int{10, writevBytes}, 1, 1},
		{[]int{1 << 20, 1 << 20, 10}, 3, 2},
	}
	for _, tt := range tests {
		for _, way := range []string{"Send", "Write"} {
			t.Run(fmt.Sprintf("%s %v", way, tt.sizes), func(t *testing.T) {
				r := newRig(Config{MaxQueueBytes: 8 << 20}, echo)
				c, gc := r.open()
				var want []byte
				r.Post(taskFunc(func() {
					for _, size := range tt.sizes {
						m := sealed(size)
						want = append(want, m.Frame()...)
						if way == "Send" {
							c.Send(m)
						} else {
							c.Write(m.Op(), m.Payload())
						}
					}
				}))
				r.turn()
				if !bytes.Equal(gc.out, want) {
					t.Error("the bytes are not those that were sent")
				}
				if way == "Send" && (gc.writes != tt.writes || gc.writev != tt.writev) {
					t.Errorf("%d writes, %d of them Writev, want %d and %d", gc.writes, gc.writev, tt.writes, tt.writev)
				}
			})
		}
	}
}

// TestSharedBytes: one shared message is handed to the socket as it is.
func TestSharedBytes(t *testing.T) {
	r := newRig(Config{}, echo)
	m := sealed(100)
	before := bytes.Clone(m.Frame())
	for range 3 {
		c, gc := r.open()
		c.Send(m)
		if c.out != nil || c.series == nil || !same(c.series.piece(c.from, c.to), m.Frame()) {
			t.Error("the message was copied")
		}
		r.turn()
		if !bytes.Equal(gc.out, before) {
			t.Errorf("got %q", gc.out)
		}
	}
	if !bytes.Equal(m.Frame(), before) {
		t.Error("the message was changed")
	}
}

func TestSlowConsumer(t *testing.T) {
	cfg := Config{SlowConsumerBytes: 1000, MaxQueueBytes: 4000}
	slow := func(r *rig) uint64 { return r.engine.metrics.SlowConsumers.Get() }

	t.Run("marks", func(t *testing.T) {
		r := newRig(cfg, echo)
		c, gc := r.open()
		gc.room = 0
		send := func(n int) bool {
			t.Helper()
			ok := c.Send(sealed(n))
			r.turn()
			if int64(c.unsent) != r.engine.queued.Used() || int64(c.unsent) != r.queued || int(c.unsent) != len(gc.backed) {
				t.Fatalf("%d bytes unsent, %d in the node's books, %d in the loop's", c.unsent, r.engine.queued.Used(), r.queued)
			}
			return ok
		}
		if !send(900) || slow(r) != 0 {
			t.Fatal("slow below the low mark")
		}
		if !send(900) || slow(r) != 1 {
			t.Fatal("not slow above the low mark")
		}
		if !send(900) || slow(r) != 1 {
			t.Fatal("counted twice")
		}
		gc.drain()
		r.tick()
		r.turn()
		gc.room = 0
		for range 4 {
			if !send(900) {
				t.Fatal("refused below the high mark")
			}
		}
		if slow(r) != 2 {
			t.Fatalf("counted %d times after it had recovered", slow(r))
		}
		if send(900) || c.cause != CauseSlowConsumer || r.engine.metrics.DroppedMessages.With("slow_consumer").Get() != 1 {
			t.Fatalf("taken above the high mark; cause %s", c.cause)
		}
		gc.take() // what it had read
		gc.drain()
		got := gc.frames(t)
		if last := got[len(got)-1]; len(got) != 5 || last.Code != frame.ClosePolicyViolation {
			t.Errorf("got %d frames, the last %+v; want the four that were queued and the close", len(got), last)
		}
	})

	t.Run("a drained queue is seen at once", func(t *testing.T) {
		r := newRig(cfg, echo)
		c, gc := r.open()
		gc.room = 0
		for range 4 {
			c.Send(sealed(900))
		}
		r.turn()
		gc.drain() // no turn and no tick since
		if !c.Send(sealed(900)) {
			t.Errorf("a client that had read everything was closed: %s", c.cause)
		}
	})

	t.Run("a client that has gone is not slow", func(t *testing.T) {
		r := newRig(cfg, echo)
		c, gc := r.open()
		c.Write(frame.OpBinary, make([]byte, 3000))
		gc.broken = true
		if c.Write(frame.OpBinary, make([]byte, 3000)) || c.cause != CauseClientGone {
			t.Errorf("cause %s", c.cause)
		}
	})

	t.Run("an empty queue takes any message", func(t *testing.T) {
		r := newRig(cfg, echo)
		c, gc := r.open()
		gc.room = 0
		if !c.Send(sealed(1 << 20)) {
			t.Fatal("refused")
		}
		if c.Send(sealed(10)) || c.state == stateOpen {
			t.Error("and then any number of them")
		}
	})

	t.Run("bytes that wait for the end of the turn do not count", func(t *testing.T) {
		r := newRig(cfg, echo)
		c, gc := r.open()
		for i := range 1000 {
			if !c.Send(sealed(100)) {
				t.Fatalf("message %d refused", i)
			}
		}
		r.turn()
		if n := len(gc.frames(t)); n != 1000 {
			t.Errorf("%d frames", n)
		}
	})

	t.Run("pongs count", func(t *testing.T) {
		r := newRig(cfg, echo)
		c, gc := r.open()
		gc.room = 0
		for i := 0; c.state == stateOpen && i < 1000; i++ {
			gc.receive(testkit.MaskedFrame(0x89, make([]byte, 100)))
		}
		if c.cause != CauseSlowConsumer {
			t.Errorf("cause %s, %d bytes queued", c.cause, c.unsent)
		}
	})
}

// backlog opens a connection that has so many bytes unsent.
func (r *rig) backlog(n int) *Conn {
	c, gc := r.open()
	gc.room = 0
	c.Send(sealed(n))
	r.turn()
	return c
}

// TestNodeBudget: over the budget of the node the longest queues go, and no
// more of them than needed.
func TestNodeBudget(t *testing.T) {
	r := newRig(Config{MaxNodeQueueBytes: 100_000}, echo)
	var conns []*Conn
	for _, n := range []int{10_000, 40_000, 5_000, 30_000} {
		conns = append(conns, r.backlog(n))
	}
	for _, c := range conns {
		if c.state != stateOpen {
			t.Fatalf("%d bytes shed below the budget", c.unsent)
		}
	}
	conns = append(conns, r.backlog(20_000)) // 105,000 in all; 65,000 without the longest
	for i, c := range conns {
		if shed := c.state == stateClosed; shed != (i == 1) {
			t.Errorf("queue %d: shed is %v", i, shed)
		}
	}
	if c := conns[1]; c.cause != CauseNodeQueueBudget {
		t.Errorf("cause %s", c.cause)
	}
	if q := r.engine.queued.Used(); q != r.queued || q < 65_000 || q > 66_000 {
		t.Errorf("%d bytes queued, %d by the loop's books", q, r.queued)
	}
}

// TestNodeBudgetIsMeasured: a queue that has drained since it was last looked
// at is not shed.
func TestNodeBudgetIsMeasured(t *testing.T) {
	r := newRig(Config{MaxNodeQueueBytes: 100_000}, echo)
	long := r.backlog(80_000)
	long.gc.(*fakeConn).drain()
	short := r.backlog(30_000)
	if long.state != stateOpen || short.state != stateOpen {
		t.Errorf("states %d and %d", long.state, short.state)
	}
}

// TestNodeBudgetIsFair: the loop that finds the node over its budget leaves its
// own short queues alone when another loop has the long ones.
func TestNodeBudgetIsFair(t *testing.T) {
	rigs := newRigs(2, Config{MaxNodeQueueBytes: 100_000}, echo)
	long := rigs[0].backlog(90_000)
	short := rigs[1].backlog(15_000)
	if short.state != stateOpen {
		t.Error("the short queue was shed")
	}
	rigs[0].tick()
	rigs[0].turn()
	if long.state != stateClosed || long.cause != CauseNodeQueueBudget {
		t.Errorf("the long queue was not shed at the next tick: state %d", long.state)
	}
}

// budgeted is an endpoint that shares a budget.
type budgeted struct {
	endpoint
	budget *budget.Budget
}

func (b *budgeted) QueueBudget() *budget.Budget { return b.budget }

// TestSharedBudget: over a budget that some share, the longest of their queues go,
// on this loop or at the next tick of another; those of others stay, however long.
func TestSharedBudget(t *testing.T) {
	shared := budget.New(100_000)
	next := shared
	rigs := newRigs(2, Config{}, accept(func(*Conn) (Endpoint, error) { return &budgeted{budget: next}, nil }))
	short, long, far := rigs[0].backlog(30_000), rigs[0].backlog(40_000), rigs[1].backlog(15_000)
	next = nil
	other := rigs[0].backlog(500_000)
	if got := shared.Used(); got != 85_000+3*4 || long.state != stateOpen {
		t.Fatalf("%d bytes in the budget, state %d", got, long.state)
	}
	next = shared
	last := rigs[1].backlog(20_000)
	if last.state != stateOpen || far.state != stateOpen {
		t.Error("a loop that is below its share has shed")
	}
	rigs[0].tick()
	rigs[0].turn()
	if long.state != stateClosed || long.cause != CauseQueueBudget {
		t.Errorf("the longest queue was not shed: state %d, cause %s", long.state, long.cause)
	}
	for name, c := range map[string]*Conn{"short": short, "far": far, "last": last, "other": other} {
		if c.state != stateOpen {
			t.Errorf("%s was shed", name)
		}
	}
	for _, c := range []*Conn{short, far, last} {
		c.gc.(*fakeConn).hangUp()
	}
	if got := shared.Used(); got != 0 {
		t.Errorf("%d bytes are left in the budget", got)
	}
}

// TestTakeoverOutput: with context takeover each copy is compressed for its
// connection; otherwise all share one.
func TestTakeoverOutput(t *testing.T) {
	const offer = "Sec-WebSocket-Extensions: permessage-deflate"
	payload := bytes.Repeat([]byte("compressible "), 100)
	m := frame.Seal(frame.OpText, append(make([]byte, frame.HeadRoom), payload...))
	for _, takeover := range []bool{false, true} {
		cfg := frame.DeflateConfig{Enabled: true, ContextTakeover: takeover}
		r := newRig(Config{Compression: cfg}, echo)
		c, gc := r.connect()
		gc.receive([]byte(testkit.Head("/", offer)))
		resp := gc.take()
		if !bytes.Contains(resp, []byte("permessage-deflate")) || c.reader.Deflate().Takeover() != takeover {
			t.Fatalf("answer %q", resp)
		}
		c.Send(m)
		c.Send(m)
		r.turn()
		first, both := len(gc.out)/2, len(gc.out)
		if both > len(payload) {
			t.Errorf("takeover %v: %d bytes for two messages of %d", takeover, both, len(payload))
		}
		if same := bytes.Equal(gc.out[:first], gc.out[first:]); same == takeover {
			t.Errorf("takeover %v: the same bytes twice is %v", takeover, same)
		}
	}
}

// TestAnswersLeaveTogether: the connection whose event is being handled is
// written once, at the end of the event, however long its answers are.
func TestAnswersLeaveTogether(t *testing.T) {
	r := newRig(Config{}, echo)
	_, gc := r.open()
	gc.receive(bytes.Repeat(testkit.MaskedFrame(0x82, make([]byte, joinBytes/4)), 16))
	if gc.writes != 1 {
		t.Errorf("%d writes for the answers to one read, want 1", gc.writes)
	}
}

// TestFewDirty: what one event sends to few others leaves at its end, without a
// turn of the bell; what it sends to many waits for that.
func TestFewDirty(t *testing.T) {
	for others, written := range map[int]bool{1: true, fewDirty: true, fewDirty + 1: false} {
		task := &fanOut{messages: []*frame.Message{sealed(10)}}
		r := newRig(Config{}, accept(func(*Conn) (Endpoint, error) {
			return &endpoint{message: func(frame.Opcode, []byte) { task.Run() }}, nil
		}))
		var last *fakeConn
		for range others {
			c, gc := r.open()
			task.to, last = append(task.to, c), gc
		}
		_, gc := r.open()
		r.turn()
		gc.receive(testkit.MaskedFrame(0x81, []byte("hello")))
		if got := len(last.out) > 0; got != written {
			t.Errorf("%d others: written at the end of the event: %v", others, got)
		}
		if rung := r.bell.rings > 0; rung == written {
			t.Errorf("%d others: the bell was rung: %v", others, rung)
		}
		r.turn()
		if len(last.out) == 0 {
			t.Errorf("%d others: nothing arrived", others)
		}
	}
}
