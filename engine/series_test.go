package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"sluice/frame"
)

// TestSeries: whoever is sent what, shared or not, gets it whole and in order,
// and no series is left in use.
func TestSeries(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r := newRig(Config{MaxQueueBytes: 64 << 20}, echo)
		clients := make([]*fakeConn, 8)
		conns, want := make([]*Conn, len(clients)), make([][]byte, len(clients))
		for i := range clients {
			conns[i], clients[i] = r.open()
		}
		// few is how many of the messages are not for everybody.
		few := rng.IntN(10)
		send := func() {
			size := []int{1, 100, 1000, maxSeries / 3}[rng.IntN(4)]
			m := frame.Seal(frame.OpBinary, fmt.Appendf(make([]byte, frame.HeadRoom), "%*d", size, rng.Uint32()))
			one, all := rng.IntN(len(conns)), rng.IntN(10) >= few
			for i, c := range conns {
				switch {
				case i == one && rng.IntN(8) == 0:
					c.Write(frame.OpText, []byte("own"))
					want[i] = frame.AppendFrame(want[i], frame.OpText, []byte("own"))
				case all || i == one || rng.IntN(3) == 0:
					c.Send(m)
					want[i] = append(want[i], m.Frame()...)
				}
			}
		}
		for range 5 {
			r.Post(taskFunc(func() {
				for range rng.IntN(2 * maxParts) {
					send()
				}
			}))
			r.turn()
		}
		for i, gc := range clients {
			if !bytes.Equal(gc.out, want[i]) {
				t.Errorf("seed %d: client %d got %d bytes, want other %d", seed, i, len(gc.out), len(want[i]))
			}
		}
		if s := r.series; s.users != 0 || len(s.parts) != 0 || cap(s.joined) > 2*maxSeries {
			t.Errorf("seed %d: %d users of a series with %d parts, room for %d bytes", seed, s.users, len(s.parts), cap(s.joined))
		}
	}
}

// TestSeriesIsShared: the members of a group hold no bytes of their own.
func TestSeriesIsShared(t *testing.T) {
	r := newRig(Config{}, echo)
	a, _ := r.open()
	b, _ := r.open()
	first, second, third := sealed(10), sealed(20), sealed(30)
	for _, m := range []*frame.Message{first, second, third} {
		a.Send(m)
		if m != first {
			b.Send(m) // it came in the middle
		}
	}
	if a.out != nil || b.out != nil {
		t.Error("the messages were copied for a member")
	}
	if pa, pb := a.series.piece(a.from, a.to), b.series.piece(b.from, b.to); !bytes.HasSuffix(pa, pb) || !same(pa[len(pa)-len(pb):], pb) {
		t.Errorf("%q and %q are not the same memory", pa, pb)
	}
	b.Send(first)
	a.Send(second)
	if a.out == nil || a.series != nil || b.series.users != 1 {
		t.Error("who is sent something else does not leave the series")
	}
}
