package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// lazy is a generator: it begins when it is first asked.
func (m *machine) lazy(begin func() *iterator) *iterator {
	m.spend(sizeThing)
	var it *iterator
	done := false
	return &iterator{"generator", func() (Value, bool) {
		if done {
			return nil, false
		}
		m.enter() // generators may lie in one another
		if it == nil {
			it = begin()
		}
		v, ok := it.next()
		m.leave()
		done = !ok
		return v, ok
	}}
}

// reversed goes through v from its end, which Python can for sequences and mappings.
func (m *machine) reversed(v Value) *iterator {
	var items []Value
	switch v := v.(type) {
	case string, markup, *undefined, *span:
		if s, ok := v.(string); ok {
			items = m.collect(s)
		} else {
			items = m.collect(v)
		}
	case *List:
		items = v.Items
	case *Tuple:
		items = v.Items
	case *Dict, *view:
		items = m.collect(v)
	default:
		m.fail("want a value that can be read from its end, got %s", typeName(v))
	}
	m.spend(sizeThing)
	i := len(items)
	return &iterator{"reversed", func() (Value, bool) {
		if i == 0 {
			return nil, false
		}
		i--
		return items[i], true
	}}
}

func (m *machine) reversedOrList(v Value) Value {
	if it, ok := v.(*iterator); ok {
		items := m.collect(it)
		slices.Reverse(items)
		return &List{items}
	}
	return m.reversed(v)
}

func filterJoin(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("join", "d? attribute?", args, kw)
	it := m.mustIterate(v)
	if given(b[1]) && b[1] != nil {
		it = m.mapped(it, m.getter("join", b[1], nil, false))
	}
	return m.joinAll(m.str(orElse(b[0], "")), it, m.str)
}

// mapped is Python's map.
func (m *machine) mapped(it *iterator, f func(Value) Value) *iterator {
	return &iterator{"map", func() (Value, bool) {
		m.enter()
		v, ok := it.next()
		if ok {
			m.step(1)
			v = f(v)
		}
		m.leave()
		return v, ok
	}}
}

// getter gives what an attribute's path names, as jinja2's filters do: a.b.0. Strings are
// written small where case does not count.
func (m *machine) getter(what string, attribute, otherwise Value, small bool) func(Value) Value {
	parts := m.path(what, attribute)
	return func(v Value) Value {
		for _, p := range parts {
			v = m.item(v, p)
			if _, ok := v.(*undefined); ok && otherwise != nil {
				v = otherwise
			}
		}
		if s, ok := v.(string); ok && small {
			return m.lower(s)
		}
		if _, ok := v.(markup); ok && small {
			m.fail("%s: want strings that are not marked as safe, got one", what)
		}
		return v
	}
}

func (m *machine) path(what string, attribute Value) []Value {
	switch a := attribute.(type) {
	case nil:
		return nil
	case string:
		var parts []Value
		for p := range strings.SplitSeq(a, ".") {
			m.spend(2 * sizeItem)
			var part Value = p
			if p != "" && strings.Trim(p, "0123456789") == "" {
				part = m.parseInteger(p)
			} else if !isASCII(p) && strings.ContainsFunc(p, func(r rune) bool { return m.isDigitRune(r) }) {
				m.fail("%s: want digits in ASCII, got %.20q", what, p)
			}
			parts = append(parts, part)
		}
		return parts
	}
	return []Value{attribute}
}

func (m *machine) parseInteger(s string) int64 {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		m.tooLarge()
	}
	return v
}

// applied gives what a filter by name makes of a value: map and select take such names.
func filterMap(m *machine, v Value, args []Value, kw *keywords) Value {
	return m.lazy(func() *iterator {
		if !m.truth(v) {
			return m.mustIterate(&List{})
		}
		var f func(Value) Value
		if attribute, ok := keywordNamed(kw, "attribute"); ok && len(args) == 0 {
			otherwise, _ := keywordNamed(kw, "default")
			for _, n := range kw.names {
				if n != "attribute" && n != "default" {
					m.fail("map: want the arguments attribute and default, got %.40q", n)
				}
			}
			f = m.getter("map", attribute, otherwise, false)
		} else {
			if len(args) == 0 {
				m.fail("map: want the name of a filter, got none")
			}
			name := m.wantString("map", args[0])
			if slices.Contains(refusedFilters, name) {
				m.fail("want a filter that chat templates need, got %s, which is refused", name)
			}
			f = func(v Value) Value { return m.filter(name, v, args[1:], kw) }
		}
		return m.mapped(m.mustIterate(v), f)
	})
}

