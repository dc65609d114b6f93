package frame

import "strings"

// extension is one element of a Sec-WebSocket-Extensions header (RFC 6455 9.1):
//
//	extension-list = 1#extension
//	extension      = token *( ";" extension-param )
//	param          = token [ "=" (token | quoted-string) ]
type extension struct {
	name   string
	params []extensionParam
}

type extensionParam struct {
	name, value string
	valued      bool // "=" was there
}

// extensionScanner takes extensions off the front of a header value. An
// element that does not follow the grammar costs only itself.
type extensionScanner struct{ rest string }

// next returns the next extension. ok is false for a malformed or empty
// element, which is skipped; more is false at the end.
func (s *extensionScanner) next() (e extension, ok, more bool) {
	if s.space(); s.rest == "" {
		return e, false, false
	}
	element := s.rest
	if e, ok = s.extension(); !ok {
		s.rest = element
		s.skipElement()
	}
	s.eat(',')
	return e, ok, true
}

func (s *extensionScanner) extension() (e extension, ok bool) {
	if e.name = s.token(); e.name == "" {
		return e, false
	}
	for s.eat(';') {
		p, ok := s.param()
		if !ok {
			return e, false
		}
		e.params = append(e.params, p)
	}
	return e, s.rest == "" || s.rest[0] == ','
}

func (s *extensionScanner) param() (p extensionParam, ok bool) {
	s.space()
	if p.name = s.token(); p.name == "" {
		return p, false
	}
	if !s.eat('=') {
		return p, true
	}
	p.valued = true
	s.space()
	if quoted, found := strings.CutPrefix(s.rest, `"`); found {
		p.value, s.rest, ok = unquote(quoted)
		return p, ok
	}
	p.value = s.token()
	return p, p.value != ""
}

// skipElement moves to the next comma outside of a quoted string.
func (s *extensionScanner) skipElement() {
	quoted := false
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			s.rest = s.rest[i:]
			return
		}
	}
	s.rest = ""
}

func (s *extensionScanner) space() { s.rest = strings.TrimLeft(s.rest, " \t") }

// eat skips space and then c, if it is there.
func (s *extensionScanner) eat(c byte) bool {
	if s.space(); s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *extensionScanner) token() string {
	n := 0
	for n < len(s.rest) && isTokenByte(s.rest[n]) {
		n++
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

// unquote reads a quoted string whose first quote is gone. What it stands for
// must be a token (RFC 6455 9.1).
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], b.Len() > 0
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		if !isTokenByte(s[i]) {
			return "", s[i:], false
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// isTokenByte reports whether c may be in a token (RFC 9110 5.6.2).
func isTokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c))
}
