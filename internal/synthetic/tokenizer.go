package synthetic

import "encoding/json"

// Ids of the tokens that are no character.
const (
	BOS = 0
	EOS = 1
)

// TokenizerJSON is the content of a tokenizer.json in which each of the characters is a token: BPE
// without a merge, <s> before a text and </s> as the end of one.
func TokenizerJSON(characters string) ([]byte, error) {
	type object = map[string]any
	vocabulary := map[string]int{"<s>": BOS, "</s>": EOS}
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
		"added_tokens":  []object{special(BOS, "<s>"), special(EOS, "</s>")},
		"normalizer":    nil,
		"pre_tokenizer": nil,
		"post_processor": object{
			"type":   "TemplateProcessing",
			"single": []object{begin, text("A")},
			"pair":   []object{begin, text("A"), text("B")},
			"special_tokens": object{
				"<s>": object{"id": "<s>", "ids": []int{BOS}, "tokens": []string{"<s>"}},
			},
		},
		"decoder": object{"type": "Fuse"},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil,
			"fuse_unk":           false, "byte_fallback": false, "ignore_merges": false,
			"vocab": vocabulary, "merges": []string{},
		},
	}, "", "  ")
}

// TokenizerConfigJSON is the content of the tokenizer_config.json beside it.
func TokenizerConfigJSON(positions int) ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
		"clean_up_tokenization_spaces": false, "model_max_length": positions,
	}, "", "  ")
}
