package jinja

import (
	"fmt"
	"slices"
)

// frame is where a statement stands.
type frame struct {
	*symbols
	soft     bool // within an if: unknown filters fail when they are reached
	defaults bool // among the defaults of a macro's arguments
}

func (f frame) inner() frame { return f.innerOf(f.code) }

func (f frame) innerOf(c *code) frame { return frame{symbols: newSymbols(f.symbols, c)} }

func (f frame) soften() frame {
	f.soft = true
	return f
}

// compiler resolves the names of a template.
type compiler struct{ inLoop int }

func (c *compiler) fail(line int, format string, args ...any) {
	panic(&Error{Line: line, Message: fmt.Sprintf(format, args...)})
}

func newCode(outer *code) *code { return &code{outer: outer, places: map[string]int{}} }

func compile(body []statement) (main *code, loads []load) {
	main = newCode(nil)
	f := frame{symbols: newSymbols(nil, main)}
	if undeclared(body, "self")["self"] {
		panic(&Error{Message: "want a template that stands alone, got one that uses self, which is refused"})
	}
	f.visitAll(body)
	c := &compiler{}
	c.all(body, f)
	return main, f.entry()
}

// entry is what is to be done where the frame begins.
func (f frame) entry() []load {
	var loads []load
	for _, v := range f.order {
		l := f.loads[v]
		one := load{kind: l.kind, name: l.name, to: f.reference(v)}
		if l.kind == loadAlias {
			one.alias = f.reference(l.alias)
		}
		loads = append(loads, one)
	}
	return loads
}

// reference is the way from the frame's code to a variable.
func (f frame) reference(v variable) reference {
	up := 0
	for c := f.code; c != v.code; c = c.outer {
		up++
	}
	return reference{up, v.place}
}

func (c *compiler) ref(f frame, name string, line int) reference {
	v, ok := f.find(name)
	if !ok {
		c.fail(line, "want %q where jinja2 finds it, got it in the filter of a set block", name)
	}
	return f.reference(v)
}

func (c *compiler) all(body []statement, f frame) {
	for _, s := range body {
		c.statement(s, f)
	}
}

func (c *compiler) statement(st statement, f frame) {
	switch st := st.(type) {
	case *output:
		for _, e := range st.items {
			c.expression(e, f)
		}
	case *ifStmt:
		inner := f.soften()
		c.expression(st.test, inner)
		c.all(st.body, inner)
		for _, e := range st.elif {
			c.expression(e.test, inner)
			c.all(e.body, inner)
		}
		c.all(st.els, inner)
	case *forStmt:
		c.loop(st, f)
	case *setStmt:
		c.expression(st.target, f)
		c.expression(st.value, f)
		c.notLoop(st.target)
	case *setBlock:
		inner := f.inner()
		inner.visitAll(st.body)
		st.loads = inner.entry()
		c.all(st.body, inner)
		c.expression(st.target, f)
		c.notLoop(st.target)
		if st.filter != nil {
			c.expression(st.filter, inner)
		}
	case *macroStmt:
		c.macro(st.body, f)
		st.ref = c.ref(f, st.name, st.line)
	case *callBlock:
		c.macro(st.body, f)
		c.expression(st.call, f)
	case *generation:
		c.macro(st.body, f)
	case *filterBlock:
		inner := f.inner()
		inner.visitAll(st.body)
		inner.visit(st.filter, false)
		st.loads = inner.entry()
		c.all(st.body, inner)
		c.expression(st.filter, inner)
	case *withStmt:
		inner := f.inner()
		for _, t := range st.targets {
			inner.visit(t, true)
		}
		inner.visitAll(st.body)
		st.loads = inner.entry()
		for i, t := range st.targets {
			c.expression(t, inner)
			c.expression(st.values[i], f)
		}
		c.all(st.body, inner)
	}
}

// notLoop refuses what jinja2 refuses: to assign loop within a loop.
func (c *compiler) notLoop(e expression) {
	if c.inLoop == 0 {
		return
	}
	if t, ok := e.(*target); ok && t.name == "loop" {
		c.fail(t.line, "want another name than loop, which a loop sets itself")
	}
	within(e, c.notLoop)
}

func (c *compiler) loop(st *forStmt, f frame) {
	body, els := f.inner(), f.inner()
	if st.recursive {
		st.own = newCode(f.code)
		body, els = f.innerOf(st.own), f.innerOf(st.own)
	}
	st.extended = st.recursive || undeclared(st.body, "loop")["loop"]
	if st.extended {
		st.loopRef = body.reference(body.parameter("loop"))
	}
	body.visit(st.target, true)
	body.visitAll(st.body)
	els.visitAll(st.els)
	if st.test != nil {
		st.testCode = newCode(f.code)
		test := f.innerOf(st.testCode)
		test.visit(st.target, true)
		test.visit(st.test, false)
		st.testTo = copyTarget(st.target)
		c.expression(st.testTo, test)
		c.expression(st.test, test)
		st.testLoads = test.entry()
	}
	c.expression(st.iter, f)
	c.inLoop++
	c.notLoop(st.target)
	c.expression(st.target, body)
	c.all(st.body, body)
	c.all(st.els, els)
	c.inLoop--
	st.loads = body.entry()
	st.elseLoads = els.entry()
}

