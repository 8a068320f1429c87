package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
)

// cutOf is the pattern by which a byte-level pre_tokenizer of the two usual forms cuts words:
// ByteLevel alone, which has GPT-2's, or a Split that leaves its matches alone and ByteLevel
// behind it. "": another form.
func cutOf(raw json.RawMessage) string {
	type step struct {
		Type           string `json:"type"`
		AddPrefixSpace *bool  `json:"add_prefix_space"`
		UseRegex       *bool  `json:"use_regex"`
		Pattern        struct {
			Regex string `json:"Regex"`
		} `json:"pattern"`
		Behavior behavior `json:"behavior"`
		Invert   bool     `json:"invert"`
	}
	var whole struct {
		Type  string `json:"type"`
		Steps []step `json:"pretokenizers"`
	}
	// What else stands there is of no concern: readPreTokenizer has read it.
	if json.Unmarshal(raw, &whole) != nil {
		return ""
	}
	if whole.Type != "Sequence" {
		whole.Steps = make([]step, 1)
		if json.Unmarshal(raw, &whole.Steps[0]) != nil {
			return ""
		}
	}
	isTrue := func(b *bool) bool { return b == nil || *b }
	last := len(whole.Steps) - 1
	if last < 0 || whole.Steps[last].Type != "ByteLevel" || isTrue(whole.Steps[last].AddPrefixSpace) {
		return ""
	}
	regex := isTrue(whole.Steps[last].UseRegex)
	switch first := whole.Steps[0]; {
	case last == 0 && regex:
		return gpt2Pattern
	case last == 1 && !regex && first.Type == "Split" && first.Behavior == isolated && !first.Invert:
		return first.Pattern.Regex
	}
	return ""
}

// ggufCut is llama.cpp's name for the way in which the tokenizer cuts words.
func (t *BPE) ggufCut() (string, bool) {
	for name, c := range cuts {
		if c.pattern == t.cut && c.ignoreMerges == t.ignoreMerges {
			return name, true
		}
	}
	return "", false
}

// forLlamaCpp are the keys by which a GGUF file of a model, with so many words, has the tokenizer,
// as llama.cpp reads it. dir is the folder, for errors and warnings.
func (t *BPE) forLlamaCpp(dir string, words int) (metadata []gguf.KeyValue, warnings []string, err error) {
	pre, ok := t.ggufCut()
	switch {
	case !t.byteLevel:
		return nil, nil, noVocabulary(dir, "BPE of characters")
	case !ok:
		return nil, nil, fmt.Errorf("tokenizer: %s: pre_tokenizer: want a pattern of words that has a name in GGUF"+
			" (GPT-2's, LLaMA 3's or Qwen2's), got another: export to safetensors and convert that by llama.cpp's"+
			" program", dir)
	case len(t.names) > words:
		return nil, nil, fmt.Errorf("tokenizer: %s: want at most the %d words of the model, got %d", dir, words,
			len(t.names))
	}
	if len(t.normalizers) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: normalizer: llama.cpp has none, so that text which is not"+
			" in Unicode's form NFC becomes other ids there", dir))
	}
	warnings = append(warnings, flagsForLlamaCpp(dir, t.special, t.plain[0], t.plain[1])...)
	texts, types := make([]string, words), make([]int32, words)
	for id := range words {
		switch text := t.Piece(int32(id)); {
		case text == "":
			texts[id], types[id] = fmt.Sprintf("[PAD%d]", id), int32(unused)
		case t.skipped[int32(id)]:
			texts[id], types[id] = text, int32(control)
		case t.isPlain(int32(id)):
			texts[id], types[id] = text, int32(userDefined)
		default:
			texts[id], types[id] = text, int32(normal)
		}
	}
	bos, begins := t.BOS()
	metadata = []gguf.KeyValue{
		{Key: ggufModel, Value: "gpt2"}, {Key: ggufPre, Value: pre},
		{Key: ggufTokens, Value: texts}, {Key: ggufTypes, Value: types}, {Key: ggufMerges, Value: t.mergeList()},
		{Key: ggufAddBOS, Value: begins},
	}
	if begins {
		metadata = append(metadata, gguf.KeyValue{Key: ggufBOS, Value: uint32(bos)})
	}
	if eos, ok := t.EOS(); ok {
		metadata = append(metadata, gguf.KeyValue{Key: ggufEOS, Value: uint32(eos)})
	}
	return metadata, warnings, nil
}

// isPlain reports whether an id was added to the vocabulary as a piece of text.
func (t *BPE) isPlain(id int32) bool {
	for _, set := range t.plain {
		if a, ok := set.tokens[t.names[id]]; ok && a.ID == id {
			return true
		}
	}
	return false
}

// mergeList are the merges, the first to be made first, as "a b". A list of ranks has none: there
// whatever makes a token may be joined, the lowest first, so these are all pairs that make one.
func (t *BPE) mergeList() []string {
	type pair struct{ rank, left, right int32 }
	var pairs []pair
	if t.merges != nil {
		for p, m := range t.merges {
			pairs = append(pairs, pair{m.rank, p[0], p[1]})
		}
	} else {
		for word, id := range t.ids {
			for at := 1; at < len(word); at++ {
				left, isLeft := t.ids[word[:at]]
				right, isRight := t.ids[word[at:]]
				if isLeft && isRight {
					pairs = append(pairs, pair{id, left, right})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	list := make([]string, len(pairs))
	for i, p := range pairs {
		list[i] = t.names[p.left] + " " + t.names[p.right]
	}
	return list
}

// flagsForLlamaCpp warns of flags of added tokens that llama.cpp does not know.
func flagsForLlamaCpp(dir string, sets ...*addedSet) []string {
	var flagged []string
	for _, set := range sets {
		for _, a := range set.tokens {
			if a.Lstrip || a.Rstrip || a.SingleWord {
				flagged = append(flagged, a.Content)
			}
		}
	}
	if len(flagged) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: lstrip, rstrip and single_word of added tokens (%.40q): llama.cpp does not know"+
		" them", dir, slices.Min(flagged))}
}
