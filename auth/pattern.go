package auth

import (
	"errors"
	"math/bits"
	"strings"
	"unicode/utf8"
)

const (
	maxPattern      = 1024 // characters
	maxPatternStars = 5
)

// Pattern is a wildcard pattern for names of groups, as in roles. It never
// changes and is safe for concurrent use.
type Pattern struct{ elements pattern }

// ParsePattern compiles a pattern; [CompileRoles] describes the syntax.
func ParsePattern(text string) (Pattern, error) {
	p, why := parsePattern(text)
	if why != "" {
		return Pattern{}, errors.New(why)
	}
	return Pattern{p}, nil
}

// Match reports whether the pattern matches all of a group's name.
func (p Pattern) Match(group string) bool { return p.elements.match([]byte(group)) }

// pattern is a compiled wildcard pattern: one element per character to match,
// the special ones negative. [CompileRoles] describes the syntax.
type pattern []rune

const (
	anyOne  rune = -1 - iota // ?   one character except a dot
	anyPart                  // *   any number of characters except dots
	anyAll                   // **  any number of characters
)

func parsePattern(text string) (p pattern, why string) {
	switch {
	case text == "":
		return nil, "empty pattern"
	case utf8.RuneCountInString(text) > maxPattern:
		return nil, "pattern longer than 1024 characters"
	}
	p = make(pattern, 0, len(text))
	stars, escaped := 0, false
	for _, r := range text {
		switch {
		case escaped:
			if r != '\\' && r != '*' && r != '?' {
				return nil, `pattern with a \ before another character than \, * or ?`
			}
			p = append(p, r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '*':
			stars++
			p = p.appendStar()
		case r == '?':
			p = append(p, anyOne)
		default:
			p = append(p, r)
		}
	}
	switch {
	case escaped:
		return nil, `pattern that ends in \`
	case stars > maxPatternStars:
		return nil, "pattern with more than 5 stars"
	}
	return p, ""
}

// appendStar adds a star, or makes the wildcard before it the wider one.
func (p pattern) appendStar() pattern {
	if n := len(p); n > 0 && (p[n-1] == anyPart || p[n-1] == anyAll) {
		p[n-1] = anyAll
		return p
	}
	return append(p, anyPart)
}

func (p pattern) matchesAll() bool { return len(p) == 1 && p[0] == anyAll }

// match reports whether the pattern matches all of group.
//
// It follows every way to match at the same time, as a set of positions in the
// pattern, so a hostile pattern cannot make it try them one after the other:
// the time is at most len(p) × len(group) steps, and as a rule one or two per
// character.
func (p pattern) match(group []byte) bool {
	now, next := &positions{}, &positions{}
	now.add(p, 0)
	for len(group) > 0 {
		r, size := utf8.DecodeRune(group)
		group = group[size:]
		if !p.step(now, next, r) {
			return false
		}
		now, next = next, now
	}
	return now.has(len(p))
}

// step moves the positions that can pass r from now to next, and leaves now
// empty. It reports whether there were any.
func (p pattern) step(now, next *positions, r rune) (alive bool) {
	for w := range len(p)/64 + 1 {
		for word := now[w]; word != 0; word &= word - 1 {
			i := w*64 + bits.TrailingZeros64(word)
			if i == len(p) {
				break // the end of the pattern, but not of the name
			}
			switch e := p[i]; {
			case e == anyAll, e == anyPart && r != '.':
				next.add(p, i)
			case e == anyOne && r != '.', e == r:
				next.add(p, i+1)
			default:
				continue
			}
			alive = true
		}
		now[w] = 0
	}
	return alive
}

// positions is a set of positions in a pattern, its end included.
type positions [maxPattern/64 + 1]uint64

// add adds position i, and those behind stars that match nothing.
func (s *positions) add(p pattern, i int) {
	s[i/64] |= 1 << (i % 64)
	for i < len(p) && (p[i] == anyPart || p[i] == anyAll) {
		i++
		s[i/64] |= 1 << (i % 64)
	}
}

func (s *positions) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// String returns a text that means the same.
func (p pattern) String() string {
	var b strings.Builder
	for _, r := range p {
		switch r {
		case anyOne:
			b.WriteByte('?')
		case anyPart:
			b.WriteByte('*')
		case anyAll:
			b.WriteString("**")
		case '\\', '*', '?':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
