package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/realdata"
)

// byteLevelFolder is a folder with a byte-level tokenizer of this pre_tokenizer, of all bytes and a
// few merges.
func byteLevelFolder(t *testing.T, pre any, change func(file jsonObject)) string {
	t.Helper()
	vocab := map[string]int32{}
	for b := range 256 {
		vocab[toLetters(string([]byte{byte(b)}))] = int32(b)
	}
	var merges []string
	for _, m := range []string{"h e", "l l", "he ll", "Ġ w", "1 2", "12 3", "123 4", "Ċ Ċ"} {
		vocab[strings.ReplaceAll(m, " ", "")] = int32(len(vocab))
		merges = append(merges, m)
	}
	added := func(id int32, text string, special bool) jsonObject {
		return jsonObject{"id": id, "content": text, "special": special, "normalized": false, "single_word": false,
			"lstrip": false, "rstrip": false}
	}
	file := jsonObject{
		"pre_tokenizer": pre, "model": jsonObject{"type": "BPE", "vocab": vocab, "merges": merges},
		"decoder": jsonObject{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"added_tokens": []jsonObject{
			added(264, "<|end|>", true), added(265, "<think>", false), added(268, "<|later|>", true),
		},
	}
	if change != nil {
		change(file)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{JSONFile: text, ConfigFile: []byte(`{"eos_token": "<|end|>"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// splitBy is the pre_tokenizer that cuts by a pattern.
func splitBy(pattern string) jsonObject {
	return jsonObject{"type": "Sequence", "pretokenizers": []jsonObject{
		{"type": "Split", "pattern": jsonObject{"Regex": pattern}, "behavior": "Isolated", "invert": false},
		{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
	}}
}

var gpt2Words = jsonObject{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}

// inGGUF is the tokenizer of a folder as it comes back from a GGUF file of a model with so many words.
func inGGUF(t *testing.T, dir string, words int) (got Tokenizer, metadata []gguf.KeyValue, warnings []string) {
	t.Helper()
	metadata, warnings, err := GGUFMetadata(dir, words)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := gguf.Write(path, metadata); err != nil {
		t.Fatal(err)
	}
	return load(t, path), metadata, warnings
}

func valueOf(metadata []gguf.KeyValue, key string) any {
	for _, kv := range metadata {
		if kv.Key == key {
			return kv.Value
		}
	}
	return nil
}

// A byte-level tokenizer comes back from a GGUF file as it was.
func TestByteLevelInGGUF(t *testing.T) {
	texts := []string{"hello, hell's  12345 \n\n\n we'LL <think>x</think> <|end|> é你🦙\xff", "", " \t"}
	for want, dir := range map[string]string{
		"gpt-2": byteLevelFolder(t, gpt2Words, nil),
		"llama-bpe": byteLevelFolder(t, splitBy(llama3Pattern), func(f jsonObject) {
			f["model"].(jsonObject)["ignore_merges"] = true
			f["post_processor"] = startWith(264, "<|end|>")
		}),
		"smaug-bpe": byteLevelFolder(t, splitBy(llama3Pattern), nil),
		"qwen2": byteLevelFolder(t, splitBy(qwen2Pattern), func(f jsonObject) {
			f["normalizer"] = jsonObject{"type": "NFC"}
		}),
	} {
		tok := load(t, dir)
		got, metadata, warnings := inGGUF(t, dir, tok.VocabSize())
		if pre := valueOf(metadata, ggufPre); pre != want {
			t.Errorf("%s: cut as %v", want, pre)
		}
		if n := len(warnings); n != map[string]int{"qwen2": 1}[want] {
			t.Errorf("%s: warnings %q", want, warnings)
		}
		for _, text := range texts {
			if a, b := tok.Encode(text), got.Encode(text); !slices.Equal(a, b) || tok.Decode(a) != got.Decode(b) {
				t.Errorf("%s: %q is %v, want %v", want, text, b, a)
			}
			if a, b := tok.(PartEncoder).SplitSpecial(text), got.(PartEncoder).SplitSpecial(text); !slices.Equal(a, b) {
				t.Errorf("%s: special tokens of %q are %v, want %v", want, text, b, a)
			}
		}
		bos, begins := tok.BOS()
		if id, ok := got.BOS(); id != bos || ok != begins {
			t.Errorf("%s: BOS %d, %v, want %d, %v", want, id, ok, bos, begins)
		}
		if id, ok := got.EOS(); !ok || id != 264 {
			t.Errorf("%s: EOS %d, %v", want, id, ok)
		}
		texts, types := valueOf(metadata, ggufTokens).([]string), valueOf(metadata, ggufTypes).([]int32)
		if want := []string{"<|end|>", "<think>", "[PAD266]", "[PAD267]", "<|later|>"}; !slices.Equal(texts[264:], want) ||
			!slices.Equal(types[263:], []int32{1, 3, 4, 5, 5, 3}) {
			t.Errorf("tokens %q of types %v", texts[264:], types[263:])
		}
	}
}

// What has no name in GGUF, or no place in the model, is refused.
func TestByteLevelNotInGGUF(t *testing.T) {
	prefix := jsonObject{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}
	for want, dir := range map[string]string{
		"pre_tokenizer: want a pattern of words that has a name in GGUF":  byteLevelFolder(t, splitBy(`\s+|\S+`), nil),
		"has a name in GGUF (GPT-2's, LLaMA 3's or Qwen2's), got another": byteLevelFolder(t, prefix, nil),
		"want at most the 268 words of the model, got 269":                byteLevelFolder(t, gpt2Words, nil),
		"got another": byteLevelFolder(t, splitBy(qwen2Pattern), func(f jsonObject) {
			f["model"].(jsonObject)["ignore_merges"] = true
		}),
	} {
		if _, _, err := GGUFMetadata(dir, 268); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// GPT-2's tokenizer.json and LLaMA 3's ranks, whose merges are those that its tokenizer.json lists.
func TestRealByteLevelInGGUF(t *testing.T) {
	dir := filepath.Join(realdata.Folder(t), "tokenizer")
	for _, name := range []string{"gpt2", "llama3"} {
		folder := filepath.Join(dir, name)
		tok := load(t, folder)
		got, metadata, _ := inGGUF(t, folder, tok.VocabSize())
		var all []string
		for _, file := range texts {
			all = append(all, string(readFile(t, filepath.Join(dir, "..", "text", file)))[:30_000])
		}
		sameTokenizer(t, name, tok, got, all)
		if name == "llama3" {
			want := valueOf(llama3Metadata(t, filepath.Dir(dir)), ggufMerges)
			if list := valueOf(metadata, ggufMerges).([]string); !slices.Equal(list, want.([]string)) {
				t.Errorf("%d merges, want %d", len(list), len(want.([]string)))
			}
		}
	}
}
