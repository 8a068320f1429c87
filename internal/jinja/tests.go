package jinja

import "slices"

// tests are what may follow is. The arguments beside the value come by place.
var tests map[string]func(m *machine, v Value, args []Value) bool

func init() {
	is := func(name string, f func(m *machine, v Value) bool) func(*machine, Value, []Value) bool {
		return func(m *machine, v Value, args []Value) bool {
			m.want(name, args, nil, 0)
			return f(m, v)
		}
	}
	compare := func(op string) func(*machine, Value, []Value) bool {
		return func(m *machine, v Value, args []Value) bool {
			m.want(op, args, nil, 1)
			return m.compare(op, v, args[0])
		}
	}
	remainder := func(m *machine, v, by Value) Value { return m.binary("%", v, by) }
	eq, ne, lt, le, gt, ge := compare("=="), compare("!="), compare("<"), compare("<="), compare(">"), compare(">=")
	tests = map[string]func(m *machine, v Value, args []Value) bool{
		"odd":  is("odd", func(m *machine, v Value) bool { return m.equal(remainder(m, v, int64(2)), int64(1)) }),
		"even": is("even", func(m *machine, v Value) bool { return m.equal(remainder(m, v, int64(2)), int64(0)) }),
		"divisibleby": func(m *machine, v Value, args []Value) bool {
			m.want("divisibleby", args, nil, 1)
			return m.equal(remainder(m, v, args[0]), int64(0))
		},
		"defined":   is("defined", func(_ *machine, v Value) bool { _, ok := v.(*undefined); return !ok }),
		"undefined": is("undefined", func(_ *machine, v Value) bool { _, ok := v.(*undefined); return ok }),
		"none":      is("none", func(_ *machine, v Value) bool { return v == nil }),
		"boolean":   is("boolean", func(_ *machine, v Value) bool { _, ok := v.(bool); return ok }),
		"true":      is("true", func(_ *machine, v Value) bool { return v == true }),
		"false":     is("false", func(_ *machine, v Value) bool { return v == false }),
		"integer":   is("integer", func(_ *machine, v Value) bool { _, ok := v.(int64); return ok }),
		"float":     is("float", func(_ *machine, v Value) bool { _, ok := v.(float64); return ok }),
		"number":    is("number", func(_ *machine, v Value) bool { _, ok := asFloat(v); return ok }),
		"string":    is("string", func(_ *machine, v Value) bool { _, ok := asString(v); return ok }),
		"mapping":   is("mapping", func(_ *machine, v Value) bool { _, ok := v.(*Dict); return ok }),
		"sequence": is("sequence", func(m *machine, v Value) bool {
			switch v.(type) {
			case *undefined, string, markup, *List, *Tuple, *Dict, *span:
				return true
			case *loop:
				m.fail("want no loop to ask whether it is a sequence, got one")
			}
			return false
		}),
		"iterable": is("iterable", func(_ *machine, v Value) bool {
			switch v.(type) {
			case *undefined, string, markup, *List, *Tuple, *Dict, *span, *view, *iterator, *loop:
				return true
			}
			return false
		}),
		"callable": is("callable", func(_ *machine, v Value) bool {
			switch v.(type) {
			case *undefined, *function, *method, *macro, *loop, *joiner:
				return true
			}
			return false
		}),
		"lower":   is("lower", func(m *machine, v Value) bool { s := m.str(v); m.scan(len(s)); return isLower(s) }),
		"upper":   is("upper", func(m *machine, v Value) bool { s := m.str(v); m.scan(len(s)); return isUpper(s) }),
		"escaped": is("escaped", func(_ *machine, v Value) bool { _, ok := v.(markup); return ok }),
		"sameas": func(m *machine, v Value, args []Value) bool {
			m.want("sameas", args, nil, 1)
			return m.sameAs(v, args[0])
		},
		"in": func(m *machine, v Value, args []Value) bool {
			m.want("in", args, nil, 1)
			return m.contains(args[0], v)
		},
		"filter": is("filter", func(m *machine, v Value) bool {
			name, ok := m.mustHash(v).(string)
			return ok && (filters[name] != nil || slices.Contains(refusedFilters, name))
		}),
		"test": is("test", func(m *machine, v Value) bool {
			name, ok := m.mustHash(v).(string)
			return ok && tests[name] != nil
		}),
		"==": eq, "eq": eq, "equalto": eq, "!=": ne, "ne": ne, "<": lt, "lt": lt, "lessthan": lt, "<=": le, "le": le,
		">": gt, "gt": gt, "greaterthan": gt, ">=": ge, "ge": ge,
	}
}

// sameAs is Python's is. Whether two equal numbers or strings are one object is up to
// Python's memory, so they are refused.
func (m *machine) sameAs(a, b Value) bool {
	switch a.(type) {
	case nil, bool:
		return a == b
	case *List, *Dict, *namespace, *macro, *loop, *iterator, *span, *view, *cycler, *joiner:
		return a == b
	}
	if typeName(a) != typeName(b) {
		return false
	}
	if _, ok := a.(*undefined); !ok && a != b {
		if t, ok := a.(*Tuple); !ok || len(t.Items) > 0 {
			return false
		}
	}
	m.fail("sameas: want values that are surely one object or two, got equal ones of type %s", typeName(a))
	return false
}
