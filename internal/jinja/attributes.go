package jinja

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Attributes that Python's types have beside those written here. To use one is an error,
// for it cannot be told from an item of the same name.
var otherAttributes = map[string][]string{
	"str": {"encode", "format_map", "maketrans", "translate", "isidentifier"},
	"int": {"as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "imag",
		"numerator", "real", "to_bytes"},
	"float": {"as_integer_ratio", "conjugate", "fromhex", "hex", "imag", "real"},
	"dict":  {"fromkeys"}, "range": {"start", "stop", "step", "count", "index"},
	"dict_keys": {"isdisjoint", "mapping"}, "dict_values": {"mapping"}, "dict_items": {"isdisjoint", "mapping"},
	"generator": {"close", "gi_code", "gi_frame", "gi_running", "gi_suspended", "gi_yieldfrom", "send", "throw"},
	"Macro":     {"explicit_caller"}, "Cycler": {}, "Joiner": {"sep", "used"},
}

// changing are the methods that would change a value, which the sandbox forbids.
var changing = map[string][]string{
	"list": {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"},
	"dict": {"clear", "pop", "popitem", "setdefault", "update"},
}

// attribute is v.name: what the type has, else an item.
func (m *machine) attribute(v Value, name string) Value {
	if u, ok := v.(*undefined); ok {
		m.failUndefined(u)
	}
	if a, ok := m.own(v, name); ok {
		return a
	}
	if d, ok := v.(*Dict); ok {
		if item, ok := d.at(name); ok {
			return item
		}
	}
	return m.lacks(v, name)
}

// item is v[index]: an item, else what the type has by that name.
func (m *machine) item(v, index Value) Value {
	if i, ok := m.itemOf(v, index); ok {
		return i
	}
	if name, ok := asString(index); ok {
		if a, ok := m.own(v, name); ok {
			return a
		}
	}
	return m.lacks(v, index)
}

func (m *machine) lacks(v, name Value) Value {
	m.spend(sizeThing)
	return &undefined{of: typeName(v), name: name}
}

func (m *machine) itemOf(v, index Value) (Value, bool) {
	if u, ok := v.(*undefined); ok {
		m.failUndefined(u)
	}
	if d, ok := v.(*Dict); ok {
		h, ok := m.hash(index)
		if !ok {
			return nil, false
		}
		return d.at(h)
	}
	i, ok := asInteger(index)
	if !ok {
		return nil, false
	}
	n, hasLength := m.length(v)
	if !hasLength {
		return nil, false
	}
	if i < 0 {
		i += int64(n)
	}
	if i < 0 || i >= int64(n) {
		return nil, false
	}
	switch v := v.(type) {
	case string:
		at := m.offset(v, int(i))
		_, size := utf8.DecodeRuneInString(v[at:])
		m.spend(sizeBox)
		return v[at : at+size], true
	case markup:
		m.fail("want a string that is not marked as safe, got one")
	case *List:
		return v.Items[i], true
	case *Tuple:
		return v.Items[i], true
	case *span:
		return m.integer(v.from + i*v.by), true
	}
	return nil, false
}

// own gives an attribute that a value has by its type.
func (m *machine) own(v Value, name string) (Value, bool) {
	if strings.HasPrefix(name, "__") {
		m.fail("want an attribute that the sandbox allows, got %.40q", name)
	}
	t := typeName(v)
	if slices.Contains(changing[t], name) {
		return &undefined{hint: "access to the attribute " + name + " of a " + t +
			" is unsafe: templates change no values", name: name, unsafe: true}, true
	}
	switch v := v.(type) {
	case string:
		if f, ok := stringMethods[name]; ok {
			return m.method(v, name, func(m *machine, args []Value, kw *keywords) Value { return f(m, v, args, kw) }),
				true
		}
	case markup:
		if _, ok := stringMethods[name]; ok || slices.Contains(otherAttributes["str"], name) ||
			slices.Contains([]string{"escape", "unescape", "striptags"}, name) {
			m.fail("want a string that is not marked as safe, got one with .%s", name)
		}
	case *List:
		switch name {
		case "count", "index", "copy":
			return m.method(v, name, func(m *machine, args []Value, kw *keywords) Value {
				return m.sequenceMethod(v, v.Items, name, args, kw)
			}), true
		}
	case *Tuple:
		if i := slices.Index(v.names, name); i >= 0 {
			return v.Items[i], true
		}
		switch name {
		case "count", "index":
			return m.method(v, name, func(m *machine, args []Value, kw *keywords) Value {
				return m.sequenceMethod(v, v.Items, name, args, kw)
			}), true
		}
	case *Dict:
		switch name {
		case "keys", "values", "items", "get", "copy":
			return m.method(v, name, func(m *machine, args []Value, kw *keywords) Value {
				return m.dictMethod(v, name, args, kw)
			}), true
		}
	case *namespace:
		a, ok := v.attrs.at(name)
		if ok && strings.HasPrefix(name, "_") {
			return &undefined{hint: "access to the attribute " + name + " is unsafe", name: name, unsafe: true}, true
		}
		return a, ok
	case *loop:
		if a, ok := m.loopAttribute(v, name); ok {
			return a, true
		}
		if strings.HasPrefix(name, "_") {
			m.fail("want an attribute that the sandbox allows, got %.40q", name)
		}
	case *cycler:
		return m.cyclerAttribute(v, name)
	case *macro:
		switch name {
		case "name":
			if v.body.name == "" {
				return nil, true
			}
			return v.body.name, true
		case "arguments":
			items := m.newItems(len(v.body.args))
			for _, a := range v.body.args {
				items = append(items, a.name)
			}
			return &Tuple{Items: items}, true
		case "catch_kwargs":
			return v.body.usesKwargs, true
		case "catch_varargs":
			return v.body.usesVarargs, true
		case "caller":
			return v.body.usesCaller, true
		}
	case float64:
		if name == "is_integer" {
			return m.method(v, name, func(m *machine, args []Value, kw *keywords) Value {
				m.want(name, args, kw, 0)
				return !isInf(v) && v == math.Floor(v)
			}), true
		}
	case *function, *method:
		m.fail("want no attributes of functions, got %.40q", name)
	}
	if t == "bool" {
		t = "int"
	}
	if slices.Contains(otherAttributes[t], name) {
		m.fail("want an attribute that chat templates need, got %s of %s, which is refused", name, t)
	}
	if strings.HasPrefix(t, "list_") || t == "iterator" || strings.HasSuffix(t, "_iterator") {
		m.fail("want no attributes of iterators, got %.40q", name)
	}
	return nil, false
}

func isInf(v float64) bool { return math.IsInf(v, 0) }

// slice is v[from:to:step].
func (m *machine) slice(v, from, to, step Value) Value {
	m.defined(v)
	switch v.(type) {
	case string, *List, *Tuple, *span:
	case markup:
		m.fail("want a string that is not marked as safe, got one")
	default:
		m.fail("want a sequence to slice, got %s", typeName(v))
	}
	n, _ := m.length(v)
	first, by, count := m.bounds(n, from, to, step)
	switch v := v.(type) {
	case string:
		return m.sliceString(v, n, first, by, count)
	case *List:
		return &List{m.sliceItems(v.Items, first, by, count)}
	case *Tuple:
		return &Tuple{Items: m.sliceItems(v.Items, first, by, count)}
	case *span:
		m.spend(sizeThing)
		b := m.times(v.by, int64(by))
		f := v.from + int64(first)*v.by
		return &span{f, m.sliceEnd(v, int64(n), to, by, first), b, int64(count)}
	}
	return nil
}

// sliceEnd is the end that Python writes for a part of a range.
func (m *machine) sliceEnd(v *span, n int64, to Value, by, first int) int64 {
	stop := n
	if by < 0 {
		stop = -1
	}
	if to != nil {
		i, _ := asInteger(to)
		if i < 0 {
			i += n
		}
		low, high := int64(0), n
		if by < 0 {
			low, high = -1, n-1
		}
		stop = min(max(i, low), high)
	}
	return v.from + stop*v.by
}

// bounds are where a slice of n items begins, its step, and how many items it takes.
func (m *machine) bounds(n int, from, to, step Value) (first, by, count int) {
	index := func(v Value, otherwise int64) int64 {
		if v == nil {
			return otherwise
		}
		return m.wantInteger("slice", v)
	}
	s := index(step, 1)
	if s == 0 {
		m.fail("slice: want a step, got 0")
	}
	length := int64(n)
	low, high := int64(0), length
	if s < 0 {
		low, high = -1, length-1
	}
	clamp := func(v Value, otherwise int64) int64 {
		if v == nil {
			return otherwise
		}
		i := index(v, 0)
		if i < 0 {
			i += length
		}
		return min(max(i, low), high)
	}
	var a, b int64
	if s > 0 {
		a, b = clamp(from, 0), clamp(to, length)
		if a < b {
			count = int((b-a-1)/s) + 1
		}
	} else {
		a, b = clamp(from, length-1), clamp(to, -1)
		if b < a {
			count = int((a-b-1)/-max(s, -1<<62)) + 1
		}
	}
	return int(a), int(max(min(s, 1<<62), -1<<62)), count
}

func (m *machine) sliceItems(items []Value, first, by, count int) []Value {
	out := m.newItems(count)
	for i := range count {
		out = append(out, items[first+i*by])
	}
	return out
}

func (m *machine) sliceString(s string, n, first, by, count int) string {
	if count == 0 {
		return ""
	}
	if by == 1 {
		from := m.offset(s, first)
		to := from + m.offset(s[from:], count)
		return m.text(s[from:to])
	}
	if n == len(s) {
		m.spend(sizeBox + count)
		out := make([]byte, count)
		for i := range out {
			out[i] = s[first+i*by]
		}
		return string(out)
	}
	m.spend(sizeBox + 4*n + 4*count)
	all := []rune(s)
	out := make([]rune, count)
	for i := range out {
		out[i] = all[first+i*by]
	}
	return string(out)
}

func (m *machine) sequenceMethod(v Value, items []Value, name string, args []Value, kw *keywords) Value {
	switch name {
	case "copy":
		m.want(name, args, kw, 0)
		return &List{m.collect(v)}
	case "count":
		m.want(name, args, kw, 1)
		n := int64(0)
		for _, i := range items {
			if m.same(i, args[0]) || m.equal(i, args[0]) {
				n++
			}
		}
		return n
	}
	b := m.bind(name, "value/ start/? stop/?", args, kw)
	from, to := int64(0), int64(len(items))
	place := func(v Value, otherwise int64) int64 {
		if !given(v) {
			return otherwise
		}
		i := m.wantInteger(name, v)
		if i < 0 {
			i = max(i+int64(len(items)), 0)
		}
		return i
	}
	from, to = place(b[1], from), place(b[2], to)
	for i := from; i < min(to, int64(len(items))); i++ {
		if m.same(items[i], b[0]) || m.equal(items[i], b[0]) {
			return m.integer(i)
		}
	}
	m.fail("%s: want a value of the list, got another", name)
	return nil
}

func (m *machine) dictMethod(d *Dict, name string, args []Value, kw *keywords) Value {
	switch name {
	case "get":
		b := m.bind(name, "key/ default/?", args, kw)
		if v, ok := d.at(m.mustHash(b[0])); ok {
			return v
		}
		return orElse(b[1], nil)
	case "copy":
		m.want(name, args, kw, 0)
		return m.copyDict(d)
	}
	m.want(name, args, kw, 0)
	m.spend(sizeThing)
	return &view{name, d}
}

func (m *machine) copyDict(d *Dict) *Dict {
	c := m.newDict()
	for _, e := range d.Entries() {
		m.put(c, e.Key, e.Value)
	}
	return c
}
