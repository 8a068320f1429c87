package jinja

import "slices"

// tupleEnd tells whether no further item of a tuple can come.
func (p *parser) tupleEnd(ends []string) bool {
	t := p.peek()
	return t.kind == tokenVariableEnd || t.kind == tokenBlockEnd || t.isOperator(")") ||
		t.kind == tokenName && slices.Contains(ends, t.text)
}

// tuple reads an expression, or several with commas between them. In brackets there may be
// none.
func (p *parser) tuple(conditional bool, ends []string, brackets bool) expression {
	line := p.peek().line
	items, tuple := p.severalOf(ends, func() expression { return p.expression(conditional) })
	switch {
	case !tuple && len(items) > 0:
		return items[0]
	case !tuple && !brackets:
		p.fail("want an expression, got %v", p.peek())
	}
	return &tupleExpr{p.node(line, items...), items}
}

// severalOf reads what read reads, once or several times with commas between; any comma makes a tuple.
func (p *parser) severalOf(ends []string, read func() expression) (items []expression, tuple bool) {
	for {
		if len(items) > 0 {
			p.expectOperator(",")
		}
		if p.tupleEnd(ends) {
			return items, tuple
		}
		items = append(items, read())
		if !p.peek().isOperator(",") {
			return items, tuple
		}
		tuple = true
	}
}

func (p *parser) expression(conditional bool) expression {
	p.deeper()
	defer p.shallower()
	if conditional {
		return p.conditional()
	}
	return p.or()
}

func (p *parser) conditional() expression {
	p.deeper()
	defer p.shallower()
	line := p.peek().line
	e := p.or()
	for p.skipName("if") {
		test := p.or()
		var no expression
		if p.skipName("else") {
			no = p.conditional()
		}
		e = &condExpr{p.node(line, e, test, no), test, e, no}
	}
	return e
}

func (p *parser) or() expression {
	line := p.peek().line
	left := p.and()
	for p.skipName("or") {
		right := p.and()
		left = &logicExpr{p.node(line, left, right), false, left, right}
	}
	return left
}

func (p *parser) and() expression {
	line := p.peek().line
	left := p.not()
	for p.skipName("and") {
		right := p.not()
		left = &logicExpr{p.node(line, left, right), true, left, right}
	}
	return left
}

func (p *parser) not() expression {
	if t := p.peek(); t.isName("not") {
		p.deeper()
		defer p.shallower()
		p.next()
		inner := p.not()
		return &notExpr{p.node(t.line, inner), inner}
	}
	return p.compare()
}

func (p *parser) compare() expression {
	line := p.peek().line
	first := p.sum()
	var ops []string
	var rest []expression
	for {
		t := p.peek()
		op := ""
		switch {
		case t.kind == tokenOperator && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text),
			t.isName("in"):
			op = t.text
			p.next()
		case t.isName("not") && p.look().isName("in"):
			op = "not in"
			p.next()
			p.next()
		}
		if op == "" {
			break
		}
		ops, rest = append(ops, op), append(rest, p.sum())
	}
	if len(ops) == 0 {
		return first
	}
	return &compareExpr{p.node(line, append([]expression{first}, rest...)...), first, ops, rest}
}

func (p *parser) sum() expression {
	line := p.peek().line
	left := p.concat()
	for p.peek().isOperator("+") || p.peek().isOperator("-") {
		op := p.next().text
		right := p.concat()
		left = &binaryExpr{p.node(line, left, right), op, left, right}
	}
	return left
}

