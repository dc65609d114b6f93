// Package jwks keeps the public keys of identity providers (RFC 7517) at hand: it
// finds where they are (OpenID Connect Discovery), fetches them in the background
// and goes on with what it has while the provider is away. It verifies nothing.
//
// Nothing but Set.Run blocks, so event loops may use a Set; to read its keys takes no
// lock. The network belongs to the goroutine of Set.Run alone.
package jwks

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/internal/later"
)

const (
	// refresh is how old keys become before they are fetched again.
	refresh = 5 * time.Minute

	// minInterval lies between two requests at the least, whatever tokens name:
	// inventing key names is free.
	minInterval = 10 * time.Second

	// maxStale is how long keys outlive the last good answer of their provider:
	// longer than an outage, shorter than a key that was withdrawn in one should
	// be good for.
	maxStale = 24 * time.Hour

	// tripAfter failures in a row the breaker is open: nobody waits for the
	// provider, until it answers. It is asked as before.
	tripAfter = 3

	// maxWaiting bounds those who wait for the answer of one provider, and the names
	// of keys that it is looked for.
	maxWaiting = 1000
)

// Source says where the keys of a provider are.
type Source struct {
	// Issuer is the provider's name for itself, the claim iss of its tokens.
	Issuer string
	// URL of its keys. Default: what its discovery document says.
	URL string
}

// Set is the keys of one provider. It is safe for concurrent use.
type Set struct {
	// Static after New.
	source  Source
	client  fetcher
	observe func(error)

	keys  atomic.Pointer[[]auth.IssuerKey] // nil until the first good answer
	open  atomic.Bool                      // the breaker is
	wake  chan struct{}                    // of one: that somebody misses a key
	room  later.Room                       // of those who wait for the provider
	mu    sync.Mutex
	state // guarded by mu
}

// state is what a Set knows about those who miss a key.
type state struct {
	asking bool         // a request is under way
	askAt  time.Time    // the next one may not be before
	answer *later.Event // the end of the request under way, or else of the next one

	// names of keys that tokens have named: those looked for since the last good
	// answer, and those that it did not have. Hashes, because names are the clients'
	// choice and may be long.
	wanted, absent map[name]struct{}
}

type name = [sha256.Size]byte

var _ auth.KeySource = (*Set)(nil)

// New returns a set that is empty until Run has fetched it. observe, which may be
// nil, hears of every attempt, in the goroutine of Run.
func New(source Source, observe func(error)) *Set {
	if observe == nil {
		observe = func(error) {}
	}
	s := &Set{source: source, client: newClient(), observe: observe, wake: make(chan struct{}, 1), room: later.Room{Most: maxWaiting}}
	s.asking = true // by Run, at once
	s.answer = later.NewEvent(&s.room)
	s.wanted = make(map[name]struct{})
	return s
}

// Keys returns all keys, which nobody may change. known is false as long as the
// provider has not answered, or has not for so long that its keys are dropped.
func (s *Set) Keys() (keys []auth.IssuerKey, known bool) {
	if p := s.keys.Load(); p != nil {
		return *p, true
	}
	return nil, false
}

// BreakerOpen tells whether the provider has failed so often that nobody waits for it.
func (s *Set) BreakerOpen() bool { return s.open.Load() }

// Missing says that a token names a key that is not there, and returns whether it
// may soon be, and where that can be waited for. The provider is then asked as soon
// as it may be, 10 s after the last time: made-up names cause no more requests than
// that. A name that the last answer did not have either is not worth waiting for
// before the next one is due.
func (s *Set) Missing(id string) (answer auth.Later, soon bool) {
	_, known := s.Keys()
	key := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, absent := s.absent[key]; known && absent && !s.asking && time.Now().Before(s.askAt) {
		return nil, false
	}
	if _, there := s.wanted[key]; known && !there {
		if len(s.wanted) >= maxWaiting {
			return nil, true
		}
		s.wanted[key] = struct{}{}
	}
	if !s.asking {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	if s.BreakerOpen() {
		return nil, true
	}
	return s.answer, true
}

// Run fetches the keys and keeps them fresh until the context ends.
func (s *Set) Run(ctx context.Context) {
	var answered time.Time
	failures := 0
	for ctx.Err() == nil {
		keys, err := s.client.fetch(ctx, s.source)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		if err == nil {
			s.keys.Store(&keys)
			answered, failures = now, 0
		} else {
			failures++
			if now.Sub(answered) > maxStale {
				s.keys.Store(nil)
			}
		}
		s.open.Store(failures >= tripAfter)
		s.observe(err)
		s.ended(now, err == nil).Done()
		s.pause(ctx, now, waitAfter(failures))
	}
}

// ended books the end of a request, and returns what many may have waited for.
func (s *Set) ended(now time.Time, good bool) *later.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.answer
	s.asking, s.askAt, s.answer = false, now.Add(minInterval), later.NewEvent(&s.room)
	if good {
		s.absent, s.wanted = s.wanted, make(map[name]struct{})
	}
	select {
	case <-s.wake: // of the time before the answer
	default:
	}
	return before
}

// waitAfter returns how long to wait after so many failures in a row.
func waitAfter(failures int) time.Duration {
	if failures == 0 {
		return refresh
	}
	return min(minInterval<<min(failures-1, 10), refresh)
}

// pause waits until the next request is due: after some time, or, where somebody
// misses a key, as soon as it may be.
func (s *Set) pause(ctx context.Context, now time.Time, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return
	case <-s.wake:
		t.Reset(time.Until(now.Add(minInterval))) // in the past: at once
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	case <-t.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = true
}
