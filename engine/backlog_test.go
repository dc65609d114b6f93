package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"sluice/frame"
	"sluice/internal/testkit"
)

var policies = []frame.Overflow{frame.OverflowClose, frame.OverflowDropNewest, frame.OverflowDropOldest, frame.OverflowConflate}

// expendable returns a shared message whose payload is n bytes and begins with
// its number.
func expendable(number, n int, o frame.Overflow, key string) *frame.Message {
	buf := make([]byte, frame.HeadRoom+max(n, 4))
	binary.BigEndian.PutUint32(buf[frame.HeadRoom:], uint32(number))
	m := frame.Seal(frame.OpBinary, buf)
	m.Expendable(o, key)
	return m
}

func number(payload []byte) int { return int(binary.BigEndian.Uint32(payload)) }

// numbers returns the numbers of the messages that a client got.
func numbers(events []frame.Event) (all []int) {
	for _, ev := range events {
		if ev.Kind == frame.KindMessage {
			all = append(all, number(ev.Payload))
		}
	}
	return all
}

// settle turns the loop until it has nothing to do.
func (r *rig) settle() {
	r.tick()
	for r.bell.rings > 0 {
		r.turn()
	}
}

// dropped returns a counter of lost messages.
func (r *rig) dropped(reason string) int {
	return int(r.engine.metrics.DroppedMessages.With(reason).Get())
}

// checkBooks compares every account of the bytes that wait with what there is.
func (r *rig) checkBooks(t *testing.T, c *Conn) {
	t.Helper()
	want, gc := 0, c.gc.(*fakeConn)
	if c.state != stateClosed {
		want = len(gc.backed)
	}
	if c.waits() {
		for w := c.backlog.first; w != nil; w = w.next {
			want += w.bytes()
		}
	}
	if got := c.QueuedBytes(); got != want || int64(got) != r.queued || int64(got) != r.engine.queued.Used() {
		t.Fatalf("%d bytes wait; the connection knows of %d, the loop of %d, the node of %d", want, got, r.queued, r.engine.queued.Used())
	}
}

