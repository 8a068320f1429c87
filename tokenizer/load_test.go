package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes a model's folder.
func put(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolderEnds(t *testing.T) {
	bare := string(change(t, "chars", nil))
	begun := string(change(t, "chars", object{"post_processor": beginWith(1, "<s>")}))
	sp := string(llama("a").bytes())
	for _, c := range []struct {
		name     string
		files    map[string]string
		bos, eos int32 // -1: none
	}{
		{"tokenizer.json alone", map[string]string{JSONFile: bare}, -1, -1},
		{"its post-processor", map[string]string{JSONFile: begun}, 1, -1},
		{"a name does not put it in front", map[string]string{JSONFile: bare,
			ConfigFile: `{"bos_token": "<s>", "eos_token": "</s>"}`}, -1, 2},
		{"but add_bos_token does", map[string]string{JSONFile: bare,
			ConfigFile: `{"bos_token": {"content": "</s>"}, "add_bos_token": true}`}, 2, -1},
		{"and takes it away", map[string]string{JSONFile: begun,
			ConfigFile: `{"bos_token": "<s>", "add_bos_token": false}`}, -1, -1},
		{"null is no name", map[string]string{JSONFile: begun, ConfigFile: `{"bos_token": null, "eos_token": null}`},
			1, -1},
		{"special_tokens_map", map[string]string{JSONFile: begun, ConfigFile: `{}`,
			"special_tokens_map.json": `{"eos_token": {"content": "</s>", "lstrip": false}}`}, 1, 2},
		{"one id", map[string]string{JSONFile: begun, "config.json": `{"eos_token_id": 2}`}, 1, 2},
		{"a list of ids, of which generation_config's come first",
			map[string]string{JSONFile: begun, "config.json": `{"eos_token_id": 2}`,
				"generation_config.json": `{"eos_token_id": [5, 2]}`}, 1, 5},
		{"a name comes before ids", map[string]string{JSONFile: begun, ConfigFile: `{"eos_token": "</s>"}`,
			"generation_config.json": `{"eos_token_id": 5}`}, 1, 2},
		{"no id", map[string]string{JSONFile: begun, "config.json": `{"eos_token_id": null}`}, 1, -1},
		{"SentencePiece has its own", map[string]string{ModelFile: sp}, 1, 2},
		{"unless told another", map[string]string{ModelFile: sp,
			ConfigFile: `{"bos_token": "</s>", "eos_token": "<s>"}`}, 2, 1},
		{"or none", map[string]string{ModelFile: sp, ConfigFile: `{"add_bos_token": false}`}, -1, 2},
		{"tokenizer.json comes before tokenizer.model", map[string]string{JSONFile: bare, ModelFile: sp}, -1, -1},
		{"ranks have LLaMA 3's", map[string]string{ModelFile: ranks()}, 256, 257},
		{"ranks of a chat model", map[string]string{ModelFile: ranks(), ConfigFile: `{"eos_token": "<|eot_id|>"}`},
			256, 265},
		{"ranks with later names", map[string]string{ModelFile: ranks(),
			ConfigFile: `{"eos_token": "<|eom_id|>", "added_tokens_decoder": {"264": {"content": "<|eom_id|>", "special": true}, "3": {"content": "ă"}}}`}, 256, 264},
		{"names are case-sensitive", map[string]string{JSONFile: begun,
			ConfigFile:    `{"EOS_token": "<s>", "Add_bos_token": false}`,
			"config.json": `{"EOS_TOKEN_ID": 1, "eos_token_id": 2}`}, 1, 2},
	} {
		tok := load(t, put(t, c.files))
		bos, ok := tok.BOS()
		if !ok {
			bos = -1
		}
		eos, ok := tok.EOS()
		if !ok {
			eos = -1
		}
		if bos != c.bos || eos != c.eos {
			t.Errorf("%s: BOS %d, EOS %d, want %d and %d", c.name, bos, eos, c.bos, c.eos)
		}
	}
}

func TestFolderErrors(t *testing.T) {
	bare := string(change(t, "chars", nil))
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"unknown BOS", map[string]string{JSONFile: bare, ConfigFile: `{"bos_token": "<bos>", "add_bos_token": true}`},
			`tokenizer_config.json: bos_token: want a token of the vocabulary, got "<bos>"`},
		{"unknown EOS", map[string]string{JSONFile: bare, "special_tokens_map.json": `{"eos_token": "<eos>"}`},
			`special_tokens_map.json: eos_token: want a token of the vocabulary, got "<eos>"`},
		{"BOS without a name", map[string]string{JSONFile: bare, ConfigFile: `{"add_bos_token": true}`},
			"tokenizer_config.json: add_bos_token: want a bos_token with it, got none"},
		{"EOS out of range", map[string]string{JSONFile: bare, "config.json": `{"eos_token_id": 99999}`},
			"config.json: eos_token_id: want an id below 2"},
		{"EOS no id", map[string]string{JSONFile: bare, "config.json": `{"eos_token_id": "two"}`},
			`config.json: line 1: field eos_token_id: want a token id or a list of them, got "two"`},
		{"BOS no name", map[string]string{JSONFile: bare, ConfigFile: `{"bos_token": [1]}`},
			"tokenizer_config.json: line 1: field bos_token: want a token or an object with its content, got [1]"},
		{"not JSON", map[string]string{JSONFile: bare, ConfigFile: `{"bos`},
			"tokenizer_config.json: line 1: want JSON, got its end"},
		{"a name twice", map[string]string{JSONFile: bare,
			ConfigFile: "{\"eos_token\": \"<s>\",\n\"eos_token\": \"</s>\"}"},
			"tokenizer_config.json: line 2: field eos_token: want each name once, got it twice"},
		{"NaN", map[string]string{JSONFile: bare, "generation_config.json": `{"temperature": NaN}`},
			"generation_config.json: line 1: field temperature: want a number of JSON, got NaN"},
		{"a bad tokenizer.json is not passed over",
			map[string]string{JSONFile: "{", ModelFile: string(llama("a").bytes())},
			"tokenizer.json: not a tokenizer.json"},
	} {
		dir := put(t, c.files)
		_, err := Load(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got error %v, want %q and the folder", c.name, err, c.want)
		}
	}
}
