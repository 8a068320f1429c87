package jinja

import "slices"

// eval computes an expression.
func (m *machine) eval(a *activation, e expression) Value {
	m.step(1)
	switch e := e.(type) {
	case *constant:
		return e.value
	case *nameRef:
		v := *a.at(e.ref)
		if v == absent {
			if e.bound { // jinja2 hands out what it has in place of a value
				m.fail("want %s while it has a value, got it behind its loop", e.name)
			}
			m.spend(sizeThing)
			return &undefined{name: e.name}
		}
		return v
	}
	m.enter()
	v := m.evalInner(a, e)
	m.leave()
	return v
}

func (m *machine) evalInner(a *activation, e expression) Value {
	switch e := e.(type) {
	case *attrExpr:
		return m.attribute(m.eval(a, e.inner), e.name)
	case *itemExpr:
		v := m.eval(a, e.inner)
		if s, ok := e.index.(*sliceExpr); ok {
			part := func(e expression) Value {
				if e == nil {
					return nil
				}
				return m.eval(a, e)
			}
			return m.slice(v, part(s.from), part(s.to), part(s.step))
		}
		return m.item(v, m.eval(a, e.index))
	case *callExpr:
		return m.evalCall(a, e)
	case *filterExpr:
		return m.evalFilter(a, e, m.eval(a, e.inner))
	case *testExpr:
		return m.evalTest(a, e)
	case *condExpr:
		if m.truth(m.eval(a, e.test)) {
			return m.eval(a, e.yes)
		}
		if e.no == nil {
			return &undefined{hint: "the inline if expression evaluated to false and has no else"}
		}
		return m.eval(a, e.no)
	case *logicExpr:
		left := m.eval(a, e.left)
		if m.truth(left) != e.and {
			return left
		}
		return m.eval(a, e.right)
	case *notExpr:
		return !m.truth(m.eval(a, e.inner))
	case *signExpr:
		return m.sign(e.minus, m.eval(a, e.inner))
	case *binaryExpr:
		left := m.eval(a, e.left)
		return m.binary(e.op, left, m.eval(a, e.right))
	case *concatExpr:
		parts := make([]Value, len(e.items))
		m.spend(sizeItem * len(parts))
		for i, item := range e.items {
			parts[i] = m.eval(a, item)
		}
		return m.capture(func() {
			for _, p := range parts {
				m.write(m.str(p))
			}
		})
	case *compareExpr:
		left := m.eval(a, e.first)
		for i, op := range e.ops {
			right := m.eval(a, e.rest[i])
			if !m.compare(op, left, right) {
				return false
			}
			left = right
		}
		return true
	case *tupleExpr:
		return &Tuple{Items: m.evalAll(a, e.items)}
	case *listExpr:
		return &List{m.evalAll(a, e.items)}
	case *dictExpr:
		d := m.newDict()
		for i, k := range e.keys {
			key := m.eval(a, k)
			value := m.eval(a, e.values[i])
			m.put(d, key, value)
		}
		return d
	}
	m.fail("want an expression, got another node")
	return nil
}

func (m *machine) evalAll(a *activation, list []expression) []Value {
	items := m.newItems(len(list))
	for _, e := range list {
		items = append(items, m.eval(a, e))
	}
	return items
}

// arguments computes those of a call, * and ** included.
func (m *machine) arguments(a *activation, args *arguments) ([]Value, *keywords) {
	list := m.evalAll(a, args.list)
	var kw *keywords
	add := func(name string, v Value) {
		if kw == nil {
			kw = &keywords{}
		}
		for _, n := range kw.names {
			m.step(1)
			if n == name {
				m.fail("want each argument once, got %.40q twice", name)
			}
		}
		m.spend(2 * sizeItem)
		kw.names, kw.values = append(kw.names, name), append(kw.values, v)
	}
	for i, e := range args.named {
		add(args.names[i], m.eval(a, e))
	}
	if args.rest != nil {
		for _, v := range m.elements(m.eval(a, args.rest)) {
			list = m.add(list, v)
		}
	}
	if args.options != nil {
		d, ok := m.eval(a, args.options).(*Dict)
		if !ok {
			m.fail("want a mapping behind **, got another value")
		}
		for _, e := range d.Entries() {
			name, ok := e.Key.(string)
			if !ok {
				m.fail("want names of arguments that are text, got %s", typeName(e.Key))
			}
			add(name, e.Value)
		}
	}
	return list, kw
}

func (m *machine) evalCall(a *activation, e *callExpr) Value {
	f := m.eval(a, e.callee)
	args, kw := m.arguments(a, &e.args)
	if e.caller != nil {
		m.spend(sizeThing)
		if kw == nil {
			kw = &keywords{}
		}
		kw.names, kw.values = append(kw.names, "caller"), append(kw.values, &macro{e.caller, a})
	}
	m.line = e.line
	return m.call(f, args, kw)
}

func (m *machine) evalFilter(a *activation, e *filterExpr, v Value) Value {
	if e.inner == nil { // of a block, perhaps behind others
	} else if inner, ok := e.inner.(*filterExpr); ok && blockFilter(inner) {
		v = m.evalFilter(a, inner, v)
	}
	args, kw := m.arguments(a, &e.args)
	m.line = e.line
	return m.filter(e.name, v, args, kw)
}

