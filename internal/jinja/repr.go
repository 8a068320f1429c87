package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// str writes a value as Python's str does.
func (m *machine) str(v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case markup:
		return string(v)
	case *undefined:
		return ""
	}
	return m.repr(v)
}

// repr writes a value as Python's repr does.
func (m *machine) repr(v Value) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return m.text(strconv.FormatInt(v, 10))
	case float64:
		return m.text(formatFloat(v))
	}
	w := writer{m: m}
	w.repr(v, 0)
	return w.String()
}

// writer makes a string of pieces that are taken from the budget one by one.
type writer struct {
	m *machine
	strings.Builder
}

func (w *writer) put(s string) {
	w.m.spend(2 * len(s)) // the builder makes room in advance
	w.WriteString(s)
}

func (w *writer) repr(v Value, depth int) {
	if depth > maxValueDepth {
		w.m.exceed(LimitValues, "want at most %d values in one another, got more", maxValueDepth)
	}
	switch v := v.(type) {
	case string:
		w.quote(v)
	case markup:
		w.put("Markup(")
		w.quote(string(v))
		w.put(")")
	case *List:
		w.put("[")
		w.all(v.Items, depth)
		w.put("]")
	case *Tuple:
		w.put("(")
		w.all(v.Items, depth)
		if len(v.Items) == 1 {
			w.put(",")
		}
		w.put(")")
	case *Dict:
		w.dict(v, depth)
	case *namespace:
		w.put("<Namespace ")
		w.dict(v.attrs, depth)
		w.put(">")
	case *undefined:
		w.put("Undefined")
	case *span:
		w.put(fmt.Sprintf("range(%d, %d", v.from, v.to))
		if v.by != 1 {
			w.put(fmt.Sprintf(", %d", v.by))
		}
		w.put(")")
	case *view:
		w.put("dict_" + v.kind + "([")
		it := w.m.iterateView(v)
		for i := 0; ; i++ {
			e, ok := it.next()
			if !ok {
				break
			}
			if i > 0 {
				w.put(", ")
			}
			w.repr(e, depth+1)
		}
		w.put("])")
	case *macro:
		if v.body.name == "" {
			w.put("<Macro anonymous>")
		} else {
			w.put("<Macro '" + v.body.name + "'>")
		}
	case *loop:
		w.put(fmt.Sprintf("<LoopContext %d/%d>", v.index0+1, w.m.loopLength(v)))
	case nil, bool, int64, float64:
		w.put(w.m.repr(v))
	default:
		w.m.fail("want a value whose text does not hold where it lies in memory, got %s", typeName(v))
	}
}

func (w *writer) all(items []Value, depth int) {
	for i, v := range items {
		if i > 0 {
			w.put(", ")
		}
		w.repr(v, depth+1)
	}
}

func (w *writer) dict(d *Dict, depth int) {
	w.put("{")
	for i, e := range d.Entries() {
		if i > 0 {
			w.put(", ")
		}
		w.repr(e.Key, depth+1)
		w.put(": ")
		w.repr(e.Value, depth+1)
	}
	w.put("}")
}

// quote writes a string in quotes, as Python chooses them.
func (w *writer) quote(s string) {
	w.m.spend(2 * len(s))
	q := byte('\'')
	has := func(quote rune) bool {
		return strings.ContainsFunc(s, func(r rune) bool { return w.m.original(r) == quote })
	}
	if has('\'') && !has('"') {
		q = '"'
	}
	w.WriteByte(q)
	for _, stand := range s {
		r := w.m.original(stand)
		switch {
		case r == rune(q) || r == '\\':
			w.put(`\` + string(r))
		case r == '\n':
			w.put(`\n`)
		case r == '\r':
			w.put(`\r`)
		case r == '\t':
			w.put(`\t`)
		case r < ' ' || r == 0x7f:
			w.put(fmt.Sprintf(`\x%02x`, r))
		case r < utf8.RuneSelf || isPrintable(r):
			w.WriteRune(stand)
		default:
			w.put(escapeRune(r))
		}
	}
	w.WriteByte(q)
}

func escapeRune(r rune) string {
	switch {
	case r <= 0xff:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}

// ascii is Python's ascii(v).
func (m *machine) ascii(v Value) string {
	s := m.repr(v)
	if isASCII(s) {
		return s
	}
	w := writer{m: m}
	for _, stand := range s {
		if r := m.original(stand); r < utf8.RuneSelf {
			w.WriteRune(stand)
		} else {
			w.put(escapeRune(r))
		}
	}
	return w.String()
}

// formatFloat writes a float64 as Python does: the fewest digits that are read back as the
// same number, with an exponent below 1e-4 and from 1e16 on.
func formatFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(v, 'e', -1, 64)
	at := strings.IndexByte(s, 'e')
	exponent, _ := strconv.Atoi(s[at+1:])
	if -4 <= exponent && exponent < 16 {
		s = strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
	}
	return s
}
