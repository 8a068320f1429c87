package tokenizer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/realdata"
)

// Every GGUF vocabulary there is, and LLaMA 3's made into one, gives a folder whose tokenizer
// is that of the file: all names, real text to ids and back, both ends.
func TestSaveGGUF(t *testing.T) {
	dir := realdata.Folder(t)
	llama3 := filepath.Join(t.TempDir(), "llama3.gguf")
	if err := gguf.Write(llama3, llama3Metadata(t, dir)); err != nil {
		t.Fatal(err)
	}
	files := []string{llama3}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".gguf") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	all := []string{"  two spaces, a <s> and\n\na <|endoftext|> <|begin_of_text|>\t\x00 é ▁ 你好 🦙\u200d \xff", ""}
	for _, name := range texts {
		all = append(all, string(readFile(t, filepath.Join(dir, "text", name)))[:30_000])
	}
	for _, path := range files {
		saved := t.TempDir()
		if err := CopyBesideWeights(path, saved); err != nil {
			t.Fatal(err)
		}
		want, got := load(t, path), load(t, saved)
		sameTokenizer(t, path, want, got, all)
		if path == llama3 { // which takes long enough
			continue
		}
		again := t.TempDir()
		if err := SaveGGUF(path, again); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{ModelFile, JSONFile, ConfigFile, generationConfig} {
			a, errA := os.ReadFile(filepath.Join(saved, name))
			b, errB := os.ReadFile(filepath.Join(again, name))
			if string(a) != string(b) || (errA == nil) != (errB == nil) {
				t.Errorf("%s: %s is another one the second time", path, name)
			}
		}
	}
}

func sameTokenizer(t *testing.T, name string, want, got Tokenizer, texts []string) {
	t.Helper()
	if want.VocabSize() != got.VocabSize() {
		t.Fatalf("%s: %d ids, want %d", name, got.VocabSize(), want.VocabSize())
	}
	for id := range int32(want.VocabSize()) {
		if a, b := want.Piece(id), got.Piece(id); a != b {
			t.Fatalf("%s: id %d is %q, want %q", name, id, b, a)
		}
		if a, b := want.Decode([]int32{id}), got.Decode([]int32{id}); a != b {
			t.Fatalf("%s: id %d reads %q, want %q", name, id, b, a)
		}
	}
	for _, text := range texts {
		a, b := want.Encode(text), got.Encode(text)
		if !slices.Equal(a, b) || want.Decode(a) != got.Decode(a) {
			t.Errorf("%s: another tokenizer for %.40q", name, text)
		}
		if a, b := want.(PartEncoder).SplitSpecial(text),
			got.(PartEncoder).SplitSpecial(text); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: other special tokens in %.40q: %v, want %v", name, text, b, a)
		}
	}
	type ends struct {
		bos, eos       int32
		hasBOS, hasEOS bool
	}
	var a, b ends
	a.bos, a.hasBOS = want.BOS()
	a.eos, a.hasEOS = want.EOS()
	b.bos, b.hasBOS = got.BOS()
	b.eos, b.hasEOS = got.EOS()
	if a != b {
		t.Errorf("%s: the ends are %+v, want %+v", name, b, a)
	}
}

