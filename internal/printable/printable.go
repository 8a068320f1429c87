// Package printable shows text that strangers have written: what would move a terminal's cursor,
// color, hide or reorder what it shows, and what is not UTF-8, becomes an escape as in Go's
// strings, \x1b or \u202e.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is a name or a message on one line: line feeds, tabs and characters without a glyph are
// escaped, too.
func Name(s string) string { return escaped(s, inName) }

// Text is text of several lines: line feeds and tabs stay.
func Text(s string) string { return escaped(s, inText) }

// JSON writes the characters that Text escapes as JSON's strings have them. The text is JSON, in
// which they can stand in strings only; what is not UTF-8 becomes U+FFFD, as in encoding/json.
func JSON(text []byte) []byte {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range string(text) {
		switch {
		case inText(r):
			b.WriteRune(r)
		case r > 0xffff: // none of them today
			b.WriteRune(unicode.ReplacementChar)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

// inText reports whether text may show a rune as it is.
func inText(r rune) bool {
	return r == '\n' || r == '\t' || !unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// joiners shape letters of Arabic and Indic scripts, and emoji.
const joiners = "\u200c\u200d"

// inName reports whether a name may show a rune as it is.
func inName(r rune) bool {
	return r != '\n' && r != '\t' && inText(r) && (!unicode.Is(unicode.Cf, r) || strings.ContainsRune(joiners, r))
}

func escaped(s string, shown func(rune) bool) string {
	plain := 0 // bytes that need no escape
	for plain < len(s) {
		r, n := utf8.DecodeRuneInString(s[plain:])
		if r == utf8.RuneError && n == 1 || !shown(r) {
			break
		}
		plain += n
	}
	if plain == len(s) {
		return s
	}
	return s[:plain] + string(appendEscaped(nil, s[plain:], shown))
}

// appendEscaped appends s, of which only shown runes stay as they are.
func appendEscaped(b []byte, s string, shown func(rune) bool) []byte {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, s[0])
		case shown(r):
			b = append(b, s[:n]...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < utf8.RuneSelf:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r > 0xffff:
			b = fmt.Appendf(b, `\U%08x`, r)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b
}
