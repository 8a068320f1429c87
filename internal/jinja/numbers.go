package jinja

import (
	"math"
	"strconv"
	"strings"
)

// toFloat is Python's float(v).
func (m *machine) toFloat(v Value) float64 {
	if f, ok := asFloat(v); ok {
		return f
	}
	m.defined(v)
	s, ok := asString(v)
	if !ok {
		m.fail("want a number, got %s", typeName(v))
	}
	f, ok := m.parseFloat(s)
	if !ok {
		m.fail("want a number, got %.40q", s)
	}
	return f
}

// parseFloat reads what Python's float takes.
func (m *machine) parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	m.scan(len(s))
	if !isASCII(s) {
		if strings.ContainsFunc(s, isDecimal) {
			m.fail("want a number in ASCII, got %.40q", s)
		}
		return 0, false
	}
	lower := strings.ToLower(s)
	switch strings.TrimLeft(lower, "+-") {
	case "inf", "infinity", "nan":
		if len(lower)-len(strings.TrimLeft(lower, "+-")) > 1 {
			return 0, false
		}
		f, err := strconv.ParseFloat(lower, 64)
		if err != nil { // -nan
			return math.NaN(), true
		}
		return f, true
	}
	clean, ok := withoutUnderscores(s)
	if !ok || clean == "" || strings.Trim(clean, "+-.0123456789eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(clean, 64)
	if e, isNum := err.(*strconv.NumError); isNum && e.Err == strconv.ErrRange {
		return f, true
	}
	return f, err == nil
}

// withoutUnderscores takes away the _ between digits; elsewhere they are wrong.
func withoutUnderscores(s string) (string, bool) {
	if !strings.Contains(s, "_") {
		return s, true
	}
	digit := func(i int) bool {
		return i >= 0 && i < len(s) && (isDigit(s[i]) || 'a' <= s[i]|0x20 && s[i]|0x20 <= 'z')
	}
	for i := range len(s) {
		if s[i] == '_' && !(digit(i-1) && digit(i+1)) {
			return "", false
		}
	}
	return strings.ReplaceAll(s, "_", ""), true
}

// parseInt reads what Python's int takes for a string; not ok where it does not.
func (m *machine) parseInt(s string, base int64) (int64, bool) {
	s = strings.TrimFunc(s, isSpace)
	m.scan(len(s))
	if !isASCII(s) {
		if strings.ContainsFunc(s, isDecimal) {
			m.fail("want a number in ASCII, got %.40q", s)
		}
		return 0, false
	}
	if base != 0 && (base < 2 || base > 36) {
		return 0, false
	}
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	if len(s) > 1 && s[0] == '0' {
		if b, ok := map[byte]int64{'b': 2, 'o': 8, 'x': 16}[s[1]|0x20]; ok && (base == 0 || base == b) {
			base, s = b, s[2:]
			s = strings.TrimPrefix(s, "_")
		}
	}
	if base == 0 {
		base = 10
		if len(s) > 1 && s[0] == '0' && strings.Trim(s, "0_") != "" {
			return 0, false
		}
	}
	clean := s
	if strings.Contains(s, "_") {
		if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
			return 0, false
		}
		clean = strings.ReplaceAll(s, "_", "")
	}
	if clean == "" || clean[0] == '+' || clean[0] == '-' {
		return 0, false
	}
	v, err := strconv.ParseInt(sign+clean, int(base), 64)
	if e, isNum := err.(*strconv.NumError); isNum && e.Err == strconv.ErrRange {
		m.tooLarge()
	}
	return v, err == nil
}

func filterFloat(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("float", "default?", args, kw)
	m.defined(v)
	if f, ok := asFloat(v); ok {
		return m.float(f)
	}
	if s, ok := asString(v); ok {
		if f, ok := m.parseFloat(s); ok {
			return m.float(f)
		}
	}
	return orElse(b[0], 0.0)
}

func filterInt(m *machine, v Value, args []Value, kw *keywords) Value {
	b := m.bind("int", "default? base?", args, kw)
	m.defined(v)
	base := orElse(b[1], int64(10))
	whole := func(f float64) (Value, bool) {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, false
		}
		if math.Abs(f) >= 1<<63 {
			m.tooLarge()
		}
		return m.integer(int64(f)), true
	}
	switch v := v.(type) {
	case string, markup:
		s, _ := asString(v)
		n, isInt := asInteger(base)
		if isInt {
			if i, ok := m.parseInt(s, n); ok {
				return m.integer(i)
			}
		}
		if f, ok := m.parseFloat(s); ok {
			if i, ok := whole(f); ok {
				return i
			}
		}
	case float64:
		if math.IsInf(v, 0) {
			m.fail("int: want a finite number, got %v", v)
		}
		if i, ok := whole(v); ok {
			return i
		}
	default:
		if i, ok := asInteger(v); ok {
			return m.integer(i)
		}
	}
	return orElse(b[0], int64(0))
}
