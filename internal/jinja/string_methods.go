package jinja

import (
	"strings"
	"unicode/utf8"
)

// stringMethods are those of Python's str.
var stringMethods map[string]func(m *machine, s string, args []Value, kw *keywords) Value

func init() {
	plain := func(name string, f func(m *machine, s string) Value) func(*machine, string, []Value, *keywords) Value {
		return func(m *machine, s string, args []Value, kw *keywords) Value {
			m.want(name, args, kw, 0)
			m.scan(len(s))
			return f(m, s)
		}
	}
	class := func(name string, empty bool, is func(m *machine, r rune) bool) func(*machine, string, []Value, *keywords) Value {
		return plain(name, func(m *machine, s string) Value {
			for _, r := range s {
				if !is(m, r) {
					return false
				}
			}
			return s != "" || empty
		})
	}
	stringMethods = map[string]func(m *machine, s string, args []Value, kw *keywords) Value{
		"upper":      plain("upper", func(m *machine, s string) Value { return m.upper(s) }),
		"lower":      plain("lower", func(m *machine, s string) Value { return m.lower(s) }),
		"casefold":   plain("casefold", func(m *machine, s string) Value { return m.fold(s) }),
		"capitalize": plain("capitalize", func(m *machine, s string) Value { return m.capitalize(s) }),
		"title":      plain("title", func(m *machine, s string) Value { return m.title(s) }),
		"swapcase":   plain("swapcase", func(m *machine, s string) Value { return m.swapCase(s) }),

		"isalpha":     class("isalpha", false, func(_ *machine, r rune) bool { return isLetter(r) }),
		"isalnum":     class("isalnum", false, func(_ *machine, r rune) bool { return isAlnum(r) }),
		"isdecimal":   class("isdecimal", false, func(_ *machine, r rune) bool { return isDecimal(r) }),
		"isdigit":     class("isdigit", false, (*machine).isDigitRune),
		"isnumeric":   class("isnumeric", false, (*machine).isNumeric),
		"isspace":     class("isspace", false, func(_ *machine, r rune) bool { return isSpace(r) }),
		"isascii":     class("isascii", true, func(_ *machine, r rune) bool { return r < utf8.RuneSelf }),
		"isprintable": class("isprintable", true, func(_ *machine, r rune) bool { return isPrintable(r) }),
		"isupper":     plain("isupper", func(_ *machine, s string) Value { return isUpper(s) }),
		"islower":     plain("islower", func(_ *machine, s string) Value { return isLower(s) }),
		"istitle":     plain("istitle", func(_ *machine, s string) Value { return isTitle(s) }),

		"strip": stripper("strip", true, true), "lstrip": stripper("lstrip", true, false),
		"rstrip": stripper("rstrip", false, true),
		"split": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("split", "sep? maxsplit?", args, kw)
			return m.split("split", s, b, false)
		},
		"rsplit": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("rsplit", "sep? maxsplit?", args, kw)
			return m.split("rsplit", s, b, true)
		},
		"splitlines": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("splitlines", "keepends?", args, kw)
			return m.splitLines(s, given(b[0]) && m.truth(b[0]))
		},
		"replace": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("replace", "old/ new/ count/?", args, kw)
			return m.replace(s, m.wantString("replace", b[0]), m.wantString("replace", b[1]),
				m.wantInteger("replace", orElse(b[2], int64(-1))))
		},
		"join": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("join", "iterable/", args, kw)
			it := m.mustIterate(b[0])
			return m.joinAll(s, it, func(v Value) string { return m.wantString("join", v) })
		},
		"startswith": affix("startswith", strings.HasPrefix), "endswith": affix("endswith", strings.HasSuffix),
		"removeprefix": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("removeprefix", "prefix/", args, kw)
			prefix := m.wantString("removeprefix", b[0])
			m.asOriginal("removeprefix", s, prefix, yes(strings.HasPrefix))
			return m.text(strings.TrimPrefix(s, prefix))
		},
		"removesuffix": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("removesuffix", "suffix/", args, kw)
			suffix := m.wantString("removesuffix", b[0])
			m.asOriginal("removesuffix", s, suffix, yes(strings.HasSuffix))
			return m.text(strings.TrimSuffix(s, suffix))
		},
		"count": counter("count"), "find": counter("find"), "rfind": counter("rfind"), "index": counter("index"),
		"rindex": counter("rindex"),
		"partition": func(m *machine, s string, args []Value, kw *keywords) Value {
			return m.partition("partition", s, args, kw, strings.Index,
				func(s string) []Value { return []Value{s, "", ""} })
		},
		"rpartition": func(m *machine, s string, args []Value, kw *keywords) Value {
			return m.partition("rpartition", s, args, kw, strings.LastIndex,
				func(s string) []Value { return []Value{"", "", s} })
		},
		"ljust": justifier("ljust", func(n int) (int, int) { return 0, n }),
		"rjust": justifier("rjust", func(n int) (int, int) { return n, 0 }),
		"zfill": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("zfill", "width/", args, kw)
			n := m.padding(s, m.wantInteger("zfill", b[0]), 1)
			sign := ""
			if s != "" && (s[0] == '-' || s[0] == '+') {
				sign = s[:1]
			}
			return sign + strings.Repeat("0", n) + s[len(sign):]
		},
		"center": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("center", "width/ fillchar/?", args, kw)
			return m.center(s, m.wantInteger("center", b[0]), m.fill("center", b[1]))
		},
		"expandtabs": func(m *machine, s string, args []Value, kw *keywords) Value {
			b := m.bind("expandtabs", "tabsize?", args, kw)
			return m.expandTabs(s, m.wantInteger("expandtabs", orElse(b[0], int64(8))))
		},
		"format": func(m *machine, s string, args []Value, kw *keywords) Value { return m.format(s, args, kw) },
	}
}

