package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// format is Python's str.format, as jinja2's sandbox does it: fields look up attributes as
// templates do.
func (m *machine) format(s string, args []Value, kw *keywords) string {
	f := formatter{m: m, args: args, kw: kw}
	return m.capture(func() { f.write(s, 2) })
}

type formatter struct {
	m        *machine
	args     []Value
	kw       *keywords
	auto     int
	numbered bool // a field has its place's number
}

// write writes text with fields; depth is how many of them may lie in one another.
func (f *formatter) write(s string, depth int) {
	m := f.m
	if depth < 0 {
		m.fail("format: want fields at most two deep, got more")
	}
	for s != "" {
		m.step(1)
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			m.write(s)
			return
		}
		m.write(s[:i])
		c := s[i]
		s = s[i+1:]
		if s != "" && s[0] == c {
			m.write(string(rune(c)))
			s = s[1:]
			continue
		}
		if c == '}' {
			m.fail("format: want { before }, got none")
		}
		open, end := 1, -1
		for k := range len(s) {
			if s[k] == '{' {
				open++
			} else if s[k] == '}' {
				if open--; open == 0 {
					end = k
					break
				}
			}
		}
		if end < 0 {
			m.fail("format: want } behind {, got none")
		}
		f.field(s[:end], depth)
		s = s[end+1:]
	}
}

func (f *formatter) field(s string, depth int) {
	m := f.m
	name, conversion, spec := s, byte(0), ""
	inBrackets := false
	for i := range len(s) {
		switch {
		case s[i] == '[':
			inBrackets = true
		case s[i] == ']':
			inBrackets = false
		case s[i] == '{' || s[i] == '}':
			if !strings.Contains(s[:i], ":") {
				m.fail("format: want no { in a field's name, got it")
			}
		}
		if inBrackets || s[i] != ':' && s[i] != '!' {
			continue
		}
		name = s[:i]
		rest := s[i+1:]
		if s[i] == '!' {
			if rest == "" || len(rest) > 1 && rest[1] != ':' {
				m.fail("format: want one character behind !, got %.20q", rest)
			}
			conversion = rest[0]
			rest = rest[min(2, len(rest)):]
		}
		spec = rest
		break
	}
	v := f.value(name)
	switch conversion {
	case 0:
	case 's':
		v = m.str(v)
	case 'r':
		v = m.repr(v)
	case 'a':
		v = m.ascii(v)
	default:
		m.fail("format: want one of the conversions s, r and a, got %q", rune(conversion))
	}
	if strings.ContainsAny(spec, "{}") {
		spec = m.capture(func() { f.write(spec, depth-1) })
	}
	m.write(m.formatValue(v, spec))
}

// value looks up a field: a place or name, and what is in it.
func (f *formatter) value(field string) Value {
	m := f.m
	end := strings.IndexAny(field, ".[")
	if end < 0 {
		end = len(field)
	}
	first, rest := field[:end], field[end:]
	var v Value
	switch {
	case first == "" && rest != "":
		m.fail("format: want a name before %.20q, got none", rest)
	case first == "" || strings.Trim(first, "0123456789") == "":
		i := f.auto
		if first == "" {
			if f.numbered {
				m.fail("format: want all fields with a number or none, got both")
			}
			f.auto++
		} else {
			if f.auto > 0 {
				m.fail("format: want all fields with a number or none, got both")
			}
			if rest == "" {
				f.numbered = true
			}
			i = int(m.parseInteger(first))
		}
		if i >= len(f.args) {
			m.fail("format: want the argument %d, got %d arguments", i, len(f.args))
		}
		v = f.args[i]
	default:
		var ok bool
		if v, ok = keywordNamed(f.kw, first); !ok {
			m.fail("format: want the argument %.40q, got none", first)
		}
	}
	for rest != "" {
		if rest[0] == '.' {
			rest = rest[1:]
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				m.fail("format: want a name behind the dot, got none")
			}
			v, rest = m.attribute(v, rest[:end]), rest[end:]
			continue
		}
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 2 {
			m.fail("format: want . or [ ] in a field, got %.20q", rest)
		}
		var key Value = rest[1:end]
		if strings.Trim(rest[1:end], "0123456789") == "" {
			key = m.parseInteger(rest[1:end])
		}
		v, rest = m.item(v, key), rest[end+1:]
	}
	return v
}

// formatValue is Python's format(v, spec).
func (m *machine) formatValue(v Value, spec string) string {
	if _, ok := v.(markup); ok {
		m.fail("format: want values that are not marked as safe, got one")
	}
	if spec == "" {
		return m.str(v)
	}
	f := m.parseSpec(spec)
	switch v := v.(type) {
	case string:
		return m.formatString(v, f)
	case float64:
		return m.formatFloating(v, f)
	}
	i, ok := asInteger(v)
	if !ok {
		m.fail("format: want no format for a value of type %s, got %.20q", typeName(v), spec)
	}
	return m.formatInteger(i, f)
}

