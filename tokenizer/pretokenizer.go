package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// preTokenizer cuts a text that is not empty into words, which merges do not cross.
// first says that the text stands at the very beginning.
type preTokenizer func(text string, first bool, word func(string))

// cutWords runs the pre-tokenizers, each on the words of the one before.
func cutWords(all []preTokenizer, text string, first bool, word func(string)) {
	switch {
	case text == "":
	case len(all) == 0:
		word(text)
	case len(all) == 1:
		all[0](text, first, word)
	default:
		rest := all[1:]
		atStart := first
		all[0](text, first, func(w string) {
			cutWords(rest, w, atStart, word)
			atStart = false
		})
	}
}

// readPreTokenizer also says whether the words are bytes, which are spelled in the
// vocabulary by the letters of ByteLevel.
func readPreTokenizer(raw json.RawMessage) (all []preTokenizer, byteLevel bool, err error) {
	err = sequenceOf(raw, "pre_tokenizer", "pretokenizers", func(kind, field string, raw json.RawMessage) error {
		if byteLevel {
			return fmt.Errorf("%s: want nothing behind ByteLevel, got %.40q", field, kind)
		}
		var p preTokenizer
		var err error
		switch kind {
		case "Split":
			p, err = readSplit(raw, field)
		case "Metaspace":
			p, err = readMetaspaceWords(raw, field)
		case "ByteLevel":
			byteLevel = true
			p, err = readByteLevelWords(raw, field)
		default:
			err = unsupported(field, kind, "ByteLevel", "Metaspace", "Split")
		}
		if p != nil {
			all = append(all, p)
		}
		return err
	})
	return all, byteLevel, err
}

// behavior is what becomes of the matches of a Split.
type behavior string

const (
	isolated           behavior = "Isolated"
	removed            behavior = "Removed"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
)

var behaviors = []behavior{isolated, removed, mergedWithPrevious, mergedWithNext}

func readSplit(raw json.RawMessage, field string) (preTokenizer, error) {
	var s struct {
		Type     string          `json:"type"`
		Pattern  json.RawMessage `json:"pattern"`
		Behavior behavior        `json:"behavior"`
		Invert   bool            `json:"invert"`
	}
	if err := strict(raw, field, &s); err != nil {
		return nil, err
	}
	if !slices.Contains(behaviors, s.Behavior) {
		return nil, fmt.Errorf("%s.behavior: want one of %v, got %.40q", field, behaviors, s.Behavior)
	}
	p, err := readPattern(s.Pattern, field+".pattern")
	if err != nil {
		return nil, err
	}
	if p.word != nil && s.Behavior == isolated { // the matches are the words
		return func(text string, _ bool, word func(string)) {
			p.each(text, func(from, to int) { word(text[from:to]) })
		}, nil
	}
	return func(text string, _ bool, word func(string)) {
		split(text, p, s.Behavior, s.Invert, word)
	}, nil
}

// split cuts text at the matches of a pattern, or, inverted, at what stands between.
func split(text string, p *pattern, b behavior, invert bool, word func(string)) {
	type part struct {
		text  string
		match bool
	}
	var parts []part
	done := 0
	add := func(to int, match bool) {
		if to > done {
			parts = append(parts, part{text[done:to], match != invert})
			done = to
		}
	}
	p.each(text, func(from, to int) {
		add(from, false)
		add(to, true)
	})
	add(len(text), false)

	// A match joins its neighbor unless another match stands between them.
	var words []string
	switch b {
	case mergedWithPrevious:
		for i, p := range parts {
			if p.match && i > 0 && !parts[i-1].match {
				words[len(words)-1] += p.text
			} else {
				words = append(words, p.text)
			}
		}
	case mergedWithNext:
		for i, p := range slices.Backward(parts) {
			if p.match && i+1 < len(parts) && !parts[i+1].match {
				words[len(words)-1] = p.text + words[len(words)-1]
			} else {
				words = append(words, p.text)
			}
		}
		slices.Reverse(words)
	default:
		for _, p := range parts {
			if b != removed || !p.match {
				words = append(words, p.text)
			}
		}
	}
	for _, w := range words {
		word(w)
	}
}

// metaspace is SentencePiece's way with spaces, as a pre-tokenizer and a decoder.
type metaspace struct {
	Type           string  `json:"type"`
	Replacement    string  `json:"replacement"`
	PrependScheme  string  `json:"prepend_scheme"`
	Split          *bool   `json:"split"`
	AddPrefixSpace *bool   `json:"add_prefix_space"` // of older files
	StrRep         *string `json:"str_rep"`
}

func readMetaspace(raw json.RawMessage, field string) (metaspace, error) {
	var m metaspace
	if err := strict(raw, field, &m); err != nil {
		return m, err
	}
	if utf8.RuneCountInString(m.Replacement) != 1 {
		return m, fmt.Errorf("%s.replacement: want one character, got %.40q", field, m.Replacement)
	}
	if m.StrRep != nil && *m.StrRep != m.Replacement {
		return m, fmt.Errorf("%s.str_rep: want %q as in replacement, got %.40q", field, m.Replacement, *m.StrRep)
	}
	if m.PrependScheme == "" {
		m.PrependScheme = "always"
		if m.AddPrefixSpace != nil && !*m.AddPrefixSpace {
			m.PrependScheme = "never"
		}
	}
	switch m.PrependScheme {
	case "always", "first", "never":
	default:
		return m, fmt.Errorf("%s.prepend_scheme: want always, first or never, got %.40q", field, m.PrependScheme)
	}
	if m.AddPrefixSpace != nil && *m.AddPrefixSpace != (m.PrependScheme != "never") {
		return m, fmt.Errorf("%s.add_prefix_space: want what prepend_scheme %q says, got %v", field, m.PrependScheme,
			*m.AddPrefixSpace)
	}
	return m, nil
}

func readMetaspaceWords(raw json.RawMessage, field string) (preTokenizer, error) {
	m, err := readMetaspace(raw, field)
	if err != nil {
		return nil, err
	}
	mark := &pattern{literal: m.Replacement}
	return func(text string, first bool, word func(string)) {
		text = strings.ReplaceAll(text, " ", m.Replacement)
		prepend := m.PrependScheme == "always" || m.PrependScheme == "first" && first
		if prepend && !strings.HasPrefix(text, m.Replacement) {
			text = m.Replacement + text
		}
		if m.Split != nil && !*m.Split {
			word(text)
			return
		}
		split(text, mark, mergedWithNext, false, word)
	}, nil
}

// byteLevel says that words are bytes; as a post-processor it changes no id.
type byteLevel struct {
	Type           string `json:"type"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	TrimOffsets    bool   `json:"trim_offsets"` // of no concern to ids
	UseRegex       *bool  `json:"use_regex"`
}

func readByteLevelWords(raw json.RawMessage, field string) (preTokenizer, error) {
	var b byteLevel
	if err := strict(raw, field, &b); err != nil {
		return nil, err
	}
	prefix := b.AddPrefixSpace == nil || *b.AddPrefixSpace
	regex := b.UseRegex == nil || *b.UseRegex
	if !prefix && !regex {
		return nil, nil
	}
	words := &pattern{word: gpt2Word}
	return func(text string, _ bool, word func(string)) {
		if prefix && text[0] != ' ' {
			text = " " + text
		}
		if !regex {
			word(text)
			return
		}
		words.each(text, func(from, to int) { word(text[from:to]) })
	}, nil
}
