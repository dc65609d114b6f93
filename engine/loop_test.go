package engine

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"sluice/frame"
	"sluice/internal/testkit"
)

// TestPostOrder: what one goroutine posts runs in the order in which it was
// posted, whoever else posts.
func TestPostOrder(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	const posters, each = 8, 2000
	var ran [2][posters][]int // written by the loop of the first index
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for i := range each {
				for li, l := range n.Loops() {
					if !l.Post(taskFunc(func() { ran[li][p] = append(ran[li][p], i) })) {
						t.Errorf("task %d of %d refused", i, p)
					}
				}
			}
		})
	}
	wg.Wait()
	for li, l := range n.Loops() {
		n.on(l, func() {
			for p, got := range ran[li] {
				for i := range each {
					if len(got) != each || got[i] != i {
						t.Fatalf("loop %d, poster %d: %d tasks ran, out of order at %d", li, p, len(got), i)
					}
				}
			}
		})
	}
}

// TestInboxOverflow: a loop that does not come to its tasks refuses more, and
// runs every one it took.
func TestInboxOverflow(t *testing.T) {
	const limit = 100
	n := start(t, Config{InboxTasks: limit}, echo)
	l := n.Loops()[0]
	entered, release := make(chan struct{}), make(chan struct{})
	l.Post(taskFunc(func() { close(entered); <-release }))
	<-entered
	var ran atomic.Int64
	for i := range limit {
		if !l.Post(taskFunc(func() { ran.Add(1) })) {
			t.Fatalf("task %d refused", i)
		}
	}
	for range 3 {
		if l.Post(taskFunc(func() { t.Error("a refused task ran") })) {
			t.Error("a task over the limit was taken")
		}
	}
	if got := n.metrics.LoopTasksRejected.Get(); got != 3 {
		t.Errorf("%d rejections counted, want 3", got)
	}
	close(release)
	n.eventually("all tasks run", func() bool { return ran.Load() == limit })
	n.neighbour()
}

// forever is a task that posts itself again until it is told to stop.
type forever struct {
	l    *Loop
	stop atomic.Bool
	runs atomic.Int64
}

func (f *forever) Run() {
	f.runs.Add(1)
	if !f.stop.Load() {
		f.l.Post(f)
	}
}

// TestTasksDoNotStarveReads: loops that feed themselves with tasks still serve
// their sockets, their deadlines and those who want to come in.
func TestTasksDoNotStarveReads(t *testing.T) {
	n := start(t, Config{HandshakeTimeout: short}, echo)
	nb := n.neighbour()
	tasks := make([]*forever, 2*tasksPerTurn) // more than a turn takes
	for i := range tasks {
		tasks[i] = &forever{l: n.Loops()[0]}
		n.Loops()[0].Post(tasks[i])
	}
	for range 100 {
		nb.check()
	}
	n.neighbour()
	n.dial()
	n.rejected("handshake_timeout", 1)
	for _, f := range tasks {
		f.stop.Store(true)
		if f.runs.Load() < 2 {
			t.Errorf("a task ran %d times", f.runs.Load())
		}
	}
}

// TestOneRing: however many tasks are posted before the loop comes to them, it
// is woken once; what a turn leaves over wakes it again.
func TestOneRing(t *testing.T) {
	r := newRig(Config{}, echo)
	ran := 0
	for range tasksPerTurn + 10 {
		r.Post(taskFunc(func() { ran++ }))
	}
	if r.bell.rings != 1 {
		t.Errorf("%d rings", r.bell.rings)
	}
	r.turn()
	if ran != tasksPerTurn || r.bell.rings != 1 {
		t.Errorf("%d tasks in the first turn, %d rings after it", ran, r.bell.rings)
	}
	r.turn()
	if ran != tasksPerTurn+10 || r.bell.rings != 0 {
		t.Errorf("%d tasks in two turns, %d rings after them", ran, r.bell.rings)
	}
	// Posted by a task: in this turn or the next, but never forgotten.
	r.Post(taskFunc(func() { r.Post(taskFunc(func() { ran = 0 })) }))
	r.turn()
	if ran != 0 && r.bell.rings == 0 {
		t.Error("a task posted by a task was forgotten")
	}
}

