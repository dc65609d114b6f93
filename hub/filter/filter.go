// Package filter understands the filters with which a back end narrows the
// connections that an operation is for: a part of the language of OData 4
// ($filter), over what a hub knows of a connection.
//
//	userId eq 'alice' or ('vip' in groups and not startswith(connectionId, 'test'))
//
// Parse compiles a filter once; Match asks it about one connection. A Filter
// never changes and may be used from any goroutine.
package filter

import (
	"cmp"
	"fmt"
)

// Limits of a filter. They bound what one call of a back end can make a loop
// compute for each connection.
const (
	MaxLength  = 8 << 10 // bytes
	MaxClauses = 100     // comparisons and calls of functions
	maxDepth   = 32      // of brackets, calls and nots within each other
)

// Subject is a connection as a filter sees it.
type Subject interface {
	ConnectionID() string
	UserID() string // "" for an anonymous client, which a filter sees as null
	InGroup(name string) bool
	Subprotocol() string
}

// Filter is a compiled filter.
type Filter struct{ root node }

// Match reports whether the filter is true of the connection. It allocates only
// where functions make new strings.
func (f *Filter) Match(s Subject) bool { return f.root.eval(s).truth }

// Error says what is wrong with a filter, and where.
type Error struct {
	Offset  int // bytes from the start
	Problem string
}

func (e *Error) Error() string {
	return fmt.Sprintf("at byte %d: %s", e.Offset, e.Problem)
}

// kind is the type of a value, known when a filter is compiled.
type kind uint8

const (
	null kind = iota
	text
	number
	boolean
	list // the groups of the connection, for `in` only
)

func (k kind) String() string {
	return [...]string{"null", "a string", "a number", "true or false", "groups"}[k]
}

// value is what an expression comes to.
type value struct {
	kind   kind
	text   string
	number int64
	truth  bool
}

func truth(b bool) value { return value{kind: boolean, truth: b} }

// node is an expression of a static kind. One of kind text may come to null.
type node struct {
	kind kind
	eval func(Subject) value
}

// properties are the names that stand for what a connection is. Letters of any
// case will do.
var properties = map[string]node{
	"connectionid": {text, func(s Subject) value { return value{kind: text, text: s.ConnectionID()} }},
	"userid": {text, func(s Subject) value {
		if user := s.UserID(); user != "" {
			return value{kind: text, text: user}
		}
		return value{}
	}},
	"protocol": {text, func(s Subject) value { return value{kind: text, text: s.Subprotocol()} }},
	"groups":   {list, nil},
}

// compare returns the node of a comparison of two values of one kind, or of one
// that may be null with null.
func compare(op string, a, b node) node {
	return node{boolean, func(s Subject) value {
		x, y := a.eval(s), b.eval(s)
		switch op {
		case "eq":
			return truth(x == y)
		case "ne":
			return truth(x != y)
		}
		if x.kind == null || y.kind == null {
			return truth(false) // nothing is above or below null
		}
		order := order(x, y)
		switch op {
		case "gt":
			return truth(order > 0)
		case "ge":
			return truth(order >= 0)
		case "lt":
			return truth(order < 0)
		default:
			return truth(order <= 0)
		}
	}}
}

func order(x, y value) int {
	if x.kind == number {
		return cmp.Compare(x.number, y.number)
	}
	return cmp.Compare(x.text, y.text)
}