func keywordNamed(kw *keywords, name string) (Value, bool) {
	for i := range kw.len() {
		if kw.names[i] == name {
			return kw.values[i], true
		}
	}
	return nil, false
}

func selector(name string, want, byAttribute bool) filter {
	return func(m *machine, v Value, args []Value, kw *keywords) Value {
		return m.lazy(func() *iterator {
			if !m.truth(v) {
				return m.mustIterate(&List{})
			}
			get := func(v Value) Value { return v }
			rest := args
			if byAttribute {
				if len(args) == 0 {
					m.fail("%s: want the name of an attribute, got none", name)
				}
				get, rest = m.getter(name, args[0], nil, false), args[1:]
			}
			is := m.truth
			if len(rest) > 0 {
				test := m.wantString(name, rest[0])
				is = func(v Value) bool { return m.test(test, v, rest[1:], kw) }
			}
			it := m.mustIterate(v)
			return &iterator{"generator", func() (Value, bool) {
				for {
					v, ok := it.next()
					if !ok {
						return nil, false
					}
					m.step(1)
					if is(get(v)) == want {
						return v, true
					}
				}
			}}
		})
	}
}

// sorted sorts by keys, equal ones in the order they had.
func (m *machine) sorted(items []Value, key func(Value) Value, reverse bool) []Value {
	type keyed struct{ key, value Value }
	m.spend(4 * sizeItem * len(items))
	all := make([]keyed, len(items))
	for i, v := range items {
		all[i] = keyed{key(v), v}
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		c := m.order("<", a.key, b.key, 0)
		if c == 2 {
			m.fail("want values to sort that have an order, got nan")
		}
		if reverse {
			return -c
		}
		return c
	})
	out := make([]Value, len(all))
	for i, k := range all {
		out[i] = k.value
	}
	return out
}

func filterDictSort(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("dictsort", "case_sensitive? by? reverse?", args, kw)
	d, ok := v.(*Dict)
	if !ok {
		m.fail("dictsort: want a mapping, got %s", typeName(v))
	}
	sensitive := given(b[0]) && m.truth(b[0])
	place := slices.Index([]string{"key", "value"}, m.wantString("dictsort", orElse(b[1], "key")))
	if place < 0 {
		m.fail("dictsort: want to sort by key or value")
	}
	items := m.collect(&view{"items", d})
	return &List{m.sorted(items, m.getter("dictsort", int64(place), nil, !sensitive), given(b[2]) && m.truth(b[2]))}
}

func filterSort(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("sort", "reverse? case_sensitive? attribute?", args, kw)
	small := !(given(b[1]) && m.truth(b[1]))
	attribute := orElse(b[2], nil)
	var gets []func(Value) Value
	if s, ok := attribute.(string); ok {
		for part := range strings.SplitSeq(s, ",") {
			gets = append(gets, m.getter("sort", part, nil, small))
		}
	} else {
		gets = append(gets, m.getter("sort", attribute, nil, small))
	}
	key := func(v Value) Value {
		keys := m.newItems(len(gets))
		for _, get := range gets {
			keys = append(keys, get(v))
		}
		return &List{keys}
	}
	return &List{m.sorted(m.collect(v), key, given(b[0]) && m.truth(b[0]))}
}

func filterGroupBy(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("groupby", "attribute default? case_sensitive?", args, kw)
	otherwise := orElse(b[1], nil)
	small := !(given(b[2]) && m.truth(b[2]))
	key := m.getter("groupby", b[0], otherwise, small)
	var groups []Value
	var last Value
	var group *List
	for _, v := range m.sorted(m.collect(v), key, false) {
		k := key(v)
		if group == nil || !m.equal(last, k) {
			m.spend(2 * sizeThing)
			group = &List{}
			shown := k
			if small {
				shown = m.getter("groupby", b[0], otherwise, false)(v)
			}
			groups = m.add(groups, &Tuple{Items: []Value{shown, group}, names: []string{"grouper", "list"}})
			last = k
		}
		group.Items = m.add(group.Items, v)
	}
	return &List{groups}
}

