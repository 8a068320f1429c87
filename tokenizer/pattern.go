package tokenizer

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// pattern finds parts of a text: {"String": …} or {"Regex": …} in tokenizer.json.
type pattern struct {
	literal string
	word    func(string) int // a well-known pattern
	regex   *regexp2.Regexp
}

const (
	maxPattern = 4096 // bytes; the longest known has 700
	// An expression can be made to search for ever. What one has not found after this
	// time counts as not there.
	maxSearch = time.Second
)

// readPattern compiles one. Go's own regexp has no look-ahead, which the patterns of
// all byte-level models use.
func readPattern(raw json.RawMessage, field string) (*pattern, error) {
	var p struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	}
	if err := strict(raw, field, &p); err != nil {
		return nil, err
	}
	switch {
	case p.String != nil && p.Regex == nil && *p.String != "":
		return &pattern{literal: *p.String}, nil
	case p.Regex != nil && p.String == nil && *p.Regex != "" && len(*p.Regex) <= maxPattern:
		if word, ok := knownPatterns[*p.Regex]; ok {
			return &pattern{word: word}, nil
		}
		re, err := regexp2.Compile(*p.Regex, regexp2.None)
		if err != nil {
			return nil, fmt.Errorf("%s.Regex: want a regular expression, got %.80q: %w", field, *p.Regex, err)
		}
		re.MatchTimeout = maxSearch
		return &pattern{regex: re}, nil
	}
	return nil, fmt.Errorf("%s: want a String or a Regex of 1 to %d bytes, got %.80s", field, maxPattern, raw)
}

// each calls found with the bounds of one match after the other.
func (p *pattern) each(text string, found func(from, to int)) {
	switch {
	case p.word != nil:
		for at := 0; at < len(text); {
			n := p.word(text[at:])
			found(at, at+n)
			at += n
		}
	case p.regex != nil:
		p.eachRegex(text, found)
	default:
		for at := 0; at+len(p.literal) <= len(text); {
			if text[at:at+len(p.literal)] == p.literal {
				found(at, at+len(p.literal))
				at += len(p.literal)
			} else {
				at++
			}
		}
	}
}

// eachRegex turns the engine's counts of characters into bytes.
func (p *pattern) eachRegex(text string, found func(from, to int)) {
	at, runes := 0, 0
	advance := func(to int) int {
		for ; runes < to; runes++ {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
		}
		return at
	}
	for m, err := p.regex.FindStringMatch(text); m != nil && err == nil; m, err = p.regex.FindNextMatch(m) {
		from := advance(m.Index)
		if to := advance(m.Index + m.Length); to > from {
			found(from, to)
		}
	}
}

// replaceAll puts content, which is no template, for every match.
func (p *pattern) replaceAll(text, content string) string {
	var out []byte
	done := 0
	p.each(text, func(from, to int) {
		out = append(append(out, text[done:from]...), content...)
		done = to
	})
	if done == 0 {
		return text
	}
	return string(append(out, text[done:]...))
}