// TestFlushesPerTurn: a turn writes to a bounded number of connections, and the
// list of those that wait does not grow while it is never empty.
func TestFlushesPerTurn(t *testing.T) {
	r := newRig(Config{}, echo)
	const clients = flushesPerTurn + 1000
	conns, sockets := make([]*Conn, clients), make([]*fakeConn, clients)
	for i := range conns {
		conns[i], sockets[i] = r.open()
	}
	m := frame.Seal(frame.OpText, make([]byte, frame.HeadRoom+10))
	publish := taskFunc(func() {
		for _, c := range conns {
			c.Send(m)
		}
	})
	r.Post(publish)
	r.turn()
	if n := written(sockets); n != flushesPerTurn || r.bell.rings != 1 {
		t.Errorf("%d written in the first turn, %d rings after it", n, r.bell.rings)
	}
	r.turn()
	if n := written(sockets); n != clients || r.bell.rings != 0 || len(r.dirty) != 0 {
		t.Errorf("%d written in two turns, %d rings after them", n, r.bell.rings)
	}
	for range 50 {
		r.Post(publish)
		r.turn()
	}
	if len(r.dirty) == 0 || cap(r.dirty) > 4*clients {
		t.Errorf("the list has %d places for %d connections, %d of them waiting", cap(r.dirty), clients, len(r.dirty))
	}
}

func written(sockets []*fakeConn) (n int) {
	for _, gc := range sockets {
		if gc.writes > 0 {
			n++
		}
	}
	return n
}

// TestPanics: a panic costs the connection it happened on, is counted and
// logged with its stack, and nothing else changes.
func TestPanics(t *testing.T) {
	n := start(t, Config{}, handlerFunc(func(_ *Conn, r *http.Request) (Acceptance, *Refusal) {
		if r.URL.Path == "/upgrade" {
			panic("in Upgrade")
		}
		return Acceptance{Open: func(c *Conn) (Endpoint, error) {
			if r.URL.Path == "/open" {
				panic("in Open")
			}
			e := &endpoint{message: func(op frame.Opcode, p []byte) { c.Write(op, p) }}
			switch r.URL.Path {
			case "/message":
				e.message = func(frame.Opcode, []byte) { panic("in Message") }
			case "/closed":
				e.closed = func() { panic("in Closed") }
			}
			return e, nil
		}}, nil
	}))
	nb := n.neighbour()
	expect := func(where string) {
		t.Helper()
		n.panics++
		n.eventually("the panic counted", func() bool { return n.metrics.Panics.Get() == n.panics })
		n.eventually("the panic logged", func() bool { return uint64(len(n.log.all())) == n.panics })
		if line := n.log.all()[n.panics-1]; !strings.Contains(line, where) || !strings.Contains(line, "loop_test.go") {
			t.Errorf("the log does not say where: %s", line)
		}
		nb.check()
	}

	c := n.dial()
	c.WriteString(testkit.Head("/upgrade"))
	want := refusal("500 Internal Server Error", "", "close", "internal error")
	if got, err := readAll(c); err != nil || got != want {
		t.Errorf("got %q, error %v, want %q", got, err, want)
	}
	expect("in Upgrade")
	n.rejected("internal_error", 1)

	c = n.openAt("/open")
	c.ExpectClose(uint16(frame.CloseInternalError))
	c.Close()
	expect("in Open")
	n.closedBy(CauseInternalError, 1)

	c = n.openAt("/message")
	c.WriteText("hello")
	c.ExpectClose(uint16(frame.CloseInternalError))
	c.Close()
	expect("in Message")
	n.closedBy(CauseInternalError, 2)

	c = n.openAt("/closed")
	c.WriteClose(1000, "")
	c.ExpectClose(1000)
	c.Close()
	expect("in Closed")
	n.closedBy(CauseClientClose, 1)

	n.Loops()[0].Post(taskFunc(func() { panic("in a task") }))
	expect("in a task")
}

