package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// larger is a tiny model's folder whose tokenizer has tokens that the model does not: <|a|>
// and <|b|>, ids 98 and 99; and a chat template that writes <|a|> in front of each message.
func larger(t *testing.T, eos string) (dir string) {
	t.Helper()
	dir = tinymodel.Write(t)
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	added, _ := file["added_tokens"].([]any)
	for i, name := range []string{"<|a|>", "<|b|>"} {
		added = append(added, map[string]any{"id": 98 + i, "content": name, "special": true})
	}
	file["added_tokens"] = added
	if text, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{
		"tokenizer.json":        string(text),
		"tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "` + eos + `"}`,
		"chat_template.jinja":   "{{ bos_token }}{% for m in messages %}<|a|>{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|a|>{% endif %}",
	})
	return dir
}

// A tokenizer with more ids than the model has embeddings: a line says so, a row that needs
// such an id is an error before the first step, by its row and token, in every command.
func TestTokenizerLargerThanTheModel(t *testing.T) {
	model := larger(t, "</s>")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFiles(t, dir, map[string]string{
		"good.jsonl":  `{"prompt": "a", "completion": "b"}` + "\n" + `{"prompt": "c", "completion": "<|a|>"}`,
		"chats.jsonl": `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}`,
		"book.txt":    "once <|b|>",
	})
	const warning = `warning: the tokenizer has 100 ids, the model's vocabulary 98: rows that need an id from 98 on, such as "<|a|>", are refused`
	const a, b = `token "<|a|>" (id 98): want an id below the 98 of the model's vocabulary, got one of the tokenizer's 100`, `token "<|b|>" (id 99): want an id below the 98`
	settings := func(file string, more ...string) []string {
		return append([]string{"--model", model, "--data", at(file), "--max-tokens", "64"}, more...)
	}
	run := func(file string, more ...string) []string {
		return append(append([]string{"train"}, settings(file, more...)...), "--held-out", "0", "--steps", "2",
			"--batch-rows", "1", "--out", at("out"))
	}
	look := func(file string, more ...string) []string {
		return append([]string{"data", "preview"}, settings(file, more...)...)
	}
	for _, args := range [][]string{
		look("good.jsonl"), look("book.txt"), run("good.jsonl"),
		{"eval", "--task", "perplexity", "--model", model, "--text", at("book.txt")},
		{"tokenize", "--model", model, "--text", "a<|b|>"},
	} {
		code, stdout, stderr := agora(t, args...)
		if code != 0 || strings.Count(stderr, warning) != 1 {
			t.Errorf("agora %v: exit code %d, want the warning once in\n%s", args, code, stderr)
		}
		if !strings.Contains(stderr+stdout, "read as letters; --special-tokens parse reads them as tokens") {
			t.Errorf("agora %v: nothing is said of special tokens:\n%s\n%s", args, stdout, stderr)
		}
	}
	if err := os.RemoveAll(at("out")); err != nil {
		t.Fatal(err)
	}
	parse := []string{"--special-tokens", "parse"}
	for _, c := range []struct {
		args []string
		want string
	}{
		{look("good.jsonl", parse...), "data: " + at("good.jsonl") + " row 2: " + a},
		{run("good.jsonl", parse...), "data: " + at("good.jsonl") + " row 2: " + a},
		{look("chats.jsonl"), "data: " + at("chats.jsonl") + " row 1: " + a},
		{run("chats.jsonl"), "data: " + at("chats.jsonl") + " row 1: " + a},
		{look("book.txt", parse...), "data: " + at("book.txt") + ": " + b},
		{run("book.txt", parse...), "data: " + at("book.txt") + ": " + b},
		{[]string{"eval", "--task", "perplexity", "--model", model, "--text", at("book.txt"), "--special-tokens",
			"parse"}, at("book.txt") + ": eval: " + b},
		{[]string{"tokenize", "--model", model, "--text", "a<|b|>", "--special-tokens", "parse"}, b},
		{[]string{"tokenize", "--model", model, "--text", "a", "--special-tokens", "all"},
			`--special-tokens "all": want text or parse`},
		{[]string{"eval", "--task", "perplexity", "--model", model, "--text", at("book.txt"), "--special-tokens",
			"all"}, `--special-tokens "all": want text or parse`},
		{look("good.jsonl", "--special-tokens", "all"), `--special-tokens: want text or parse, got "all"`},
		{run("good.jsonl", "--special-tokens", "all"), `--special-tokens: want text or parse, got "all"`},
	} {
		refuses(t, dir, []string{c.want}, c.args...)
	}

	// BOS and EOS must be there, whether or not a row uses them.
	model = larger(t, "<|b|>")
	const end = `: the token that ends a text: ` + b
	for _, c := range []struct {
		args []string
		want string
	}{
		{look("good.jsonl"), "the tokenizer does not fit " + model + end},
		{run("good.jsonl"), "--tokenizer: " + model + end},
		{run("chats.jsonl", "--loss", "all"), "--tokenizer: " + model + end},
		{[]string{"eval", "--task", "perplexity", "--model", model, "--text", at("book.txt")},
			"the tokenizer does not fit " + model + end},
		{[]string{"tokenize", "--model", model, "--text", "a"}, "the tokenizer does not fit " + model + end},
	} {
		refuses(t, dir, []string{c.want}, c.args...)
	}
	// A tokenizer alone has nothing to fit.
	if code, _, stderr := agora(t, "tokenize", "--model", filepath.Join(model, "tokenizer.json"), "--text",
		"a<|b|>"); code != 0 {
		t.Errorf("a tokenizer's file: exit code %d, %s", code, stderr)
	}
}