func isUpper(s string) bool {
	cased := false
	for _, r := range s {
		if isLowerRune(r) || isTitleRune(r) {
			return false
		}
		cased = cased || isUpperRune(r)
	}
	return cased
}

func isLower(s string) bool {
	cased := false
	for _, r := range s {
		if isUpperRune(r) || isTitleRune(r) {
			return false
		}
		cased = cased || isLowerRune(r)
	}
	return cased
}

func isTitle(s string) bool {
	cased, inWord := false, false
	for _, r := range s {
		switch {
		case isUpperRune(r) || isTitleRune(r):
			if inWord {
				return false
			}
			inWord, cased = true, true
		case isLowerRune(r):
			if !inWord {
				return false
			}
			cased = true
		default:
			inWord = false
		}
	}
	return cased
}

func stripper(name string, left, right bool) func(*machine, string, []Value, *keywords) Value {
	return func(m *machine, s string, args []Value, kw *keywords) Value {
		b := m.bind(name, "chars/?", args, kw)
		return m.strip(name, s, b[0], left, right)
	}
}

// strip takes white space, or the characters given, off the ends.
func (m *machine) strip(what, s string, chars Value, left, right bool) string {
	takes := isSpace
	m.scan(len(s))
	if given(chars) && chars != nil {
		set := m.wantString(what, chars)
		m.spend(sizeThing + len(set)*8)
		in := map[rune]bool{}
		for _, r := range set {
			in[r] = true
		}
		takes = func(r rune) bool {
			if o := m.original(r); o != r && in[o] {
				m.fail("%s: want messages that do not spell special tokens, whose %q the template takes away", what, o)
			}
			return in[r]
		}
	}
	if left {
		s = strings.TrimLeftFunc(s, takes)
	}
	if right {
		s = strings.TrimRightFunc(s, takes)
	}
	return m.text(s)
}

