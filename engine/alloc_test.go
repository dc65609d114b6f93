package engine

import (
	"runtime"
	"testing"
	"unsafe"

	"sluice/frame"
	"sluice/internal/testkit"
)

// fanOut is what a publish does on one loop.
type fanOut struct {
	to       []*Conn
	messages []*frame.Message
}

func (f *fanOut) Run() {
	for _, m := range f.messages {
		for _, c := range f.to {
			c.Send(m)
		}
	}
}

// crowd opens connections whose output goes nowhere.
func (r *rig) crowd(n int) []*Conn {
	conns := make([]*Conn, n)
	for i := range conns {
		c, gc := r.open()
		gc.sink = true
		conns[i] = c
	}
	return conns
}

// TestNoAllocations: a frame that is echoed and a copy that is delivered cost
// the garbage collector nothing, from the event to the write.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const runs = 1000
	r := newRig(Config{}, echo)
	conns := r.crowd(100)
	for _, size := range []int{1, 128, 4 << 10, 60 << 10} {
		input := testkit.MaskedFrame(0x82, make([]byte, size))
		buf := make([]byte, len(input))
		gc := conns[0].gc.(*fakeConn)
		echoed := gc.writes
		if n := testing.AllocsPerRun(runs, func() {
			copy(buf, input) // it is unmasked in place
			gc.receive(buf)
		}); n != 0 {
			t.Errorf("%v allocations per echoed frame of %d bytes", n, size)
		}
		if gc.writes != echoed+runs+1 {
			t.Errorf("%d frames echoed", gc.writes-echoed)
		}
	}
	for _, count := range []int{1, 3} {
		task := &fanOut{to: conns}
		for range count {
			task.messages = append(task.messages, sealed(200))
		}
		if n := testing.AllocsPerRun(runs, func() {
			r.Post(task)
			r.turn()
		}); n != 0 {
			t.Errorf("%v allocations per delivery of %d messages to %d connections", n, count, len(conns))
		}
	}
}

// TestNoGoroutinePerConnection: however many clients are connected, the number
// of goroutines stays.
func TestNoGoroutinePerConnection(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	n.neighbour()
	before := runtime.NumGoroutine()
	var clients []*testkit.Conn
	for range 300 {
		clients = append(clients, n.open())
	}
	for _, c := range clients {
		c.WriteText("hello")
		c.ExpectText("hello")
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines with 1 connection, %d with %d", before, after, n.Connections())
	}
}

// TestConnSize: the state of a connection is the part of its memory that is
// ours.
func TestConnSize(t *testing.T) {
	const most = 208 // bytes, a size class of the allocator
	size := unsafe.Sizeof(Conn{})
	t.Logf("Conn is %d bytes, %d of them the frame reader", size, unsafe.Sizeof(frame.Reader{}))
	if size > most {
		t.Errorf("Conn is %d bytes, more than %d", size, most)
	}
}
