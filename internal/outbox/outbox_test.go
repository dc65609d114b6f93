package outbox

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/frame"
	"sluice/internal/budget"
)

// rig is an outbox and what it has reported.
type rig struct {
	*Outbox
	node    *budget.Budget
	dropped []string
	closed  int
}

func newRig(limit, node int) *rig {
	r := &rig{node: budget.New(node)}
	r.Outbox = New(Options{
		Limit: limit, Node: r.node,
		Dropped: func(reason string) { r.dropped = append(r.dropped, reason) },
		Closed:  func() { r.closed++ },
	})
	return r
}

func message(text string, o frame.Overflow, key string) *frame.Message {
	m := frame.Seal(frame.OpText, append(make([]byte, frame.HeadRoom), text...))
	m.Expendable(o, key)
	return m
}

func texts(queue []*frame.Message) (all []string) {
	for _, m := range queue {
		all = append(all, string(m.Payload()))
	}
	return all
}

// TestOverflow: with room for four bytes, what becomes of messages of two.
func TestOverflow(t *testing.T) {
	type put struct {
		text     string
		overflow frame.Overflow
		key      string
	}
	for _, tt := range []struct {
		name    string
		puts    []put
		taken   []bool
		queue   []string
		dropped []string
		code    frame.CloseCode
	}{
		{"it fits", []put{{text: "aa"}, {text: "bb"}}, []bool{true, true}, []string{"aa", "bb"}, nil, 0},
		{"a client too slow is closed", []put{{text: "aa"}, {text: "bb"}, {text: "cc"}, {text: "d"}}, []bool{true, true, false, false},
			nil, []string{"slow_consumer"}, frame.ClosePolicyViolation},
		{"the newest may be lost", []put{{text: "aa"}, {text: "bb"}, {"cc", frame.OverflowDropNewest, ""}}, []bool{true, true, false},
			[]string{"aa", "bb"}, []string{"drop_newest"}, 0},
		{"the oldest may be lost", []put{{"aa", frame.OverflowDropOldest, ""}, {text: "bb"}, {"cc", frame.OverflowDropOldest, ""}}, []bool{true, true, true},
			[]string{"bb", "cc"}, []string{"drop_oldest"}, 0},
		{"only those that may be", []put{{text: "aa"}, {text: "bb"}, {"cc", frame.OverflowDropOldest, ""}}, []bool{true, true, false},
			[]string{"aa", "bb"}, []string{"drop_oldest"}, 0},
		{"others make room for one that must not be lost", []put{{"aa", frame.OverflowConflate, "k"}, {text: "bb"}, {text: "cc"}}, []bool{true, true, true},
			[]string{"bb", "cc"}, []string{"drop_oldest"}, 0},
		{"the same key first", []put{{"aa", frame.OverflowConflate, "x"}, {"bb", frame.OverflowConflate, "k"}, {"cc", frame.OverflowConflate, "k"}}, []bool{true, true, true},
			[]string{"aa", "cc"}, []string{"conflate"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(4, 100)
			hub := budget.New(0)
			r.Share(hub)
			for i, p := range tt.puts {
				if taken := r.Send(message(p.text, p.overflow, p.key)); taken != tt.taken[i] {
					t.Errorf("%s taken: %v", p.text, taken)
				}
			}
			if want := 2 * int64(len(tt.queue)); int64(r.QueuedBytes()) != want || r.node.Used() != want || hub.Used() != want {
				t.Errorf("%d bytes, %d of the node, %d of the hub; want %d", r.QueuedBytes(), r.node.Used(), hub.Used(), want)
			}
			queue, end := r.Take()
			if !slices.Equal(texts(queue), tt.queue) || !slices.Equal(r.dropped, tt.dropped) || end.Code != tt.code {
				t.Errorf("queue %q, dropped %q, closed with %d", texts(queue), r.dropped, end.Code)
			}
			if r.QueuedBytes() != 0 || r.node.Used() != 0 || hub.Used() != 0 {
				t.Error("what was taken is still counted")
			}
			if want := min(1, int(tt.code)); r.closed != want {
				t.Errorf("told %d times that it is closed", r.closed)
			}
		})
	}
}

// TestBudgets: what others hold counts.
func TestBudgets(t *testing.T) {
	a := newRig(100, 10)
	b := New(Options{Limit: 100, Node: a.node, Dropped: func(string) {}, Closed: func() {}})
	if !a.Send(message("123456", 0, "")) || b.Send(message("12345", frame.OverflowDropNewest, "")) {
		t.Error("more than the budget of the node is taken")
	}
	hub := budget.New(8)
	a.Share(hub)
	if hub.Used() != 6 || a.Send(message("123", frame.OverflowDropNewest, "")) {
		t.Error("more than the budget of the hub is taken")
	}
	if a.Write(frame.OpBinary, []byte("1")) || !a.Write(frame.OpText, []byte("1")) {
		t.Error("binary messages, or no others, are taken")
	}
}

// TestClose: the first close counts, what waits is still there, and an end leaves
// nothing.
func TestClose(t *testing.T) {
	r := newRig(100, 100)
	r.Send(message("a", 0, ""))
	r.Close(frame.CloseNormal, "bye")
	r.Close(frame.CloseInternalError, "again")
	if r.closed != 1 || !r.Closed() || r.Send(message("b", 0, "")) {
		t.Error("it is not closed once")
	}
	select {
	case <-r.Wake():
	default:
		t.Error("nobody was woken")
	}
	queue, end := r.Take()
	if len(queue) != 1 || end != (Close{frame.CloseNormal, "bye"}) {
		t.Errorf("%q, %v", texts(queue), end)
	}
	if r.End(1002, "gone") {
		t.Error("it was closed before")
	}
	if _, end := r.Take(); end != (Close{1002, "gone"}) {
		t.Errorf("after its end: %v", end)
	}
	other := newRig(100, 100)
	other.Send(message("a", 0, ""))
	if !other.End(1002, "gone") || other.closed != 0 || other.node.Used() != 0 {
		t.Error("an end is not told from a close, or leaves something")
	}
}

func TestExpire(t *testing.T) {
	for _, tt := range []struct {
		first, second time.Duration // 0 for never
		want          time.Duration
	}{{time.Second, -1, time.Second}, {time.Second, time.Minute, time.Minute}, {time.Second, 0, 0}} {
		t.Run(fmt.Sprint(tt.first, tt.second), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(100, 100)
				at := func(d time.Duration) time.Time {
					if d == 0 {
						return time.Time{}
					}
					return time.Now().Add(d)
				}
				r.Expire(at(tt.first))
				if tt.second >= 0 {
					r.Expire(at(tt.second))
				}
				for elapsed := time.Duration(0); elapsed < 2*time.Minute; elapsed += time.Second {
					want := tt.want != 0 && elapsed >= tt.want
					if r.Closed() != want {
						t.Fatalf("after %v closed: %v", elapsed, r.Closed())
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if _, end := r.Take(); tt.want != 0 && end.Code != frame.CloseTokenExpired {
					t.Errorf("closed with %d", end.Code)
				}
			})
		})
	}
}
