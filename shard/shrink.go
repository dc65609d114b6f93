package shard

// Go maps do not shrink: a map that once held a million entries keeps their memory
// when it holds ten. So a stripe that has lost most of its entries moves the rest
// into a new map.
const (
	// shrinkFraction: a stripe shrinks when this many times more entries have been
	// there than are left. At 8, seven deletes pay for the copying of one entry, and
	// a stripe holds at most eight times the memory it needs.
	shrinkFraction = 8

	// shrinkPeak is the peak below which a stripe never shrinks: a map of a hundred
	// entries is not worth the copying.
	shrinkPeak = 128
)

func (s *stripe[K, V]) setLocked(key K, value V) {
	s.m[key] = value
	s.peak = max(s.peak, len(s.m))
}

func (s *stripe[K, V]) deleteLocked(key K) {
	delete(s.m, key)
	if s.peak >= shrinkPeak && len(s.m) < s.peak/shrinkFraction {
		s.shrinkLocked()
	}
}

func (s *stripe[K, V]) shrinkLocked() {
	m := make(map[K]V, len(s.m))
	for k, v := range s.m {
		m[k] = v
	}
	s.m = m
	s.peak = len(m)
}
