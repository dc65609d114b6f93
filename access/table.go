package access

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

// ways is how many records share a lock and an end of the table.
const ways = 8

// name is an address as limits know it: of IPv6 the network, which one client has
// to itself.
type name [16]byte

func nameOf(a netip.Addr) name {
	a = a.Unmap()
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(64) // never fails for IPv6
		a = p.Addr()
	}
	return a.As16()
}

// record is what is remembered about an address. Times are nanoseconds of the
// guard's clock; a record whose times have all passed is as good as none.
type record struct {
	addr   name
	used   bool
	level  uint8 // bans so far, one after the other
	paid   int64 // the handshakes so far are paid for by then
	failed int64 // the failures so far are forgotten by then
	banned int64 // until then
	until  int64 // what is known of the bans is of use until then
}

// lapses returns when nothing in the record matters any more.
func (r *record) lapses() int64 { return max(r.paid, r.failed, r.until) }

// table remembers addresses in a memory of a fixed size, whoever many there are:
// each belongs in one set, chosen by a hash that nobody outside can know, and when
// that is full the record goes that would have lapsed next.
type table struct {
	seed maphash.Seed
	sets []set

	used    atomic.Int64 // records
	evicted atomic.Int64 // records that had not lapsed
}

type set struct {
	mu      sync.Mutex
	records [ways]record // guarded by mu
}

func newTable(records int) *table {
	return &table{seed: maphash.MakeSeed(), sets: make([]set, max(1, records/ways))}
}

// with calls f with the record of an address. f must be short.
func (t *table) with(a name, now int64, f func(*record)) {
	s := &t.sets[maphash.Bytes(t.seed, a[:])%uint64(len(t.sets))]
	s.mu.Lock()
	defer s.mu.Unlock()
	f(t.find(s, a, now))
}

// find returns the record of an address, a new one if need be.
func (t *table) find(s *set, a name, now int64) *record {
	victim := &s.records[0]
	for i := range s.records {
		switch r := &s.records[i]; {
		case r.used && r.addr == a:
			return r
		case !victim.used:
		case !r.used || r.lapses() < victim.lapses():
			victim = r
		}
	}
	switch {
	case !victim.used:
		t.used.Add(1)
	case victim.lapses() > now:
		t.evicted.Add(1)
	}
	*victim = record{addr: a, used: true}
	return victim
}

// peek is with for a record that exists; it makes none.
func (t *table) peek(a name, f func(*record)) {
	s := &t.sets[maphash.Bytes(t.seed, a[:])%uint64(len(t.sets))]
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.records {
		if r := &s.records[i]; r.used && r.addr == a {
			f(r)
			return
		}
	}
}

// each calls f with every record that is used.
func (t *table) each(f func(*record)) {
	for i := range t.sets {
		s := &t.sets[i]
		s.mu.Lock()
		for j := range s.records {
			if s.records[j].used {
				f(&s.records[j])
			}
		}
		s.mu.Unlock()
	}
}
