package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The patterns by which well-known models cut a text into words, as their files spell
// them. Such a pattern matches at every position, so the words are one match after the
// other; they are found by hand here, ten times as fast as by a general engine.
const (
	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

var knownPatterns = map[string]func(string) int{
	gpt2Pattern:   gpt2Word,
	llama3Pattern: func(s string) int { return llama3Word(s, 3) },
	qwen2Pattern:  func(s string) int { return llama3Word(s, 1) },
}

// class is what the patterns ask of a character.
type class uint8

const (
	other  class = iota // [^\s\p{L}\p{N}]
	letter              // \p{L}
	digit               // \p{N}
	space               // \s but not a newline
	newline
)

var asciiClass = func() (c [utf8.RuneSelf]class) {
	for i := range c {
		c[i] = slowClass(rune(i))
	}
	return c
}()

func slowClass(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return digit
	case r == '\r' || r == '\n':
		return newline
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classAt is the class and the width of the character at s[i]; the width is 0 at the end.
func classAt(s string, i int) (class, int) {
	if i == len(s) {
		return other, 0
	}
	if s[i] < utf8.RuneSelf {
		return asciiClass[s[i]], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return slowClass(r), n
}

// run is where the characters of class c that begin at s[i] end.
func run(s string, i int, c class) int {
	for {
		got, n := classAt(s, i)
		if n == 0 || got != c {
			return i
		}
		i += n
	}
}

// gpt2Word is the length of the word that s, which is not empty, begins with.
func gpt2Word(s string) int {
	if n := contraction(s, false); n > 0 {
		return n
	}
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	if c, n := classAt(s, from); n > 0 && c <= digit {
		return run(s, from+n, c)
	}
	end, _ := spaces(s)
	return end
}

// llama3Word is the length of the word that s, which is not empty, begins with; a run
// of digits is cut after so many.
func llama3Word(s string, digits int) int {
	if n := contraction(s, true); n > 0 {
		return n
	}
	c, n := classAt(s, 0)
	next, width := classAt(s, n)
	switch {
	case c == letter:
		return run(s, n, letter)
	case c != digit && c != newline && width > 0 && next == letter:
		return run(s, n+width, letter)
	case c == digit:
		for ; digits > 1 && width > 0 && next == digit; digits-- {
			n += width
			next, width = classAt(s, n)
		}
		return n
	case c == other:
		return run(s, run(s, n, other), newline)
	case s[0] == ' ' && width > 0 && next == other:
		return run(s, run(s, n+width, other), newline)
	}
	end, afterNewline := spaces(s)
	if afterNewline > 0 {
		return afterNewline
	}
	return end
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd at the beginning of s.
// Where case is ignored, ſ is an s: that is Unicode's case folding.
func contraction(s string, ignoreCase bool) int {
	if s[0] != '\'' {
		return 0
	}
	s = s[1:min(len(s), 3)]
	if ignoreCase {
		if s == "ſ" {
			return 3
		}
		s = strings.ToLower(s)
	}
	if s == "" {
		return 0
	}
	if strings.IndexByte("stmd", s[0]) >= 0 {
		return 2
	}
	if s == "re" || s == "ve" || s == "ll" {
		return 3
	}
	return 0
}

// spaces measures the run of spaces and newlines that s begins with: how much of it is
// a word of its own (the last one belongs to the word behind it, unless it is the only
// one or the text ends here), and where its last newline ends, 0 if it has none.
func spaces(s string) (end, afterNewline int) {
	last := 0
	for {
		c, n := classAt(s, end)
		if n == 0 {
			return end, afterNewline
		}
		if c != space && c != newline {
			break
		}
		last = end
		end += n
		if c == newline {
			afterNewline = end
		}
	}
	if last > 0 {
		end = last
	}
	return end, afterNewline
}
