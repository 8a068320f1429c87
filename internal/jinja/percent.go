package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// percent is Python's format % values.
func (m *machine) percent(format string, values Value) string {
	p := percenter{m: m, s: format}
	if t, ok := values.(*Tuple); ok {
		p.args = t.Items
	} else {
		p.args = []Value{values}
		switch values.(type) {
		case *Dict, *List, *span, *undefined: // Python takes them for mappings
			p.mapping = true
		case *loop, *iterator:
		}
	}
	text := m.capture(p.run)
	if p.next < len(p.args) && !p.mapping {
		m.fail("%%: not all arguments converted during string formatting")
	}
	return text
}

type percenter struct {
	m       *machine
	s       string
	args    []Value
	next    int
	mapping bool
}

func (p *percenter) run() {
	m := p.m
	for {
		i := strings.IndexByte(p.s, '%')
		if i < 0 {
			m.write(p.s)
			return
		}
		m.write(p.s[:i])
		p.s = p.s[i+1:]
		m.write(p.one())
	}
}

func (p *percenter) arg() Value {
	if p.next >= len(p.args) {
		p.m.fail("%%: not enough arguments for format string")
	}
	p.next++
	return p.args[p.next-1]
}

func (p *percenter) number() int {
	n := 0
	for p.s != "" && isDigit(p.s[0]) {
		n = n*10 + int(p.s[0]-'0')
		p.m.checkWidth(int64(n))
		p.s = p.s[1:]
	}
	return n
}

// maxWidth is far more than a format needs, and less than Python allows.
const maxWidth = 10_000_000

func (m *machine) checkWidth(n int64) {
	if n > maxWidth || n < -maxWidth {
		m.exceed(LimitWidth, "want at most %d, got more", maxWidth)
	}
}

// one reads a conversion, behind its %, and gives the text that it makes of its value.
func (p *percenter) one() string {
	m := p.m
	value, keyed := p.key()
	f := p.flags()
	if strings.HasPrefix(p.s, "*") {
		n := p.star()
		if n < 0 {
			f.align, n = '<', -n
		}
		f.width = n
	} else {
		f.width = p.number()
	}
	f.precision = -1
	if strings.HasPrefix(p.s, ".") {
		if p.s = p.s[1:]; strings.HasPrefix(p.s, "*") {
			f.precision = max(p.star(), 0)
		} else {
			f.precision = p.number()
		}
	}
	if p.s != "" && strings.IndexByte("hlL", p.s[0]) >= 0 {
		p.s = p.s[1:]
	}
	if p.s == "" {
		m.fail("%%: incomplete format")
	}
	c := p.s[0]
	p.s = p.s[1:]
	if c == '%' {
		return "%"
	}
	if !keyed {
		value = p.arg()
	}
	if _, ok := value.(markup); ok {
		m.fail("%%: want values that are not marked as safe, got one")
	}
	if f.align != '<' {
		f.align = '>'
	} else {
		f.zero = false
	}
	switch c {
	case 's', 'r', 'a', 'c':
		return f.pad(m, p.text(c, value, f.precision))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		return p.integer(c, value, f)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		x := m.percentFloat(value)
		if f.alternate {
			m.fail("%%: want no # for a float, got it")
		}
		return f.number(m, formatted(m, x, c, f.precision), "", math.Signbit(x))
	}
	m.fail("%%: unsupported format character %q", rune(c))
	return ""
}

// key reads (NAME) and gives the value of that name; false where there is no key.
func (p *percenter) key() (Value, bool) {
	if !strings.HasPrefix(p.s, "(") {
		return nil, false
	}
	depth, end := 0, -1
	for i := 0; i < len(p.s) && end < 0; i++ {
		switch p.s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				end = i
			}
		}
	}
	if end < 0 {
		p.m.fail("%%: incomplete format key")
	}
	d, ok := p.args[0].(*Dict)
	if !ok || !p.mapping {
		p.m.fail("%%: format requires a mapping")
	}
	value, ok := d.at(p.s[1:end])
	if !ok {
		p.m.fail("%%: want the key %.40q, got none", p.s[1:end])
	}
	p.s = p.s[end+1:]
	return value, true
}

// flags reads what stands before the width.
func (p *percenter) flags() (f numberFormat) {
	for ; p.s != "" && strings.IndexByte("-+ #0", p.s[0]) >= 0; p.s = p.s[1:] {
		switch p.s[0] {
		case '-':
			f.align = '<'
		case '+':
			f.sign = '+'
		case ' ':
			if f.sign == 0 {
				f.sign = ' '
			}
		case '#':
			f.alternate = true
		case '0':
			f.zero = true
		}
	}
	return f
}