// TestOverflow: each policy over the high mark, with a client that does not read.
func TestOverflow(t *testing.T) {
	cfg := Config{MaxQueueBytes: 4000} // a window of 1000
	const size = 496                   // 500 bytes with the header: 8 in all
	type sent struct {
		o    frame.Overflow
		key  string
		want bool // accepted
	}
	many := func(n int, s sent) []sent { return slices.Repeat([]sent{s}, n) }
	newest := sent{o: frame.OverflowDropNewest, want: true}
	oldest := sent{o: frame.OverflowDropOldest, want: true}
	strict := sent{o: frame.OverflowClose, want: true}
	key := func(k string) sent { return sent{frame.OverflowConflate, k, true} }
	refused := func(s sent) sent { s.want = false; return s }

	for _, tt := range []struct {
		name  string
		sends [][]sent
		want  []int // what arrives in the end
		lost  map[string]int
	}{
		{"newest: below the mark", [][]sent{many(8, newest)}, []int{0, 1, 2, 3, 4, 5, 6, 7}, nil},
		{"newest: above it", [][]sent{many(8, newest), many(3, refused(newest))}, []int{0, 1, 2, 3, 4, 5, 6, 7}, map[string]int{"drop_newest": 3}},
		{"oldest: below the mark", [][]sent{many(8, oldest)}, []int{0, 1, 2, 3, 4, 5, 6, 7}, nil},
		// 0 to 2 are in gnet's buffer: the window is passed with the third.
		{"oldest: above it", [][]sent{many(10, oldest)}, []int{0, 1, 2, 5, 6, 7, 8, 9}, map[string]int{"drop_oldest": 2}},
		{"oldest: the strict stay", [][]sent{many(3, oldest), many(2, strict), many(2, oldest), many(1, strict), many(4, oldest)},
			[]int{0, 1, 2, 3, 4, 7, 10, 11}, map[string]int{"drop_oldest": 4}},
		{"oldest: nothing to drop", [][]sent{many(8, strict), many(2, refused(oldest))}, []int{0, 1, 2, 3, 4, 5, 6, 7}, map[string]int{"drop_oldest": 2}},
		{"strict: room is made", [][]sent{many(8, newest), many(2, strict)}, []int{0, 1, 2, 5, 6, 7, 8, 9}, map[string]int{"drop_oldest": 2}},
		{"conflate: at once", [][]sent{many(1, strict), {key("a"), key("b"), key("a"), key("a")}}, []int{0, 2, 4}, map[string]int{"conflate": 2}},
		{"conflate: no key", [][]sent{many(1, strict), many(3, key(""))}, []int{0, 1, 2, 3}, nil},
		{"conflate: keys of others", [][]sent{many(1, strict), {key("a")}, many(1, sent{frame.OverflowDropOldest, "a", true}), {key("a")}},
			[]int{0, 2, 3}, map[string]int{"conflate": 1}},
		{"conflate: above the mark", [][]sent{many(2, strict), {key("1"), key("2"), key("3"), key("4"), key("5"), key("6"), key("7"), key("5")}},
			[]int{0, 1, 3, 4, 5, 7, 8, 9}, map[string]int{"conflate": 1, "drop_oldest": 1}},
		{"conflate: nothing to drop", [][]sent{many(8, strict), {refused(key("a"))}}, []int{0, 1, 2, 3, 4, 5, 6, 7}, map[string]int{"drop_oldest": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(cfg, echo)
			c, gc := r.open()
			gc.room = 0
			i := 0
			for _, s := range slices.Concat(tt.sends...) {
				if got := c.Send(expendable(i, size, s.o, s.key)); got != s.want {
					t.Fatalf("message %d: Send says %v", i, got)
				}
				r.settle()
				r.checkBooks(t, c)
				i++
			}
			if c.state != stateOpen {
				t.Fatalf("closed: %s", c.cause)
			}
			gc.drain()
			r.settle()
			for _, reason := range []string{"conflate", "drop_newest", "drop_oldest", "slow_consumer"} {
				if got := r.dropped(reason); got != tt.lost[reason] {
					t.Errorf("%d lost by %s, want %d", got, reason, tt.lost[reason])
				}
			}
			if got := numbers(gc.frames(t)); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			r.settle()
			r.checkBooks(t, c)
			if c.backlog != nil || r.engine.slow.Load() != 0 {
				t.Error("an idle connection has a backlog")
			}
		})
	}
}

// twin is the policies in the plainest form: the messages that wait are a slice,
// and gnet's buffer is a number.
type twin struct {
	high, window int
	unsent       int
	waiting      []*frame.Message
	got          []int // what the client will have read in the end
	lost         map[string]int
	closed       bool
}

func length(m *frame.Message) int { return len(m.Frame()) }

func (w *twin) queued() int {
	n := w.unsent
	for _, m := range w.waiting {
		n += length(m)
	}
	return n
}

func (w *twin) fits(m *frame.Message) bool {
	q := w.queued()
	return q == 0 || q+length(m) <= w.high
}

func (w *twin) send(m *frame.Message) bool {
	o, mark := m.Overflow(), w.window
	if o == frame.OverflowConflate {
		mark = 0
	}
	wait := len(w.waiting) > 0 || o != frame.OverflowClose && w.unsent > mark
	if wait && o == frame.OverflowConflate && m.Key() != "" {
		w.drop("conflate", func(old *frame.Message) bool { return old.Overflow() == o && old.Key() == m.Key() })
	}
	if !w.fits(m) {
		w.refill() // conflation may have freed what waits behind it
	}
	may := func(old *frame.Message) bool { return old.Overflow() != frame.OverflowClose }
	if !w.fits(m) && o != frame.OverflowDropNewest {
		strict := *w
		strict.waiting = slices.DeleteFunc(slices.Clone(w.waiting), may)
		for strict.fits(m) && !w.fits(m) {
			w.drop("drop_oldest", may)
		}
	}
	switch {
	case w.fits(m):
	case o == frame.OverflowClose:
		w.lost["slow_consumer"]++
		w.closed = true
		return false
	case o == frame.OverflowDropNewest:
		w.lost["drop_newest"]++
		return false
	default:
		w.lost["drop_oldest"]++
		return false
	}
	if wait {
		w.waiting = append(w.waiting, m)
	} else {
		w.give(m)
	}
	return true
}

