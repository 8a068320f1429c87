package jinja

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// parser builds the tree, by jinja2's grammar.
type parser struct {
	tokens []token
	pos    int
	depth  int // of calls of the parser for expressions
	blocks int // of statements
	loops  int // of for statements within one function of Python's
	inLoop bool
}

// checked is a source that is not too long, and text.
func checked(source string) string {
	if len(source) > MaxSource {
		panic(&Error{Limit: LimitSource, Message: fmt.Sprintf("limit of %s: want at most %d bytes, got %d",
			LimitSource, MaxSource, len(source))})
	}
	if !utf8.ValidString(source) {
		panic(&Error{Message: "want text in UTF-8, got other bytes"})
	}
	return source
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) look() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokenEOF {
		p.pos++
	}
	return t
}

func (p *parser) fail(format string, args ...any) {
	panic(&Error{Line: p.peek().line, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) expect(kind tokenKind) token {
	if t := p.peek(); t.kind != kind {
		p.fail("want %s, got %v", tokenNames[kind], t)
	}
	return p.next()
}

func (p *parser) expectOperator(op string) token {
	if t := p.peek(); !t.isOperator(op) {
		p.fail("want %q, got %v", op, t)
	}
	return p.next()
}

func (p *parser) skipOperator(op string) bool {
	if p.peek().isOperator(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.peek().isName(name) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expectName(name string) {
	if !p.skipName(name) {
		p.fail("want %q, got %v", name, p.peek())
	}
}

// node makes what all nodes have, for one around others.
func (p *parser) node(line int, inner ...expression) node {
	depth := 0
	for _, e := range inner {
		if e != nil {
			depth = max(depth, e.at().depth)
		}
	}
	depth++
	if depth > maxNesting {
		p.tooDeep()
	}
	return node{line: line, depth: depth}
}

func (p *parser) tooDeep() {
	panic(&Error{Line: p.peek().line, Limit: LimitNesting,
		Message: fmt.Sprintf("limit of %s: want at most %d expressions within one another, got more", LimitNesting,
			maxNesting)})
}

// statements reads to one of the tags ends, and stops in front of its name; nil means to
// the end of the template.
func (p *parser) statements(ends []string) []statement {
	if p.blocks++; p.blocks > maxBlocks {
		panic(&Error{Line: p.peek().line, Limit: LimitNesting,
			Message: fmt.Sprintf("limit of %s: want at most %d statements within one another, got more", LimitNesting,
				maxBlocks)})
	}
	defer func() { p.blocks-- }()
	var body []statement
	var out *output
	add := func(e expression) {
		if out == nil {
			out = &output{node: node{line: e.at().line}}
			body = append(body, out)
		}
		out.items = append(out.items, e)
	}
	for {
		t := p.peek()
		switch t.kind {
		case tokenEOF:
			if ends != nil {
				p.fail("want %s, got the end of the template", strings.Join(ends, " or "))
			}
			return body
		case tokenData:
			p.next()
			add(&constant{node{line: t.line}, templateText(t.text)})
		case tokenVariableBegin:
			p.next()
			add(p.tuple(true, nil, false))
			p.expect(tokenVariableEnd)
		case tokenBlockBegin:
			p.next()
			out = nil
			if name := p.peek(); name.kind == tokenName && slices.Contains(ends, name.text) {
				return body
			}
			body = append(body, p.statement())
			p.expect(tokenBlockEnd)
		default:
			p.fail("unexpected %v", t)
		}
	}
}

// body reads the end of a tag, and the statements to one of the tags ends, whose name is
// the next token.
func (p *parser) body(ends ...string) []statement {
	p.skipOperator(":")
	p.expect(tokenBlockEnd)
	return p.statements(ends)
}

// bodyTo is body, with the end's name read.
func (p *parser) bodyTo(end string) []statement {
	b := p.body(end)
	p.next()
	return b
}

// function reads what Python compiles as a function of its own: no break leads out of it.
func (p *parser) function(read func()) {
	loops, in := p.loops, p.inLoop
	p.loops, p.inLoop = 0, false
	read()
	p.loops, p.inLoop = loops, in
}

var refusedTags = []string{"include", "import", "from", "extends", "block", "autoescape", "trans", "do", "debug"}

func (p *parser) statement() statement {
	t := p.peek()
	if t.kind != tokenName {
		p.fail("want the name of a tag, got %v", t)
	}
	at := node{line: t.line}
	switch t.text {
	case "if":
		return p.ifStatement()
	case "for":
		return p.forStatement()
	case "set":
		return p.setStatement()
	case "macro":
		p.next()
		name := p.expect(tokenName)
		m := &macroStmt{node: at, name: name.text, body: &macroBody{line: t.line, name: name.text}}
		p.signature(m.body)
		p.function(func() { m.body.body = p.bodyTo("endmacro") })
		return m
	case "call":
		p.next()
		c := &callBlock{node: at, body: &macroBody{line: t.line}}
		if p.peek().isOperator("(") {
			p.signature(c.body)
		}
		call, ok := p.expression(true).(*callExpr)
		if !ok {
			p.fail("want a call behind call, got another expression")
		}
		c.call = call
		call.caller = c.body
		p.function(func() { c.body.body = p.bodyTo("endcall") })
		return c
	case "generation":
		p.next()
		g := &generation{node: at, body: &macroBody{line: t.line}}
		p.function(func() { g.body.body = p.bodyTo("endgeneration") })
		return g
	case "filter":
		p.next()
		f := &filterBlock{node: at}
		f.filter = p.filter(nil, true)
		f.body = p.bodyTo("endfilter")
		return f
	case "with":
		return p.withStatement()
	case "print":
		p.next()
		o := &output{node: at}
		for p.peek().kind != tokenBlockEnd {
			if len(o.items) > 0 {
				p.expectOperator(",")
			}
			o.items = append(o.items, p.expression(true))
		}
		return o
	case "break", "continue":
		p.next()
		if !p.inLoop {
			p.fail("want %s within a loop, got it elsewhere", t.text)
		}
		if t.text == "break" {
			return &breakStmt{at}
		}
		return &continueStmt{at}
	}
	if slices.Contains(refusedTags, t.text) {
		p.fail("want a template that stands alone, got the tag %s, which is refused", t.text)
	}
	p.fail("want a known tag, got %.40q", t.text)
	return nil
}

func (p *parser) ifStatement() statement {
	first := &ifStmt{}
	s := first
	for {
		s.node = node{line: p.next().line}
		s.test = p.tuple(false, nil, false)
		s.body = p.body("elif", "else", "endif")
		end := p.peek()
		if end.text == "elif" {
			s = &ifStmt{}
			first.elif = append(first.elif, s)
			continue
		}
		p.next()
		if end.text == "else" {
			first.els = p.bodyTo("endif")
		}
		return first
	}
}

func (p *parser) forStatement() statement {
	f := &forStmt{node: node{line: p.next().line}}
	f.target = p.assignTarget([]string{"in"}, false)
	p.expectName("in")
	f.iter = p.tuple(false, []string{"recursive"}, false)
	if p.skipName("if") {
		f.test = p.expression(true)
	}
	f.recursive = p.skipName("recursive")
	read := func() {
		if p.loops++; p.loops > maxLoops {
			panic(&Error{Line: f.line, Limit: LimitNesting,
				Message: fmt.Sprintf("limit of %s: want at most %d loops within one another, got more", LimitNesting,
					maxLoops)})
		}
		in := p.inLoop
		p.inLoop = true
		f.body = p.body("endfor", "else")
		p.inLoop = in
		p.loops--
		if p.next().text == "else" {
			f.els = p.bodyTo("endfor")
		}
	}
	if f.recursive {
		p.function(read)
	} else {
		read()
	}
	return f
}

func (p *parser) setStatement() statement {
	line := p.next().line
	to := p.assignTarget(nil, true)
	if p.skipOperator("=") {
		return &setStmt{node{line: line}, to, p.tuple(true, nil, false)}
	}
	s := &setBlock{node: node{line: line}, target: to}
	s.filter = p.filter(nil, false)
	s.body = p.bodyTo("endset")
	return s
}

func (p *parser) withStatement() statement {
	w := &withStmt{node: node{line: p.next().line}}
	for p.peek().kind != tokenBlockEnd {
		if len(w.targets) > 0 {
			p.expectOperator(",")
		}
		w.targets = append(w.targets, p.assignTarget(nil, false))
		p.expectOperator("=")
		w.values = append(w.values, p.expression(true))
	}
	w.body = p.bodyTo("endwith")
	return w
}

func (p *parser) signature(m *macroBody) {
	p.expectOperator("(")
	for !p.peek().isOperator(")") {
		if len(m.args) > 0 {
			p.expectOperator(",")
		}
		t := p.expect(tokenName)
		if slices.ContainsFunc(m.args, func(a *target) bool { return a.name == t.text }) {
			p.fail("want each argument once, got %q twice", t.text)
		}
		if len(m.args) == maxArguments {
			p.fail("want at most %d arguments, got more", maxArguments)
		}
		p.assignable(t.text)
		m.args = append(m.args, &target{node: node{line: t.line}, name: t.text})
		if p.skipOperator("=") {
			m.defaults = append(m.defaults, p.expression(true))
		} else if len(m.defaults) > 0 {
			p.fail("want a default for %q, as for the arguments before it, got none", t.text)
		}
	}
	p.next()
}

// assignable refuses the names of constants.
func (p *parser) assignable(name string) {
	switch name {
	case "true", "false", "none", "True", "False", "None":
		p.fail("want a variable to assign to, got %s", name)
	}
}

// assignTarget reads what is assigned: a name, an attribute of a namespace where allowed,
// or several of them.
func (p *parser) assignTarget(ends []string, attributes bool) expression {
	line := p.peek().line
	items, tuple := p.severalOf(ends, func() expression { return p.oneTarget(attributes) })
	switch {
	case tuple:
		return &tupleExpr{p.node(line, items...), items}
	case len(items) == 0:
		p.fail("want a variable to assign to, got %v", p.peek())
	}
	return items[0]
}

func (p *parser) oneTarget(attributes bool) expression {
	t := p.peek()
	if t.isOperator("(") {
		p.deeper()
		defer p.shallower()
		p.next()
		inner := p.assignTargetInBrackets()
		p.expectOperator(")")
		return inner
	}
	if t.kind != tokenName {
		p.fail("want a variable to assign to, got %v", t)
	}
	p.next()
	p.assignable(t.text)
	if attributes && p.skipOperator(".") {
		attr := p.expect(tokenName)
		return &attrTarget{node: node{line: t.line, depth: 1}, name: t.text, attr: attr.text}
	}
	return &target{node: node{line: t.line, depth: 1}, name: t.text}
}

// assignTargetInBrackets: (a, b) may be empty, and holds no attributes.
func (p *parser) assignTargetInBrackets() expression {
	if p.peek().isOperator(")") {
		return &tupleExpr{node{line: p.peek().line, depth: 1}, nil}
	}
	return p.assignTarget(nil, false)
}

func (p *parser) deeper() {
	if p.depth++; p.depth > maxNesting {
		p.tooDeep()
	}
}

func (p *parser) shallower() { p.depth-- }