func (p *parser) concat() expression {
	line := p.peek().line
	items := []expression{p.product()}
	for p.skipOperator("~") {
		items = append(items, p.product())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &concatExpr{p.node(line, items...), items}
}

func (p *parser) product() expression {
	line := p.peek().line
	left := p.power()
	for t := p.peek(); t.kind == tokenOperator && slices.Contains([]string{"*", "/", "//", "%"}, t.text); t = p.peek() {
		op := p.next().text
		right := p.power()
		left = &binaryExpr{p.node(line, left, right), op, left, right}
	}
	return left
}

func (p *parser) power() expression {
	line := p.peek().line
	left := p.unary(true)
	for p.skipOperator("**") {
		right := p.unary(true)
		left = &binaryExpr{p.node(line, left, right), "**", left, right}
	}
	return left
}

func (p *parser) unary(filters bool) expression {
	t := p.peek()
	var e expression
	if t.isOperator("-") || t.isOperator("+") {
		p.deeper()
		p.next()
		inner := p.unary(false)
		p.shallower()
		e = &signExpr{p.node(t.line, inner), t.text == "-", inner}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	for filters {
		t := p.peek()
		switch {
		case t.isOperator("|"):
			e = p.filter(e, false)
		case t.isName("is"):
			e = p.test(e)
		case t.isOperator("("):
			e = p.call(e)
		default:
			return e
		}
	}
	return e
}

func (p *parser) primary() expression {
	t := p.peek()
	at := node{line: t.line, depth: 1}
	switch t.kind {
	case tokenName:
		p.next()
		switch t.text {
		case "true", "True":
			return &constant{at, true}
		case "false", "False":
			return &constant{at, false}
		case "none", "None":
			return &constant{at, nil}
		}
		return &nameRef{node: at, name: t.text}
	case tokenString:
		p.next()
		s := t.text
		if p.peek().kind == tokenString {
			all := []byte(s)
			for p.peek().kind == tokenString {
				all = append(all, p.next().text...)
			}
			s = string(all)
		}
		return &constant{at, s}
	case tokenInteger:
		p.next()
		return &constant{at, t.integer}
	case tokenFloat:
		p.next()
		return &constant{at, t.float}
	}
	switch {
	case t.isOperator("("):
		p.next()
		p.deeper()
		e := p.tuple(true, nil, true)
		p.shallower()
		p.expectOperator(")")
		return e
	case t.isOperator("["):
		p.next()
		items := p.items("]")
		return &listExpr{p.node(t.line, items...), items}
	case t.isOperator("{"):
		return p.dict()
	}
	p.fail("want an expression, got %v", t)
	return nil
}

// items reads expressions to the bracket that ends them.
func (p *parser) items(end string) (items []expression) {
	for !p.peek().isOperator(end) {
		if len(items) > 0 {
			p.expectOperator(",")
			if p.peek().isOperator(end) {
				break
			}
		}
		items = append(items, p.expression(true))
	}
	p.expectOperator(end)
	return items
}

func (p *parser) dict() expression {
	line := p.next().line
	d := &dictExpr{}
	for !p.peek().isOperator("}") {
		if len(d.keys) > 0 {
			p.expectOperator(",")
			if p.peek().isOperator("}") {
				break
			}
		}
		key := p.expression(true)
		switch key.(type) {
		case *listExpr, *dictExpr: // jinja2 fails on them even where they are not reached
			p.fail("want keys that do not change, got a list or a mapping")
		}
		d.keys = append(d.keys, key)
		p.expectOperator(":")
		d.values = append(d.values, p.expression(true))
	}
	p.expectOperator("}")
	d.node = p.node(line, append(slices.Clone(d.keys), d.values...)...)
	return d
}

func (p *parser) postfix(e expression) expression {
	for {
		t := p.peek()
		switch {
		case t.isOperator("."):
			p.next()
			name := p.next()
			switch name.kind {
			case tokenName:
				e = &attrExpr{p.node(t.line, e), e, name.text}
			case tokenInteger:
				e = &itemExpr{p.node(t.line, e), e, &constant{node{line: name.line, depth: 1}, name.integer}}
			default:
				p.fail("want a name or a number behind the dot, got %v", name)
			}
		case t.isOperator("["):
			p.next()
			e = p.subscript(e, t.line)
		case t.isOperator("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

func (p *parser) subscript(e expression, line int) expression {
	var items []expression
	for !p.peek().isOperator("]") {
		if len(items) > 0 {
			p.expectOperator(",")
		}
		items = append(items, p.subscripted())
	}
	p.next()
	if len(items) == 1 {
		return &itemExpr{p.node(line, e, items[0]), e, items[0]}
	}
	for _, i := range items {
		if _, ok := i.(*sliceExpr); ok {
			p.fail("want one slice in brackets, got it beside others")
		}
	}
	index := &tupleExpr{p.node(line, items...), items}
	return &itemExpr{p.node(line, e, index), e, index}
}

func (p *parser) subscripted() expression {
	line := p.peek().line
	var parts [3]expression
	if !p.peek().isOperator(":") {
		e := p.expression(true)
		if !p.peek().isOperator(":") {
			return e
		}
		parts[0] = e
	}
	for i := 1; i < 3 && p.skipOperator(":"); i++ {
		if t := p.peek(); !t.isOperator(":") && !t.isOperator("]") && !t.isOperator(",") {
			parts[i] = p.expression(true)
		}
	}
	return &sliceExpr{p.node(line, parts[:]...), parts[0], parts[1], parts[2]}
}

func (p *parser) callArguments() arguments {
	p.expectOperator("(")
	p.deeper()
	defer p.shallower()
	var a arguments
	wrong := func() { p.fail("want arguments in the order: by place, by name, *, **, got another") }
	for first := true; !p.peek().isOperator(")"); first = false {
		if !first {
			p.expectOperator(",")
			if p.peek().isOperator(")") {
				break
			}
		}
		if len(a.list)+len(a.named) == maxArguments {
			p.fail("want at most %d arguments, got more", maxArguments)
		}
		switch {
		case p.skipOperator("*"):
			if a.rest != nil || a.options != nil {
				wrong()
			}
			a.rest = p.expression(true)
		case p.skipOperator("**"):
			if a.options != nil {
				wrong()
			}
			a.options = p.expression(true)
		case p.peek().kind == tokenName && p.look().isOperator("="):
			if a.options != nil {
				wrong()
			}
			name := p.next().text
			p.next()
			if slices.Contains(a.names, name) {
				p.fail("want each argument once, got %q twice", name)
			}
			a.names = append(a.names, name)
			a.named = append(a.named, p.expression(true))
		default:
			if a.rest != nil || a.options != nil || len(a.named) > 0 {
				wrong()
			}
			a.list = append(a.list, p.expression(true))
		}
	}
	p.expectOperator(")")
	return a
}

// around is the node of what has arguments.
func (p *parser) around(line int, e expression, a *arguments) node {
	inner := []expression{e}
	a.each(func(e expression) { inner = append(inner, e) })
	return p.node(line, inner...)
}

func (p *parser) call(e expression) expression {
	line := p.peek().line
	a := p.callArguments()
	return &callExpr{node: p.around(line, e, &a), callee: e, args: a}
}

// dotted reads the name of a filter or test.
func (p *parser) dotted() token {
	t := p.expect(tokenName)
	for p.skipOperator(".") {
		t.text += "." + p.expect(tokenName).text
	}
	return t
}

// filter reads filters; with inline the first has no | before it.
func (p *parser) filter(e expression, inline bool) expression {
	for inline || p.skipOperator("|") {
		inline = false
		t := p.dotted()
		if slices.Contains(refusedFilters, t.text) {
			p.fail("want a filter that chat templates need, got %s, which is refused", t.text)
		}
		var a arguments
		if p.peek().isOperator("(") {
			a = p.callArguments()
		}
		e = &filterExpr{node: p.around(t.line, e, &a), inner: e, name: t.text, args: a}
	}
	return e
}

func (p *parser) test(e expression) expression {
	line := p.next().line
	negated := p.skipName("not")
	name := p.dotted()
	var a arguments
	t := p.peek()
	switch {
	case t.isOperator("("):
		a = p.callArguments()
	case t.kind == tokenString || t.kind == tokenInteger || t.kind == tokenFloat || t.isOperator("[") ||
		t.isOperator("{"),
		t.kind == tokenName && t.text != "else" && t.text != "or" && t.text != "and":
		if t.isName("is") {
			p.fail("want one test, got is twice")
		}
		p.deeper()
		arg := p.postfix(p.primary())
		p.shallower()
		a.list = []expression{arg}
	}
	e = &testExpr{node: p.around(line, e, &a), inner: e, name: name.text, args: a}
	if negated {
		e = &notExpr{p.node(line, e), e}
	}
	return e
}
