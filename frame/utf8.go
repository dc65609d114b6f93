package frame

import "unicode/utf8"

// scanText checks the next part of a text, which must begin at the start of a
// rune. ok is false as soon as p holds a byte that no continuation can make
// valid. tail is the number of bytes at the end of p, at most 3, that begin a
// rune and are fine so far; the caller passes them again in front of the next
// part, and a text that ends with them is not UTF-8.
//
// The bulk goes through utf8.Valid, which is an order of magnitude faster than
// a state machine fed byte by byte.
func scanText(p []byte) (tail int, ok bool) {
	for i := 1; i <= min(len(p), utf8.UTFMax-1); i++ {
		if last := p[len(p)-i:]; utf8.RuneStart(last[0]) {
			// FullRune is also true of bytes that can only be wrong, which
			// then fail in Valid below.
			if !utf8.FullRune(last) {
				tail = i
			}
			break
		}
	}
	return tail, utf8.Valid(p[:len(p)-tail])
}
