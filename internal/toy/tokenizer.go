package toy

import (
	"encoding/json"

	"github.com/agora-ml/agora/tokenizer"
)

// Ids of the tokens that are no character.
const (
	bos = 0
	eos = 1
)

// tokenizerJSON is the content of a tokenizer.json in which each character that the tasks
// use is a token: BPE without a merge, <s> before a text and </s> as the end of one.
func tokenizerJSON() ([]byte, error) {
	type object = map[string]any
	vocabulary := map[string]int{"<s>": bos, "</s>": eos}
	characters := []byte(" =")
	for c := range byte(letters) {
		characters = append(characters, 'a'+c)
	}
	for _, tasks := range [][]Task{BaseTasks, NewTasks} {
		for _, t := range tasks {
			characters = append(characters, t.Mark)
		}
	}
	for _, c := range characters {
		vocabulary[string(c)] = len(vocabulary)
	}
	special := func(id int, content string) object {
		return object{"id": id, "content": content, "special": true, "normalized": false,
			"single_word": false, "lstrip": false, "rstrip": false}
	}
	begin := object{"SpecialToken": object{"id": "<s>", "type_id": 0}}
	text := func(name string) object { return object{"Sequence": object{"id": name, "type_id": 0}} }
	return json.MarshalIndent(object{
		"version":       "1.0",
		"truncation":    nil,
		"padding":       nil,
		"added_tokens":  []object{special(bos, "<s>"), special(eos, "</s>")},
		"normalizer":    nil,
		"pre_tokenizer": nil,
		"post_processor": object{
			"type":   "TemplateProcessing",
			"single": []object{begin, text("A")},
			"pair":   []object{begin, text("A"), text("B")},
			"special_tokens": object{
				"<s>": object{"id": "<s>", "ids": []int{bos}, "tokens": []string{"<s>"}},
			},
		},
		"decoder": object{"type": "Fuse"},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
			"vocab": vocabulary, "merges": []string{},
		},
	}, "", "  ")
}

// newTokenizer is the tokenizer of that file.
func newTokenizer() (tokenizer.Tokenizer, error) {
	file, err := tokenizerJSON()
	if err != nil {
		return nil, err
	}
	return tokenizer.ParseJSON(file)
}
