package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Every kind of tokenizer, alone or in a folder, and everything that may name its EOS: what
// names it first has the last word.
func TestEOSOfTheModel(t *testing.T) {
	sp := llama("a")
	vocabulary, err := parseSentencePiece(sp.bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	v := vocabulary.Vocabulary()
	v.EOS = -1 // a GGUF file that does not say it: llama.cpp takes 2
	ggufTokenizer := filepath.Join(t.TempDir(), "words.gguf")
	if err := gguf.Write(ggufTokenizer, v.Metadata()); err != nil {
		t.Fatal(err)
	}
	file := func(name, content string) string {
		return filepath.Join(put(t, map[string]string{name: content}), name)
	}
	json := string(change(t, "chars", nil))
	with := func(name, content, config string) string {
		return put(t, map[string]string{name: content, ConfigFile: config})
	}
	ggufModel := filepath.Join(t.TempDir(), "model.gguf")
	if err := gguf.Write(ggufModel, []gguf.KeyValue{{Key: ggufEOS, Value: uint32(1)}}); err != nil {
		t.Fatal(err)
	}
	bareGGUF := filepath.Join(t.TempDir(), "bare.gguf")
	if err := gguf.Write(bareGGUF, []gguf.KeyValue{{Key: "general.architecture", Value: "llama"}}); err != nil {
		t.Fatal(err)
	}
	models := map[string]string{
		"":            "",
		"config.json": put(t, map[string]string{"config.json": `{"eos_token_id": 1}`}),
		"generation_config": put(t, map[string]string{"config.json": `{"eos_token_id": 2}`,
			"generation_config.json": `{"eos_token_id": [1, 2]}`}),
		"names none":             put(t, map[string]string{"config.json": `{"eos_token_id": null}`}),
		"nothing":                t.TempDir(),
		"GGUF":                   ggufModel,
		"GGUF that says nothing": bareGGUF,
		"a file":                 file("new.json", `{"eos_token_id": [1]}`),
		"not there":              "no/such/model",
	}
	names := []string{"config.json", "generation_config", "GGUF", "a file"}
	for kind, c := range map[string]struct {
		path string
		own  int32 // what it says itself; -1: nothing
		says bool  // by a name, which no model's comes before
		at   int32 // the id that 1 of a model's vocabulary has here
	}{
		"tokenizer.model alone":                 {file(ModelFile, string(sp.bytes())), 2, false, 1},
		"tokenizer.json alone":                  {file(JSONFile, json), -1, false, 1},
		"ranks alone":                           {file(ModelFile, ranks()), 257, false, -1},
		"GGUF":                                  {ggufTokenizer, 2, false, 1},
		"folder without configuration":          {put(t, map[string]string{JSONFile: json}), -1, false, 1},
		"folder whose configuration names none": {with(JSONFile, json, `{"eos_token": null}`), -1, false, 1},
		"folder that names one":                 {with(JSONFile, json, `{"eos_token": "</s>"}`), 2, true, 1},
		"folder of SentencePiece":               {put(t, map[string]string{ModelFile: string(sp.bytes())}), 2, false, 1},
		"folder of SentencePiece that names one": {with(ModelFile, string(sp.bytes()),
			`{"eos_token": "<unk>"}`), 0, true, 1},
		"folder with a model's configuration of its own": {put(t,
			map[string]string{JSONFile: json, "config.json": `{"eos_token_id": 2}`}), 2, true, 1},
	} {
		for from, model := range models {
			want := c.own
			for _, name := range names {
				if from == name && !c.says {
					want = c.at
				}
			}
			tok, err := LoadFor(c.path, Options{Model: model})
			if want < 0 && c.own >= 0 { // the model's 1 is no special token of this vocabulary
				if err == nil || !strings.Contains(err.Error(),
					"eos_token_id: want the id of a special token of "+c.path+", got 1, there ") ||
					!strings.Contains(err.Error(), model) {
					t.Errorf("%s, %s: error %v", kind, from, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %s: %v", kind, from, err)
				continue
			}
			got, ok := tok.EOS()
			if !ok {
				got = -1
			}
			if got != want {
				t.Errorf("%s, %s: EOS %d, want %d", kind, from, got, want)
			}
			// What a user names comes before all.
			piece := tok.Piece(int32(tok.VocabSize() - 1))
			if tok, err = LoadFor(c.path, Options{Model: model, EOS: piece}); err != nil {
				t.Errorf("%s, %s: %v", kind, from, err)
			} else if got, ok := tok.EOS(); !ok || got != int32(tok.VocabSize()-1) {
				t.Errorf("%s, %s: EOS %d, %v; want %q", kind, from, got, ok, piece)
			}
		}
		if _, err := LoadFor(c.path, Options{EOS: "<nothing>"}); err == nil ||
			!strings.Contains(err.Error(), c.path+`: EOS: want a token of the vocabulary, got "<nothing>"`) {
			t.Errorf("%s: error %v", kind, err)
		}
	}
}

// What a model generates by goes with it, whatever tokenizer comes along.
func TestCopyGeneration(t *testing.T) {
	folder := put(t, map[string]string{"generation_config.json": `{"eos_token_id": [5, 2], "max_new_tokens": 12345678901234567890, "temperature": 0.6}`})
	file := filepath.Join(t.TempDir(), "m.gguf")
	if err := gguf.Write(file, []gguf.KeyValue{{Key: ggufBOS, Value: uint32(1)}, {Key: ggufEOS, Value: uint32(2)},
		{Key: ggufEOT, Value: uint32(7)}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, model string
		eos         int32
		want        []string // in the file; nil: none
	}{
		{"as it is", folder, -1, []string{`{"eos_token_id": [5, 2], "max_new_tokens": 12345678901234567890, "temperature": 0.6}`}},
		{"taught what it knows", folder, 2, []string{`{"eos_token_id": [5, 2], "max`}},
		{"taught another", folder, 9, []string{"\"eos_token_id\": [\n    9,\n    5,\n    2\n  ]",
			`"max_new_tokens": 12345678901234567890`, `"temperature": 0.6`}},
		{"GGUF", file, -1, []string{"\"bos_token_id\": 1", "\"eos_token_id\": [\n    2,\n    7\n  ]"}},
		{"GGUF, taught another", file, 9, []string{"\"eos_token_id\": [\n    9,\n    2,\n    7\n  ]"}},
		{"none", t.TempDir(), 9, nil},
	} {
		to := t.TempDir()
		if err := CopyGeneration(c.model, to, c.eos); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(to, generationConfig))
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s: error %v", c.name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(got), want) {
				t.Errorf("%s: got %s\nwant %s", c.name, got, want)
			}
		}
	}
	bad := put(t, map[string]string{"generation_config.json": `{"eos_token_id": 1, "eos_token_id": 2}`})
	if err := CopyGeneration(bad, t.TempDir(), -1); err == nil ||
		!strings.Contains(err.Error(), "generation_config.json: line 1: field eos_token_id: want each name once") {
		t.Errorf("error %v", err)
	}
}

// A tokenizer's file comes under the name by which a folder is read, and no other model's
// generation settings with it.
func TestCopyTokenizer(t *testing.T) {
	json := string(change(t, "chars", nil))
	from := put(t, map[string]string{"words.model": string(llama("a").bytes()), "words.json": json,
		"ranks.txt": ranks(), JSONFile: json, "generation_config.json": `{}`})
	for name, want := range map[string]string{"words.model": ModelFile, "words.json": JSONFile,
		"ranks.txt": ModelFile, "": JSONFile} {
		to := t.TempDir()
		if err := CopyTokenizer(filepath.Join(from, name), to); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(to)
		if err != nil || len(entries) != 1 || entries[0].Name() != want {
			t.Errorf("%q: %v, error %v; want %s", name, entries, err, want)
		}
		load(t, to)
	}
}