// star reads a *, which stands for the next argument.
func (p *percenter) star() int {
	p.s = p.s[1:]
	n, ok := p.arg().(int64)
	if !ok {
		p.m.fail("%%: * wants int")
	}
	p.m.checkWidth(n)
	return int(n)
}

func (p *percenter) text(c byte, v Value, precision int) string {
	m := p.m
	var s string
	switch c {
	case 's':
		s = m.str(v)
	case 'r':
		s = m.repr(v)
	case 'a':
		s = m.ascii(v)
	default:
		if i, ok := asInteger(v); ok {
			if i < 0 || i > utf8.MaxRune || 0xd800 <= i && i <= 0xdfff {
				m.fail("%%c: want a character's number, got %d", i)
			}
			return string(rune(i))
		}
		s, _ = v.(string)
		if m.runeCount(s) != 1 {
			m.fail("%%c: want a number or one character")
		}
		return s
	}
	if precision >= 0 && precision < m.runeCount(s) {
		s = s[:m.offset(s, precision)]
	}
	return s
}

func (p *percenter) integer(c byte, v Value, f numberFormat) string {
	m := p.m
	i, ok := asInteger(v)
	if x, isFloat := v.(float64); isFloat && strings.IndexByte("diu", c) >= 0 {
		if math.IsNaN(x) || math.Abs(x) >= 1<<63 {
			m.fail("%%d: want a number of 64 bits, got %v", x)
		}
		i, ok = int64(x), true
	}
	if !ok {
		m.defined(v)
		m.fail("%%%c: want an integer, got %s", c, typeName(v))
	}
	base, prefix := 10, ""
	switch c {
	case 'x', 'X':
		base, prefix = 16, "0"+string(rune(c))
	case 'o':
		base, prefix = 8, "0o"
	}
	digits := strconv.FormatUint(magnitude(i), base)
	if c == 'X' {
		digits = strings.ToUpper(digits)
	}
	if !f.alternate {
		prefix = ""
	}
	if f.precision > len(digits) {
		m.spend(f.precision)
		digits = strings.Repeat("0", f.precision-len(digits)) + digits
	}
	return f.number(m, digits, prefix, i < 0)
}

func (m *machine) percentFloat(v Value) float64 {
	if x, ok := asFloat(v); ok {
		return x
	}
	m.defined(v)
	m.fail("%%: must be real number, not %s", typeName(v))
	return 0
}

// formatted writes the magnitude of x with one of e, f, g and their capitals.
func formatted(m *machine, x float64, c byte, precision int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		m.fail("want a finite number to format, got %v", x)
	}
	if precision < 0 {
		precision = 6
	}
	verb := c | 0x20
	if verb == 'g' && precision == 0 {
		precision = 1
	}
	m.spend(precision + 400)
	s := strconv.FormatFloat(math.Abs(x), verb, precision, 64)
	if c != verb {
		s = strings.ToUpper(s)
	}
	return s
}

// numberFormat is how a number, or a text, is laid out.
type numberFormat struct {
	fill      string // "": a space
	align     byte   // < > ^ =
	sign      byte   // + or a space
	alternate bool
	zero      bool // zeros between the sign and the digits
	width     int
	precision int // -1: none
	grouping  byte
	kind      byte
}

// pad lays out a text.
func (f *numberFormat) pad(m *machine, s string) string {
	fill := f.fill
	if fill == "" {
		fill = " "
	}
	n := m.padding(s, int64(f.width), len(fill))
	switch f.align {
	case '<':
		return s + strings.Repeat(fill, n)
	case '^':
		return strings.Repeat(fill, n/2) + s + strings.Repeat(fill, n-n/2)
	}
	return strings.Repeat(fill, n) + s
}

// number lays out the digits of a number.
func (f *numberFormat) number(m *machine, digits, prefix string, negative bool) string {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case f.sign != 0:
		sign = string(rune(f.sign))
	}
	if f.zero || f.align == '=' {
		fill := f.fill
		if fill == "" {
			fill = " "
			if f.zero {
				fill = "0"
			}
		}
		n := m.padding(digits, int64(f.width-len(sign)-len(prefix)), len(fill))
		return sign + prefix + strings.Repeat(fill, n) + digits
	}
	return f.pad(m, sign+prefix+digits)
}
