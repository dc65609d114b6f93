package filter

import (
	"fmt"
	"slices"
	"strconv"
)

// Parse compiles a filter. The error is an *Error.
func Parse(source string) (*Filter, error) {
	if len(source) > MaxLength {
		return nil, &Error{0, "longer than " + strconv.Itoa(MaxLength) + " bytes"}
	}
	p := &parser{lexer: lexer{source: source}}
	p.advance()
	root := p.or()
	if p.err == nil && p.token.kind != end {
		p.fail(p.token.offset, "something follows that does not belong to the filter")
	}
	p.want(root, boolean, 0)
	if p.err != nil {
		return nil, p.err
	}
	return &Filter{root}, nil
}

// parser goes through the tokens once, from what binds least to what binds most:
// or, and, not, comparisons, values. After the first error nothing counts.
type parser struct {
	lexer   lexer
	token   token
	err     *Error
	clauses int
	depth   int
}

func (p *parser) fail(offset int, problem string) {
	if p.err == nil {
		p.err = &Error{offset, problem}
	}
	p.token = token{offset: offset} // the end: whoever reads on finds nothing more
}

func (p *parser) advance() {
	if p.err != nil {
		return
	}
	t, err := p.lexer.next()
	if err != nil {
		p.fail(err.Offset, err.Problem)
		return
	}
	p.token = t
}

// take reports whether the token is that one, and goes on behind it if so.
func (p *parser) take(kind tokenKind, text string) bool {
	if !p.token.is(kind, text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) {
	if p.err == nil && !p.take(symbol, text) {
		p.fail(p.token.offset, "expected "+strconv.Quote(text))
	}
}

// want checks the kind of a node; null stands for a text that is not there.
func (p *parser) want(n node, k kind, offset int) {
	if p.err == nil && n.kind != k {
		p.fail(offset, fmt.Sprintf("expected %v, this is %v", k, n.kind))
	}
}

// enter counts one more level of nesting; leave goes back.
func (p *parser) enter() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.token.offset, "nested too deep")
	}
}

func (p *parser) leave() { p.depth-- }

// clause counts a comparison or a call.
func (p *parser) clause(offset int) {
	if p.clauses++; p.clauses > MaxClauses {
		p.fail(offset, "more than "+strconv.Itoa(MaxClauses)+" comparisons and calls")
	}
}

func (p *parser) or() node {
	return p.chain("or", p.and, func(a, b node) node {
		return node{boolean, func(s Subject) value { return truth(a.eval(s).truth || b.eval(s).truth) }}
	})
}

func (p *parser) and() node {
	return p.chain("and", p.not, func(a, b node) node {
		return node{boolean, func(s Subject) value { return truth(a.eval(s).truth && b.eval(s).truth) }}
	})
}

// chain reads operands with a word between them.
func (p *parser) chain(word string, operand func() node, join func(a, b node) node) node {
	offset := p.token.offset
	left := operand()
	for p.token.is(name, word) {
		p.want(left, boolean, offset)
		p.advance()
		offset = p.token.offset
		right := operand()
		p.want(right, boolean, offset)
		left = join(left, right)
	}
	return left
}

func (p *parser) not() node {
	if !p.take(name, "not") {
		return p.comparison()
	}
	p.enter()
	defer p.leave()
	offset := p.token.offset
	n := p.not()
	p.want(n, boolean, offset)
	return node{boolean, func(s Subject) value { return truth(!n.eval(s).truth) }}
}

var comparisons = []string{"eq", "ne", "gt", "ge", "lt", "le"}

func (p *parser) comparison() node {
	left := p.value()
	op, offset := p.token, p.token.offset
	switch {
	case op.is(name, "in"):
		p.advance()
		return p.in(left, offset)
	case op.kind == name && slices.Contains(comparisons, op.text):
		p.clause(offset)
		p.advance()
		right := p.value()
		if p.err == nil && !comparable(op.text, left.kind, right.kind) {
			p.fail(offset, fmt.Sprintf("%v and %v cannot be compared by %s", left.kind, right.kind, op.text))
		}
		return compare(op.text, left, right)
	case left.kind == list:
		p.fail(offset, "groups stands behind `in` only")
	}
	return left
}

// comparable reports whether values of two kinds can be compared.
func comparable(op string, a, b kind) bool {
	switch {
	case a == list || b == list:
		return false
	case a == null || b == null:
		return (op == "eq" || op == "ne") && a != number && b != number && a != boolean && b != boolean
	case a == boolean:
		return b == boolean && (op == "eq" || op == "ne")
	}
	return a == b
}

// in reads what stands behind `in`: groups, or values in brackets.
func (p *parser) in(left node, offset int) node {
	p.clause(offset)
	p.want(left, text, offset)
	if p.take(name, "groups") {
		return node{boolean, func(s Subject) value { return truth(s.InGroup(left.eval(s).text)) }}
	}
	p.expect("(")
	var choices []string
	for p.err == nil {
		if p.token.kind != stringLiteral {
			p.fail(p.token.offset, "expected groups or a list of strings in brackets behind `in`")
			break
		}
		choices = append(choices, p.token.text)
		p.clause(p.token.offset)
		p.advance()
		if !p.take(symbol, ",") {
			break
		}
	}
	p.expect(")")
	return node{boolean, func(s Subject) value {
		v := left.eval(s)
		return truth(v.kind == text && slices.Contains(choices, v.text))
	}}
}

// value reads one literal, property, call, or expression in brackets.
func (p *parser) value() node {
	t := p.token
	p.advance()
	switch t.kind {
	case stringLiteral:
		return constant(value{kind: text, text: t.text})
	case numberLiteral:
		return constant(value{kind: number, number: t.number})
	case symbol:
		if t.text == "(" {
			p.enter()
			defer p.leave()
			n := p.or()
			p.expect(")")
			return n
		}
	case name:
		return p.named(t)
	}
	p.fail(t.offset, "expected a value")
	return constant(value{})
}

func constant(v value) node { return node{v.kind, func(Subject) value { return v }} }

func (p *parser) named(t token) node {
	switch t.text {
	case "true", "false":
		return constant(truth(t.text == "true"))
	case "null":
		return constant(value{})
	}
	if n, ok := properties[t.text]; ok {
		return n
	}
	if f, ok := functions[t.text]; ok {
		return p.call(t, f)
	}
	p.fail(t.offset, "unknown name; there are connectionId, userId, groups and protocol")
	return constant(value{})
}