func filterUnique(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("unique", "case_sensitive? attribute?", args, kw)
	get := m.getter("unique", orElse(b[1], nil), nil, !(given(b[0]) && m.truth(b[0])))
	return m.lazy(func() *iterator {
		it := m.mustIterate(v)
		seen := map[any]bool{}
		return &iterator{"generator", func() (Value, bool) {
			for {
				v, ok := it.next()
				if !ok {
					return nil, false
				}
				h := m.mustHash(get(v))
				if !seen[h] {
					m.spend(sizeEntry)
					seen[h] = true
					return v, true
				}
			}
		}}
	})
}

func extreme(name, op string) filter {
	return func(m *machine, v Value, args []Value, kw *keywords) Value {
		b := m.bind(name, "case_sensitive? attribute?", args, kw)
		it := m.mustIterate(v)
		best, ok := it.next()
		if !ok {
			return &undefined{hint: "No aggregated item, sequence was empty."}
		}
		get := m.getter(name, orElse(b[1], nil), nil, !(given(b[0]) && m.truth(b[0])))
		key := get(best)
		for {
			v, ok := it.next()
			if !ok {
				return best
			}
			if k := get(v); m.ordered(op, k, key) {
				best, key = v, k
			}
		}
	}
}

func filterSum(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("sum", "attribute? start?", args, kw)
	it := m.mustIterate(v)
	if given(b[0]) && b[0] != nil {
		it = m.mapped(it, m.getter("sum", b[0], nil, false))
	}
	total := orElse(b[1], int64(0))
	if _, ok := asString(total); ok {
		m.fail("sum: want numbers or lists, got strings")
	}
	rounded := 0
	for {
		v, ok := it.next()
		if !ok {
			return total
		}
		_, aFloat := total.(float64)
		_, bFloat := v.(float64)
		if (aFloat || bFloat) && total != int64(0) {
			if rounded++; rounded > 1 { // Python 3.12 rounds such sums once
				m.fail("sum: want a sum that is the same in every Python, got one of several numbers with fractions")
			}
		}
		total = m.binary("+", total, v)
	}
}

func filterBatch(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("batch", "linecount fill_with?", args, kw)
	return m.lazy(func() *iterator {
		it := m.mustIterate(v)
		var row []Value
		done := false
		return &iterator{"generator", func() (Value, bool) {
			for !done {
				v, ok := it.next()
				if !ok {
					done = true
					break
				}
				if m.equal(int64(len(row)), b[0]) {
					full := row
					row = m.add(nil, v)
					return &List{full}, true
				}
				row = m.add(row, v)
			}
			if len(row) == 0 {
				return nil, false
			}
			last := row
			row = nil
			if fill := orElse(b[1], nil); fill != nil && m.ordered("<", int64(len(last)), b[0]) {
				n := int(m.wantInteger("batch", b[0])) - len(last)
				m.spend(product(2*sizeItem, n+len(last)))
				for range n {
					last = append(last, fill)
				}
			}
			return &List{last}, true
		}}
	})
}

func filterSlice(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("slice", "slices fill_with?", args, kw)
	return m.lazy(func() *iterator {
		items := m.collect(v)
		n := m.wantInteger("slice", b[0])
		if n == 0 {
			m.fail("slice: want a number of slices, got 0")
		}
		each, extra := int64(len(items))/n, int64(len(items))%n
		if n < 0 {
			each, extra = 0, 0
		}
		i, offset := int64(0), int64(0)
		return &iterator{"generator", func() (Value, bool) {
			if i >= n {
				return nil, false
			}
			from := offset + i*each
			if i < extra {
				offset++
			}
			to := offset + (i+1)*each
			row := append(m.newItems(int(to-from)+1), items[from:to]...)
			if fill := orElse(b[1], nil); fill != nil && i >= extra {
				row = append(row, fill)
			}
			i++
			return &List{row}, true
		}}
	})
}
