package hub

import (
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/frame"
)

// TestReplayAgainstModel drives a replay at random and compares it with what a
// list of everything would say.
func TestReplayAgainstModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		r := replay{first: 1}
		var sizes []int // of message number i+1
		acked, next, written := 0, 0, 0
		for range 300 {
			switch random.IntN(6) {
			case 0, 1:
				size := random.IntN(50)
				sizes = append(sizes, size)
				r.add(kept{message: frame.Seal(frame.OpText, make([]byte, frame.HeadRoom+size))})
			case 2, 3:
				if r.pending() != (next < len(sizes)) {
					t.Fatalf("pending: %v, written %d of %d", r.pending(), next, len(sizes))
				}
				if r.pending() {
					k, id := r.take()
					if next++; id != uint64(next) || k.size() != sizes[next-1] {
						t.Fatalf("took number %d of %d bytes, want number %d of %d", id, k.size(), next, sizes[next-1])
					}
					written = max(written, next)
				}
			case 4:
				id := random.IntN(len(sizes) + 3)
				free := 0
				for ; acked < min(id, written); acked++ {
					free += sizes[acked]
				}
				next = max(next, acked)
				if got := r.acknowledge(uint64(id)); got != free {
					t.Fatalf("acknowledging %d: %d bytes free, want %d", id, got, free)
				}
			case 5:
				r.rewind()
				next = acked
			}
			held := 0
			for _, size := range sizes[acked:] {
				held += size
			}
			if r.bytes != held || len(r.waiting) != len(sizes)-acked {
				t.Fatalf("holds %d messages of %d bytes, want %d of %d", len(r.waiting), r.bytes, len(sizes)-acked, held)
			}
		}
	}
}

func TestAckCache(t *testing.T) {
	var c ackCache
	if c.has(0) {
		t.Error("0 is known from the start")
	}
	for id := range uint64(maxAckIDs + 10) {
		c.add(id)
	}
	for _, tt := range []struct {
		id    uint64
		known bool
	}{{9, false}, {10, true}, {maxAckIDs + 9, true}, {maxAckIDs + 10, false}} {
		if got := c.has(tt.id); got != tt.known {
			t.Errorf("%d: %v", tt.id, got)
		}
	}
	if len(c.ids) != maxAckIDs {
		t.Errorf("%d are remembered", len(c.ids))
	}
}

// TestNobody: what is sent to a client that is away is not written anywhere.
func TestNobody(t *testing.T) {
	var l Link = nobody{}
	m := frame.Seal(frame.OpText, []byte(strings.Repeat("x", frame.HeadRoom+1)))
	if l.Send(m) || l.Write(frame.OpText, nil) {
		t.Error("taken")
	}
}
