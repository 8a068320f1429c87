package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Python's strings are sequences of code points; these are their parts and classes.

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isSpace is Python's str.isspace, and its regular expressions' \s.
func isSpace(r rune) bool {
	switch {
	case '\t' <= r && r <= '\r', 0x1c <= r && r <= 0x20, r == 0x85, r == 0xa0:
		return true
	case r < 0x1680:
		return false
	}
	return r == 0x1680 || 0x2000 <= r && r <= 0x200a || r == 0x2028 || r == 0x2029 || r == 0x202f || r == 0x205f ||
		r == 0x3000
}

// isPrintable is Python's str.isprintable of one character.
func isPrintable(r rune) bool { return r == ' ' || unicode.IsPrint(r) }

func (m *machine) runeCount(s string) int {
	m.scan(len(s))
	return utf8.RuneCountInString(s)
}

// offset is the byte at which the rune number i of s begins; i may be one too many.
func (m *machine) offset(s string, i int) int {
	m.scan(len(s))
	if isASCII(s) {
		return i
	}
	at := 0
	for ; i > 0 && at < len(s); i-- {
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
	}
	return at
}

func (m *machine) runes(s string) *iterator {
	at := 0
	return &iterator{"str_iterator", func() (Value, bool) {
		if at == len(s) {
			return nil, false
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		at += n
		m.spend(sizeBox)
		return s[at-n : at], true
	}}
}

// cased makes the room for a string in another case: no letter becomes more than three,
// of at most three bytes each.
func (m *machine) cased(s string) {
	if isASCII(s) {
		m.spend(sizeBox + len(s))
		return
	}
	m.spend(sizeBox + product(len(s), 8))
}

func (m *machine) upper(s string) string {
	m.cased(s)
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	var out strings.Builder
	for _, r := range s {
		out.WriteString(upperRune(r))
	}
	return out.String()
}

func upperRune(r rune) string { return cased(r, specialUpper, unicode.ToUpper) }
func titleRune(r rune) string { return cased(r, specialTitle, unicode.ToTitle) }

// cased is a character in another case, which some have of several characters.
func cased(r rune, special map[rune]string, to func(rune) rune) string {
	if several, ok := special[r]; ok {
		return several
	}
	return string(to(r))
}

func lowerRune(r rune) string {
	if r == 'İ' {
		return "i\u0307"
	}
	return string(unicode.ToLower(r))
}

func isCased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) || unicode.Is(unicode.Other_Lowercase, r) ||
		unicode.Is(unicode.Other_Uppercase, r)
}

// isCaseIgnorable is Unicode's property, which has no table in Go: marks, formats,
// modifiers and what separates parts of words.
func isCaseIgnorable(r rune) bool {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) {
		return true
	}
	switch r {
	case '\'', '.', ':', 0xb7, 0x387, 0x55f, 0x5f4, 0x2018, 0x2019, 0x2024, 0x2027, 0xfe13, 0xfe52, 0xfe55, 0xff07,
		0xff0e, 0xff1a:
		return true
	}
	return false
}

// lowerAt writes the rune at byte at of s in lower case: a sigma at the end of a word has
// another form.
func lowerAt(s string, at int, r rune) string {
	if r != 'Σ' {
		return lowerRune(r)
	}
	before := strings.TrimRightFunc(s[:at], isCaseIgnorable)
	behind := strings.TrimLeftFunc(s[at+len("Σ"):], isCaseIgnorable)
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(behind)
	if before != "" && isCased(last) && (behind == "" || !isCased(next)) {
		return "ς"
	}
	return "σ"
}

func (m *machine) lower(s string) string {
	m.cased(s)
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var out strings.Builder
	for at, r := range s {
		if r == 'Σ' {
			m.scan(len(s))
		}
		out.WriteString(lowerAt(s, at, r))
	}
	return out.String()
}

func (m *machine) fold(s string) string {
	m.cased(s)
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var out strings.Builder
	for _, r := range s {
		if several, ok := specialFold[r]; ok {
			out.WriteString(several)
		} else {
			out.WriteString(lowerRune(r))
		}
	}
	return out.String()
}

// capitalize: the first letter in title case, the others small.
func (m *machine) capitalize(s string) string {
	m.cased(s)
	var out strings.Builder
	for at, r := range s {
		if at == 0 {
			out.WriteString(titleRune(r))
			continue
		}
		if r == 'Σ' {
			m.scan(len(s))
		}
		out.WriteString(lowerAt(s, at, r))
	}
	return out.String()
}

// title is Python's str.title: a letter behind one that has no case is the first of a word.
func (m *machine) title(s string) string {
	m.cased(s)
	var out strings.Builder
	inWord := false
	for at, r := range s {
		if r == 'Σ' {
			m.scan(len(s))
		}
		if inWord {
			out.WriteString(lowerAt(s, at, r))
		} else {
			out.WriteString(titleRune(r))
		}
		inWord = isCased(r)
	}
	return out.String()
}

func (m *machine) swapCase(s string) string {
	m.cased(s)
	var out strings.Builder
	for at, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r):
			out.WriteString(lowerAt(s, at, r))
		case unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r):
			out.WriteString(upperRune(r))
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

func isUpperRune(r rune) bool { return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r) }
func isLowerRune(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }

// isNumeric is Python's str.isnumeric of one character. Beyond the classes of numbers some
// ideographs have values; Go has no table of them.
func (m *machine) isNumeric(r rune) bool {
	if unicode.Is(unicode.Han, r) {
		m.fail("want letters that are no ideographs, got %q", r)
	}
	return unicode.IsNumber(r)
}

// isDecimalOrDigit is Python's str.isdigit of one character: decimal digits, and digits
// like ² that do not count in a decimal number.
func (m *machine) isDigitRune(r rune) bool {
	if r >= utf8.RuneSelf && unicode.In(r, unicode.No, unicode.Nl) {
		for _, d := range digitRanges {
			if d[0] <= r && r <= d[1] {
				return true
			}
		}
		return false
	}
	return unicode.IsDigit(r)
}

func isLetter(r rune) bool    { return unicode.IsLetter(r) }
func isDecimal(r rune) bool   { return unicode.IsDigit(r) }
func isTitleRune(r rune) bool { return unicode.IsTitle(r) }
func isAlnum(r rune) bool     { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// digitRanges are the characters of Unicode's Numeric_Type=Digit.
var digitRanges = [][2]rune{
	{0xb2, 0xb3}, {0xb9, 0xb9}, {0x1369, 0x1371}, {0x19da, 0x19da}, {0x2070, 0x2070}, {0x2074, 0x2079},
	{0x2080, 0x2089}, {0x2460, 0x2468}, {0x2474, 0x247c}, {0x2488, 0x2490}, {0x24ea, 0x24ea}, {0x24f5, 0x24fd},
	{0x24ff, 0x24ff}, {0x2776, 0x277e}, {0x2780, 0x2788}, {0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68},
	{0x11052, 0x1105a}, {0x1f100, 0x1f10a},
}