// split is str.split and, from the right, str.rsplit.
func (m *machine) split(what, s string, b []Value, right bool) Value {
	most := m.wantInteger(what, orElse(b[1], int64(-1)))
	m.scan(len(s))
	m.spend(sizeThing)
	var items []Value
	add := func(part string) { items = m.add(items, m.text(part)) }
	if !given(b[0]) || b[0] == nil {
		m.splitSpace(s, most, right, add)
	} else {
		sep := m.wantString(what, b[0])
		if sep == "" {
			m.fail("%s: want a separator, got an empty one", what)
		}
		m.asOriginal(what, s, sep, strings.Count)
		for ; most != 0; most-- {
			i := strings.Index(s, sep)
			if right {
				i = strings.LastIndex(s, sep)
			}
			if i < 0 {
				break
			}
			if right {
				add(s[i+len(sep):])
				s = s[:i]
			} else {
				add(s[:i])
				s = s[i+len(sep):]
			}
		}
		add(s)
	}
	if right {
		for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
			items[i], items[j] = items[j], items[i]
		}
	}
	return &List{items}
}

func (m *machine) splitSpace(s string, most int64, right bool, add func(string)) {
	trim, index := strings.TrimLeftFunc, strings.IndexFunc
	if right {
		trim, index = strings.TrimRightFunc, strings.LastIndexFunc
	}
	for s = trim(s, isSpace); s != ""; s = trim(s, isSpace) {
		i := index(s, isSpace)
		if most == 0 || i < 0 {
			add(s)
			return
		}
		most--
		if right {
			_, n := utf8.DecodeRuneInString(s[i:])
			add(s[i+n:])
			s = s[:i]
		} else {
			add(s[:i])
			s = s[i:]
		}
	}
}

// splitLines cuts at what Python takes for the end of a line.
func (m *machine) splitLines(s string, keep bool) Value {
	m.scan(len(s))
	m.spend(sizeThing)
	var items []Value
	for s != "" {
		end := strings.IndexFunc(s, func(r rune) bool {
			return '\n' <= r && r <= '\r' || 0x1c <= r && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
		})
		if end < 0 {
			items = m.add(items, m.text(s))
			break
		}
		_, n := utf8.DecodeRuneInString(s[end:])
		if strings.HasPrefix(s[end:], "\r\n") {
			n = 2
		}
		if keep {
			items = m.add(items, m.text(s[:end+n]))
		} else {
			items = m.add(items, m.text(s[:end]))
		}
		s = s[end+n:]
	}
	return &List{items}
}

// replace is str.replace; a negative count means all.
func (m *machine) replace(s, old, new string, count int64) string {
	m.scan(len(s))
	m.asOriginal("replace", s, old, strings.Count)
	n := strings.Count(s, old)
	if count >= 0 {
		n = int(min(int64(n), count))
	}
	if n == 0 {
		return s
	}
	m.spend(sum(sizeBox+len(s)-n*min(len(old), len(s)), product(n, len(new))))
	return strings.Replace(s, old, new, n)
}

// joinAll writes the items with sep between them.
func (m *machine) joinAll(sep string, it *iterator, text func(Value) string) string {
	return m.capture(func() {
		for i := 0; ; i++ {
			v, ok := it.next()
			if !ok {
				return
			}
			m.step(1)
			if i > 0 {
				m.write(sep)
			}
			m.write(text(v))
		}
	})
}

// part is s[from:to] in code points, as the methods that take a place do; not ok where
// it lies beyond the end.
func (m *machine) part(what, s string, from, to Value) (part string, first int, ok bool) {
	if (!given(from) || from == nil) && (!given(to) || to == nil) {
		return s, 0, true
	}
	n := m.runeCount(s)
	index := func(v Value, otherwise int) int {
		if !given(v) || v == nil {
			return otherwise
		}
		i := m.wantInteger(what, v)
		if i < 0 {
			i = max(i+int64(n), 0)
		}
		return int(min(i, int64(n)+1))
	}
	a, b := index(from, 0), min(index(to, n), n)
	if a > b {
		return "", a, false
	}
	i := m.offset(s, a)
	return s[i : i+m.offset(s[i:], b-a)], a, true
}

