package access

import (
	"hash/maphash"
	"sync"
)

// Place is something of which a client takes up one for a while.
type Place uint8

const (
	PendingPlace    Place = iota // a socket that has not finished its opening handshake
	ConnectionPlace              // a WebSocket connection
	HTTPPlace                    // a connection that net/http serves

	placeKinds
)

// places counts what addresses take up. It has an entry for an address for as long
// as that has a socket, so the sockets of the node bound it.
type places struct {
	seed   maphash.Seed
	shards [64]placeShard
}

type placeShard struct {
	mu     sync.Mutex
	counts map[name]*[placeKinds]int32 // guarded by mu
}

func newPlaces() *places {
	p := &places{seed: maphash.MakeSeed()}
	for i := range p.shards {
		p.shards[i].counts = make(map[name]*[placeKinds]int32)
	}
	return p
}

func (p *places) shard(a name) *placeShard {
	return &p.shards[maphash.Bytes(p.seed, a[:])%uint64(len(p.shards))]
}

// take counts one place more for an address, unless it has as many as it may.
func (p *places) take(a name, kind Place, most int) bool {
	s := p.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[a]
	if c == nil {
		c = new([placeKinds]int32)
		s.counts[a] = c
	}
	if int(c[kind]) >= most {
		return false // then the entry is not new
	}
	c[kind]++
	return true
}

// release gives one back.
func (p *places) release(a name, kind Place) {
	s := p.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts[a]
	if c == nil || c[kind] == 0 {
		return // cannot be: each is released once
	}
	if c[kind]--; *c == [placeKinds]int32{} {
		delete(s.counts, a)
	}
}

// held returns how many places of a kind an address has.
func (p *places) held(a name, kind Place) int {
	s := p.shard(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.counts[a]; c != nil {
		return int(c[kind])
	}
	return 0
}
