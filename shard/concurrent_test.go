package shard_test

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/shard"
)

const (
	workers      = 8
	keysOfWorker = 300 // enough for stripes to grow and shrink
	rounds       = 20_000
)

// TestConcurrentWriters: each worker changes its own keys at random, beside the
// others' keys in the same stripes, and knows at the end what it must find.
func TestConcurrentWriters(t *testing.T) {
	m := shard.New[int, int](8)
	plain := make([]map[int]int, workers)
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			plain[worker] = changeOwnKeys(t, m, worker)
		})
	}
	wg.Wait()

	want := make(map[int]int)
	for _, own := range plain {
		maps.Copy(want, own)
	}
	if got := maps.Collect(m.Range); !maps.Equal(got, want) {
		t.Errorf("the map holds %d entries that differ from the %d wanted", len(got), len(want))
	}
	if m.Len() != len(want) {
		t.Errorf("Len is %d, want %d", m.Len(), len(want))
	}
}

func changeOwnKeys(t *testing.T, m *shard.Map[int, int], worker int) map[int]int {
	r := rand.New(rand.NewPCG(uint64(worker), 0))
	own := make(map[int]int)
	for round := range rounds {
		key := worker*keysOfWorker + r.IntN(keysOfWorker)
		want, wantOK := own[key]
		// Tides: for a while mostly stores, then mostly deletes.
		if ebb := round/2000%2 == 1; ebb == (r.IntN(8) > 0) {
			if got, ok := m.LoadAndDelete(key); got != want || ok != wantOK {
				t.Errorf("LoadAndDelete(%d) gave %d %v, want %d %v", key, got, ok, want, wantOK)
			}
			delete(own, key)
			continue
		}
		if got, ok := m.Load(key); got != want || ok != wantOK {
			t.Errorf("Load(%d) gave %d %v, want %d %v", key, got, ok, want, wantOK)
		}
		m.Store(key, round)
		own[key] = round
	}
	return own
}

// TestConcurrentCompute: no increment is lost when all workers count on the same
// few keys, although a count that reaches a multiple of ten is taken out.
func TestConcurrentCompute(t *testing.T) {
	m := shard.New[int, int](2)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for range rounds {
				m.Compute(r.IntN(5), func(old int, _ bool) (int, bool) {
					runtime.Gosched() // somebody else comes for the same key
					if old == 9 {
						taken.Add(10)
						return 0, false
					}
					return old + 1, true
				})
			}
		})
	}
	wg.Wait()
	total := int(taken.Load())
	for _, count := range m.Range {
		total += count
	}
	if total != workers*rounds {
		t.Errorf("counted %d, want %d", total, workers*rounds)
	}
}

// TestConcurrentLoadOrStore: of all workers that store a key exactly one wins, and
// the others see the winner's value.
func TestConcurrentLoadOrStore(t *testing.T) {
	const keys = 1000
	m := shard.New[int, int](4)
	var wins [keys]atomic.Int32
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for key := range keys {
				actual, loaded := m.LoadOrStore(key, worker)
				if !loaded {
					wins[key].Add(1)
				}
				if !loaded && actual != worker {
					t.Errorf("key %d: %d stored and got %d", key, worker, actual)
				}
				if again, ok := m.Load(key); again != actual || !ok {
					t.Errorf("key %d: Load gave %d %v, want %d", key, again, ok, actual)
				}
			}
		})
	}
	wg.Wait()
	for key := range wins {
		if n := wins[key].Load(); n != 1 {
			t.Errorf("key %d was stored by %d workers", key, n)
		}
	}
}

// TestRangeBesideWriters: what lasts is seen exactly once and nothing is seen twice,
// while other keys come and go and the callback itself deletes some.
func TestRangeBesideWriters(t *testing.T) {
	const lasting = 500
	m := shard.New[int, int](4)
	for key := range lasting {
		m.Store(key, key)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 2))
			for !stop.Load() {
				first := lasting + r.IntN(1000)
				for key := first; key < first+200; key++ {
					m.Store(key, key)
				}
				for key := first; key < first+200; key++ {
					m.Delete(key)
				}
			}
		})
	}
	for range 200 {
		seen := make(map[int]bool)
		for key, value := range m.Range {
			if seen[key] || key != value {
				t.Errorf("saw %d twice or with a wrong value: %d", key, value)
			}
			seen[key] = true
			if key >= lasting {
				m.Delete(key)
			}
		}
		for key := range lasting {
			if !seen[key] {
				t.Errorf("did not see %d, which was there throughout", key)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}
