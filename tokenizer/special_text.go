package tokenizer

import (
	"fmt"
	"strings"
)

// SpecialTokens is what special tokens become that a text spells: "<|im_end|>" in a file of
// text, in a prompt or in what should follow it.
type SpecialTokens string

const (
	// SpecialAsText reads them as the letters that they are spelled with.
	SpecialAsText SpecialTokens = "text"
	// SpecialParse reads them as the tokens, as transformers does, and llama.cpp with
	// parse_special.
	SpecialParse SpecialTokens = "parse"
)

// SpecialTokensChoices lists every SpecialTokens, the default first.
func SpecialTokensChoices() []SpecialTokens { return []SpecialTokens{SpecialAsText, SpecialParse} }

// Validate returns an error for what is neither; "" is SpecialAsText.
func (s SpecialTokens) Validate() error {
	switch s {
	case "", SpecialAsText, SpecialParse:
		return nil
	}
	return fmt.Errorf("special-tokens %.40q: want %s or %s", s, SpecialAsText, SpecialParse)
}

// EncodeText gives the ids of text, without BOS or EOS that it does not spell, and whether
// it spells them, if special tokens are parsed: BOS in front, and EOS at the end with
// nothing but white space behind it. Who puts these around a text leaves them away then.
func EncodeText(t Tokenizer, text string, special SpecialTokens) (ids []int32, begins, ends bool) {
	if t == nil {
		panic(errNoTokenizer)
	}
	parts, ok := t.(PartEncoder)
	if special != SpecialParse || !ok {
		return t.Encode(text), false, false
	}
	all := parts.SplitSpecial(text)
	bos, hasBOS := t.BOS()
	eos, hasEOS := t.EOS()
	begins = hasBOS && len(all) > 0 && all[0].Special && all[0].ID == bos
	for i := len(all) - 1; i >= 0 && hasEOS; i-- {
		if all[i].Special {
			ends = all[i].ID == eos
			break
		}
		if strings.TrimSpace(all[i].Text) != "" {
			break
		}
	}
	return parts.EncodeParts(all), begins, ends
}

// SpelledSpecial is the first special token that text spells, if there is one.
func SpelledSpecial(t Tokenizer, text string) (spelling string, ok bool) {
	parts, ok := t.(PartEncoder)
	if !ok {
		return "", false
	}
	for _, p := range parts.SplitSpecial(text) {
		if p.Special {
			return p.Text, true
		}
	}
	return "", false
}
