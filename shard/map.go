// Package shard is a map for many goroutines: which session, which user, which
// group, asked from any goroutine while others store and delete.
//
// A [Map] is cut into stripes, each a plain Go map with its own lock, and a key's
// hash says which stripe it lives in. The package owns the locks and gives memory
// back after a mass delete; it does not own the values, which it hands out as they
// were stored. Every method may be called from any goroutine. None blocks for
// longer than another call holds the same stripe, so event loops may use them.
//
// DESIGN.md says when it is faster than [sync.Map] and one mutex, and when not.
package shard

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// Map is a map from K to V divided into stripes. Make one with [New]; it must not
// be copied.
type Map[K comparable, V any] struct {
	// Static after New.
	seed    maphash.Seed
	stripes []stripe[K, V] // the number is a power of two
}

// padding keeps the locks of two stripes apart: a core that takes one lock must not
// slow down the core that takes the next. 128 bytes, because x86 fetches cache
// lines of 64 bytes in pairs and some ARM cores have lines of 128.
const padding = 128

// stripe is one part of the map.
type stripe[K comparable, V any] struct {
	mu   sync.RWMutex // readers share: a lookup does not wait for Range to copy
	m    map[K]V      // guarded by mu
	peak int          // guarded by mu: the largest len(m) since m was made

	_ [padding]byte
}

// New returns an empty map. The number of stripes is rounded up to a power of two;
// an empty stripe costs about 200 bytes. 256 suit a node's registries: at 100,000
// entries [Map.Range] then keeps a writer waiting for a few microseconds. A map of a
// few hundred entries, or one for each tenant, does with 16.
func New[K comparable, V any](stripes int) *Map[K, V] {
	m := &Map[K, V]{
		seed:    maphash.MakeSeed(),
		stripes: make([]stripe[K, V], 1<<bits.Len(uint(max(stripes, 1)-1))),
	}
	for i := range m.stripes {
		m.stripes[i].m = make(map[K]V)
	}
	return m
}

func (m *Map[K, V]) stripe(key K) *stripe[K, V] {
	hash := maphash.Comparable(m.seed, key)
	return &m.stripes[hash&uint64(len(m.stripes)-1)]
}

// Load returns the value of key, and whether there is one. In a map with string keys
// Load(string(b)) does not allocate while b is at most 32 bytes long.
func (m *Map[K, V]) Load(key K) (value V, ok bool) {
	s := m.stripe(key)
	s.mu.RLock()
	value, ok = s.m[key]
	s.mu.RUnlock()
	return value, ok
}

// Store sets the value of key.
func (m *Map[K, V]) Store(key K, value V) {
	s := m.stripe(key)
	s.mu.Lock()
	s.setLocked(key, value)
	s.mu.Unlock()
}

// LoadOrStore returns the value of key, if there is one, and otherwise stores value
// and returns that. Loaded reports which it was.
func (m *Map[K, V]) LoadOrStore(key K, value V) (actual V, loaded bool) {
	s := m.stripe(key)
	s.mu.Lock()
	if actual, loaded = s.m[key]; !loaded {
		s.setLocked(key, value)
		actual = value
	}
	s.mu.Unlock()
	return actual, loaded
}

// Delete removes key. It does nothing when key is not there.
func (m *Map[K, V]) Delete(key K) { m.LoadAndDelete(key) }

// LoadAndDelete removes key and returns the value it had. Loaded reports whether it
// had one.
func (m *Map[K, V]) LoadAndDelete(key K) (value V, loaded bool) {
	s := m.stripe(key)
	s.mu.Lock()
	if value, loaded = s.m[key]; loaded {
		s.deleteLocked(key)
	}
	s.mu.Unlock()
	return value, loaded
}

// Compute replaces the value of key by what update makes of it, in one step that no
// other call sees the middle of. Update gets the old value and whether there was
// one, and returns the new value and whether to keep it; when not, key is removed.
// Compute returns the same two. If update panics, the map is as before.
//
// Update runs under the lock of the stripe: it must be short and must not call the
// map, not even for another key, which may live in the same stripe.
func (m *Map[K, V]) Compute(key K, update func(old V, ok bool) (value V, keep bool)) (V, bool) {
	s := m.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock() // update may panic

	old, ok := s.m[key]
	value, keep := update(old, ok)
	if keep {
		s.setLocked(key, value)
	} else {
		s.deleteLocked(key)
	}
	return value, keep
}

// Len returns the number of entries. It counts stripe by stripe, so it is exact only
// while nobody stores or deletes.
func (m *Map[K, V]) Len() int {
	n := 0
	for i := range m.stripes {
		s := &m.stripes[i]
		s.mu.RLock()
		n += len(s.m)
		s.mu.RUnlock()
	}
	return n
}
