package hub_test

import (
	"fmt"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// countLink only counts.
type countLink struct {
	copies int
	_      [56]byte // as connections do, links live in cache lines of their own
}

func (l *countLink) Send(*frame.Message) bool        { l.copies++; return true }
func (l *countLink) Write(frame.Opcode, []byte) bool { l.copies++; return true }
func (l *countLink) Expire(time.Time)                {}
func (l *countLink) Close(frame.CloseCode, string)   {}

// crowd fills group "g" with members on each of the loops and returns a sender on
// the first loop that is not a member, and the links.
func crowd(tb testing.TB, loops, members int) (*hub.Session, []*stepLoop, []*countLink) {
	return crowdOf(tb, wire.JSONv1{}, loops, members)
}

// crowdOf is crowd with members that speak a grammar.
func crowdOf(tb testing.TB, g wire.Grammar, loops, members int) (*hub.Session, []*stepLoop, []*countLink) {
	h, _ := hub.New(hub.Config{CreateOnFirstUse: true}, loops).Hub("chat")
	var (
		all   []*stepLoop
		links []*countLink
	)
	open := func(l hub.Loop, link hub.Link, id auth.Identity) *hub.Session {
		s, err := h.Open(l, link, id, g)
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
	for i := range loops {
		l := &stepLoop{index: i}
		all = append(all, l)
		for range members {
			link := &countLink{}
			open(l, link, auth.Identity{Groups: []string{"g"}})
			link.copies = 0
			links = append(links, link)
		}
	}
	return open(all[0], &countLink{}, auth.Identity{User: "ann", Permissions: everything}), all, links
}

var (
	publishMessage    = []byte(`{"type":"sendToGroup","group":"g","data":{"price":101.25,"size":3}}`)
	publishAckMessage = []byte(`{"type":"sendToGroup","group":"g","data":{"price":101.25,"size":3},"ackId":1}`)
)

// publishOnce sends one message and lets it arrive on all loops.
func publishOnce(s *hub.Session, loops []*stepLoop, message []byte) {
	s.Receive(true, message)
	for _, l := range loops {
		for i, t := range l.tasks {
			t.Run()
			l.tasks[i] = nil
		}
		l.tasks = l.tasks[:0]
	}
}

// TestAllocations holds the number of allocations of one publication: that of its
// message (2), of what the tasks for other loops share (1) and of those tasks,
// whatever the number of members.
// An acknowledgement is a message of its own.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		loops   int
		message []byte
		want    float64
	}{
		{1, publishMessage, 2},
		{1, publishAckMessage, 4},
		{3, publishMessage, 5},
	} {
		for _, members := range []int{1, 100, 10_000} {
			s, loops, links := crowd(t, c.loops, members)
			got := testing.AllocsPerRun(20, func() { publishOnce(s, loops, c.message) })
			if got != c.want {
				t.Errorf("%d loops with %d members: %v allocations for a publication, want %v", c.loops, members, got, c.want)
			}
			for _, l := range links {
				if l.copies != 21 {
					t.Fatalf("a member got %d copies of 21", l.copies)
				}
			}
		}
	}
}

// TestReceiversAllocateNothing: whatever is sent and however it is numbered, the
// number of receivers makes no difference.
func TestReceiversAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	reliable, _, _ := wire.Select([]string{"json.reliable.sluice.v1"}, false)
	m := text("hello")
	for name, send := range map[string]func(h *hub.Hub) error{
		"all":   func(h *hub.Hub) error { return h.SendToAll(m, hub.Selection{}) },
		"group": func(h *hub.Hub) error { return h.SendToGroup("g", m, hub.Selection{}) },
		"filter": func(h *hub.Hub) error {
			return h.SendToGroup("g", m, hub.Selection{Match: func(s hub.Subject) bool { return s.InGroup("g") }})
		},
	} {
		for _, g := range []wire.Grammar{wire.JSONv1{}, reliable} {
			var allocs [2]float64
			for i, members := range []int{10, 10_000} {
				s, loops, _ := crowdOf(t, g, 2, members)
				allocs[i] = testing.AllocsPerRun(20, func() {
					if err := send(s.BackEnd()); err != nil {
						t.Fatal(err)
					}
					for _, l := range loops {
						l.tasks[0].Run()
						l.tasks = l.tasks[:0]
					}
					s.BackEnd().AcknowledgeAll() // as clients do that keep up
				})
			}
			if allocs[0] != allocs[1] {
				t.Errorf("to %s in %s: %v allocations for 20 receivers, %v for 20000", name, g.Name(), allocs[0], allocs[1])
			}
			t.Logf("to %s in %s: %v allocations", name, g.Name(), allocs[0])
		}
	}
}

// TestPingAllocatesNothing: published clients send a ping every 20 seconds.
func TestPingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s, _, _ := crowd(t, 1, 1)
	ping := []byte(`{"type":"ping"}`)
	if n := testing.AllocsPerRun(100, func() { s.Receive(true, ping) }); n != 0 {
		t.Errorf("%v allocations for a ping", n)
	}
}

// BenchmarkPublish is one publication from decoding to the last of its copies.
func BenchmarkPublish(b *testing.B) {
	for _, c := range []struct{ loops, members int }{{1, 1}, {1, 10}, {1, 10_000}, {2, 5_000}} {
		b.Run(fmt.Sprintf("loops=%d/members=%d", c.loops, c.loops*c.members), func(b *testing.B) {
			s, loops, _ := crowd(b, c.loops, c.members)
			b.ReportAllocs()
			for b.Loop() {
				publishOnce(s, loops, publishMessage)
			}
			copies := float64(b.N) * float64(c.loops*c.members)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/copies, "ns/delivery")
		})
	}
}

// BenchmarkSendToGroup is one publication of a back end, up to the last of its
// copies.
func BenchmarkSendToGroup(b *testing.B) {
	for _, members := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			s, loops, _ := crowd(b, 1, members)
			m := &hub.Outgoing{Data: []byte(`{"price":101.25,"size":3}`)}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.BackEnd().SendToGroup("g", m, hub.Selection{}); err != nil {
					b.Fatal(err)
				}
				loops[0].drain()
			}
		})
	}
}

// BenchmarkJoinLeave is a client that joins and leaves a group of that size.
func BenchmarkJoinLeave(b *testing.B) {
	join := []byte(`{"type":"joinGroup","group":"g"}`)
	leave := []byte(`{"type":"leaveGroup","group":"g"}`)
	for _, members := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			s, _, _ := crowd(b, 1, members)
			b.ReportAllocs()
			for b.Loop() {
				s.Receive(true, join)
				s.Receive(true, leave)
			}
		})
	}
}
