package jinja

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Template is a parsed template. It does not change, so several goroutines may render it.
type Template struct {
	name  string
	body  []statement
	code  *code
	loads []load
	spans bool // has a generation block
	clock bool // speaks of strftime_now
}

// Parse reads a template; name is for errors.
func Parse(name, source string) (t *Template, err error) {
	defer recoverError(name, nil, &err)
	t = &Template{name: name}
	tokens := lex(checked(source))
	t.body = (&parser{tokens: tokens}).statements(nil)
	t.code, t.loads = compile(t.body)
	for _, word := range tokens {
		t.spans = t.spans || word.isName("endgeneration")
		t.clock = t.clock || word.isName("strftime_now")
	}
	return t, nil
}

// recoverError makes an error of what was thrown.
func recoverError(name string, b *budget, err *error) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		e.Name = name
		*err = e
	default:
		line := 0
		if b != nil {
			line = b.line
		}
		*err = &Error{Name: name, Line: line, Bug: true, Message: fmt.Sprintf("the interpreter fails: %v", e)}
	}
}

// Options are what a rendering has beside its values.
type Options struct {
	Now    time.Time // for strftime_now; the zero time refuses it
	Limits Limits
	// Sealed are characters that stand for others in the values. Where it matters what a
	// character is (in quotes, escapes, JSON), they are taken for what they stand for.
	Sealed map[rune]rune
}

// Span is a part of the rendered text, in bytes.
type Span struct{ From, To int }

// Result is a rendered template.
type Result struct {
	Text string
	// Generated are the parts that generation blocks wrote, in order. They may lie in
	// one another.
	Generated []Span
	// Displaced says that a generation block stood where its place in the text is not
	// known: in a macro, a filter, a recursive loop or what set keeps.
	Displaced bool
}

// Generates tells whether the template has a generation block.
func (t *Template) Generates() bool { return t.spans }

// AsksTime tells whether the template speaks of strftime_now.
func (t *Template) AsksTime() bool { return t.clock }

// Render writes the template with these values, which are not changed. Names of values
// come before those of jinja2's functions.
func (t *Template) Render(ctx context.Context, values *Dict, o Options) (r Result, err error) {
	m := &machine{budget: newBudget(ctx, o.Limits), template: t, values: values, now: o.Now, sealed: o.Sealed}
	defer recoverError(t.name, &m.budget, &err)
	m.step(1) // a context that has ended
	m.checkValues(values, 0)
	m.out = &buffer{root: true}
	m.root = m.newActivation(t.code, nil)
	m.load(m.root, t.loads)
	m.exec(m.root, t.body)
	m.spend(m.out.size)
	m.result.Text = m.out.String()
	return m.result, nil
}

// checkValues makes sure that the caller's values are of the types that there are, and end.
func (m *machine) checkValues(v Value, depth int) {
	m.step(1)
	if depth > maxValueDepth {
		m.exceed(LimitValues, "want at most %d values in one another, got more", maxValueDepth)
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
	case *List:
		for _, i := range v.Items {
			m.checkValues(i, depth+1)
		}
	case *Tuple:
		for _, i := range v.Items {
			m.checkValues(i, depth+1)
		}
	case *Dict:
		for _, e := range v.Entries() {
			m.checkValues(e.Value, depth+1)
		}
	default:
		m.fail("want values of Python's plain types, got %T", v)
	}
}

// machine renders once.
type machine struct {
	budget
	template *Template
	values   *Dict
	now      time.Time
	sealed   map[rune]rune
	root     *activation
	out      *buffer
	result   Result
}

// activation holds the variables of one call of a code.
type activation struct {
	code  *code
	outer *activation
	vars  []Value
}

func (m *machine) newActivation(c *code, outer *activation) *activation {
	m.spend(sizeThing + sizeItem*len(c.places))
	a := &activation{c, outer, make([]Value, len(c.places))}
	for i := range a.vars {
		a.vars[i] = absent
	}
	return a
}

func (a *activation) at(r reference) *Value {
	for ; r.up > 0; r.up-- {
		a = a.outer
	}
	return &a.vars[r.place]
}

// load gives a frame's variables what they have at its beginning.
func (m *machine) load(a *activation, loads []load) {
	for i := range loads {
		l := &loads[i]
		m.step(1)
		switch l.kind {
		case loadResolve:
			*a.at(l.to) = m.resolve(l.name)
		case loadAlias:
			*a.at(l.to) = *a.at(l.alias)
		case loadUndefined:
			*a.at(l.to) = absent
		}
	}
}

// unload takes them away where it ends.
func (m *machine) unload(a *activation, loads []load) {
	for i := range loads {
		m.step(1)
		*a.at(loads[i].to) = absent
	}
}

// resolve finds a name among the caller's values and jinja2's functions.
func (m *machine) resolve(name string) Value {
	if v, ok := m.values.at(name); ok {
		return v
	}
	if f, ok := globals[name]; ok {
		return f
	}
	return absent
}

// buffer collects what is written.
type buffer struct {
	pieces []string
	size   int
	root   bool
}

func (b *buffer) String() string { return strings.Join(b.pieces, "") }

