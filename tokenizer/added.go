package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is an entry of added_tokens: a string that is one token wherever it
// stands, found before the model sees the text.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	Lstrip     bool   `json:"lstrip"`      // takes the spaces before it
	Rstrip     bool   `json:"rstrip"`      // and behind it
	SingleWord bool   `json:"single_word"` // only where no word touches it
	Normalized bool   `json:"normalized"`  // is looked for after the normalizer
}

func (t addedToken) check(field string) error {
	if t.Content == "" || !utf8.ValidString(t.Content) {
		return fmt.Errorf("%s.content: want text in UTF-8, got %.40q", field, t.Content)
	}
	return nil
}

// addedSet finds some of the added tokens in a text.
type addedSet struct {
	set    prefixSet
	tokens map[string]addedToken // by what is looked for
}

// newAddedSet takes the spelling of each token from spell.
func newAddedSet(tokens []addedToken, spell func(string) string) *addedSet {
	s := &addedSet{tokens: map[string]addedToken{}}
	var texts []string
	for _, t := range tokens {
		text := spell(t.Content)
		if _, ok := s.tokens[text]; text != "" && !ok {
			s.tokens[text] = t
			texts = append(texts, text)
		}
	}
	s.set = newPrefixSet(texts)
	return s
}

// newSpecials sorts special tokens for SplitSpecial and Special.
func newSpecials(tokens []addedToken) (*addedSet, map[string]int32) {
	ids := make(map[string]int32, len(tokens))
	for _, t := range tokens {
		ids[t.Content] = t.ID
	}
	return newAddedSet(tokens, func(s string) string { return s }), ids
}

func splitSpecial(special *addedSet, text string) []Part {
	var parts []Part
	special.each(text, func(s string) {
		parts = append(parts, Part{Text: s})
	}, func(a addedToken) {
		parts = append(parts, Part{Text: a.Content, Special: true, ID: a.ID})
	})
	return parts
}

// each walks over text: what stands between tokens, and the tokens, of which the
// longest counts where several begin.
func (s *addedSet) each(text string, between func(string), token func(addedToken)) {
	done := 0
	if len(s.tokens) > 0 {
		for at := 0; at < len(text); {
			n := s.set.longest(text[at:])
			if n == 0 {
				at++
				continue
			}
			t := s.tokens[text[at:at+n]]
			from, to := at, at+n
			at = to
			if t.SingleWord && (endsWord(text[:from]) || beginsWord(text[to:])) {
				continue
			}
			if t.Lstrip {
				from = done + len(strings.TrimRightFunc(text[done:from], unicode.IsSpace))
			}
			if t.Rstrip {
				to = len(text) - len(strings.TrimLeftFunc(text[to:], unicode.IsSpace))
				at = to
			}
			if from > done {
				between(text[done:from])
			}
			token(t)
			done = to
		}
	}
	if done < len(text) {
		between(text[done:])
	}
}

func endsWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func beginsWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode's regular expressions.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic,
		unicode.Join_Control)
}