// drop loses the first message that waits and may be lost.
func (w *twin) drop(why string, may func(*frame.Message) bool) {
	if i := slices.IndexFunc(w.waiting, may); i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
		w.lost[why]++
	}
}

func (w *twin) give(m *frame.Message) {
	w.unsent += length(m)
	w.got = append(w.got, number(m.Payload()))
}

func (w *twin) refill() {
	before := w.unsent
	for len(w.waiting) > 0 && w.unsent < w.window && (before == 0 || w.waiting[0].Overflow() != frame.OverflowConflate) {
		w.give(w.waiting[0])
		w.waiting = w.waiting[1:]
	}
}

// FuzzOverflow drives a connection and its twin with the same messages and the
// same slow reader: two bytes for each step, what is done and how much.
func FuzzOverflow(f *testing.F) {
	f.Add([]byte{0, 200, 1, 200, 2, 200, 3, 200, 4, 50})
	f.Add(bytes.Repeat([]byte{2, 100, 3, 90, 7, 90}, 40))
	f.Add(bytes.Repeat([]byte{3, 250, 7, 250, 11, 250, 4, 3, 1, 17, 2, 99, 0, 1}, 20))
	f.Add(bytes.Repeat([]byte{2, 250, 1, 250, 5, 1, 9, 5, 13, 255, 0, 9}, 20))
	f.Fuzz(func(t *testing.T, steps []byte) {
		r := newRig(Config{MaxQueueBytes: 2000, SlowConsumerBytes: 700}, echo)
		c, gc := r.open()
		gc.room = 0
		w := &twin{high: 2000, window: r.engine.window(), lost: map[string]int{}}
		for i := 0; i+1 < len(steps) && !w.closed; i += 2 {
			what, much := steps[i], int(steps[i+1])
			if what%5 == 4 {
				gc.accept(8 * much)
				w.unsent = max(0, w.unsent-8*much)
			} else {
				m := expendable(i, 4*much, policies[what%5], []string{"", "a", "b", "c"}[what/5%4])
				if got, want := c.Send(m), w.send(m); got != want {
					t.Fatalf("step %d, %d bytes, %s: Send says %v, the twin %v", i, length(m), m.Overflow(), got, want)
				}
			}
			r.settle()
			w.refill()
			if w.closed {
				break
			}
			r.checkBooks(t, c)
			if got, want := c.QueuedBytes(), w.queued(); got != want {
				t.Fatalf("step %d: %d bytes wait, the twin has %d", i, got, want)
			}
		}
		for reason, want := range w.lost {
			if got := r.dropped(reason); got != want {
				t.Errorf("%d lost by %s, the twin %d", got, reason, want)
			}
		}
		if (c.state != stateOpen) != w.closed {
			t.Fatalf("state %d, the twin is closed: %v", c.state, w.closed)
		}
		gc.drain()
		r.settle()
		for len(w.waiting) > 0 && !w.closed {
			w.unsent = 0
			w.refill()
		}
		if got := numbers(gc.frames(t)); !slices.Equal(got, w.got) {
			t.Errorf("got %v, the twin %v", got, w.got)
		}
		if !w.closed {
			r.settle()
			r.checkBooks(t, c)
			if c.backlog != nil || r.queued != 0 || r.engine.slow.Load() != 0 {
				t.Error("an idle connection has a backlog")
			}
		}
	})
}

