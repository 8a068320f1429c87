package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestJSONErrors(t *testing.T) {
	set := func(base string, field string, value any) []byte { return change(t, base, object{field: value}) }
	split := func(pattern, behavior any) object {
		return object{"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false}
	}
	whole := change(t, "bytes", nil)
	deep := object{"type": "NFC"}
	for range 10 {
		deep = object{"type": "Sequence", "normalizers": []any{deep}}
	}
	replace := object{"type": "Replace", "pattern": object{"String": "a"}, "content": strings.Repeat("a", 60)}
	template := func(single []any, tokens object) []byte {
		return set("bytes", "post_processor", object{"type": "TemplateProcessing", "single": single, "pair": nil,
			"special_tokens": tokens})
	}
	sequence := object{"Sequence": object{"id": "A", "type_id": 0}}
	token := func(content string) []any {
		return []any{object{"id": 9999, "content": content}}
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty object", []byte("{}"), "not a tokenizer.json: model: want one, got none"},
		{"cut", whole[:len(whole)/2], "not a tokenizer.json: line 1: field model.vocab: want JSON, got its end"},
		{"deep", []byte(strings.Repeat(`{"a":`, 1<<20)), "not a tokenizer.json: "},
		{"deep list", []byte(`{"model":` + strings.Repeat(`[`, 1<<20)), "not a tokenizer.json: "},
		{"a name twice", []byte(`{"model": {"vocab": {"a": 0,` + "\n" + `"a": 1}}}`),
			"not a tokenizer.json: line 2: field model.vocab.a: want each name once, got it twice"},
		{"a name of another case", set("bytes", "model.Fuse_unk", true),
			"model.Fuse_unk: want a known name, got another"},
		{"half a surrogate pair", []byte(`{"model": {"vocab": {"\ud83d": 0}}}`),
			"want text, got half a surrogate pair"},
		{"Python's NaN", []byte(`{"model": {"dropout": NaN}}`),
			"field model.dropout: want a number of JSON, got NaN, which Python's json module writes"},
		{"model of a wrong type", []byte(`{"model":3}`), "model: want an object, got 3"},
		{"unigram", set("bytes", "model.type", "Unigram"), `model.type: want BPE, got "Unigram"`},
		{"WordPiece", []byte(`{"model":{"type":"WordPiece","vocab":{}}}`), `model.type: want BPE, got "WordPiece"`},
		{"unknown option", set("bytes", "model.color", 1), `model.color: want a known name, got another`},
		{"option of a wrong type", set("bytes", "model.fuse_unk", "yes"),
			"model.fuse_unk: want true or false, got a string"},
		{"dropout", set("bytes", "model.dropout", 0.1), "model.dropout: want none, got 0.1"},
		{"prefix", set("bytes", "model.continuing_subword_prefix", "##"),
			`model.continuing_subword_prefix: want none, got "##"`},
		{"suffix", set("bytes", "model.end_of_word_suffix", "</w>"), `model.end_of_word_suffix: want none, got "</w>"`},
		{"no vocabulary", set("bytes", "model.vocab", object{}), "model.vocab: want tokens, got none"},
		{"huge id", set("bytes", "model.vocab", object{"a": 2_000_000_000}), "model.vocab: want ids from 0 to "},
		{"negative id", set("bytes", "model.vocab", object{"a": -1}), `got -1 for "a"`},
		{"id not a number", set("bytes", "model.vocab", object{"a": "x"}),
			"model.vocab.a: want a whole number of 32 bits, got a string"},
		{"id twice", set("bytes", "model.vocab", object{"a": 1, "b": 1}), "model.vocab: want each id once, got 1"},
		{"unknown token", set("chars", "model.unk_token", "<what>"),
			`model.unk_token: want a token of model.vocab, got "<what>"`},
		{"merge of three", set("bytes", "model.merges", []string{"a b c"}),
			`model.merges[0]: want two tokens with a space between, got "a b c"`},
		{"merge of one", set("bytes", "model.merges", []any{[]string{"a"}}),
			`model.merges[0]: want pairs of tokens, got ["a"]`},
		{"merge of numbers", set("bytes", "model.merges", []any{1}), "model.merges[0]: want two tokens"},
		{"merge of strangers", set("bytes", "model.merges", []string{"q z"}),
			`model.merges[0]: want tokens of model.vocab that make a third, got "q" and "z"`},
		{"byte_fallback without bytes", set("bytes", "model",
			object{"type": "BPE", "byte_fallback": true, "vocab": object{"a": 0}, "merges": []any{}}),
			"model.byte_fallback: want false, or all 256 bytes of ByteLevel in model.vocab, got true and 255 missing"},
		{"normalizer", set("bytes", "normalizer", object{"type": "Lowercase"}),
			`normalizer.type: want NFC, Prepend, Replace or Sequence, got "Lowercase"`},
		{"normalizer without a type", set("bytes", "normalizer", object{}),
			"normalizer: want an object with a type, got {}"},
		{"normalizer in a Sequence", set("bytes", "normalizer",
			object{"type": "Sequence", "normalizers": []any{object{"type": "NFC"}, object{"type": "NFKC"}}}),
			`normalizer.normalizers[1].type: want NFC, Prepend, Replace or Sequence, got "NFKC"`},
		{"Sequence without a list", set("bytes", "normalizer", object{"type": "Sequence"}),
			"normalizer: want a Sequence of type and normalizers"},
		{"null in a Sequence", set("bytes", "normalizer", object{"type": "Sequence", "normalizers": []any{nil}}),
			"normalizer.normalizers[0]: want an object with a type, got null"},
		{"deep Sequence", set("bytes", "normalizer", deep), "and 8 Sequences in one another, got 1 at depth 9"},
		{"long Sequence", set("bytes", "normalizer",
			object{"type": "Sequence", "normalizers": slices.Repeat([]any{object{"type": "NFC"}}, 100)}),
			"want at most 64 parts"},
		{"NFC with an option", set("bytes", "normalizer", object{"type": "NFC", "x": 1}),
			`normalizer.x: want a known name, got another`},
		{"Prepend of nothing", set("bytes", "normalizer", object{"type": "Prepend", "prepend": ""}),
			"normalizer.prepend: want 1 to 64 bytes"},
		{"growing", set("bytes", "normalizer", object{"type": "Sequence", "normalizers": []any{replace, replace}}),
			"normalizer.normalizers[1].content: want replacements that make a text at most 64 times as long"},
		{"Replace without a pattern", set("bytes", "normalizer", object{"type": "Replace", "content": ""}),
			"normalizer.pattern: want "},
		{"empty pattern", set("bytes", "normalizer",
			object{"type": "Replace", "pattern": object{"String": ""}, "content": "x"}),
			"normalizer.pattern: want a String or a Regex of 1 to 4096 bytes"},
		{"pre-tokenizer", set("bytes", "pre_tokenizer", object{"type": "BertPreTokenizer"}),
			`pre_tokenizer.type: want ByteLevel, Metaspace, Split or Sequence, got "BertPreTokenizer"`},
		{"behind ByteLevel", set("bytes", "pre_tokenizer", object{"type": "Sequence", "pretokenizers": []any{
			object{"type": "ByteLevel"}, split(object{"String": " "}, "Isolated")}}),
			`pre_tokenizer.pretokenizers[1]: want nothing behind ByteLevel, got "Split"`},
		{"behavior", set("bytes", "pre_tokenizer", split(object{"String": " "}, "Contiguous")),
			`pre_tokenizer.behavior: want one of [Isolated Removed MergedWithPrevious MergedWithNext], got "Contiguous"`},
		{"regular expression", set("bytes", "pre_tokenizer", split(object{"Regex": "(a"}, "Isolated")),
			`pre_tokenizer.pattern.Regex: want a regular expression, got "(a"`},
		{"long expression", set("bytes", "pre_tokenizer",
			split(object{"Regex": strings.Repeat("a", 5000)}, "Isolated")),
			"pre_tokenizer.pattern: want a String or a Regex of 1 to 4096 bytes"},
		{"two patterns", set("bytes", "pre_tokenizer", split(object{"Regex": "a", "String": "a"}, "Isolated")),
			"pre_tokenizer.pattern: want a String or a Regex"},
		{"replacement", set("chars", "pre_tokenizer", object{"type": "Metaspace", "replacement": "ab"}),
			`pre_tokenizer.replacement: want one character, got "ab"`},
		{"prepend_scheme", set("chars", "pre_tokenizer",
			object{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}),
			`pre_tokenizer.prepend_scheme: want always, first or never, got "last"`},
		{"two schemes", set("chars", "pre_tokenizer",
			object{"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "add_prefix_space": true}),
			"pre_tokenizer.add_prefix_space"},
		{"str_rep", set("chars", "pre_tokenizer", object{"type": "Metaspace", "replacement": "_", "str_rep": "-"}),
			`pre_tokenizer.str_rep: want "_"`},
		{"no decoder", set("bytes", "decoder", nil), "decoder: want one, got null"},
		{"decoder", set("bytes", "decoder", object{"type": "CTC"}),
			`decoder.type: want ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Strip or Sequence, got "CTC"`},
		{"behind Fuse", set("chars", "decoder", object{"type": "Sequence",
			"decoders": []any{object{"type": "Fuse"}, object{"type": "ByteFallback"}}}),
			`decoder.decoders[1].type: want nothing but Strip behind Fuse`},
		{"Strip at the end", set("chars", "decoder",
			object{"type": "Sequence", "decoders": []any{object{"type": "Fuse"},
				object{"type": "Strip", "content": " ", "start": 0, "stop": 1}}}),
			"decoder.decoders[1]: want one Strip of a text, start 0 or 1 and stop 0, got start 0, stop 1"},
		{"Strip of words", set("chars", "decoder", object{"type": "Strip", "content": "ab", "start": 0, "stop": 1}),
			"decoder: want one character and counts"},
		{"post-processor", set("bytes", "post_processor", object{"type": "BertProcessing"}),
			`post_processor.type: want ByteLevel, TemplateProcessing or Sequence, got "BertProcessing"`},
		{"template without a text", template([]any{}, nil),
			"post_processor.single: want the Sequence A once, got it 0 times"},
		{"template with two texts", template([]any{sequence, sequence}, nil),
			"want the Sequence A once, got it 2 times"},
		{"template of something else", template([]any{object{}}, nil),
			"post_processor.single[0]: want a SpecialToken or the Sequence A"},
		{"template with a stranger", template([]any{object{"SpecialToken": object{"id": "<x>", "type_id": 0}},
			sequence}, object{}), `post_processor.single[0]: want a token of special_tokens with ids below `},
		{"template with two in front", template([]any{object{"SpecialToken": object{"id": "<x>", "type_id": 0}},
			sequence},
			object{"<x>": object{"id": "<x>", "ids": []int{1, 2}, "tokens": []string{"a", "b"}}}),
			"want at most one token before a text and one behind it, got [1 2] and []"},
		{"template with an id too high", template([]any{object{"SpecialToken": object{"id": "<x>", "type_id": 0}},
			sequence},
			object{"<x>": object{"id": "<x>", "ids": []int{1 << 30}, "tokens": []string{"<x>"}}}),
			`got "<x>" with [1073741824]`},
		{"added token without text", set("bytes", "added_tokens", token("")),
			"added_tokens[0].content: want text in UTF-8"},
		{"added token too high", set("bytes", "added_tokens", token("<x>")), `added_tokens[0].id: want ids from 0 to `},
		{"added token with another's id", set("bytes", "added_tokens", []any{object{"id": 1, "content": "<x>"}}),
			"added_tokens[0].id: want each id once, got 1"},
		{"added token of the vocabulary", set("bytes", "added_tokens", []any{object{"id": 1, "content": "a"}}),
			`added_tokens[0].id: want `},
		{"added token with an option", set("bytes", "added_tokens",
			[]any{object{"id": 1, "content": "a", "bold": true}}),
			`added_tokens[0].bold: want a known name, got another`},
		{"added tokens no list", set("bytes", "added_tokens", 1), "not a tokenizer.json: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), JSONFile)
			if err := os.WriteFile(path, c.file, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v\nwant it to name the file and %s", err, c.want)
			}
		})
	}
}

// What tokenizer.json's post-processor says of BOS and EOS.
func TestJSONEnds(t *testing.T) {
	tok := parseJSON(t, change(t, "chars", object{"post_processor": beginWith(1, "<s>")}))
	if id, ok := tok.BOS(); id != 1 || !ok {
		t.Errorf("BOS %d %v, want 1", id, ok)
	}
	if id, ok := tok.EOS(); ok {
		t.Errorf("EOS %d, want none", id)
	}
	if got, want := EncodeWithBOS(tok, "a"), append([]int32{1}, tok.Encode("a")...); !slices.Equal(got, want) {
		t.Errorf("with BOS: got %v, want %v", got, want)
	}
	if got := tok.Piece(1) + tok.Piece(-1) + tok.Piece(1<<30); got != "<s>" {
		t.Errorf("pieces: %q", got)
	}
	if got := tok.Decode([]int32{1, -1, 1 << 30, 2}); got != "" {
		t.Errorf("special ids and none became %q", got)
	}
}

// An expression that would search for ever finds nothing, and the text is still encoded.
func TestSlowPattern(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a time limit")
	}
	tok := parseJSON(t, change(t, "bytes", object{"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []any{
		object{"type": "Split", "pattern": object{"Regex": "(a*)*b"}, "behavior": "Isolated", "invert": false},
		object{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
	}}}))
	text := strings.Repeat("a", 64) + "c"
	if got := tok.Decode(tok.Encode(text)); got != text {
		t.Errorf("got %q", got)
	}
}

// One word of many characters: quadratic work would not end.
func TestJSONLongWord(t *testing.T) {
	tok := parseJSON(t, change(t, "bytes", object{"pre_tokenizer": object{"type": "ByteLevel",
		"add_prefix_space": false, "use_regex": false}}))
	text := strings.Repeat("the", 100_000)
	if got, want := len(tok.Encode(text)), 200_000; got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
}

func ExampleTokenizer() {
	tok, err := Load("testdata/bytes.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := tok.Encode("the thing")
	for _, id := range ids {
		fmt.Printf("%s ", tok.Piece(id))
	}
	fmt.Println(tok.Decode(ids))
	// Output: t he Ġ th ing the thing
}