func (m *machine) write(s string) {
	if s == "" {
		return
	}
	b := m.out
	if len(b.pieces) == cap(b.pieces) {
		m.spend(sizeItem * (len(b.pieces) + 4))
	}
	if b.size = sum(b.size, len(s)); int64(b.size) > m.bytes {
		m.spend(b.size) // fails: it could not be joined
	}
	b.pieces = append(b.pieces, s)
}

// capture gives what f writes.
func (m *machine) capture(f func()) string {
	before := m.out
	m.spend(sizeThing)
	m.out = &buffer{}
	f()
	inner := m.out
	m.out = before
	m.spend(sizeBox + inner.size)
	return inner.String()
}

// flow is how a statement ended.
type flow int

const (
	flowNext flow = iota
	flowBreak
	flowContinue
)

func (m *machine) exec(a *activation, body []statement) flow {
	for _, s := range body {
		m.step(1)
		m.line = s.at().line
		m.enter()
		f := m.execOne(a, s)
		m.leave()
		if f != flowNext {
			return f
		}
	}
	return flowNext
}

func (m *machine) execOne(a *activation, st statement) flow {
	switch st := st.(type) {
	case *output:
		for _, e := range st.items {
			if c, ok := e.(*constant); ok {
				if text, ok := c.value.(templateText); ok {
					m.write(string(text))
					continue
				}
			}
			m.line = e.at().line
			m.write(m.str(m.eval(a, e)))
		}
	case *ifStmt:
		if m.truth(m.eval(a, st.test)) {
			return m.exec(a, st.body)
		}
		for _, e := range st.elif {
			m.step(1)
			m.line = e.line
			if m.truth(m.eval(a, e.test)) {
				return m.exec(a, e.body)
			}
		}
		return m.exec(a, st.els)
	case *forStmt:
		return m.execFor(a, st)
	case *setStmt:
		m.checkNamespaces(a, st.target)
		m.assign(a, st.target, m.eval(a, st.value))
	case *setBlock:
		f := flowNext
		m.load(a, st.loads)
		text := m.capture(func() { f = m.exec(a, st.body) })
		if f != flowNext {
			return f
		}
		m.line = st.line
		var v Value = text
		if st.filter != nil {
			v = m.evalFilter(a, st.filter.(*filterExpr), text)
		}
		m.checkNamespaces(a, st.target)
		m.assign(a, st.target, v)
		m.unload(a, st.loads)
	case *macroStmt:
		m.spend(sizeThing)
		*a.at(st.ref) = &macro{st.body, a}
	case *callBlock:
		m.write(m.str(m.evalCall(a, st.call)))
	case *filterBlock:
		f := flowNext
		m.load(a, st.loads)
		text := m.capture(func() { f = m.exec(a, st.body) })
		if f != flowNext {
			return f
		}
		m.line = st.line
		m.write(m.str(m.evalFilter(a, st.filter.(*filterExpr), text)))
		m.unload(a, st.loads)
	case *withStmt:
		m.load(a, st.loads)
		for i, t := range st.targets {
			m.assign(a, t, m.eval(a, st.values[i]))
		}
		if f := m.exec(a, st.body); f != flowNext {
			return f
		}
		m.unload(a, st.loads)
	case *generation:
		m.generate(a, st)
	case *breakStmt:
		return flowBreak
	case *continueStmt:
		return flowContinue
	}
	return flowNext
}

// generate runs a generation block, which writes what its body writes.
func (m *machine) generate(a *activation, st *generation) {
	if !m.out.root {
		m.result.Displaced = true
		m.write(m.callMacro(&macro{st.body, a}, nil, nil))
		return
	}
	from := m.out.size
	text := m.callMacro(&macro{st.body, a}, nil, nil)
	m.write(text)
	m.spend(sizeItem)
	m.result.Generated = append(m.result.Generated, Span{from, from + len(text)})
}

// checkNamespaces fails where an attribute of anything but a namespace is assigned.
func (m *machine) checkNamespaces(a *activation, e expression) {
	switch e := e.(type) {
	case *attrTarget:
		if _, ok := (*a.at(e.ref)).(*namespace); !ok {
			m.fail("want a namespace to assign the attribute %s of, got another value: %s", e.attr, e.name)
		}
	case *tupleExpr:
		for _, i := range e.items {
			m.checkNamespaces(a, i)
		}
	}
}

func (m *machine) assign(a *activation, to expression, v Value) {
	switch to := to.(type) {
	case *target:
		*a.at(to.ref) = v
	case *attrTarget:
		m.put((*a.at(to.ref)).(*namespace).attrs, to.attr, v)
	case *tupleExpr:
		m.step(len(to.items))
		it := m.mustIterate(v)
		var items []Value
		for {
			i, ok := it.next()
			if !ok {
				break
			}
			if len(items) == len(to.items) {
				m.fail("want %d values to assign, got more", len(to.items))
			}
			items = m.add(items, i)
		}
		if len(items) < len(to.items) {
			m.fail("want %d values to assign, got %d", len(to.items), len(items))
		}
		for i, t := range to.items {
			m.assign(a, t, items[i])
		}
	}
}