// TestPanicInTurn: a panic does not end the turn for the connections and tasks
// behind it, wherever it happens.
func TestPanicInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := timed
		cfg.tick = defaultTick
		r := newRig(cfg, accept(func(c *Conn) (Endpoint, error) {
			return &endpoint{closed: func() { panic("in Closed") }}, nil
		}))
		first, _ := r.open()
		second, gc := r.open()
		ran := false
		r.Post(taskFunc(func() { first.Close(frame.CloseNormal, ""); panic("in a task") }))
		r.Post(taskFunc(func() { ran = second.Write(frame.OpText, []byte("hello")) }))
		r.turn()
		if len(gc.frames(t)) != 1 || !ran || r.turning || r.engine.metrics.Panics.Get() != 2 {
			t.Errorf("ran: %v, turning: %v, %d panics", ran, r.turning, r.engine.metrics.Panics.Get())
		}

		// Bugs of the engine's own. In a flush: the next one is still flushed.
		broken, _ := r.open()
		broken.gc = nil
		third, gc := r.open()
		broken.Write(frame.OpText, nil)
		third.Write(frame.OpText, nil)
		r.turn()
		if len(gc.frames(t)) != 1 || r.turning || r.engine.metrics.Panics.Get() != 3 {
			t.Errorf("turning: %v, %d panics", r.turning, r.engine.metrics.Panics.Get())
		}
		r.turn()

		// In a deadline: the next one still fires.
		broken, _ = r.open()
		broken.gc = nil
		before := r.engine.metrics.Panics.Get()
		for _, c := range []*Conn{second, broken} {
			c.state = stateClosing
			c.wait(r.engine.cfg.tick)
		}
		r.wait(2 * r.engine.cfg.tick)
		if second.state != stateClosed || r.turning || r.engine.metrics.Panics.Get() != before+2 {
			t.Errorf("state %d, turning: %v, %d panics", second.state, r.turning, r.engine.metrics.Panics.Get())
		}
	})
}

// TestStopped: a loop that has stopped refuses tasks, and says so.
func TestStopped(t *testing.T) {
	n := start(t, Config{}, echo)
	n.shutdown(0)
	if n.Loops()[0].Post(taskFunc(func() { t.Error("a task ran") })) {
		t.Error("a task was taken")
	}
	if got := n.metrics.LoopTasksRejected.Get(); got != 1 {
		t.Errorf("%d rejections counted", got)
	}
}

// TestLoopsShareTheLoad: connections go where there are fewest.
func TestLoopsShareTheLoad(t *testing.T) {
	n := start(t, Config{Loops: 3}, echo)
	var clients []*testkit.Conn
	for range 9 {
		clients = append(clients, n.open())
	}
	for i, l := range n.Loops() {
		if got := l.placed.Load(); got != 3 || l.Index() != i {
			t.Errorf("loop %d has %d connections", l.Index(), got)
		}
	}
	for _, c := range clients {
		c.WriteText("hello")
		c.ExpectText("hello")
	}
}

// TestCounters: what a client sends and gets is in the node's figures a tick
// later.
func TestCounters(t *testing.T) {
	n := start(t, Config{}, echo)
	c := n.open()
	const messages = 10
	sent := len(testkit.Head("/"))
	for i := range messages {
		m := testkit.MaskedFrame(0x81, bytes.Repeat([]byte("x"), i))
		c.WriteBytes(m)
		c.ReadFrame()
		sent += len(m)
	}
	c.WriteFrame(0x89, []byte("ping"))
	c.ReadFrame()
	sent += 4 + 6
	got := len(switching("")) + messages*2 + messages*(messages-1)/2 + 4 + 2
	n.eventually(fmt.Sprintf("%d messages either way, %d bytes in and %d out", messages, sent, got), func() bool {
		m := n.metrics
		return m.MessagesReceived.Get() == messages && m.MessagesSent.Get() == messages &&
			m.ReceivedBytes.Get() == uint64(sent) && m.SentBytes.Get() == uint64(got) && m.ConnectionsOpened.Get() == 1
	})
}