// What a file says of its tokenizer beside the pieces: whether a text begins with BOS and a
// space, which id ends one, and the chat template.
func TestSaveGGUFSettings(t *testing.T) {
	m := llama("a", "b", "ab", "<end>", "<both>")
	m.pieces[len(m.pieces)-2].kind, m.pieces[len(m.pieces)-1].kind = control, userDefined
	end := uint32(len(m.pieces) - 2)
	byteLevel := []gguf.KeyValue{
		{Key: ggufModel, Value: "gpt2"}, {Key: ggufPre, Value: "qwen2"},
		{Key: ggufTokens, Value: []string{"<pad>", "a", "b", "ab", "<x>", "<|im_end|>"}},
		{Key: ggufTypes, Value: []int32{int32(control), int32(normal), int32(normal), int32(normal),
			int32(userDefined), int32(control)}},
		{Key: ggufMerges, Value: []string{"a b"}}, {Key: ggufEOS, Value: uint32(5)},
	}
	with := func(metadata []gguf.KeyValue, more ...gguf.KeyValue) []gguf.KeyValue {
		metadata = slices.DeleteFunc(slices.Clone(metadata), func(old gguf.KeyValue) bool {
			return slices.ContainsFunc(more, func(kv gguf.KeyValue) bool { return kv.Key == old.Key })
		})
		return append(metadata, more...)
	}
	pieces := parse(t, m).Vocabulary().Metadata()
	const template = "{{ bos_token }}<|x|> & 'é'"
	for name, c := range map[string]struct {
		metadata           []gguf.KeyValue
		config, generation map[string]any
	}{
		"SentencePiece": {pieces,
			map[string]any{"add_bos_token": true, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
				"chat_template": nil, "add_prefix_space": nil},
			map[string]any{"bos_token_id": 1.0, "eos_token_id": 2.0}},
		"no BOS, no space, another EOS": {with(pieces, gguf.KeyValue{Key: ggufAddBOS, Value: false},
			gguf.KeyValue{Key: ggufSpacePrefix, Value: false},
			gguf.KeyValue{Key: ggufEOS, Value: end}, gguf.KeyValue{Key: ggufEOT, Value: uint32(2)},
			gguf.KeyValue{Key: ggufChatTemplate, Value: template}),
			map[string]any{"add_bos_token": false, "bos_token": "<s>", "eos_token": "<end>",
				"add_prefix_space": false, "chat_template": template},
			map[string]any{"bos_token_id": 1.0, "eos_token_id": []any{float64(end), 2.0}}},
		"byte level": {byteLevel, map[string]any{"add_bos_token": false, "bos_token": nil, "eos_token": "<|im_end|>",
			"tokenizer_class": "PreTrainedTokenizerFast"},
			map[string]any{"bos_token_id": nil, "eos_token_id": 5.0}},
		"byte level with BOS": {with(byteLevel, gguf.KeyValue{Key: ggufAddBOS, Value: true},
			gguf.KeyValue{Key: ggufBOS, Value: uint32(0)}),
			map[string]any{"add_bos_token": true, "bos_token": "<pad>"}, map[string]any{"bos_token_id": 0.0}},
	} {
		path, dir := filepath.Join(t.TempDir(), "v.gguf"), t.TempDir()
		if err := gguf.Write(path, c.metadata); err != nil {
			t.Fatal(err)
		}
		if err := SaveGGUF(path, dir); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameTokenizer(t, name, load(t, path), load(t, dir), []string{"ab a<both>b  <end><x>a", " abba"})
		for file, want := range map[string]map[string]any{ConfigFile: c.config, generationConfig: c.generation} {
			var got map[string]any
			text := readFile(t, filepath.Join(dir, file))
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			for key, value := range want {
				if !reflect.DeepEqual(got[key], value) {
					t.Errorf("%s: %s: %s is %v, want %v", name, file, key, got[key], value)
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "v.gguf")
	if err := gguf.Write(path, with(pieces, gguf.KeyValue{Key: ggufEOT, Value: uint32(1 << 20)})); err != nil {
		t.Fatal(err)
	}
	if err := SaveGGUF(path, t.TempDir()); err == nil ||
		!strings.Contains(err.Error(), path+": "+ggufEOT+": want an id below") {
		t.Errorf("error %v", err)
	}
}

// The file alone, without those beside it, is the vocabulary as well.
func TestVocabularyAsModel(t *testing.T) {
	for _, m := range []modelFile{llama("a", "b", "ab", "▁a"),
		{pieces: append(basic(), piece{"a", -1, normal}, piece{"▁", -2, unused}), noDummy: true}} {
		v := parse(t, m).Vocabulary()
		got, err := parseSentencePiece(v.model(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if again := got.Vocabulary(); !reflect.DeepEqual(again, v) {
			t.Errorf("the table is %+v, want %+v", again, v)
		}
	}
}
