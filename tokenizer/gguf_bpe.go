package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
)

// A byte-level vocabulary in a GGUF file is the tokens and merges of a tokenizer.json; how
// text is cut into words is only named (tokenizer.ggml.pre).

const (
	ggufPre    = "tokenizer.ggml.pre"
	ggufMerges = "tokenizer.ggml.merges"
)

// cuts are the ways to cut text that are known, by llama.cpp's names.
var cuts = map[string]struct {
	pattern      string
	ignoreMerges bool // a word that is a token is that token, whatever its merges
	nfc          bool
	addBOS       bool // where the file does not say it
}{
	"gpt-2":     {pattern: gpt2Pattern},
	"llama-bpe": {pattern: llama3Pattern, ignoreMerges: true, addBOS: true},
	"qwen2":     {pattern: qwen2Pattern, nfc: true},
}

// jsonObject is JSON in the making.
type jsonObject = map[string]any

// byteLevelFromGGUF is the tokenizer of a file whose tokenizer.ggml.model is "gpt2".
func byteLevelFromGGUF(f *gguf.File) (*BPE, error) {
	pre, err := gguf.Get[string](f, ggufPre)
	if err != nil {
		return nil, err
	}
	cut, ok := cuts[pre]
	if !ok {
		return nil, fmt.Errorf("%s: want one of %q, got %.40q: use the tokenizer.json that the file was made of", ggufPre, slices.Sorted(maps.Keys(cuts)), pre)
	}
	tokens, err := gguf.Get[[]string](f, ggufTokens)
	if err != nil {
		return nil, err
	}
	types, err := gguf.Get[[]int32](f, ggufTypes)
	if err != nil {
		return nil, err
	}
	if len(types) != len(tokens) {
		return nil, fmt.Errorf("%s: want as many as the %d tokens, got %d", ggufTypes, len(tokens), len(types))
	}
	merges, err := gguf.Get[[]string](f, ggufMerges)
	if err != nil {
		return nil, err
	}
	vocab := make(map[string]int32, len(tokens))
	var added []addedToken
	for i, text := range tokens {
		if pieceType(types[i]) == normal {
			vocab[text] = int32(i)
			continue
		}
		added = append(added, addedToken{ID: int32(i), Content: text, Special: pieceType(types[i]) != userDefined})
	}
	file := jsonObject{
		"pre_tokenizer": jsonObject{"type": "Sequence", "pretokenizers": []jsonObject{
			{"type": "Split", "pattern": jsonObject{"Regex": cut.pattern}, "behavior": isolated, "invert": false},
			{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		}},
		"decoder": jsonObject{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model":   jsonObject{"type": "BPE", "vocab": vocab, "merges": merges, "ignore_merges": cut.ignoreMerges},
	}
	if cut.nfc {
		file["normalizer"] = jsonObject{"type": "NFC"}
	}
	list := make([]jsonObject, len(added))
	for i, a := range added {
		list[i] = jsonObject{"id": a.ID, "content": a.Content, "special": a.Special, "normalized": false, "single_word": false, "lstrip": false, "rstrip": false}
	}
	file["added_tokens"] = list
	text, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	t, err := ParseJSON(text)
	if err != nil {
		return nil, err
	}
	addBOS, err := ggufFlag(f, ggufAddBOS, cut.addBOS)
	if err != nil {
		return nil, err
	}
	bos, err := ggufID(f, ggufBOS, len(tokens), -1)
	if err != nil {
		return nil, err
	}
	if !addBOS {
		bos = -1
	}
	eos, err := ggufID(f, ggufEOS, len(tokens), -1)
	if err != nil {
		return nil, err
	}
	t.setEnds(bos, eos)
	return t, nil
}

// ggufFlag is the value of a key, or what it is where the file does not say it.
func ggufFlag(f *gguf.File, key string, missing bool) (bool, error) {
	if _, ok := f.Value(key); !ok {
		return missing, nil
	}
	return gguf.Get[bool](f, key)
}

// ggufID is the token that a key names, or missing.
func ggufID(f *gguf.File, key string, tokens, missing int) (int32, error) {
	if _, ok := f.Value(key); !ok && missing < 0 {
		return -1, nil
	} else if ok {
		var err error
		if missing, err = f.Int(key); err != nil {
			return 0, err
		}
	}
	if missing < 0 || missing >= tokens {
		return 0, fmt.Errorf("%s: want an id below %d, got %d", key, tokens, missing)
	}
	return int32(missing), nil
}
