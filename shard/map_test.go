package shard_test

import (
	"fmt"
	"maps"
	"runtime"
	"testing"

	"sluice/shard"
)

func TestStripes(t *testing.T) {
	for _, tt := range []struct{ ask, want int }{{-1, 1}, {0, 1}, {1, 1}, {2, 2}, {3, 4}, {64, 64}, {65, 128}} {
		m := shard.New[string, int](tt.ask)
		if got := m.Stripes(); got != tt.want {
			t.Errorf("New(%d) has %d stripes, want %d", tt.ask, got, tt.want)
		}
		if gap := m.StripeGap(); gap < 128 {
			t.Errorf("stripes are %d bytes apart, want a pair of cache lines", gap)
		}
	}
}

func TestLoadOrStoreAndLoadAndDelete(t *testing.T) {
	m := shard.New[string, int](4)
	if v, ok := m.LoadAndDelete("a"); v != 0 || ok {
		t.Errorf("LoadAndDelete of nothing: %d %v", v, ok)
	}
	if v, loaded := m.LoadOrStore("a", 1); v != 1 || loaded {
		t.Errorf("first LoadOrStore: %d %v", v, loaded)
	}
	if v, loaded := m.LoadOrStore("a", 2); v != 1 || !loaded {
		t.Errorf("second LoadOrStore: %d %v", v, loaded)
	}
	if v, ok := m.LoadAndDelete("a"); v != 1 || !ok {
		t.Errorf("LoadAndDelete: %d %v", v, ok)
	}
	if v, ok := m.Load("a"); v != 0 || ok {
		t.Errorf("Load after the delete: %d %v", v, ok)
	}
}

func TestCompute(t *testing.T) {
	tests := []struct {
		name   string
		before map[string]int
		update func(old int, ok bool) (int, bool)
		value  int
		keep   bool
		after  map[string]int
	}{
		{"insert", nil, func(old int, ok bool) (int, bool) { return old + 1, !ok }, 1, true, map[string]int{"a": 1}},
		{"replace", map[string]int{"a": 1}, func(old int, ok bool) (int, bool) { return old + 1, ok }, 2, true, map[string]int{"a": 2}},
		{"remove", map[string]int{"a": 1}, func(old int, _ bool) (int, bool) { return old + 6, false }, 7, false, nil},
		{"leave absent", nil, func(int, bool) (int, bool) { return 0, false }, 0, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := shard.New[string, int](4)
			for k, v := range tt.before {
				m.Store(k, v)
			}
			if value, keep := m.Compute("a", tt.update); value != tt.value || keep != tt.keep {
				t.Errorf("returned %d %v, want %d %v", value, keep, tt.value, tt.keep)
			}
			if after := maps.Collect(m.Range); !maps.Equal(after, tt.after) {
				t.Errorf("left %v, want %v", after, tt.after)
			}
		})
	}
}

func TestComputeThatPanicsChangesNothing(t *testing.T) {
	m := shard.New[string, int](1)
	m.Store("a", 1)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic of update did not arrive")
			}
		}()
		m.Compute("a", func(int, bool) (int, bool) { panic("a bug") })
	}()
	if v, ok := m.Load("a"); v != 1 || !ok { // would hang if the lock were still held
		t.Errorf("Load: %d %v", v, ok)
	}
}

func TestRangeStops(t *testing.T) {
	m := shard.New[int, int](4)
	for i := range 100 {
		m.Store(i, i)
	}
	seen := 0
	for range m.Range {
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("seen %d, want 3", seen)
	}
}

// TestMassDeleteGivesMemoryBack: a Go map alone would keep all of it.
func TestMassDeleteGivesMemoryBack(t *testing.T) {
	const entries = 200_000
	m := shard.New[int, [4]int](16)
	empty := heap()
	for i := range entries {
		m.Store(i, [4]int{})
	}
	full := heap() - empty
	for i := range entries - entries/100 {
		m.Delete(i)
	}
	if after := heap() - empty; after > full/8 {
		t.Errorf("%d entries take %d KiB, the last hundredth of them %d KiB", entries, full>>10, after>>10)
	}
	if n := m.Len(); n != entries/100 {
		t.Errorf("Len is %d, want %d", n, entries/100)
	}
	runtime.KeepAlive(m)
}

// TestShrinkIsRare: having shrunk, a stripe must lose most of its entries again
// before it copies the rest again.
func TestShrinkIsRare(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := shard.New[int, int](1)
	for i := range 10_000 {
		m.Store(i, i)
	}
	next := 0
	for ; m.Len() > 1000; next++ {
		m.Delete(next)
	}
	if allocs := testing.AllocsPerRun(500, func() { m.Delete(next); next++ }); allocs != 0 {
		t.Errorf("%v allocations for each delete after the shrink, want 0", allocs)
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	type address struct {
		loop, slot int32
		generation uint32
	}
	t.Run("string", func(t *testing.T) { testAllocations(t, func(i int) string { return fmt.Sprint("connection-", i) }) })
	t.Run("uint64", func(t *testing.T) { testAllocations(t, func(i int) uint64 { return uint64(i) }) })
	t.Run("struct", func(t *testing.T) { testAllocations(t, func(i int) address { return address{1, int32(i), 7} }) })
}

func TestLoadOfBytesDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := shard.New[string, int](4)
	name := []byte("a name of 32 bytes, and not more")
	m.Store(string(name), 1)
	if allocs := testing.AllocsPerRun(100, func() { m.Load(string(name)) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func testAllocations[K comparable](t *testing.T, key func(int) K) {
	m := shard.New[K, int](4)
	keys := make([]K, 1000)
	for i := range keys {
		keys[i] = key(i)
		m.Store(keys[i], i)
	}
	allocs := testing.AllocsPerRun(100, func() {
		for i, key := range keys {
			m.Load(key)
			m.Store(key, i)
			m.LoadOrStore(key, i)
			m.Compute(key, func(old int, _ bool) (int, bool) { return old + i, true })
		}
		m.Delete(keys[0])
		m.Store(keys[0], 0)
		m.Len()
	})
	if allocs != 0 {
		t.Errorf("%v allocations per round, want 0", allocs)
	}
}