func affix(name string, has func(s, affix string) bool) func(*machine, string, []Value, *keywords) Value {
	return func(m *machine, s string, args []Value, kw *keywords) Value {
		b := m.bind(name, "affix/ start/? end/?", args, kw)
		part, _, ok := m.part(name, s, b[1], b[2])
		options := []Value{b[0]}
		if t, ok := b[0].(*Tuple); ok {
			options = t.Items
		}
		for _, o := range options {
			a := m.wantString(name, o)
			m.scan(len(a))
			m.asOriginal(name, part, a, yes(has))
			if ok && has(part, a) {
				return true
			}
		}
		return false
	}
}

// counter is one of count, find, rfind, index and rindex.
func counter(name string) func(*machine, string, []Value, *keywords) Value {
	return func(m *machine, s string, args []Value, kw *keywords) Value {
		b := m.bind(name, "sub/ start/? end/?", args, kw)
		sub := m.wantString(name, b[0])
		part, first, ok := m.part(name, s, b[1], b[2])
		m.scan(len(s))
		m.asOriginal(name, part, sub, strings.Count)
		if name == "count" {
			if !ok {
				return int64(0)
			}
			return m.integer(int64(strings.Count(part, sub)))
		}
		at := -1
		if ok {
			if strings.HasPrefix(name, "r") {
				at = strings.LastIndex(part, sub)
			} else {
				at = strings.Index(part, sub)
			}
		}
		if at < 0 {
			if strings.HasSuffix(name, "index") {
				m.fail("%s: substring not found", name)
			}
			return int64(-1)
		}
		return m.integer(int64(first + m.runeCount(part[:at])))
	}
}

func (m *machine) partition(what, s string, args []Value, kw *keywords, find func(s, sep string) int,
	none func(string) []Value) Value {
	b := m.bind(what, "sep/", args, kw)
	sep := m.wantString(what, b[0])
	if sep == "" {
		m.fail("%s: want a separator, got an empty one", what)
	}
	m.scan(len(s))
	m.spend(sizeThing + 3*sizeItem + 2*sizeBox + len(s))
	m.asOriginal(what, s, sep, strings.Count)
	i := find(s, sep)
	if i < 0 {
		return &Tuple{Items: none(s)}
	}
	return &Tuple{Items: []Value{s[:i], sep, s[i+len(sep):]}}
}

// fill is the character that a string is filled with.
func (m *machine) fill(what string, v Value) string {
	if !given(v) {
		return " "
	}
	s := m.wantString(what, v)
	if m.runeCount(s) != 1 {
		m.fail("%s: want one character to fill with, got %.20q", what, s)
	}
	return s
}

// padding is how many characters s lacks to a width; they are taken from the budget.
func (m *machine) padding(s string, width int64, size int) int {
	n := int(max(width-int64(m.runeCount(s)), 0))
	m.spend(sum(sizeBox+len(s), product(n, size)))
	return n
}

func justifier(name string, cut func(n int) (before, behind int)) func(*machine, string, []Value, *keywords) Value {
	return func(m *machine, s string, args []Value, kw *keywords) Value {
		b := m.bind(name, "width/ fillchar/?", args, kw)
		fill := m.fill(name, b[1])
		before, behind := cut(m.padding(s, m.wantInteger(name, b[0]), len(fill)))
		return strings.Repeat(fill, before) + s + strings.Repeat(fill, behind)
	}
}

func (m *machine) center(s string, width int64, fill string) string {
	n := m.padding(s, width, len(fill))
	before := n/2 + n&int(width)&1
	return strings.Repeat(fill, before) + s + strings.Repeat(fill, n-before)
}

func (m *machine) expandTabs(s string, size int64) string {
	w := writer{m: m}
	column := int64(0)
	for _, r := range s {
		switch r {
		case '\t':
			if size > 0 {
				n := size - column%size
				m.spend(int(min(n, 1<<40)))
				column += n
				w.put(strings.Repeat(" ", int(n)))
			}
		case '\n', '\r':
			column = 0
			w.put(string(r))
		default:
			column++
			w.put(string(r))
		}
	}
	return w.String()
}
