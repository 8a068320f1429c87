package jinja

import "strings"

// original is what a sealed character stands for, and every other itself.
func (m *machine) original(r rune) rune {
	if o, ok := m.sealed[r]; ok {
		return o
	}
	return r
}

// asOriginal makes sure that a question about two strings has the answer that it has of what
// their sealed characters stand for. Where it has another, the template looks for what it is
// not to see, and jinja2 would go on otherwise.
func (m *machine) asOriginal(what, s, part string, answer func(s, part string) int) {
	if len(m.sealed) == 0 {
		return
	}
	isSealed := func(r rune) bool { return m.original(r) != r }
	if !strings.ContainsFunc(s, isSealed) && !strings.ContainsFunc(part, isSealed) {
		return
	}
	m.spend(2 * (len(s) + len(part)))
	if answer(strings.Map(m.original, s), strings.Map(m.original, part)) != answer(s, part) {
		m.fail("%s: want messages that do not spell %.40q, which the template looks for: it is, or begins, a "+
			"special token", what, strings.Map(m.original, part))
	}
}

// yes makes an answer of asOriginal's of one that is true or not.
func yes(is func(s, part string) bool) func(s, part string) int {
	return func(s, part string) int {
		if is(s, part) {
			return 1
		}
		return 0
	}
}
