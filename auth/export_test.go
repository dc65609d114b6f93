package auth

// Doors for the tests of package auth_test.

const (
	GenerationSize = generationSize
	MaxInternedKey = maxInternedKey
)

// MatchPattern compiles and matches in one go; ok is false for a bad pattern.
func MatchPattern(text, group string) (match, ok bool) {
	p, why := parsePattern(text)
	if why != "" {
		return false, false
	}
	return p.match([]byte(group)), true
}

// Interned returns how many lists of roles v remembers.
func (v *Verifier) Interned() int {
	v.permissions.mu.Lock()
	defer v.permissions.mu.Unlock()
	return len(v.permissions.young) + len(v.permissions.old)
}
