package jinja

// loop is the variable of that name within a for statement.
type loop struct {
	over    Value
	it      *iterator
	depth0  int
	recurse func(over Value, depth int) string // nil unless the loop is recursive
	index0  int64
	length  int
	known   bool // length is
	peeked  bool // after holds the next item
	after   Value
	ended   bool // it has no more
	current Value
	before  Value
	changed *Tuple
}

// next moves to the next item.
func (l *loop) next() (Value, bool) {
	var v Value
	if l.peeked {
		v, l.peeked = l.after, false
	} else {
		var ok bool
		if v, ok = l.pull(); !ok {
			return nil, false
		}
	}
	l.index0++
	l.before, l.current = l.current, v
	return v, true
}

func (l *loop) pull() (Value, bool) {
	if l.ended {
		return nil, false
	}
	v, ok := l.it.next()
	l.ended = !ok
	return v, ok
}

func (l *loop) peek() (Value, bool) {
	if !l.peeked {
		v, ok := l.pull()
		if !ok {
			return nil, false
		}
		l.after, l.peeked = v, true
	}
	return l.after, true
}

// loopLength is the number of items; what tells no length is read to its end.
func (m *machine) loopLength(l *loop) int {
	if l.known {
		return l.length
	}
	n, ok := m.length(l.over)
	if !ok {
		var rest []Value
		for {
			v, ok := l.pull()
			if !ok {
				break
			}
			rest = m.add(rest, v)
		}
		n = len(rest) + int(l.index0) + 1
		if l.peeked {
			n++
		}
		l.it, l.ended = m.mustIterate(m.list(rest)), false
	}
	l.length, l.known = n, true
	return n
}

// attribute gives what loop.name is.
func (m *machine) loopAttribute(l *loop, name string) (Value, bool) {
	n := func() int64 { return int64(m.loopLength(l)) }
	switch name {
	case "index":
		return m.integer(l.index0 + 1), true
	case "index0":
		return m.integer(l.index0), true
	case "revindex":
		return m.integer(n() - l.index0), true
	case "revindex0":
		return m.integer(n() - l.index0 - 1), true
	case "first":
		return l.index0 == 0, true
	case "last":
		_, ok := l.peek()
		return !ok, true
	case "length":
		return m.integer(n()), true
	case "depth":
		return m.integer(int64(l.depth0) + 1), true
	case "depth0":
		return m.integer(int64(l.depth0)), true
	case "previtem":
		if l.index0 == 0 {
			return &undefined{hint: "there is no previous item"}, true
		}
		return l.before, true
	case "nextitem":
		v, ok := l.peek()
		if !ok {
			return &undefined{hint: "there is no next item"}, true
		}
		return v, true
	case "cycle":
		return m.method(l, name, func(m *machine, args []Value, kw *keywords) Value {
			m.noKeywords(name, kw)
			if len(args) == 0 {
				m.fail("loop.cycle: want values, got none")
			}
			return args[l.index0%int64(len(args))]
		}), true
	case "changed":
		return m.method(l, name, func(m *machine, args []Value, kw *keywords) Value {
			m.noKeywords(name, kw)
			now := &Tuple{Items: args}
			if l.changed != nil && m.equal(l.changed, now) {
				return false
			}
			l.changed = now
			return true
		}), true
	}
	return nil, false
}

func (m *machine) execFor(a *activation, st *forStmt) flow {
	over := m.eval(a, st.iter)
	if !st.recursive {
		return m.run(a, a, st, over, nil, 0)
	}
	var recurse func(over Value, depth int) string
	recurse = func(over Value, depth int) string {
		m.enterCall()
		defer m.leaveCall()
		line := m.line
		text := m.capture(func() { m.run(m.newActivation(st.own, a), a, st, over, recurse, depth) })
		m.line = line
		return text
	}
	m.write(recurse(over, 0))
	return flowNext
}

// run goes through a loop: in is where its body runs, around what stands about it.
func (m *machine) run(in, around *activation, st *forStmt, over Value, recurse func(Value, int) string,
	depth int) flow {
	if st.test != nil {
		over = m.filtered(around, st, over)
	}
	next := m.mustIterate(over)
	var l *loop
	if st.extended {
		m.spend(4 * sizeThing)
		l = &loop{over: over, it: next, depth0: depth, recurse: recurse, index0: -1}
	}
	none := true // no item went through the body to its end
	for {
		m.step(1)
		var v Value
		var ok bool
		if l != nil {
			v, ok = l.next()
		} else {
			v, ok = next.next()
		}
		if !ok {
			break
		}
		m.assign(in, st.target, v)
		if l != nil {
			*in.at(st.loopRef) = l
		}
		m.load(in, st.loads)
		f := m.exec(in, st.body)
		m.line = st.line
		if f == flowBreak {
			break
		}
		if f == flowNext {
			none = false
		}
	}
	if !st.recursive || st.els != nil {
		m.unload(in, st.loads)
	}
	if none && st.els != nil {
		m.load(in, st.elseLoads)
		f := m.exec(in, st.els)
		m.unload(in, st.elseLoads)
		return f
	}
	return flowNext
}

// filtered leaves out what the loop's if does. It looks at an item when the loop asks for it.
func (m *machine) filtered(around *activation, st *forStmt, over Value) *iterator {
	var a *activation
	var it *iterator
	return &iterator{"generator", func() (Value, bool) {
		m.enter()
		defer m.leave()
		if a == nil {
			a = m.newActivation(st.testCode, around)
			m.load(a, st.testLoads)
			it = m.mustIterate(over)
		}
		for {
			v, ok := it.next()
			if !ok {
				return nil, false
			}
			m.assign(a, st.testTo, v)
			if m.truth(m.eval(a, st.test)) {
				return v, true
			}
		}
	}}
}
