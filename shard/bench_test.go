package shard_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/shard"
)

// benchMap is what the three rivals have in common.
type benchMap interface {
	Load(key string) (*session, bool)
	Store(key string, s *session)
	Delete(key string)
	Range(yield func(string, *session) bool)
}

type session struct{ id int }

// mutexMap is the map that one writes first.
type mutexMap struct {
	mu sync.Mutex
	m  map[string]*session
}

func (m *mutexMap) Load(key string) (*session, bool) {
	m.mu.Lock()
	s, ok := m.m[key]
	m.mu.Unlock()
	return s, ok
}

func (m *mutexMap) Store(key string, s *session) {
	m.mu.Lock()
	m.m[key] = s
	m.mu.Unlock()
}

func (m *mutexMap) Delete(key string) {
	m.mu.Lock()
	delete(m.m, key)
	m.mu.Unlock()
}

// Range holds the mutex throughout: yield must not use the map.
func (m *mutexMap) Range(yield func(string, *session) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, s := range m.m {
		if !yield(k, s) {
			return
		}
	}
}

// syncMap gives sync.Map its types back.
type syncMap struct{ m sync.Map }

func (m *syncMap) Load(key string) (*session, bool) {
	v, ok := m.m.Load(key)
	if !ok {
		return nil, false
	}
	return v.(*session), true
}

func (m *syncMap) Store(key string, s *session) { m.m.Store(key, s) }
func (m *syncMap) Delete(key string)            { m.m.Delete(key) }

func (m *syncMap) Range(yield func(string, *session) bool) {
	m.m.Range(func(k, v any) bool { return yield(k.(string), v.(*session)) })
}

var rivals = []struct {
	name string
	new  func() benchMap
}{
	{"shard", func() benchMap { return shard.New[string, *session](256) }},
	{"sync.Map", func() benchMap { return &syncMap{} }},
	{"mutex", func() benchMap { return &mutexMap{m: make(map[string]*session)} }},
}

// benchKeys returns keys that look like connection ids.
func benchKeys(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%016x%06x", r.Uint64(), i)
	}
	return keys
}

func fill(m benchMap, keys []string) {
	for i, key := range keys {
		m.Store(key, &session{i})
	}
}

// BenchmarkMix reads random keys of 100,000; a write deletes the key and stores it
// again, as a client that leaves and comes back. Run it with -cpu 1,2 and so on.
func BenchmarkMix(b *testing.B) {
	keys := benchKeys(100_000)
	for _, perCPU := range []int{1, 64} {
		for _, writes := range []uint32{0, 1, 10, 50} {
			for _, rival := range rivals {
				b.Run(fmt.Sprintf("goroutinesPerCPU=%d/writes=%d%%/%s", perCPU, writes, rival.name), func(b *testing.B) {
					m := rival.new()
					fill(m, keys)
					b.SetParallelism(perCPU)
					b.ReportAllocs()
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) { mix(pb, m, keys, writes) })
				})
			}
		}
	}
}

func mix(pb *testing.PB, m benchMap, keys []string, writes uint32) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	s := &session{}
	for pb.Next() {
		key := keys[r.Uint32N(uint32(len(keys)))]
		if r.Uint32N(100) < writes {
			m.Delete(key)
			m.Store(key, s)
		} else {
			m.Load(key)
		}
	}
}

// BenchmarkRange visits all of 100,000 entries.
func BenchmarkRange(b *testing.B) {
	keys := benchKeys(100_000)
	for _, rival := range rivals {
		b.Run(fmt.Sprintf("entries=%d/%s", len(keys), rival.name), func(b *testing.B) {
			m := rival.new()
			fill(m, keys)
			b.ReportAllocs()
			for b.Loop() {
				seen := 0
				m.Range(func(string, *session) bool { seen++; return true })
				if seen != len(keys) {
					b.Fatal(seen)
				}
			}
		})
	}
}

// BenchmarkLoadBesideRange reads while another goroutine ranges without end.
func BenchmarkLoadBesideRange(b *testing.B) {
	keys := benchKeys(100_000)
	for _, rival := range rivals {
		b.Run(fmt.Sprintf("entries=%d/%s", len(keys), rival.name), func(b *testing.B) {
			m := rival.new()
			fill(m, keys)
			var stop atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() {
				for !stop.Load() {
					m.Range(func(string, *session) bool { return true })
				}
			})
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Load(keys[i%len(keys)])
				i++
			}
			stop.Store(true)
			wg.Wait()
		})
	}
}

// BenchmarkMassDelete fills a map with 100,000 entries and deletes all but 1,000.
// The heap metrics are the bytes of the map alone for each of the 100,000, full and
// after the delete; the keys and the sessions are not counted.
func BenchmarkMassDelete(b *testing.B) {
	keys := benchKeys(100_000)
	s := &session{}
	for _, rival := range rivals {
		b.Run(fmt.Sprintf("entries=%d/%s", len(keys), rival.name), func(b *testing.B) {
			var full, after uint64
			for b.Loop() {
				b.StopTimer()
				empty := heap()
				m := rival.new()
				for _, key := range keys {
					m.Store(key, s)
				}
				full = heap() - empty
				b.StartTimer()
				for _, key := range keys[1000:] {
					m.Delete(key)
				}
				b.StopTimer()
				after = heap() - empty
				runtime.KeepAlive(m)
				b.StartTimer()
			}
			perEntry := func(bytes uint64) float64 { return float64(bytes) / float64(len(keys)) }
			b.ReportMetric(perEntry(full), "B/entry-full")
			b.ReportMetric(perEntry(after), "B/entry-after")
			b.ReportMetric(perEntry(uint64(b.Elapsed().Nanoseconds()))/float64(b.N), "ns/delete")
		})
	}
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
