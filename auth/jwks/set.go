// Package jwks keeps the public keys of identity providers (RFC 7517) at hand: it
// finds where they are (OpenID Connect Discovery), fetches them in the background
// and goes on with what it has while the provider is away. It verifies nothing.
//
// Reading a Set neither blocks nor takes a lock, so event loops may do it; the
// network belongs to the goroutine of Set.Run alone.
package jwks

import (
	"context"
	"sync/atomic"
	"time"

	"sluice/auth"
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

	keys    atomic.Pointer[[]auth.IssuerKey] // nil until the first good answer
	nextAsk atomic.Int64                     // Unix time in ns from which on Missing may ask; 0 while a request is due
	wake    chan struct{}                    // of one: that somebody missed a key
}

var _ auth.KeySource = (*Set)(nil)

// New returns a set that is empty until Run has fetched it. observe, which may be
// nil, hears of every attempt, in the goroutine of Run.
func New(source Source, observe func(error)) *Set {
	if observe == nil {
		observe = func(error) {}
	}
	return &Set{source: source, client: newClient(), observe: observe, wake: make(chan struct{}, 1)}
}

// Keys returns all keys, which nobody may change. known is false as long as the
// provider has not answered, or has not for so long that its keys are dropped.
func (s *Set) Keys() (keys []auth.IssuerKey, known bool) {
	if p := s.keys.Load(); p != nil {
		return *p, true
	}
	return nil, false
}

// Missing says that a token names a key that is not there, and returns whether it
// may soon be: then the keys are being fetched. It is false for a while after a
// request, so that made-up names cause at most one request each 10 s.
func (s *Set) Missing() (soon bool) {
	next := s.nextAsk.Load()
	if next == 0 {
		return true
	}
	if time.Now().UnixNano() < next {
		return false
	}
	if s.nextAsk.CompareAndSwap(next, 0) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return true
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
		s.observe(err)
		s.pause(ctx, now, waitAfter(failures))
	}
}

// waitAfter returns how long to wait after so many failures in a row.
func waitAfter(failures int) time.Duration {
	if failures == 0 {
		return refresh
	}
	return min(minInterval<<min(failures-1, 10), refresh)
}

// pause waits, or until somebody misses a key.
func (s *Set) pause(ctx context.Context, now time.Time, wait time.Duration) {
	select {
	case <-s.wake: // of the time before the answer
	default:
	}
	s.nextAsk.Store(now.Add(minInterval).UnixNano())
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-s.wake:
	case <-t.C:
		s.nextAsk.Store(0)
	}
}
