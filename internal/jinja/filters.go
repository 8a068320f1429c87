package jinja

import (
	"math"
	"math/big"
	"strconv"
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