// blockFilter tells whether a chain of filters begins with what a block wrote.
func blockFilter(e *filterExpr) bool {
	for e.inner != nil {
		inner, ok := e.inner.(*filterExpr)
		if !ok {
			return false
		}
		e = inner
	}
	return true
}

func (m *machine) filter(name string, v Value, args []Value, kw *keywords) Value {
	f := filters[name]
	if f == nil {
		m.fail("want a known filter, got %.40q", name)
	}
	m.step(1)
	return f(m, v, args, kw)
}

func (m *machine) evalTest(a *activation, e *testExpr) Value {
	v := m.eval(a, e.inner)
	args, kw := m.arguments(a, &e.args)
	m.line = e.line
	return m.test(e.name, v, args, kw)
}

func (m *machine) test(name string, v Value, args []Value, kw *keywords) bool {
	f := tests[name]
	if f == nil {
		m.fail("want a known test, got %.40q", name)
	}
	m.step(1)
	m.noKeywords(name, kw)
	return f(m, v, args)
}

// call calls what can be called.
func (m *machine) call(f Value, args []Value, kw *keywords) Value {
	m.step(1)
	m.enter()
	defer m.leave()
	switch f := f.(type) {
	case *function:
		return f.call(m, args, kw)
	case *method:
		return f.call(m, args, kw)
	case *macro:
		return m.callMacro(f, args, kw)
	case *loop:
		m.noKeywords("loop", kw)
		if len(args) != 1 {
			m.fail("loop: want 1 argument, got %d", len(args))
		}
		if f.recurse == nil {
			m.fail("want a loop that is marked recursive to call it, got another")
		}
		return f.recurse(args[0], f.depth0+1)
	case *joiner:
		m.want("joiner", args, kw, 0)
		if f.used {
			return f.sep
		}
		f.used = true
		return ""
	case *undefined:
		m.failUndefined(f)
	}
	m.fail("%s is not callable", typeName(f))
	return nil
}

// callMacro binds arguments to a macro's as jinja2 does, and runs it.
func (m *machine) callMacro(f *macro, args []Value, kw *keywords) string {
	m.enterCall()
	defer m.leaveCall()
	b := f.body
	a := m.newActivation(b.code, f.outer)
	kw = m.bindCaller(a, b, args, m.bindNamed(a, b, args, kw))
	if b.usesKwargs {
		d := m.newDict()
		for i := range kw.len() {
			m.put(d, kw.names[i], kw.values[i])
		}
		*a.at(b.kw) = d
	} else if kw.len() > 0 {
		m.fail("macro %s: want no argument %.40q, got it", b.name, kw.names[0])
	}
	if b.usesVarargs {
		var rest []Value
		if len(args) > len(b.args) {
			rest = append(m.newItems(len(args)-len(b.args)), args[len(b.args):]...)
		}
		*a.at(b.rst) = &Tuple{Items: rest}
	} else if len(args) > len(b.args) {
		m.fail("macro %s: want at most %d arguments, got %d", b.name, len(b.args), len(args))
	}
	line := m.line
	text := m.capture(func() {
		m.load(a, b.loads)
		for i, arg := range b.args {
			to := a.at(arg.ref)
			if *to != absent {
				continue
			}
			if d := i - (len(b.args) - len(b.defaults)); d >= 0 {
				*to = m.eval(a, b.defaults[d])
			} else {
				*to = &undefined{hint: "the argument " + arg.name + " was not given", name: arg.name}
			}
		}
		m.exec(a, b.body)
	})
	m.line = line
	return text
}

// bindNamed gives a macro's arguments their values, by place and by name, absent where there is
// none, and gives what is left of the keywords.
func (m *machine) bindNamed(a *activation, b *macroBody, args []Value, kw *keywords) *keywords {
	for i, arg := range b.args {
		v := absent
		if i < len(args) {
			v = args[i]
		} else if given, left, ok := m.take(kw, arg.name); ok {
			v, kw = given, left
		}
		*a.at(arg.ref) = v
	}
	return kw
}

// bindCaller gives a macro that uses it the caller, and gives what is left of the keywords.
func (m *machine) bindCaller(a *activation, b *macroBody, args []Value, kw *keywords) *keywords {
	place := slices.IndexFunc(b.args, func(arg *target) bool { return arg.name == "caller" })
	if !b.usesCaller || place >= 0 && (place >= len(args) || len(args) >= len(b.args)) {
		return kw
	}
	v, left, ok := m.take(kw, "caller")
	if !ok || v == nil {
		v = &undefined{hint: "No caller defined", name: "caller"}
	}
	if place >= 0 {
		m.fail("macro %s: want the caller once, got it twice", b.name)
	}
	*a.at(b.caller) = v
	return left
}

// take takes the value of a name out of keywords.
func (m *machine) take(kw *keywords, name string) (v Value, left *keywords, ok bool) {
	for i := range kw.len() {
		m.step(1)
		if kw.names[i] == name {
			left = &keywords{}
			left.names = append(append(left.names, kw.names[:i]...), kw.names[i+1:]...)
			left.values = append(append(left.values, kw.values[:i]...), kw.values[i+1:]...)
			m.spend(2 * sizeItem * len(left.names))
			return kw.values[i], left, true
		}
	}
	return nil, kw, false
}