func (m *machine) parseSpec(s string) (f numberFormat) {
	whole := s
	isAlign := func(s string) bool { return s != "" && strings.IndexByte("<>=^", s[0]) >= 0 }
	if _, n := utf8.DecodeRuneInString(s); isAlign(s[n:]) {
		f.fill, f.align, s = s[:n], s[n], s[n+1:]
	} else if isAlign(s) {
		f.align, s = s[0], s[1:]
	}
	take := func(set string) byte {
		if s == "" || strings.IndexByte(set, s[0]) < 0 {
			return 0
		}
		c := s[0]
		s = s[1:]
		return c
	}
	f.sign = take("+- ")
	f.alternate = take("#") != 0
	if take("0") != 0 {
		f.zero = true
	}
	number := func() int {
		n := 0
		for c := take("0123456789"); c != 0; c = take("0123456789") {
			n = n*10 + int(c-'0')
			m.checkWidth(int64(n))
		}
		return n
	}
	f.width = number()
	f.grouping = take(",_")
	f.precision = -1
	if take(".") != 0 {
		if s == "" || !isDigit(s[0]) {
			m.fail("format: want a precision behind the point, got none")
		}
		f.precision = number()
	}
	if len(s) > 1 {
		m.fail("format: want a format as Python has them, got %.20q", whole)
	}
	if s != "" {
		f.kind = s[0]
	}
	return f
}

func (m *machine) formatString(s string, f numberFormat) string {
	if f.sign != 0 || f.alternate || f.grouping != 0 || f.align == '=' || f.kind != 0 && f.kind != 's' {
		m.fail("format: want a format for text, got another")
	}
	if f.zero && f.fill == "" {
		f.fill = "0"
	}
	if f.align == 0 {
		f.align = '<'
	}
	if f.precision >= 0 && f.precision < m.runeCount(s) {
		s = s[:m.offset(s, f.precision)]
	}
	return f.pad(m, s)
}

// settle gives numbers their alignment.
func (f *numberFormat) settle(m *machine) {
	if f.sign == '-' {
		f.sign = 0
	}
	if f.zero {
		if f.fill == "" {
			f.fill = "0"
		}
		if f.align == 0 {
			f.align = '='
		}
	}
	f.zero = false
	if f.align == 0 {
		f.align = '>'
	}
	if f.align == '=' && f.grouping != 0 && f.fill == "0" {
		m.fail("format: want no zeros before groups of digits, got both")
	}
}

func (m *machine) formatInteger(i int64, f numberFormat) string {
	base, prefix := 10, ""
	switch f.kind {
	case 0, 'd':
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(rune(f.kind))
	case 'c':
		if f.sign != 0 || f.alternate || f.grouping != 0 || f.precision >= 0 || i < 0 || i > utf8.MaxRune ||
			0xd800 <= i && i <= 0xdfff {
			m.fail("format: want a character's number, got %d", i)
		}
		if f.align == 0 && !f.zero {
			f.align = '<'
		}
		if f.zero || f.align == '=' {
			m.fail("format: want no zeros before a character, got them")
		}
		return f.pad(m, string(rune(i)))
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		return m.formatFloating(float64(i), f)
	default:
		m.fail("format: want a format for integers, got %q", rune(f.kind))
	}
	if f.precision >= 0 {
		m.fail("format: want no precision for an integer, got one")
	}
	digits := strconv.FormatUint(magnitude(i), base)
	if f.kind == 'X' {
		digits = strings.ToUpper(digits)
	}
	if !f.alternate {
		prefix = ""
	}
	f.settle(m)
	size := 3
	if base != 10 {
		if f.grouping == ',' {
			m.fail("format: want no commas in a number that is not decimal, got them")
		}
		size = 4
	}
	return f.number(m, grouped(digits, f.grouping, size), prefix, i < 0)
}

func grouped(digits string, by byte, size int) string {
	if by == 0 {
		return digits
	}
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%size == 0 {
			out = append(out, by)
		}
		out = append(out, digits[i])
	}
	return string(out)
}

func (m *machine) formatFloating(x float64, f numberFormat) string {
	if f.alternate || math.IsNaN(x) || math.IsInf(x, 0) {
		m.fail("format: want a finite number and no #, got another")
	}
	var s string
	switch f.kind {
	case 0:
		if f.precision >= 0 {
			m.fail("format: want a letter behind the precision, such as f, got none")
		}
		s = strings.TrimPrefix(formatFloat(x), "-")
	case 'e', 'E', 'f', 'F', 'g', 'G':
		s = formatted(m, x, f.kind, f.precision)
	case '%':
		s = formatted(m, x*100, 'f', f.precision) + "%"
	default:
		m.fail("format: want a format for numbers, got %q", rune(f.kind))
	}
	f.settle(m)
	if end := strings.IndexAny(s, ".eE%"); f.grouping != 0 {
		if end < 0 {
			end = len(s)
		}
		s = grouped(s[:end], f.grouping, 3) + s[end:]
	}
	return f.number(m, s, "", math.Signbit(x))
}
