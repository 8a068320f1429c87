package jinja

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// refusedFilters are those of jinja2 that are for web pages, or not the same every time.
var refusedFilters = []string{"pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"}

type filter = func(m *machine, v Value, args []Value, kw *keywords) Value

var filters map[string]filter

func init() {
	plain := func(name string, f func(m *machine, v Value) Value) filter {
		return func(m *machine, v Value, args []Value, kw *keywords) Value {
			m.want(name, args, kw, 0)
			return f(m, v)
		}
	}
	text := func(name string, f func(m *machine, s string) Value) filter {
		return plain(name, func(m *machine, v Value) Value { return f(m, m.soft(name, v)) })
	}
	filters = map[string]filter{
		"abs":        plain("abs", filterAbs),
		"attr":       filterAttr,
		"batch":      filterBatch,
		"capitalize": text("capitalize", func(m *machine, s string) Value { return m.capitalize(s) }),
		"center": func(m *machine, v Value, args []Value, kw *keywords) Value {
			b := m.bind("center", "width?", args, kw)
			return m.center(m.soft("center", v), m.wantInteger("center", orElse(b[0], int64(80))), " ")
		},
		"count":   plain("count", filterLength),
		"length":  plain("length", filterLength),
		"default": filterDefault, "d": filterDefault,
		"dictsort": filterDictSort,
		"e":        plain("e", filterEscape), "escape": plain("escape", filterEscape),
		"forceescape": plain("forceescape", func(m *machine, v Value) Value { return filterEscape(m, m.str(v)) }),
		"safe":        plain("safe", func(m *machine, v Value) Value { return markup(m.str(v)) }),
		"string": plain("string", func(m *machine, v Value) Value {
			if _, ok := v.(markup); ok {
				return v
			}
			return m.str(v)
		}),
		"filesizeformat": filterFileSize,
		"first": plain("first", func(m *machine, v Value) Value {
			if i, ok := m.mustIterate(v).next(); ok {
				return i
			}
			return &undefined{hint: "No first item, sequence was empty."}
		}),
		"last": plain("last", func(m *machine, v Value) Value {
			if i, ok := m.reversed(v).next(); ok {
				return i
			}
			return &undefined{hint: "No last item, sequence was empty."}
		}),
		"float":   filterFloat,
		"int":     filterInt,
		"format":  filterFormat,
		"groupby": filterGroupBy,
		"indent":  filterIndent,
		"items": plain("items", func(m *machine, v Value) Value {
			return m.lazy(func() *iterator {
				if _, ok := v.(*undefined); ok {
					return m.mustIterate(v)
				}
				d, ok := v.(*Dict)
				if !ok {
					m.fail("items: want a mapping, got %s", typeName(v))
				}
				return m.iterateView(&view{"items", d})
			})
		}),
		"join":       filterJoin,
		"list":       plain("list", func(m *machine, v Value) Value { return &List{m.collect(v)} }),
		"lower":      text("lower", func(m *machine, s string) Value { return m.lower(s) }),
		"upper":      text("upper", func(m *machine, s string) Value { return m.upper(s) }),
		"title":      text("title", func(m *machine, s string) Value { return m.filterTitle(s) }),
		"wordcount":  text("wordcount", func(m *machine, s string) Value { return m.wordCount(s) }),
		"map":        filterMap,
		"max":        extreme("max", ">"),
		"min":        extreme("min", "<"),
		"reject":     selector("reject", false, false),
		"rejectattr": selector("rejectattr", false, true),
		"select":     selector("select", true, false),
		"selectattr": selector("selectattr", true, true),
		"replace": func(m *machine, v Value, args []Value, kw *keywords) Value {
			b := m.bind("replace", "old new count?", args, kw)
			count := int64(-1)
			if given(b[2]) && b[2] != nil {
				count = m.wantInteger("replace", b[2])
			}
			return m.replace(m.str(v), m.str(b[0]), m.str(b[1]), count)
		},
		"reverse": plain("reverse", func(m *machine, v Value) Value {
			if s, ok := v.(string); ok {
				n := m.runeCount(s)
				return m.sliceString(s, n, n-1, -1, n)
			}
			return m.reversedOrList(v)
		}),
		"round": filterRound,
		"slice": filterSlice,
		"sort":  filterSort,
		"sum":   filterSum,
		"trim": func(m *machine, v Value, args []Value, kw *keywords) Value {
			b := m.bind("trim", "chars?", args, kw)
			return m.strip("trim", m.soft("trim", v), b[0], true, true)
		},
		"truncate":  filterTruncate,
		"unique":    filterUnique,
		"urlencode": plain("urlencode", filterURLEncode),
		"tojson":    filterToJSON,
	}
}

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

