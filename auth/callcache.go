package auth

import (
	"crypto/sha256"
	"sync"
)

// maxCachedCalls bounds the tokens of back ends that are remembered.
const maxCachedCalls = 1024

// callCache remembers the claims of tokens whose signature was found good: a back
// end makes thousands of calls a second with one token, and checking it takes
// longer than the call. The times and the audience are judged anew each time. It
// is safe for concurrent use and belongs to one set of keys.
type callCache struct {
	mu     sync.RWMutex
	claims map[[sha256.Size]byte]*payload // guarded by mu; by the hash of the token
}

func newCallCache() *callCache {
	return &callCache{claims: map[[sha256.Size]byte]*payload{}}
}

// open is Verifier.open with the cache before it. What it returns is only read.
func (c *callCache) open(v *Verifier, token string) (*payload, *Refusal) {
	key := sha256.Sum256([]byte(token))
	c.mu.RLock()
	p := c.claims[key]
	c.mu.RUnlock()
	if p != nil {
		return p, nil
	}
	p, refusal := v.open(token, v.key)
	if refusal != nil {
		return nil, refusal
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.claims) == maxCachedCalls {
		clear(c.claims) // whoever is busy is back with the next call
	}
	c.claims[key] = p
	return p, nil
}
