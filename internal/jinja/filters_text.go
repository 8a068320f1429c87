package jinja

import (
	"math"
	"strconv"
	"strings"
)

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
