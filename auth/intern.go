package auth

import (
	"encoding/binary"
	"sync"
)

// The bounds of an interner. Together they hold it below about 8 MiB at the worst;
// usual lists make it a few hundred KiB.
const (
	// generationSize is the number of role lists in one of the two generations.
	generationSize = 512

	// maxInternedKey is the total length in bytes of the longest list of roles
	// that is shared; a longer one is compiled for each client.
	maxInternedKey = 1 << 10
)

// interner compiles lists of roles, and gives equal lists the same result: most
// clients have the same few roles, and each session keeps its Permissions.
//
// The last 512 to 1024 different lists are kept, in two generations: when the
// young one is full it becomes the old one, and what was in the old one and not
// asked for since is forgotten. So lists used by one client only, however many,
// do not push out those that many use. The zero value is ready.
type interner struct {
	mu sync.Mutex

	// Guarded by mu; the values never change.
	young, old map[string]*compiled
}

// compiled is the result of CompileRoles.
type compiled struct {
	permissions *Permissions
	ignored     []IgnoredRole
}

// compile is CompileRoles with memory.
func (n *interner) compile(roles []string) *compiled {
	var scratch [256]byte
	key := appendRoles(scratch[:0], roles)
	if len(key) <= maxInternedKey {
		if c := n.lookup(key); c != nil {
			return c
		}
	}
	c := &compiled{}
	c.permissions, c.ignored = CompileRoles(roles) // not under the lock: it may take a while
	if len(key) <= maxInternedKey {
		return n.store(string(key), c)
	}
	return c
}

// lookup returns nil for a list that is not known.
func (n *interner) lookup(key []byte) *compiled {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c, ok := n.young[string(key)]; ok {
		return c
	}
	c, ok := n.old[string(key)]
	if ok {
		n.storeLocked(string(key), c)
	}
	return c
}

// store keeps c, unless another goroutine was faster: then it returns theirs.
func (n *interner) store(key string, c *compiled) *compiled {
	n.mu.Lock()
	defer n.mu.Unlock()
	if first, ok := n.young[key]; ok {
		return first
	}
	n.storeLocked(key, c)
	return c
}

func (n *interner) storeLocked(key string, c *compiled) {
	if n.young == nil || len(n.young) == generationSize {
		n.young, n.old = make(map[string]*compiled), n.young
	}
	n.young[key] = c
}

// appendRoles writes a list of roles so that different lists differ.
func appendRoles(dst []byte, roles []string) []byte {
	for _, r := range roles {
		dst = binary.AppendUvarint(dst, uint64(len(r)))
		dst = append(dst, r...)
	}
	return dst
}
