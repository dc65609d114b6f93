package hub

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
)

// Who is there, for any goroutine to ask: sessions by connection id and by user.
// The tables hold pointers to the sessions, in which the keys stand. Maps would
// keep each key a second time, and a list for each user besides: some 105 bytes for
// a connection with a user id, instead of 40.

// indexStripes is the number of locks of an index: by the top bits of a hash.
const indexStripes = 32

// stripe returns the stripe of a hash.
func stripe(hash uint64) uint64 { return hash >> (64 - 5) } // 2^5 stripes

// table is a set of sessions with open addressing: each stands in the first free
// slot from the one of its hash on. One that goes is replaced by the next that may
// stand there, so there are no marks of what was. The owner knows the hash.
type table struct {
	slots []*Session // their number is 0 or a power of two
	count int
}

// minSlots is the smallest table.
const minSlots = 8

// find returns the session with that hash for which is holds, nil for none.
func (t *table) find(hash uint64, is func(s *Session) bool) *Session {
	if t.count == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := t.slots[i]; s == nil || is(s) {
			return s
		}
	}
}

// add adds a session that is not there. At least a quarter of the slots is free.
func (t *table) add(s *Session, hash func(s *Session) uint64) {
	if 4*(t.count+1) > 3*len(t.slots) {
		t.resize(max(minSlots, 2*len(t.slots)), hash)
	}
	t.place(s, hash(s))
	t.count++
}

func (t *table) place(s *Session, hash uint64) {
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = s
}

// remove removes a session that is there. A table that is mostly empty gets
// smaller.
func (t *table) remove(s *Session, hash func(s *Session) uint64) {
	mask := uint64(len(t.slots) - 1)
	gap := hash(s) & mask
	for t.slots[gap] != s {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; t.slots[i] != nil; i = (i + 1) & mask {
		// One that stands no further from its own slot than the gap from the
		// slot it looks at must stay: it would not be found before its slot.
		if home := hash(t.slots[i]) & mask; (i-home)&mask >= (i-gap)&mask {
			t.slots[gap], gap = t.slots[i], i
		}
	}
	t.slots[gap] = nil
	t.count--
	switch {
	case t.count == 0:
		t.slots = nil
	case len(t.slots) > minSlots && 8*t.count < len(t.slots):
		t.resize(len(t.slots)/2, hash)
	}
}

func (t *table) resize(slots int, hash func(s *Session) uint64) {
	old := t.slots
	t.slots = make([]*Session, slots)
	for _, s := range old {
		if s != nil {
			t.place(s, hash(s))
		}
	}
}

// connectionIndex finds the sessions of a hub by their connection ids.
type connectionIndex struct {
	stripes [indexStripes]struct {
		mu sync.RWMutex
		t  table // guarded by mu

		_ [64]byte // the next lock is taken by another loop
	}
}

// hash is a part of the id: it is random, and no client can choose one.
func (id *connectionID) hash() uint64 { return binary.LittleEndian.Uint64(id[:]) }

func hashID(s *Session) uint64 { return s.id.hash() }

func (x *connectionIndex) find(id connectionID) *Session {
	st := &x.stripes[stripe(id.hash())]
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.t.find(id.hash(), func(s *Session) bool { return s.id == id })
}

func (x *connectionIndex) add(s *Session) {
	st := &x.stripes[stripe(hashID(s))]
	st.mu.Lock()
	defer st.mu.Unlock()
	st.t.add(s, hashID)
}

func (x *connectionIndex) remove(s *Session) {
	st := &x.stripes[stripe(hashID(s))]
	st.mu.Lock()
	defer st.mu.Unlock()
	st.t.remove(s, hashID)
}

// userIndex finds the sessions of a hub by their users. Most users have one
// session, which stands in a table; those with several have a list.
type userIndex struct {
	seed    maphash.Seed // static
	stripes [indexStripes]userStripe
}

type userStripe struct {
	mu    sync.RWMutex
	ones  table                 // guarded by mu
	crowd map[string][]*Session // guarded by mu; two or more each, Session.userPlace is the index

	_ [64]byte // the next lock is taken by another loop
}

func (x *userIndex) hash(s *Session) uint64 { return maphash.String(x.seed, s.user) }

func (x *userIndex) of(user string) (*userStripe, uint64) {
	hash := maphash.String(x.seed, user)
	return &x.stripes[stripe(hash)], hash
}

// allLocked appends the sessions of a user.
func (st *userStripe) allLocked(dst []*Session, user string, hash uint64) []*Session {
	if s := st.ones.find(hash, func(s *Session) bool { return s.user == user }); s != nil {
		return append(dst, s)
	}
	return append(dst, st.crowd[user]...)
}

// has reports whether a user has a session.
func (x *userIndex) has(user string) bool {
	st, hash := x.of(user)
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.ones.find(hash, func(s *Session) bool { return s.user == user }) != nil || st.crowd[user] != nil
}

// all returns the sessions of a user, a copy.
func (x *userIndex) all(user string) []*Session {
	st, hash := x.of(user)
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.allLocked(nil, user, hash)
}

// add adds a session to those of its user, if admit says so: it is asked with the
// number of those that are there, under the lock. older has those when admit wants
// them.
func (x *userIndex) add(s *Session, admit func(there int) (wanted bool, r refusal)) (older []*Session, r refusal) {
	st, hash := x.of(s.user)
	st.mu.Lock()
	defer st.mu.Unlock()
	first := st.ones.find(hash, func(o *Session) bool { return o.user == s.user })
	there := len(st.crowd[s.user])
	if first != nil {
		there = 1
	}
	wanted, r := admit(there)
	if r != accepted {
		return nil, r
	}
	if wanted {
		older = st.allLocked(nil, s.user, hash)
	}
	switch {
	case there == 0:
		st.ones.add(s, x.hash)
	case first != nil:
		st.ones.remove(first, x.hash)
		if st.crowd == nil {
			st.crowd = make(map[string][]*Session)
		}
		first.userPlace, s.userPlace = 0, 1
		st.crowd[s.user] = []*Session{first, s}
	default:
		s.userPlace = int32(there)
		st.crowd[s.user] = append(st.crowd[s.user], s)
	}
	return older, accepted
}

// remove removes a session that is there.
func (x *userIndex) remove(s *Session) {
	st, _ := x.of(s.user)
	st.mu.Lock()
	defer st.mu.Unlock()
	all := st.crowd[s.user]
	if all == nil {
		st.ones.remove(s, x.hash)
		return
	}
	last := len(all) - 1
	moved := all[last]
	all[s.userPlace], moved.userPlace = moved, s.userPlace
	all[last] = nil
	if last == 1 {
		delete(st.crowd, s.user)
		if len(st.crowd) == 0 {
			st.crowd = nil // a map never gets smaller
		}
		st.ones.add(all[0], x.hash)
		return
	}
	st.crowd[s.user] = shrink(all[:last])
}
