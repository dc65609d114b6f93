package shard

import "slices"

// Range calls yield for the entries, in no order, until yield returns false. It is
// an iterator: `for key, value := range m.Range`.
//
// A key that is present from the beginning to the end of the Range is seen exactly
// once; a key that comes or goes meanwhile is seen once or not at all. The value is
// one that the key had during the Range, not always the last: Range copies one
// stripe, lets go of its lock, and then calls yield, which therefore may do with
// the map what it likes, may block, and may be handed an entry that has just been
// replaced or deleted. The copy is one buffer for the largest stripe.
func (m *Map[K, V]) Range(yield func(key K, value V) bool) {
	var entries []entry[K, V]
	for i := range m.stripes {
		entries = m.stripes[i].appendTo(entries[:0])
		for _, e := range entries {
			if !yield(e.key, e.value) {
				return
			}
		}
	}
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// appendTo appends a copy of the stripe's entries to dst.
func (s *stripe[K, V]) appendTo(dst []entry[K, V]) []entry[K, V] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	dst = slices.Grow(dst, len(s.m))
	for k, v := range s.m {
		dst = append(dst, entry[K, V]{k, v})
	}
	return dst
}
