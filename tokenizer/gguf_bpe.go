package tokenizer

import (
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
	"smaug-bpe": {pattern: llama3Pattern},
	"qwen2":     {pattern: qwen2Pattern, nfc: true},
}

// jsonObject is JSON in the making.
type jsonObject = map[string]any

// byteLevelFromGGUF is the tokenizer of a file whose tokenizer.ggml.model is "gpt2".
func byteLevelFromGGUF(f *gguf.File) (*BPE, error) {
	text, ends, err := byteLevelJSON(f)
	if err != nil {
		return nil, err
	}
	t, err := ParseJSON(text)
	if err != nil {
		return nil, err
	}
	t.setEnds(ends[0], ends[1])
	return t, nil
}

// byteLevelJSON is the tokenizer.json of such a file, with the ids of BOS and EOS; -1: none.
func byteLevelJSON(f *gguf.File) (text []byte, ends [2]int32, err error) {
	pre, err := gguf.Get[string](f, ggufPre)
	if err != nil {
		return nil, ends, err
	}
	cut, ok := cuts[pre]
	if !ok {
		return nil, ends, fmt.Errorf("%s: want one of %q, got %.40q: use the tokenizer.json that the file was made of",
			ggufPre, slices.Sorted(maps.Keys(cuts)), pre)
	}
	tokens, err := gguf.Get[[]string](f, ggufTokens)
	if err != nil {
		return nil, ends, err
	}
	types, err := gguf.Get[[]int32](f, ggufTypes)
	if err != nil {
		return nil, ends, err
	}
	if len(types) != len(tokens) {
		return nil, ends, fmt.Errorf("%s: want as many as the %d tokens, got %d", ggufTypes, len(tokens), len(types))
	}
	merges, err := gguf.Get[[]string](f, ggufMerges)
	if err != nil {
		return nil, ends, err
	}
	vocab := make(map[string]int32, len(tokens))
	var added []addedToken
	for i, text := range tokens {
		if _, ok := vocab[text]; !ok || pieceType(types[i]) == normal {
			vocab[text] = int32(i) // also what was added: other readers number it anew if the model does not have it
		}
		if pieceType(types[i]) == normal {
			continue
		}
		added = append(added, addedToken{ID: int32(i), Content: text, Special: pieceType(types[i]) != userDefined})
	}
	file := jsonObject{
		"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "post_processor": nil,
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
		list[i] = jsonObject{"id": a.ID, "content": a.Content, "special": a.Special, "normalized": false,
			"single_word": false, "lstrip": false, "rstrip": false}
	}
	file["added_tokens"] = list
	addBOS, err := ggufFlag(f, ggufAddBOS, cut.addBOS)
	if err != nil {
		return nil, ends, err
	}
	for i, key := range []string{ggufBOS, ggufEOS} {
		if ends[i], err = ggufID(f, key, len(tokens), -1); err != nil {
			return nil, ends, err
		}
	}
	if !addBOS {
		ends[0] = -1
	}
	if bos := ends[0]; bos >= 0 {
		file["post_processor"] = startWith(bos, tokens[bos])
	}
	text, err = jsonText(file, "")
	return text, ends, err
}

// startWith is the post-processor that puts a token in front of a text.
func startWith(id int32, name string) jsonObject {
	token := jsonObject{"SpecialToken": jsonObject{"id": name, "type_id": 0}}
	sequence := func(name string, kind int) jsonObject {
		return jsonObject{"Sequence": jsonObject{"id": name, "type_id": kind}}
	}
	return jsonObject{
		"type":   "TemplateProcessing",
		"single": []jsonObject{token, sequence("A", 0)},
		"pair":   []jsonObject{token, sequence("A", 0), sequence("B", 1)},
		"special_tokens": jsonObject{
			name: jsonObject{"id": name, "ids": []int32{id}, "tokens": []string{name}},
		},
	}
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
