package filter

import (
	"strings"
	"unicode/utf8"
)

// function is one that filters can call. Of a null it makes an empty string.
type function struct {
	args   []kind
	least  int // arguments that must be there
	result kind
	apply  func(args []value) value
}

var functions = map[string]function{
	"tolower":    {[]kind{text}, 1, text, func(a []value) value { return str(strings.ToLower(a[0].text)) }},
	"toupper":    {[]kind{text}, 1, text, func(a []value) value { return str(strings.ToUpper(a[0].text)) }},
	"trim":       {[]kind{text}, 1, text, func(a []value) value { return str(strings.TrimSpace(a[0].text)) }},
	"concat":     {[]kind{text, text}, 2, text, func(a []value) value { return str(a[0].text + a[1].text) }},
	"substring":  {[]kind{text, number, number}, 2, text, substring},
	"length":     {[]kind{text}, 1, number, func(a []value) value { return num(utf8.RuneCountInString(a[0].text)) }},
	"indexof":    {[]kind{text, text}, 2, number, indexOf},
	"contains":   {[]kind{text, text}, 2, boolean, func(a []value) value { return truth(strings.Contains(a[0].text, a[1].text)) }},
	"startswith": {[]kind{text, text}, 2, boolean, func(a []value) value { return truth(strings.HasPrefix(a[0].text, a[1].text)) }},
	"endswith":   {[]kind{text, text}, 2, boolean, func(a []value) value { return truth(strings.HasSuffix(a[0].text, a[1].text)) }},
}

func str(s string) value { return value{kind: text, text: s} }
func num(n int) value    { return value{kind: number, number: int64(n)} }

// substring counts characters from 0. What lies outside of the string is empty.
func substring(a []value) value {
	runes := []rune(a[0].text)
	from := min(max(0, a[1].number), int64(len(runes)))
	to := int64(len(runes))
	if len(a) == 3 {
		to = min(to, from+min(max(0, a[2].number), int64(len(runes))))
	}
	return str(string(runes[from:to]))
}

// indexOf counts characters from 0; -1 means that there is none.
func indexOf(a []value) value {
	i := strings.Index(a[0].text, a[1].text)
	if i < 0 {
		return num(-1)
	}
	return num(utf8.RuneCountInString(a[0].text[:i]))
}

// call reads the arguments of a call.
func (p *parser) call(t token, f function) node {
	p.clause(t.offset)
	p.enter()
	defer p.leave()
	p.expect("(")
	var args []node
	for p.err == nil && !p.token.is(symbol, ")") {
		if len(args) == len(f.args) {
			p.fail(p.token.offset, "too many arguments of "+t.text)
			break
		}
		offset := p.token.offset
		arg := p.or()
		p.want(arg, f.args[len(args)], offset)
		args = append(args, arg)
		if !p.take(symbol, ",") {
			break
		}
	}
	p.expect(")")
	if p.err == nil && len(args) < f.least {
		p.fail(t.offset, "too few arguments of "+t.text)
	}
	return node{f.result, func(s Subject) value {
		var values [3]value
		for i, arg := range args {
			values[i] = arg.eval(s)
		}
		return f.apply(values[:len(args)])
	}}
}
