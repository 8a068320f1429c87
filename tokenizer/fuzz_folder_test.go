package tokenizer

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Whatever the files beside a vocabulary say, they are an error or add what they say: ids are
// of the vocabulary, and each token that a file gives an id has it.
func FuzzFolder(f *testing.F) {
	kinds := []struct{ name, content string }{
		{ModelFile, string(llama("a", "q", "▁", "▁q").bytes())}, {JSONFile, string(change(f, "chars", nil))},
		{ModelFile, ranks()},
	}
	// The forms of real files: LLaMA 2's and 3's, Qwen2's, Mistral's, and of folders that were made by hand.
	for _, config := range []string{
		`{"add_bos_token": true, "add_eos_token": false, "added_tokens_decoder": {"0": {"content": "<unk>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true}, "1": {"content": "<s>", "special": true}, "2": {"content": "</s>", "special": true}}, "bos_token": "<s>", "eos_token": "</s>", "legacy": false, "model_max_length": 1000000000000000019884624838656, "pad_token": null, "sp_model_kwargs": {}, "tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>", "use_default_system_prompt": false}`,
		`{"added_tokens_decoder": {"263": {"content": "<|im_start|>", "special": true}, "264": {"content": "<|im_end|>", "lstrip": true, "rstrip": true, "single_word": true}}, "additional_special_tokens": ["<|im_start|>", {"content": "<|im_end|>"}], "chat_template": [{"name": "default", "template": "x"}], "eos_token": {"__type": "AddedToken", "content": "<|im_end|>"}, "errors": "replace"}`,
		`{"extra_special_tokens": {"image_token": "<img>"}, "add_prefix_space": null, "legacy": true}`,
		`{"added_tokens_decoder": {"512": {"content": "<|x|>"}, "0512": {}}}`,
		`{"eos_token_id": [1, 2]}`, `{"bos_token": NaN}`, `{"eos_token": "a", "eos_token": "b"}`,
	} {
		for kind := range kinds {
			f.Add(uint8(kind), config, `{"eos_token": {"content": "</s>", "lstrip": false}, "pad_token": "[PAD]"}`,
				`{"<|im_start|>": 263, "<|im_end|>": 264}`, "<s>q <|im_end|> a")
			f.Add(uint8(kind), config, ``, ``, "q")
		}
	}
	f.Add(uint8(0), ``, `{"additional_special_tokens": ["<x>", "<x>"]}`, `{"<y>": 263, "": 264}`, "<y>")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, kind uint8, config, names, added, text string) {
		vocabulary := kinds[int(kind)%len(kinds)]
		for name, content := range map[string]string{
			ModelFile: "", JSONFile: "", vocabulary.name: vocabulary.content, ConfigFile: config,
			SpecialTokensFile: names, AddedTokensFile: added,
		} {
			path := filepath.Join(dir, name)
			if content == "" {
				_ = os.Remove(path)
			} else if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		loaded, err := Load(dir)
		if err != nil {
			return
		}
		tok := loaded.(PartEncoder)
		for _, ids := range [][]int32{tok.Encode(text), tok.EncodeParts(tok.SplitSpecial(text))} {
			checkIDs(t, tok, ids)
		}
		for _, end := range []func() (int32, bool){tok.BOS, tok.EOS} {
			if id, ok := end(); ok && (id < 0 || int(id) >= tok.VocabSize()) {
				t.Fatalf("an end is %d of %d", id, tok.VocabSize())
			}
		}
		list, err := readAddedTokensFile(filepath.Join(dir, AddedTokensFile))
		if err != nil {
			t.Fatal(err)
		}
		if config != "" {
			c, err := ReadConfig(filepath.Join(dir, ConfigFile))
			if err != nil {
				t.Fatal(err)
			}
			for key, token := range c.AddedTokens {
				id, err := strconv.Atoi(key)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, filedToken{token.withID(int32(id)), ""})
			}
		}
		for _, a := range list {
			if got := tok.Piece(a.ID); got != a.Content {
				t.Fatalf("%d is %q, the files say %q", a.ID, got, a.Content)
			}
			if id, ok := tok.Special(a.Content); a.Special && (!ok || id != a.ID) {
				t.Fatalf("%q is %d, %v; the files say special %d", a.Content, id, ok, a.ID)
			}
		}
	})
}

// Any bytes are a GGUF file with a vocabulary or an error; what is one encodes and decodes
// anything, and the folder that is made of it has the same names and ends.
func FuzzGGUFTokenizer(f *testing.F) {
	add := func(metadata []gguf.KeyValue) {
		path := filepath.Join(f.TempDir(), "words.gguf")
		if err := gguf.Write(path, metadata); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "q <s> aa")
	}
	small, err := parseSentencePiece(modelFile{pieces: append(basic(), piece{"a", -1, normal},
		piece{"▁a", 0, userDefined}), modelType: modelBPE, keepSpace: true}.bytes(), nil)
	if err == nil {
		add(append(small.Vocabulary().Metadata(), gguf.KeyValue{Key: ggufEOT, Value: uint32(1)},
			gguf.KeyValue{Key: ggufChatTemplate, Value: "{{ x }}"}))
	}
	bytes, err := parseSentencePiece(llama("a", "▁a").bytes(), nil)
	if err != nil {
		f.Fatal(err)
	}
	add(bytes.Vocabulary().Metadata())
	tokens, types := make([]string, 0, 260), []int32{}
	for b := range 256 {
		tokens, types = append(tokens, toLetters(string([]byte{byte(b)}))), append(types, int32(normal))
	}
	tokens, types = append(tokens, "aa", "<|end|>", "<tool>"),
		append(types, int32(normal), int32(control), int32(userDefined))
	for _, pre := range []string{"gpt-2", "llama-bpe", "qwen2"} {
		add([]gguf.KeyValue{
			{Key: ggufModel, Value: "gpt2"}, {Key: ggufPre, Value: pre}, {Key: ggufTokens, Value: tokens},
			{Key: ggufTypes, Value: types},
			{Key: ggufMerges, Value: []string{"a a"}}, {Key: ggufBOS, Value: uint32(257)},
			{Key: ggufEOS, Value: uint32(257)}, {Key: ggufAddBOS, Value: true},
		})
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte, text string) {
		file, err := gguf.Parse("m.gguf", content)
		if err != nil {
			return
		}
		tok, err := fromGGUF(file)
		if err != nil {
			return
		}
		parts := tok.(PartEncoder)
		checkIDs(t, tok, tok.Encode(text))
		checkIDs(t, tok, parts.EncodeParts(parts.SplitSpecial(text)))
		files, err := folderFromGGUF(file)
		if err != nil {
			return
		}
		for _, name := range []string{ModelFile, JSONFile} {
			_ = os.Remove(filepath.Join(dir, name))
		}
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(dir, file.name), file.content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Load(dir)
		if err != nil {
			t.Fatalf("the folder of a file that reads: %v", err)
		}
		for id := range int32(tok.VocabSize()) {
			if again.Piece(id) != tok.Piece(id) {
				t.Fatalf("%d is %q in the folder, %q in the file", id, again.Piece(id), tok.Piece(id))
			}
		}
		a, okA := tok.EOS()
		b, okB := again.EOS()
		if a != b && okA && okB {
			t.Fatalf("EOS %d in the folder, %d in the file", b, a)
		}
	})
}
