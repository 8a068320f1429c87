package jinja

import "math"

// maxRange is the length of the longest range that jinja2's sandbox allows.
const maxRange = 100_000

// globals are the functions that every template has. Lipsum, which is random, is refused.
var globals map[string]Value

func init() {
	globals = map[string]Value{}
	for name, f := range map[string]func(*machine, []Value, *keywords) Value{
		"range": callRange, "dict": callDict, "namespace": callNamespace, "raise_exception": raiseException,
		"strftime_now": strftimeNow,
		"cycler":       callCycler, "joiner": callJoiner,
		"lipsum": func(m *machine, _ []Value, _ *keywords) Value {
			m.fail("want a template that is the same every time, got lipsum, which is refused")
			return nil
		},
	} {
		globals[name] = &function{name, f}
	}
}

func callRange(m *machine, args []Value, kw *keywords) Value {
	m.noKeywords("range", kw)
	if len(args) < 1 || len(args) > 3 {
		m.fail("range: want 1 to 3 integers, got %d", len(args))
	}
	r := &span{by: 1}
	r.to = m.wantInteger("range", args[0])
	if len(args) > 1 {
		r.from, r.to = r.to, m.wantInteger("range", args[1])
	}
	if len(args) > 2 {
		r.by = m.wantInteger("range", args[2])
	}
	if r.by == 0 {
		m.fail("range: want a step, got 0")
	}
	length := 0.0
	switch {
	case r.by > 0 && r.from < r.to:
		length = math.Ceil((float64(r.to) - float64(r.from)) / float64(r.by))
	case r.by < 0 && r.from > r.to:
		length = math.Ceil((float64(r.from) - float64(r.to)) / -float64(r.by))
	}
	if length > maxRange {
		m.fail("range: want at most %d numbers, got more", maxRange)
	}
	const exact = 1 << 52
	if max(magnitude(r.from), magnitude(r.to), magnitude(r.by)) > exact {
		m.fail("range: want numbers of at most 52 bits, got more")
	}
	r.n = int64(length)
	m.spend(sizeThing)
	return r
}

func callDict(m *machine, args []Value, kw *keywords) Value { return m.newDictOf("dict", args, kw) }

// newDictOf is Python's dict(...): of a mapping or of pairs, and of names.
func (m *machine) newDictOf(what string, args []Value, kw *keywords) *Dict {
	if len(args) > 1 {
		m.fail("%s: want at most 1 mapping, got %d", what, len(args))
	}
	d := m.newDict()
	if len(args) == 1 {
		if from, ok := args[0].(*Dict); ok {
			d = m.copyDict(from)
		} else {
			it := m.mustIterate(args[0])
			for {
				pair, ok := it.next()
				if !ok {
					break
				}
				items := m.elements(pair)
				if len(items) != 2 {
					m.fail("%s: want pairs, got %d values", what, len(items))
				}
				m.put(d, items[0], items[1])
			}
		}
	}
	for i := range kw.len() {
		m.put(d, kw.names[i], kw.values[i])
	}
	return d
}

func callNamespace(m *machine, args []Value, kw *keywords) Value {
	d := m.newDictOf("namespace", args, kw)
	m.spend(sizeThing)
	return &namespace{d}
}

func raiseException(m *machine, args []Value, kw *keywords) Value {
	b := m.bind("raise_exception", "message", args, kw)
	const most = 2000
	text := m.str(b[0])
	if len(text) > most {
		text = text[:most] + "…"
	}
	panic(&Error{Line: m.line, Message: text, Refusal: true})
}

func strftimeNow(m *machine, args []Value, kw *keywords) Value {
	b := m.bind("strftime_now", "format", args, kw)
	format := m.wantString("strftime_now", b[0])
	if m.now.IsZero() {
		m.fail("strftime_now: want a date from whoever renders the template, got none")
	}
	return m.strftime(format)
}

func callCycler(m *machine, args []Value, kw *keywords) Value {
	m.noKeywords("cycler", kw)
	if len(args) == 0 {
		m.fail("cycler: want values, got none")
	}
	m.spend(sizeThing)
	return &cycler{items: args}
}

func (m *machine) cyclerAttribute(c *cycler, name string) (Value, bool) {
	switch name {
	case "items":
		return &Tuple{Items: c.items}, true
	case "pos":
		return m.integer(int64(c.pos)), true
	case "current":
		return c.items[c.pos], true
	case "next":
		return m.method(c, name, func(m *machine, args []Value, kw *keywords) Value {
			m.want(name, args, kw, 0)
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v
		}), true
	case "reset":
		return m.method(c, name, func(m *machine, args []Value, kw *keywords) Value {
			m.want(name, args, kw, 0)
			c.pos = 0
			return nil
		}), true
	}
	return nil, false
}

func callJoiner(m *machine, args []Value, kw *keywords) Value {
	b := m.bind("joiner", "sep?", args, kw)
	m.spend(sizeThing)
	return &joiner{sep: orElse(b[0], ", ")}
}