// TestOverflowCompressed: what waits is compressed in the order in which it
// leaves, whatever was lost before.
func TestOverflowCompressed(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		t.Run(fmt.Sprintf("takeover %v", takeover), func(t *testing.T) {
			cfg := frame.DeflateConfig{Enabled: true, ContextTakeover: takeover}
			r := newRig(Config{MaxQueueBytes: 40_000, Compression: cfg}, echo)
			c, gc := r.connect()
			gc.receive([]byte(testkit.Head("/", "Sec-WebSocket-Extensions: "+frame.ClientDeflateOffer(cfg))))
			resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(gc.take())), nil)
			if err != nil {
				t.Fatal(err)
			}
			agreed, err := frame.AcceptDeflateAnswer(resp.Header["Sec-Websocket-Extensions"], cfg)
			if err != nil || agreed == nil {
				t.Fatalf("no compression: %v", err)
			}

			gc.room = 0
			c.Write(frame.OpBinary, random(12_000)) // over the window
			r.settle()
			for i := range 200 {
				if o := policies[i%len(policies)]; o == frame.OverflowClose {
					c.Write(frame.OpBinary, expendable(i, 400, o, "").Payload())
				} else {
					c.Send(expendable(i, 400, o, "key"))
				}
			}
			if c.state != stateOpen || r.dropped("conflate") == 0 || r.dropped("drop_oldest") == 0 {
				t.Fatalf("state %d, %d lost by conflation and %d as the oldest", c.state, r.dropped("conflate"), r.dropped("drop_oldest"))
			}
			gc.drain()
			r.settle()

			codec, reader := frame.NewCodec(frame.Config{Client: true, Deflate: cfg}), frame.Reader{}
			reader.SetDeflate(agreed)
			strict, last := 0, -1
			for p := gc.take(); len(p) > 0; {
				ev, n, err := reader.Next(codec, p)
				if err != nil {
					t.Fatal(err)
				}
				p = p[n:]
				if len(ev.Payload) != 400 {
					continue
				}
				if number(ev.Payload) <= last {
					t.Fatalf("message %d after %d", number(ev.Payload), last)
				}
				if last = number(ev.Payload); last%len(policies) == 0 {
					strict++
				}
			}
			if strict != 50 || last != 199 {
				t.Errorf("%d of 50 strict messages arrived, the last one was %d", strict, last)
			}
		})
	}
}

// random returns bytes that do not compress.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// TestNothingOvertakes: control frames, messages of the connection's own and the
// close stand where they were sent, also when others wait.
func TestNothingOvertakes(t *testing.T) {
	r := newRig(Config{MaxQueueBytes: 4000}, echo)
	c, gc := r.open()
	gc.room = 0
	c.Send(sealed(1100))
	r.settle()
	c.Send(expendable(1, 100, frame.OverflowDropOldest, ""))
	gc.receive(testkit.MaskedFrame(0x89, []byte("ping")))
	c.control(pingFrame)
	c.Write(frame.OpText, []byte("own"))
	gc.receive(testkit.MaskedFrame(0x81, []byte("echo")))
	c.Send(expendable(2, 100, frame.OverflowConflate, "key"))
	c.Close(frame.CloseNormal, "bye")
	r.settle()
	r.checkBooks(t, c)
	gc.drain()
	r.settle()
	var got []string
	for _, ev := range gc.frames(t) {
		switch {
		case ev.Kind == frame.KindMessage && ev.Op == frame.OpBinary:
			got = append(got, fmt.Sprint(len(ev.Payload)))
		default:
			got = append(got, fmt.Sprintf("%d %s", ev.Op, ev.Payload))
		}
	}
	if want := []string{"1100", "100", "10 ping", "9 ", "1 own", "1 echo", "100", "8 bye"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	gc.receive(testkit.MaskedFrame(0x88, nil))
	if c.state != stateClosed && c.state != stateLingering {
		t.Errorf("state %d", c.state)
	}
	if c.output.messages() != 5 {
		t.Errorf("%d messages counted, want 5", c.output.messages())
	}
}

// TestBacklogEnds: however a connection with a backlog ends, the books are
// balanced.
func TestBacklogEnds(t *testing.T) {
	for name, end := range map[string]func(c *Conn, gc *fakeConn){
		"gone":     func(_ *Conn, gc *fakeConn) { gc.hangUp() },
		"too slow": func(c *Conn, _ *fakeConn) { c.Send(sealed(3000)); c.Send(sealed(3000)) },
		"shed":     func(c *Conn, _ *fakeConn) { c.shed(CauseNodeQueueBudget); c.closeNow() },
		"a failed write": func(c *Conn, gc *fakeConn) {
			gc.drain()
			gc.broken = true
			c.loop.markAll()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(Config{MaxQueueBytes: 4000}, echo)
			c, gc := r.open()
			gc.room = 0
			c.Send(sealed(1100))
			r.settle()
			for i := range 3 {
				c.Send(expendable(i, 100, policies[1+i], "key"))
			}
			if c.backlog.count != 3 {
				t.Fatalf("%d messages wait", c.backlog.count)
			}
			end(c, gc)
			r.settle()
			r.settle() // the list of backlogs is looked through at a tick
			r.checkBooks(t, c)
			if c.waits() || len(r.waitings.free) != 3 {
				t.Errorf("something waits, or %d of 3 places were given back", len(r.waitings.free))
			}
			if gc.closed && (c.backlog != nil || len(r.Loop.backlog) != 0 || r.engine.slow.Load() != 0) {
				t.Error("a closed connection has a backlog")
			}
		})
	}
}