func filterAbs(m *machine, v Value) Value {
	switch v := v.(type) {
	case float64:
		return m.float(math.Abs(v))
	default:
		i, ok := asInteger(v)
		if !ok {
			m.fail("abs: want a number, got %s", typeName(v))
		}
		if i < 0 {
			return m.sign(true, i)
		}
		return m.integer(i)
	}
}

func filterAttr(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("attr", "name", args, kw)
	name := m.wantString("attr", b[0])
	m.defined(v)
	if a, ok := m.own(v, name); ok {
		return a
	}
	return m.lacks(v, name)
}

func filterLength(m *machine, v Value) Value {
	n, ok := m.length(v)
	if !ok {
		m.fail("length: want a value that has one, got %s", typeName(v))
	}
	return m.integer(int64(n))
}

func filterDefault(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("default", "default_value? boolean?", args, kw)
	_, missing := v.(*undefined)
	if missing || given(b[1]) && m.truth(b[1]) && !m.truth(v) {
		return orElse(b[0], "")
	}
	return v
}

var escapes = map[rune]string{'&': "&amp;", '>': "&gt;", '<': "&lt;", '\'': "&#39;", '"': "&#34;"}

func filterEscape(m *machine, v Value) Value {
	if _, ok := v.(markup); ok {
		return v
	}
	w := writer{m: m}
	for _, r := range m.str(v) {
		if e, ok := escapes[m.original(r)]; ok {
			w.put(e)
		} else {
			w.put(string(r))
		}
	}
	return markup(w.String())
}

func filterFileSize(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("filesizeformat", "binary?", args, kw)
	binary := given(b[0]) && m.truth(b[0])
	size := m.toFloat(v)
	base, units := 1000.0, []float64{1e6, 1e9, 1e12, 1e15, 1e18, 1e21, 1e24, 1e27}
	prefixes := []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if binary {
		base = 1024
		for i := range units {
			units[i] = math.Ldexp(1, 10*(i+2))
		}
		prefixes = []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case size == 1:
		return "1 Byte"
	case math.IsNaN(size) || math.IsInf(size, -1):
		m.fail("filesizeformat: want a number, got %v", size)
	case size < base:
		return m.text(strconv.FormatFloat(math.Trunc(size)+0, 'f', 0, 64) + " Bytes")
	}
	for i, p := range prefixes {
		unit := units[i]
		if size < unit || i == len(prefixes)-1 {
			return m.text(strconv.FormatFloat(base*size/unit, 'f', 1, 64) + " " + p)
		}
	}
	return nil
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

func filterFormat(m *machine, v Value, args []Value, kw *keywords) Value {
	if len(args) > 0 && kw.len() > 0 {
		m.fail("format: want arguments by place or by name, got both")
	}
	s := m.soft("format", v)
	if kw.len() > 0 {
		return m.percent(s, m.newDictOf("format", nil, kw))
	}
	return m.percent(s, &Tuple{Items: args})
}

func filterIndent(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("indent", "width? first? blank?", args, kw)
	s := m.wantString("indent", v)
	indention, ok := orElse(b[0], int64(4)).(string)
	if !ok {
		n := m.wantInteger("indent", orElse(b[0], int64(4)))
		m.spend(int(max(n, 0)))
		indention = strings.Repeat(" ", int(max(n, 0)))
	}
	first, blank := given(b[1]) && m.truth(b[1]), given(b[2]) && m.truth(b[2])
	lines := m.splitLines(s+m.text("\n"), false).(*List).Items
	return m.capture(func() {
		for i, l := range lines {
			line := l.(string)
			if i > 0 {
				m.write("\n")
			}
			if i == 0 && first || i > 0 && (blank || line != "") {
				m.write(indention)
			}
			m.write(line)
		}
	})
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

func filterRound(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("round", "precision? method?", args, kw)
	precision := m.wantInteger("round", orElse(b[0], int64(0)))
	method := m.wantString("round", orElse(b[1], "common"))
	i, isInt := asInteger(v)
	f, isNumber := asFloat(v)
	if !isNumber {
		m.fail("round: want a number, got %s", typeName(v))
	}
	switch method {
	case "common":
		if isInt {
			if precision < 0 {
				m.fail("round: want places behind the point for an integer, got %d", precision)
			}
			return m.integer(i)
		}
		return m.float(m.roundFloat(f, precision))
	case "ceil", "floor":
	default:
		m.fail("round: want the method common, ceil or floor, got %.20q", method)
	}
	if isInt && magnitude(i) >= 1<<53 {
		m.fail("round: want an integer of at most 53 bits, got %d", i)
	}
	scale := m.binary("**", int64(10), precision)
	scaled, _ := asFloat(m.binary("*", v, scale))
	whole := math.Floor(scaled)
	if method == "ceil" {
		whole = math.Ceil(scaled)
	}
	if math.IsNaN(whole) || math.Abs(whole) >= 1<<62 {
		m.fail("round: want a number of at most 62 bits, got more")
	}
	return m.binary("/", int64(whole), scale)
}

// roundFloat rounds to so many places as Python does: the exact value, half to even.
func (m *machine) roundFloat(f float64, places int64) float64 {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0) || places > 323:
		return f
	case places >= 0:
		v, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(places), 64), 64)
		return v
	case places < -308:
		return math.Copysign(0, f)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-places), nil)
	x := new(big.Rat).SetFloat64(f)
	x.Quo(x, new(big.Rat).SetInt(unit))
	whole, _ := new(big.Rat).SetString(x.FloatString(0)) // half away from zero
	half := new(big.Rat).Sub(x, whole)
	if half.Abs(half).Cmp(big.NewRat(1, 2)) == 0 && whole.Num().Bit(0) == 1 {
		whole.Sub(whole, big.NewRat(int64(x.Sign()), 1))
	}
	v, _ := whole.Mul(whole, new(big.Rat).SetInt(unit)).Float64()
	if v == 0 {
		return math.Copysign(0, f)
	}
	return v
}

