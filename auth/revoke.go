package auth

import (
	"errors"
	"sync"
	"time"
)

// maxRevocations bounds what one hub has revoked at a time.
const maxRevocations = 10_000

// ErrRevocationsFull means that a hub has revoked as much as it can remember.
var ErrRevocationsFull = errors.New("as many tokens and users are revoked as can be remembered; change the hub's keys instead")

// Revocations is what was revoked before its time: tokens that are genuine and
// still good for nothing. They are in memory, and forgotten when the process
// ends. It is safe for concurrent use.
type Revocations struct {
	mu   sync.Mutex
	hubs map[string]*revoked // guarded by mu; by canonical name
}

// revoked is what one hub has revoked. Each says until when it is remembered.
type revoked struct {
	tokens map[string]time.Time
	users  map[string]revocation // "" is everybody
}

// revocation is of all tokens that were issued up to a time.
type revocation struct{ issued, until time.Time }

// Revocation names what is revoked: one token by its id, or all tokens issued
// until IssuedUntil, of one user or of everybody.
type Revocation struct {
	TokenID     string
	User        string
	IssuedUntil time.Time // with TokenID without meaning
}

// Revoke revokes tokens for a hub, for so long: at least as long as any of them
// is valid. The error is ErrRevocationsFull.
func (r *Revocations) Revoke(hub string, what Revocation, now time.Time, keep time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	hub = CanonicalHub(hub)
	h := r.hubs[hub]
	if h == nil {
		h = &revoked{tokens: map[string]time.Time{}, users: map[string]revocation{}}
		if r.hubs == nil {
			r.hubs = map[string]*revoked{}
		}
		r.hubs[hub] = h
	}
	if len(h.tokens)+len(h.users) >= maxRevocations {
		h.sweep(now)
	}
	if len(h.tokens)+len(h.users) >= maxRevocations {
		return ErrRevocationsFull
	}
	until := now.Add(keep)
	if what.TokenID != "" {
		h.tokens[what.TokenID] = later(h.tokens[what.TokenID], until)
		return nil
	}
	old := h.users[what.User]
	h.users[what.User] = revocation{later(old.issued, what.IssuedUntil), later(old.until, until)}
	return nil
}

// sweep forgets what is over.
func (h *revoked) sweep(now time.Time) {
	for id, until := range h.tokens {
		if now.After(until) {
			delete(h.tokens, id)
		}
	}
	for user, r := range h.users {
		if now.After(r.until) {
			delete(h.users, user)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Revoked reports whether the token that a client comes from is revoked for the
// hub. A token that does not say when it was issued counts as old.
func (r *Revocations) Revoked(hub string, o Origin, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hubs[CanonicalHub(hub)]
	if h == nil {
		return false
	}
	if until, ok := h.tokens[o.TokenID]; ok && o.TokenID != "" && !now.After(until) {
		return true
	}
	return h.users[""].covers(o, now) || o.User != "" && h.users[o.User].covers(o, now)
}

func (r revocation) covers(o Origin, now time.Time) bool {
	return !r.until.IsZero() && !now.After(r.until) && !o.IssuedAt.After(r.issued)
}

// Covers reports whether the revocation is of the token that a client comes from.
func (what Revocation) Covers(o Origin) bool {
	if what.TokenID != "" {
		return o.TokenID == what.TokenID
	}
	return (what.User == "" || o.User == what.User) && !o.IssuedAt.After(what.IssuedUntil)
}
