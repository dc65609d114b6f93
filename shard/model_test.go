package shard_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"sluice/shard"
)

// twin runs the same operations on a Map and on a plain map and compares every
// answer. What to do is read from script, one byte for each decision.
type twin struct {
	t      *testing.T
	script []byte
	m      *shard.Map[byte, int]
	plain  map[byte]int

	// lasting holds what is there since the Range under way began.
	lasting map[byte]bool
}

// next returns the next byte of the script, and 0 after its end.
func (w *twin) next() byte {
	if len(w.script) == 0 {
		return 0
	}
	b := w.script[0]
	w.script = w.script[1:]
	return b
}

// same fails the test unless the Map's answer is the plain map's.
func (w *twin) same(op string, key byte, got int, gotOK bool, want int, wantOK bool) {
	w.t.Helper()
	if got != want || gotOK != wantOK {
		w.t.Fatalf("%s(%d) gave %d %v, want %d %v", op, key, got, gotOK, want, wantOK)
	}
}

func (w *twin) load(key byte) {
	want, wantOK := w.plain[key]
	got, ok := w.m.Load(key)
	w.same("Load", key, got, ok, want, wantOK)
}

func (w *twin) store(key byte, value int) {
	w.m.Store(key, value)
	w.plain[key] = value
}

func (w *twin) loadOrStore(key byte, value int) {
	want, loaded := w.plain[key]
	if !loaded {
		w.plain[key], want = value, value
	}
	got, ok := w.m.LoadOrStore(key, value)
	w.same("LoadOrStore", key, got, ok, want, loaded)
}

func (w *twin) forget(key byte) {
	delete(w.plain, key)
	delete(w.lasting, key)
}

func (w *twin) loadAndDelete(key byte) {
	want, wantOK := w.plain[key]
	got, ok := w.m.LoadAndDelete(key)
	w.same("LoadAndDelete", key, got, ok, want, wantOK)
	w.forget(key)
}

func (w *twin) compute(key byte, add int, keep bool) {
	want, wantOK := w.plain[key]
	got, kept := w.m.Compute(key, func(old int, ok bool) (int, bool) {
		w.same("Compute's old value", key, old, ok, want, wantOK)
		return old + add, keep
	})
	w.same("Compute", key, got, kept, want+add, keep)
	if keep {
		w.plain[key] = want + add
	} else {
		w.forget(key)
	}
}

// change runs one operation on one key, or on many keys in a row so that stripes
// grow and shrink.
func (w *twin) change() {
	key := w.next()
	switch w.next() % 8 {
	case 0:
		w.load(key)
	case 1:
		w.store(key, int(w.next()))
	case 2:
		w.loadOrStore(key, int(w.next()))
	case 3:
		w.m.Delete(key)
		w.forget(key)
	case 4:
		w.loadAndDelete(key)
	case 5:
		w.compute(key, int(w.next()), w.next()%2 == 0)
	case 6:
		for i := range w.next() {
			w.store(key+i, int(i))
		}
	case 7:
		for i := range w.next() {
			w.loadAndDelete(key + i)
		}
	}
}

// visit ranges over the Map with changes in between.
func (w *twin) visit(changes int) {
	w.lasting = make(map[byte]bool)
	for key := range w.plain {
		w.lasting[key] = true
	}
	seen := make(map[byte]bool)
	for key := range w.m.Range {
		if seen[key] {
			w.t.Fatalf("Range saw %d twice", key)
		}
		seen[key] = true
		if changes > 0 {
			changes--
			w.change()
		}
	}
	for key := range w.lasting {
		if !seen[key] {
			w.t.Fatalf("Range did not see %d, which was there throughout", key)
		}
	}
}

func (w *twin) compare() {
	if got, want := w.m.Len(), len(w.plain); got != want {
		w.t.Fatalf("Len is %d, want %d", got, want)
	}
	if got := maps.Collect(w.m.Range); !maps.Equal(got, w.plain) {
		w.t.Fatalf("Range gave %v, want %v", got, w.plain)
	}
}

// runTwin plays a script to its end.
func runTwin(t *testing.T, script []byte) {
	w := &twin{t: t, script: script, plain: make(map[byte]int)}
	w.m = shard.New[byte, int](1 << (w.next() % 4))
	for len(w.script) > 0 {
		switch w.next() % 32 {
		case 0:
			w.visit(int(w.next() % 16))
		case 1:
			w.compare()
		default:
			w.change()
		}
	}
	w.compare()
}

func randomScript(seed byte, size int) []byte {
	script := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(script)
	return script
}

func TestAgainstPlainMap(t *testing.T) {
	for seed := range byte(200) {
		runTwin(t, randomScript(seed, 2000))
	}
}

func FuzzAgainstPlainMap(f *testing.F) {
	for seed := range byte(8) {
		f.Add(randomScript(seed, 500))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		runTwin(t, script[:min(len(script), 1<<12)])
	})
}
