package filter

import (
	"strconv"
	"strings"
)

// token is one word of a filter.
type token struct {
	offset int
	kind   tokenKind
	text   string // a name in lower case; the text of a string without its quotes
	number int64
}

type tokenKind uint8

const (
	end tokenKind = iota
	name
	stringLiteral
	numberLiteral
	symbol // one of ( ) ,
)

func (t token) is(kind tokenKind, text string) bool { return t.kind == kind && t.text == text }

// lexer cuts a filter into tokens.
type lexer struct {
	source string
	at     int
}

func (l *lexer) next() (token, *Error) {
	for l.at < len(l.source) && isSpace(l.source[l.at]) {
		l.at++
	}
	start := l.at
	if start == len(l.source) {
		return token{offset: start}, nil
	}
	switch c := l.source[start]; {
	case c == '\'':
		return l.string()
	case c == '(' || c == ')' || c == ',':
		l.at++
		return token{start, symbol, l.source[start:l.at], 0}, nil
	case c == '-' || isDigit(c):
		l.at++
		for l.at < len(l.source) && isDigit(l.source[l.at]) {
			l.at++
		}
		n, err := strconv.ParseInt(l.source[start:l.at], 10, 64)
		if err != nil {
			return token{}, &Error{start, "not a whole number of 64 bits"}
		}
		return token{start, numberLiteral, "", n}, nil
	case isLetter(c):
		for l.at < len(l.source) && (isLetter(l.source[l.at]) || isDigit(l.source[l.at])) {
			l.at++
		}
		return token{start, name, strings.ToLower(l.source[start:l.at]), 0}, nil
	}
	return token{}, &Error{start, "a character that means nothing here"}
}

// string reads a string in single quotes; two of them within stand for one.
func (l *lexer) string() (token, *Error) {
	start := l.at
	for i := start + 1; i < len(l.source); i++ {
		if l.source[i] != '\'' {
			continue
		}
		if i+1 < len(l.source) && l.source[i+1] == '\'' {
			i++
			continue
		}
		l.at = i + 1
		return token{start, stringLiteral, strings.ReplaceAll(l.source[start+1:i], "''", "'"), 0}, nil
	}
	return token{}, &Error{start, "a string without its closing quote"}
}

func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }
