package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tokenKind is what a token is.
type tokenKind int

const (
	tokenEOF tokenKind = iota
	tokenData
	tokenBlockBegin
	tokenBlockEnd
	tokenVariableBegin
	tokenVariableEnd
	tokenName
	tokenString
	tokenInteger
	tokenFloat
	tokenOperator
)

var tokenNames = map[tokenKind]string{
	tokenEOF: "the end of the template", tokenData: "text", tokenBlockBegin: "{%", tokenBlockEnd: "%}",
	tokenVariableBegin: "{{",
	tokenVariableEnd:   "}}", tokenName: "a name", tokenString: "a string", tokenInteger: "an integer",
	tokenFloat: "a number", tokenOperator: "an operator",
}

type token struct {
	kind    tokenKind
	line    int
	text    string // data, a name, an operator, a string's value
	integer int64
	float   float64
}

func (t token) String() string {
	switch t.kind {
	case tokenName, tokenOperator:
		return strconv.Quote(t.text)
	case tokenString:
		return fmt.Sprintf("the string %.20q", t.text)
	}
	return tokenNames[t.kind]
}

func (t token) isOperator(s string) bool { return t.kind == tokenOperator && t.text == s }
func (t token) isName(s string) bool     { return t.kind == tokenName && t.text == s }

// lexer cuts a template into tokens, as jinja2 does with trim_blocks and lstrip_blocks.
type lexer struct {
	src          string
	pos, line    int
	lineStarting bool // what was read last ends in a newline
	tokens       []token
}

func lex(source string) []token {
	source = strings.ReplaceAll(source, "\r\n", "\n")
	source = strings.ReplaceAll(source, "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(source, "\n"), line: 1, lineStarting: true}
	for l.pos < len(l.src) {
		l.root()
	}
	l.emit(token{kind: tokenEOF})
	return l.tokens
}

func (l *lexer) emit(t token) {
	t.line = l.line
	l.tokens = append(l.tokens, t)
}

func (l *lexer) fail(format string, args ...any) {
	panic(&Error{Line: l.line, Message: fmt.Sprintf(format, args...)})
}

// take moves behind n bytes.
func (l *lexer) take(n int) string {
	s := l.src[l.pos : l.pos+n]
	l.pos += n
	l.line += strings.Count(s, "\n")
	l.lineStarting = strings.HasSuffix(s, "\n")
	return s
}

// root reads text to the next tag, and that tag.
func (l *lexer) root() {
	rest := l.src[l.pos:]
	at := 0
	for {
		i := strings.IndexByte(rest[at:], '{')
		if i < 0 || at+i+1 == len(rest) {
			l.emit(token{kind: tokenData, text: rest})
			l.take(len(rest))
			return
		}
		at += i
		if c := rest[at+1]; c == '%' || c == '{' || c == '#' {
			break
		}
		at++
	}
	kind := rest[at+1]
	sign := signAt(rest[at+2:])
	if text := l.beforeTag(rest[:at], sign, kind != '{'); text != "" {
		l.emit(token{kind: tokenData, text: text})
	}
	tag := at + 2 + len(sign)
	switch kind {
	case '#':
		l.take(tag)
		l.comment()
	case '{':
		l.take(at)
		l.emit(token{kind: tokenVariableBegin})
		l.take(tag - at)
		l.code(tokenVariableEnd)
	default:
		if n := rawBegin(rest[tag:]); n > 0 {
			l.take(tag + n)
			l.raw()
			return
		}
		l.take(at)
		l.emit(token{kind: tokenBlockBegin})
		l.take(tag - at)
		l.code(tokenBlockEnd)
	}
}

func signAt(s string) string {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[:1]
	}
	return ""
}

// beforeTag is what is left of the text before a tag: a minus takes all space away, and
// where a statement or comment is the first on its line, the line's space goes.
func (l *lexer) beforeTag(text, sign string, strips bool) string {
	switch {
	case sign == "-":
		return strings.TrimRightFunc(text, isSpace)
	case sign == "" && strips:
		from := strings.LastIndexByte(text, '\n') + 1
		if (from > 0 || l.lineStarting) && strings.TrimLeftFunc(text[from:], isSpace) == "" {
			return text[:from]
		}
	}
	return text
}

// spaces is the length of the space that s begins with.
func spaces(s string) int { return len(s) - len(strings.TrimLeftFunc(s, isSpace)) }

// rawBegin is the length of what follows {% in {% raw %}, or 0.
func rawBegin(s string) int {
	n := spaces(s)
	if !strings.HasPrefix(s[n:], "raw") {
		return 0
	}
	n += len("raw")
	n += spaces(s[n:])
	switch {
	case strings.HasPrefix(s[n:], "-%}"):
		n += len("-%}")
		return n + spaces(s[n:])
	case strings.HasPrefix(s[n:], "%}"):
		return n + len("%}")
	}
	return 0
}

// tagEnd is the length of an end tag with its sign and what it takes along, or 0.
func tagEnd(s, end string) int {
	switch {
	case strings.HasPrefix(s, "-"+end):
		n := 1 + len(end)
		return n + spaces(s[n:])
	case strings.HasPrefix(s, "+"+end):
		return 1 + len(end)
	case strings.HasPrefix(s, end):
		n := len(end)
		if strings.HasPrefix(s[n:], "\n") {
			n++
		}
		return n
	}
	return 0
}

func (l *lexer) comment() {
	rest := l.src[l.pos:]
	i := strings.Index(rest, "#}")
	if i < 0 {
		l.fail("want the end of a comment, got none")
	}
	if i > 0 && (rest[i-1] == '-' || rest[i-1] == '+') {
		i--
	}
	l.take(i + tagEnd(rest[i:], "#}"))
}

// raw reads what stands between {% raw %} and {% endraw %}.
func (l *lexer) raw() {
	rest := l.src[l.pos:]
	for at := 0; ; at += 2 {
		i := strings.Index(rest[at:], "{%")
		if i < 0 {
			l.fail("want {%% endraw %%}, got none")
		}
		at += i
		sign := signAt(rest[at+2:])
		n := at + 2 + len(sign)
		n += spaces(rest[n:])
		if !strings.HasPrefix(rest[n:], "endraw") {
			continue
		}
		n += len("endraw")
		n += spaces(rest[n:])
		end := tagEnd(rest[n:], "%}")
		if end == 0 {
			continue
		}
		if text := l.beforeTag(rest[:at], sign, true); text != "" {
			l.emit(token{kind: tokenData, text: text})
		}
		l.take(n + end)
		return
	}
}

// code reads the tokens of a tag, to its end.
func (l *lexer) code(end tokenKind) {
	var open []byte // brackets that are to be closed
	for {
		rest := l.src[l.pos:]
		if rest == "" {
			return // the parser misses the end
		}
		if len(open) == 0 {
			if n := l.endOf(rest, end); n > 0 {
				l.emit(token{kind: end})
				l.take(n)
				return
			}
		}
		c := rest[0]
		switch {
		case spaces(rest) > 0:
			l.take(spaces(rest))
		case isDigit(c):
			l.number(rest)
		case isNameByte(c):
			n := 1
			for n < len(rest) && isNameByte(rest[n]) {
				n++
			}
			if n < len(rest) && rest[n] >= utf8.RuneSelf && spaces(rest[n:]) == 0 {
				l.fail("want names in ASCII, got %.20q", rest)
			}
			l.emit(token{kind: tokenName, text: rest[:n]})
			l.take(n)
		case c == '\'' || c == '"':
			l.quoted(rest)
		default:
			op := operatorAt(rest)
			if op == "" {
				r, _ := utf8.DecodeRuneInString(rest)
				l.fail("unexpected character %q", r)
			}
			switch op {
			case "(":
				open = append(open, ')')
			case "[":
				open = append(open, ']')
			case "{":
				open = append(open, '}')
			case ")", "]", "}":
				if len(open) == 0 {
					l.fail("unexpected %q", op)
				}
				if want := open[len(open)-1]; want != op[0] {
					l.fail("want %q, got %q", want, op)
				}
				open = open[:len(open)-1]
			}
			l.emit(token{kind: tokenOperator, text: op})
			l.take(len(op))
		}
	}
}

// endOf is the length of the end of a tag, or 0. Behind }} a newline stays.
func (l *lexer) endOf(s string, end tokenKind) int {
	if end == tokenBlockEnd {
		return tagEnd(s, "%}")
	}
	switch {
	case strings.HasPrefix(s, "-}}"):
		return 3 + spaces(s[3:])
	case strings.HasPrefix(s, "}}"):
		return 2
	}
	return 0
}

