package wheel_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"sluice/engine/wheel"
)

// benchConn is as large as a small connection state, so that a million of them
// do not fit in any cache.
type benchConn struct {
	wheel.Node[benchConn]
	_ [104]byte
}

const (
	benchSlots = 4096
	benchSize  = 1_000_000
)

// benchWheel returns a wheel with a million deadlines at random ticks, in the turn
// that follows from: neighbours in a slot are strangers in memory, as connections are.
func benchWheel(from wheel.Tick) (*wheel.Wheel[benchConn, *benchConn], []benchConn) {
	w := wheel.New[benchConn](benchSlots, 0)
	conns := make([]benchConn, benchSize)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range conns {
		w.Arm(&conns[i], from+1+wheel.Tick(r.Uint32N(benchSlots)))
	}
	return w, conns
}

// BenchmarkArm disarms and arms again: a connection that leaves and one that comes.
func BenchmarkArm(b *testing.B) {
	w, conns := benchWheel(0)
	b.Run(fmt.Sprintf("armed=%d", benchSize), func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			c := &conns[i*7919%benchSize]
			w.Disarm(c)
			w.Arm(c, 1+wheel.Tick(i*31%(benchSlots-1)))
			i++
		}
	})
}

// BenchmarkMove arms what is armed.
func BenchmarkMove(b *testing.B) {
	w, conns := benchWheel(0)
	b.Run(fmt.Sprintf("armed=%d", benchSize), func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			w.Arm(&conns[i*7919%benchSize], 1+wheel.Tick(i*31%(benchSlots-1)))
			i++
		}
	})
}

// BenchmarkAdvance is one tick. "fire" fires and re-arms the 244 deadlines of a slot,
// "pass" passes over as many that are turns away, "empty" finds nothing.
func BenchmarkAdvance(b *testing.B) {
	var now wheel.Tick
	run := func(name string, w *wheel.Wheel[benchConn, *benchConn], fire func(*benchConn)) {
		b.Run(fmt.Sprintf("%s/armed=%d", name, w.Len()), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				now++
				w.Advance(now, fire)
			}
			if perTick := float64(w.Len()) / benchSlots; perTick > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perTick, "ns/deadline")
			}
		})
	}
	near, _ := benchWheel(0)
	run("fire", near, func(c *benchConn) { near.Arm(c, now+benchSlots) })

	far, _ := benchWheel(1 << 30)
	run("pass", far, func(*benchConn) { b.Error("fired early") })

	run("empty", wheel.New[benchConn](benchSlots, now), nil)
}