// markAll has every connection flushed.
func (l *Loop) markAll() {
	for _, c := range l.conns {
		c.markDirty()
	}
}

// TestManyTinyMessages: the number of messages that wait is bounded too.
func TestManyTinyMessages(t *testing.T) {
	r := newRig(Config{}, echo)
	c, gc := r.open()
	gc.room = 0
	c.Send(sealed(windowBytes + 1))
	r.settle()
	for i := range maxWaiting + 10 {
		if !c.Send(expendable(i, 4, frame.OverflowDropOldest, "")) {
			t.Fatalf("message %d refused", i)
		}
	}
	if c.backlog.count != maxWaiting || r.dropped("drop_oldest") != 10 {
		t.Errorf("%d messages wait, %d were dropped", c.backlog.count, r.dropped("drop_oldest"))
	}
	if c.Send(expendable(0, 4, frame.OverflowDropNewest, "")) {
		t.Error("one more was taken")
	}
	r.checkBooks(t, c)
}

// TestNoAllocationsWhileBlocked: a client that does not read costs the garbage
// collector nothing either.
func TestNoAllocationsWhileBlocked(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, o := range policies[1:] {
		r := newRig(Config{MaxQueueBytes: 4000}, echo)
		c, gc := r.open()
		gc.room = 0
		c.Send(sealed(1100))
		r.settle()
		m := expendable(0, 100, o, "key")
		if n := testing.AllocsPerRun(1000, func() {
			c.Send(m)
			r.turn()
		}); n != 0 {
			t.Errorf("%s: %v allocations for each message", o, n)
		}
		r.checkBooks(t, c)
	}
}

// TestWindow: what waits goes to gnet in portions, and all at once as far as the
// socket takes it.
func TestWindow(t *testing.T) {
	r := newRig(Config{}, echo)
	c, gc := r.open()
	gc.room = 0
	c.Send(sealed(windowBytes + 1))
	r.settle()
	const each, count = 1000, 500
	for i := range count {
		c.Send(expendable(i, each, frame.OverflowDropOldest, ""))
	}
	r.settle()
	if len(gc.backed) > windowBytes+100 {
		t.Errorf("gnet got %d bytes", len(gc.backed))
	}
	gc.accept(windowBytes)
	r.settle()
	if n := len(gc.backed); n < windowBytes || n > windowBytes+each+100 {
		t.Errorf("gnet holds %d bytes when it could have had a window", n)
	}
	gc.drain()
	r.settle()
	if n := len(numbers(gc.frames(t))); n != count+1 {
		t.Errorf("%d messages arrived", n)
	}
}