func filterTruncate(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("truncate", "length? killwords? end? leeway?", args, kw)
	s := m.wantString("truncate", v)
	length := m.wantInteger("truncate", orElse(b[0], int64(255)))
	end := m.wantString("truncate", orElse(b[2], "..."))
	leeway := int64(5)
	if given(b[3]) && b[3] != nil {
		leeway = m.wantInteger("truncate", b[3])
	}
	ends := int64(m.runeCount(end))
	if length < ends || leeway < 0 {
		m.fail("truncate: want a length of at least %d and a leeway of at least 0, got %d and %d", ends, length, leeway)
	}
	if n := int64(m.runeCount(s)); n <= m.integers("+", length, leeway).(int64) {
		return s
	}
	cut := s[:m.offset(s, int(length-ends))]
	if !(given(b[1]) && m.truth(b[1])) {
		if i := strings.LastIndex(cut, " "); i >= 0 {
			cut = cut[:i]
		}
	}
	m.spend(sizeBox + len(cut) + len(end))
	return cut + end
}

// filterTitle is jinja2's title, which differs from Python's: words begin behind spaces,
// minus signs and opening brackets only.
func (m *machine) filterTitle(s string) string {
	separates := func(r rune) bool { return r == '-' || isSpace(r) || strings.ContainsRune("({[<", r) }
	return m.capture(func() {
		for s != "" {
			n := strings.IndexFunc(s, separates)
			if n == 0 {
				n = strings.IndexFunc(s, func(r rune) bool { return !separates(r) })
			}
			if n < 0 {
				n = len(s)
			}
			word := s[:n]
			s = s[n:]
			first := m.offset(word, 1)
			m.write(m.upper(word[:first]))
			m.write(m.lower(word[first:]))
		}
	})
}

func (m *machine) wordCount(s string) Value {
	m.scan(len(s))
	n := int64(0)
	in := false
	for _, r := range s {
		word := r == '_' || isAlnum(r)
		if word && !in {
			n++
		}
		in = word
	}
	return m.integer(n)
}

func filterURLEncode(m *machine, v Value) Value {
	quote := func(v Value, query bool) string {
		s := m.str(v)
		if strings.ContainsFunc(s, func(r rune) bool { return m.original(r) != r }) {
			m.fail("urlencode: want text that spells no special token, got one")
		}
		w := writer{m: m}
		for i := range len(s) {
			c := s[i]
			switch {
			case isNameByte(c) || strings.IndexByte("-.~", c) >= 0 || c == '/' && !query:
				w.put(string(rune(c)))
			case c == ' ' && query:
				w.put("+")
			default:
				w.put("%" + strings.ToUpper(strconv.FormatInt(int64(c)+0x100, 16)[1:]))
			}
		}
		return w.String()
	}
	if _, ok := v.(markup); ok {
		m.fail("urlencode: want a string that is not marked as safe, got one")
	}
	if _, ok := v.(string); ok {
		return quote(v, false)
	}
	if _, ok := m.iterate(v); !ok {
		return quote(v, false)
	}
	if d, ok := v.(*Dict); ok {
		v = &view{"items", d}
	}
	it := m.mustIterate(v)
	return m.joinAll("&", it, func(v Value) string {
		pair := m.elements(v)
		if len(pair) != 2 {
			m.fail("urlencode: want pairs, got %d values", len(pair))
		}
		key, value := quote(pair[0], true), quote(pair[1], true)
		m.spend(len(key) + len(value) + 1)
		return key + "=" + value
	})
}