// copyTarget makes a second target, for the filter's own variables.
func copyTarget(e expression) expression {
	switch e := e.(type) {
	case *target:
		t := *e
		return &t
	case *tupleExpr:
		t := &tupleExpr{node: e.node}
		for _, i := range e.items {
			t.items = append(t.items, copyTarget(i))
		}
		return t
	}
	return e
}

func (c *compiler) macro(m *macroBody, f frame) {
	m.code = newCode(f.code)
	inner := f.innerOf(m.code)
	analyze := func() {
		for _, a := range m.args {
			inner.parameter(a.name)
		}
		for _, d := range m.defaults {
			inner.visit(d, false)
		}
		inner.visitAll(m.body)
	}
	analyze()
	has := func(name string) bool {
		return slices.ContainsFunc(m.args, func(a *target) bool { return a.name == name })
	}
	used := undeclared(m.body, "caller", "kwargs", "varargs")
	if m.usesCaller = used["caller"]; m.usesCaller {
		if has("caller") {
			at := slices.IndexFunc(m.args, func(a *target) bool { return a.name == "caller" })
			if at < len(m.args)-len(m.defaults) {
				c.fail(m.line, "want a default for the argument caller, got none")
			}
			m.caller = inner.reference(inner.refs["caller"])
		} else {
			m.caller = inner.reference(inner.parameter("caller"))
		}
	}
	if m.usesKwargs = used["kwargs"] && !has("kwargs"); m.usesKwargs {
		m.kw = inner.reference(inner.parameter("kwargs"))
	}
	if m.usesVarargs = used["varargs"] && !has("varargs"); m.usesVarargs {
		m.rst = inner.reference(inner.parameter("varargs"))
	}
	analyze() // a second time, as jinja2 does
	for _, a := range m.args {
		a.ref = c.ref(inner, a.name, a.line)
	}
	defaults := inner
	defaults.defaults = true
	for _, d := range m.defaults {
		c.expression(d, defaults)
	}
	c.all(m.body, inner)
	m.loads = inner.entry()
}

func (c *compiler) expression(e expression, f frame) {
	switch e := e.(type) {
	case nil, *constant:
		return
	case *nameRef:
		e.ref = c.ref(f, e.name, e.line)
		e.bound = !f.defaults && f.isParameter(e.name)
		return
	case *target:
		e.ref = c.ref(f, e.name, e.line)
		return
	case *attrTarget:
		e.ref = c.ref(f, e.name, e.line)
		return
	case *condExpr:
		f = f.soften()
	case *filterExpr:
		e.soft = f.soft
		if filters[e.name] == nil && !f.soft {
			c.fail(e.line, "want a known filter, got %.40q", e.name)
		}
	case *callExpr:
		if e.caller != nil && slices.Contains(e.args.names, "caller") {
			c.fail(e.line, "want no argument caller in a call block, got one")
		}
	case *testExpr:
		e.soft = f.soft
		if tests[e.name] == nil && !f.soft {
			c.fail(e.line, "want a known test, got %.40q", e.name)
		}
	}
	within(e, func(e expression) { c.expression(e, f) })
}

// undeclared tells which of the names are read in the statements before they are assigned
// there, as they stand in the text.
func undeclared(body []statement, names ...string) map[string]bool {
	u := &undeclaredNames{open: map[string]bool{}, found: map[string]bool{}}
	for _, n := range names {
		u.open[n] = true
	}
	u.all(body)
	return u.found
}

type undeclaredNames struct{ open, found map[string]bool }

func (u *undeclaredNames) expr(e expression) {
	switch e := e.(type) {
	case nil:
	case *nameRef:
		if u.open[e.name] {
			u.found[e.name] = true
		}
	case *target:
		delete(u.open, e.name)
	default:
		within(e, u.expr)
	}
}

func (u *undeclaredNames) macro(m *macroBody) {
	for _, a := range m.args {
		u.expr(a)
	}
	for _, d := range m.defaults {
		u.expr(d)
	}
	u.all(m.body)
}

func (u *undeclaredNames) all(body []statement) {
	for _, st := range body {
		switch st := st.(type) {
		case *output:
			for _, e := range st.items {
				u.expr(e)
			}
		case *ifStmt:
			u.expr(st.test)
			u.all(st.body)
			for _, e := range st.elif {
				u.all([]statement{e})
			}
			u.all(st.els)
		case *forStmt:
			u.expr(st.target)
			u.expr(st.iter)
			u.all(st.body)
			u.all(st.els)
			u.expr(st.test)
		case *setStmt:
			u.expr(st.target)
			u.expr(st.value)
		case *setBlock:
			u.expr(st.target)
			u.expr(st.filter)
			u.all(st.body)
		case *macroStmt:
			u.macro(st.body)
		case *callBlock:
			u.expr(st.call)
			u.macro(st.body)
		case *generation:
			u.macro(st.body)
		case *filterBlock:
			u.all(st.body)
			u.expr(st.filter)
		case *withStmt:
			for _, t := range st.targets {
				u.expr(t)
			}
			for _, v := range st.values {
				u.expr(v)
			}
			u.all(st.body)
		}
	}
}