// What a resumed run needs is looked at again: its tokenizer may lie elsewhere, but is the
// same or refused.
func TestResumeChecksIDs(t *testing.T) {
	model, bad := tinymodel.Write(t), larger(t, "<|b|>")
	rows, out := someRows(t), filepath.Join(t.TempDir(), "run")
	mustJSON[train.Summary](t, "train", "--model", model, "--data", rows, "--max-tokens", "64", "--truncate", "start",
		"--held-out", "0", "--steps", "2", "--save-every", "1", "--out", out)
	for _, name := range []string{train.SummaryFile, "checkpoints/step-000002"} {
		if err := os.RemoveAll(filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
	}
	refuses(t, out, []string{"--resume: --tokenizer: "}, "train", "--out", out, "--resume", "--tokenizer", bad)
}

// The ids of a text that spells a chat are those of its tokens, in preview, eval and tokenize.
func TestSpecialTokensParsed(t *testing.T) {
	dir := chatModel(t)
	const text = "<|im_start|>user\nhi<|im_end|>\n"
	writeFiles(t, dir, map[string]string{"rows.jsonl": `{"text": "<|im_start|>user\nhi<|im_end|>\n"}`})
	p := mustJSON[preview](t, "data", "preview", "--model", dir, "--data", filepath.Join(dir, "rows.jsonl"),
		"--special-tokens", "parse")
	got := mustJSON[tokens](t, "tokenize", "--model", dir, "--bos", "--text", text, "--special-tokens", "parse")
	want := []int32{280, 282, 'u', 's', 'e', 'r', '\n', 'h', 'i', 283, '\n'}
	equal := func(a, b []int32) bool {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return string(x) == string(y)
	}
	if !equal(got.IDs, want) || !equal(p.Rows[0].IDs, append(want, 281)) || p.Totals.Spelled.Rows != 1 ||
		p.Totals.Spelled.First != "<|im_start|>" {
		t.Errorf("ids %v and %v, %+v, want %v", got.IDs, p.Rows[0].IDs, p.Totals.Spelled, want)
	}
	if again := mustJSON[tokens](t, "tokenize", "--model", dir, "--bos", "--text", "<s>"+text, "--special-tokens",
		"parse"); !equal(again.IDs, want) {
		t.Errorf("BOS twice: %v", again.IDs)
	}
	tiny := tinymodel.Write(t)
	g := mustJSON[generation](t, "generate", "--model", tiny, "--prompt", "<s>a</s>b", "--special-tokens", "parse",
		"--max-tokens", "1", "--greedy", "--ignore-eos")
	if !equal(g.IDs[:4], []int32{0, 3 + 'a' - ' ', 1, 3 + 'b' - ' '}) {
		t.Errorf("generate begins with %v", g.IDs)
	}
	if _, _, stderr := agora(t, "generate", "--model", tiny, "--prompt", "a</s>", "--max-tokens",
		"1"); !strings.Contains(stderr, "the prompt spells special tokens such as </s> in plain text") {
		t.Errorf("generate says %q", stderr)
	}
	letters := mustJSON[tokens](t, "tokenize", "--model", dir, "--text", text)
	if len(letters.IDs) != len(text) {
		t.Errorf("as letters %d ids, want %d", len(letters.IDs), len(text))
	}
}