func operatorAt(s string) string {
	if len(s) >= 2 {
		switch s[:2] {
		case "//", "**", "==", "!=", ">=", "<=":
			return s[:2]
		}
	}
	if strings.IndexByte("+-/*%~[](){}><=.:|,;", s[0]) >= 0 {
		return s[:1]
	}
	return ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || isDigit(c) || c == '_'
}

// digits is the length of digits, each of which but the first may have _ before it.
func digits(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) {
		switch {
		case is(s[n]):
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && is(s[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func (l *lexer) number(s string) {
	if l.pos == 0 || l.src[l.pos-1] != '.' {
		if n := floatAt(s); n > 0 {
			l.float(s[:n])
			return
		}
	}
	n, base, text := 0, 10, ""
	if len(s) > 2 && s[0] == '0' {
		is := map[byte]func(byte) bool{
			'b': func(c byte) bool { return c == '0' || c == '1' },
			'o': func(c byte) bool { return '0' <= c && c <= '7' },
			'x': func(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
		}[s[1]|0x20]
		if is != nil {
			from := 2
			if s[2] == '_' {
				from++
			}
			if d := digits(s[from:], is); d > 0 {
				n, base, text = from+d, map[byte]int{'b': 2, 'o': 8, 'x': 16}[s[1]|0x20], s[from:from+d]
			}
		}
	}
	if n == 0 {
		is := isDigit
		if s[0] == '0' {
			is = func(c byte) bool { return c == '0' }
		}
		n = digits(s, is)
		text = s[:n]
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), base, 64)
	if err != nil {
		panic(&Error{Line: l.line, Limit: LimitInteger,
			Message: fmt.Sprintf("limit of %s: want 64 bits, got %.30s", LimitInteger, text)})
	}
	l.emit(token{kind: tokenInteger, integer: v})
	l.take(n)
}

// floatAt is the length of a number with a fraction or an exponent, or 0.
func floatAt(s string) int {
	n := digits(s, isDigit)
	fraction := 0
	if n < len(s) && s[n] == '.' {
		if d := digits(s[n+1:], isDigit); d > 0 {
			fraction = 1 + d
		}
	}
	m := n + fraction
	if m < len(s) && s[m]|0x20 == 'e' {
		e := m + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := digits(s[e:], isDigit); d > 0 {
			return e + d
		}
	}
	if fraction > 0 {
		return m
	}
	return 0
}

func (l *lexer) float(text string) {
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsInf(v, 0) {
		l.fail("want a number that a float64 holds, got %.30s", text)
	}
	l.emit(token{kind: tokenFloat, float: v})
	l.take(len(text))
}

// quoted reads a string with Python's escapes.
func (l *lexer) quoted(s string) {
	quote := s[0]
	n := 1
	for ; n < len(s) && s[n] != quote; n++ {
		if s[n] == '\\' {
			n++
		}
	}
	if n >= len(s) {
		l.fail("unexpected character %q", quote)
	}
	body := s[1:n]
	l.emit(token{kind: tokenString, text: l.unescape(body)})
	l.take(n + 1)
}

func (l *lexer) unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case '\n':
		case '\\', '\'', '"':
			out.WriteByte(c)
		case 'a':
			out.WriteByte('\a')
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 't':
			out.WriteByte('\t')
		case 'v':
			out.WriteByte('\v')
		case '0', '1', '2', '3', '4', '5', '6', '7':
			v := rune(c - '0')
			for k := 0; k < 2 && s != "" && '0' <= s[0] && s[0] <= '7'; k++ {
				v, s = 8*v+rune(s[0]-'0'), s[1:]
			}
			out.WriteRune(v)
		case 'x', 'u', 'U':
			n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if len(s) < n {
				l.fail("want %d hexadecimal digits behind \\%c, got %d", n, c, len(s))
			}
			v, err := strconv.ParseUint(s[:n], 16, 32)
			if err != nil || v > utf8.MaxRune || 0xd800 <= v && v <= 0xdfff {
				l.fail("want a character behind \\%c, got %q", c, s[:n])
			}
			out.WriteRune(rune(v))
			s = s[n:]
		case 'N':
			l.fail("want characters by their number, got the name of one: \\N%.20s", s)
		default:
			if c >= utf8.RuneSelf {
				l.fail(`want no \ before a character beyond ASCII, got one`)
			}
			out.WriteByte('\\')
			out.WriteByte(c)
		}
	}
}
