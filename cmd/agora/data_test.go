package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
)

// chatModel is a folder with a tokenizer of bytes, ChatML's special tokens and a template.
func chatModel(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	b, err := os.ReadFile("../../tokenizer/testdata/bytes.json")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"<|im_start|>", "<|im_end|>"} {
		file["added_tokens"] = append(file["added_tokens"].([]any),
			map[string]any{"id": 282 + i, "content": name, "special": true})
	}
	b, err = json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{
		"tokenizer.json":        string(b),
		"tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true}`,
		"chat_template.jinja":   "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}",
	})
	return dir
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDataPreview(t *testing.T) {
	dir := chatModel(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFiles(t, dir, map[string]string{
		"chats.jsonl": `{"messages": [{"role": "user", "content": "q<|im_end|>"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}
{"messages": [{"role": "user", "content": "q"}]}`,
		"rows.json": `[{"prompt": "2+2=", "completion": "4"}]`,
		"book.txt":  "abcdefgh",
		"more.jsonl": `{"id": 1, "system": "s", "messages": [{"role": "user", "content": "q", "name": "n"}, {"role": "assistant", "content": "a"}], "tools": []}
{"id": 2, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 0}], "tools": [1]}`,
		"run.yaml": "tokenizer: " + dir + "\ndata: [" + at("rows.json") + "]\nmax-tokens: 100\n",
	})
	if err := os.MkdirAll(at("set/data"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, at("set/data"), map[string]string{"train.jsonl": `{"text": "abcdefgh"}`, "test.jsonl": "[]"})
	const legend = "⟦in the loss⟧, only read, ⟨special token⟩\n\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--tokenizer", dir, "--data", at("chats.jsonl") + "," + at("rows.json"), "--data", at("book.txt")},
			legend + at("chats.jsonl") + " row 1: 56 tokens, 4 in the loss\n" +
				"⟨<s>⟩⟨<|im_start|>⟩user:q<|im_end|>⟨<|im_end|>⟩\n⟨<|im_start|>⟩assistant:⟦a⟨<|im_end|>⟩⟧\n" +
				"⟨<|im_start|>⟩user:r⟨<|im_end|>⟩\n⟨<|im_start|>⟩assistant:⟦b⟨<|im_end|>⟩⟧\n\n" +
				at("rows.json") + " row 1: 6 tokens, 2 in the loss\n⟨<s>⟩2+2=⟦4⟨</s>⟩⟧\n\n" +
				at("book.txt") + ": 9 tokens, 9 in the loss\n⟨<s>⟩⟦abcdefgh⟨</s>⟩⟧\n\n" +
				"fields     chat, used: messages 2, messages[].role 5, messages[].content 5\n" +
				"           completion, used: prompt 1, completion 1\n" +
				"rows       4: 0 cut (0 tokens), 0 split, 1 dropped (too long, or nothing in them counts)\n" +
				"sequences  3 of 71 tokens, 15 in the loss (21.1 %)\n" +
				"groups     3: equal sequences, and those of one row, are held out together or not at all\n" +
				"lengths    6 to 56 tokens; half of the sequences have at most 9, 90 % 56, 99 % 56\n"},
		{[]string{"--model", dir, "--data", at("book.txt"), "--max-tokens", "4", "--rows", "2"},
			legend + at("book.txt") + ": 4 tokens, 4 in the loss\n⟨<s>⟩⟦abcd⟧\n\n" + at("book.txt") +
				": 4 tokens, 4 in the loss\nd⟦efgh⟧\n\n" +
				"rows       1: 0 cut (0 tokens), 1 split, 0 dropped\n" +
				"sequences  3 of 9 tokens, 9 in the loss (100.0 %)\n" +
				"groups     3: equal sequences, and those of one row, are held out together or not at all\n" +
				"lengths    1 to 4 tokens; half of the sequences have at most 4, 90 % 4, 99 % 4\n"},
		{[]string{"--tokenizer", dir, "--data", at("set"), "--rows", "0"},
			"fields     text, used: text 1\nrows       1: 0 cut (0 tokens), 0 split, 0 dropped\n" +
				"sequences  1 of 9 tokens, 9 in the loss (100.0 %)\n" +
				"groups     1: equal sequences, and those of one row, are held out together or not at all\n" +
				"lengths    9 to 9 tokens; half of the sequences have at most 9, 90 % 9, 99 % 9\n" +
				"files      the split train is read; passed over, of other splits: " + at("set/data/test.jsonl") +
				" (held-out-split takes held-out rows of one)\n"},
		{[]string{at("run.yaml"), "--loss", "all", "--truncate", "start", "--max-tokens", "4"},
			legend + at("rows.json") + " row 1: 4 tokens, 4 in the loss\n⟨<s>⟩⟦2=4⟨</s>⟩⟧\n\n" +
				"fields     completion, used: prompt 1, completion 1\n" +
				"rows       1: 1 cut (2 tokens), 0 split, 0 dropped\nsequences  1 of 4 tokens, 4 in the loss (100.0 %)\n" +
				"groups     1: equal sequences, and those of one row, are held out together or not at all\n" +
				"lengths    4 to 4 tokens; half of the sequences have at most 4, 90 % 4, 99 % 4\n"},
		{[]string{at("run.yaml"), "--pack", "--data", at("rows.json") + "," + at("rows.json"), "--max-tokens", "16",
			"--rows", "5"},
			legend + strings.Repeat("packed row 1, "+at("rows.json")+
				" row 1: 6 tokens, 2 in the loss\n⟨<s>⟩2+2=⟦4⟨</s>⟩⟧\n\n", 2) +
				"fields     completion, used: prompt 2, completion 2\n" +
				"rows       2: 0 cut (0 tokens), 0 split, 0 dropped\nsequences  2 of 12 tokens, 4 in the loss (33.3 %)\n" +
				"groups     1: equal sequences, and those of one row, are held out together or not at all\n" +
				"lengths    6 to 6 tokens; half of the sequences have at most 6, 90 % 6, 99 % 6\npacked     1 rows, 75.0 % full\n"},
		{[]string{"--tokenizer", dir, "--data", at("more.jsonl"), "--ignore-fields", "tools,name", "--rows", "0"},
			"fields     chat, used: messages 2, system 1, messages[].role 4, messages[].content 4, messages[].weight 1\n" +
				"           chat, passed over: id 2\n" +
				"           chat, ignored on request: messages[].name 1, tools 2\n" +
				"rows       2: 0 cut (0 tokens), 0 split, 1 dropped (too long, or nothing in them counts)\n" +
				"sequences  1 of 34 tokens, 2 in the loss (5.9 %)\n" +
				"groups     1: equal sequences, and those of one row, are held out together or not at all\n" +
				"lengths    34 to 34 tokens; half of the sequences have at most 34, 90 % 34, 99 % 34\n"},
		{[]string{at("run.yaml"), "--max-tokens", "4", "--truncate", "drop"},
			"fields     completion, used: prompt 1, completion 1\n" +
				"rows       1: 0 cut (0 tokens), 0 split, 1 dropped (too long, or nothing in them counts)\nsequences  none\n"},
	} {
		code, stdout, stderr := agora(t, append([]string{"data", "preview"}, c.args...)...)
		if code != 0 || stdout != c.want {
			t.Errorf("agora data preview %v: exit code %d, %s\ngot\n%s\nwant\n%s", c.args, code, stderr, stdout, c.want)
		}
	}
}

// What a row says cannot pass for the marks, nor move a terminal's cursor.
func TestPreviewMarksAreNoContent(t *testing.T) {
	dir := chatModel(t)
	writeFiles(t, dir, map[string]string{"rows.jsonl": `{"prompt": "⟦⟨⟧⟩⟪ \u001b[31m\r\u202e", "completion": "】"}`})
	code, stdout, stderr := agora(t, "data", "preview", "--model", dir, "--data", filepath.Join(dir, "rows.jsonl"))
	if want := "⦗<s>⦘⟦⟨⟧⟩⟪ ␛[31m␍\ufffd⦃】⦗</s>⦘⦄"; code != 0 || !strings.Contains(stdout, want) ||
		!strings.HasPrefix(stdout, "⦃in the loss⦄, only read, ⦗special token⦘\n") {
		t.Errorf("exit code %d, %s\ngot\n%s\nwant %s", code, stderr, stdout, want)
	}
	p := preview{Rows: []previewRow{{runs: []tokenRun{{text: "⟦⟩⟪⦄⦗❳【〖\ue000\ue003"}}}}}
	if m := p.marks(false); m.counted != [2]string{"\ue004", "\ue005"} || m.special != [2]string{"\ue006", "\ue007"} {
		t.Errorf("the marks are %+v", m)
	}
	// Colors are ended before others begin, and stand around every run.
	var text strings.Builder
	p.marks(true).write(&text, []tokenRun{{"<s>", false, true}, {"q", false, false}, {"a", true, false},
		{"</s>", true, true}})
	if want := "\x1b[2m\x1b[7m<s>\x1b[0m\x1b[0m\x1b[2mq\x1b[0m\x1b[1;32ma\x1b[0m\x1b[1;32m\x1b[7m</s>\x1b[0m\x1b[0m"; text.String() != want {
		t.Errorf("in color %q, want %q", text.String(), want)
	}
}

func TestDataPreviewJSON(t *testing.T) {
	dir := chatModel(t)
	rows := filepath.Join(dir, "rows.jsonl")
	writeFiles(t, dir, map[string]string{"rows.jsonl": strings.Repeat(`{"prompt": "q", "completion": "ж"}`+"\n", 5) +
		`{"prompt": "long prompt", "completion": "answer"}`})
	p := mustJSON[preview](t, "data", "preview", "--model", dir, "--data", rows, "--rows", "1")
	r := p.Rows[0]
	if len(p.Rows) != 1 || r.Source.File != rows || r.Source.Row != 1 || r.Packed != 0 || r.Tokens != 4 ||
		!slices.Equal(r.Counted, []bool{false, false, true, true, true}) ||
		r.Pieces[0] != "<s>" || r.Pieces[4] != "</s>" || !slices.Equal(r.IDs[1:4], []int32{'q', 0xd0, 0xb6}) {
		t.Errorf("the row is %+v", r)
	}
	if n := p.Totals; n.Rows != 6 || n.Sequences != 6 || n.Counts.Counted != 5*3+7 || n.Lengths.Min != 4 ||
		n.Lengths.P50 != 4 || n.Lengths.P90 != 18 || n.Packed != nil {
		t.Errorf("the totals are %+v, %+v", n, n.Lengths)
	}
	if want := []data.Field{{Format: "completion", Name: "prompt", Fate: data.FateUsed, Count: 6},
		{Format: "completion", Name: "completion", Fate: data.FateUsed, Count: 6}}; !slices.Equal(p.Fields, want) ||
		p.Totals.Groups != 2 {
		t.Errorf("fields %v, %d groups", p.Fields, p.Totals.Groups)
	}
	packed := mustJSON[preview](t, "data", "preview", "--model", dir, "--data", rows, "--rows", "9", "--pack",
		"--max-tokens", "20")
	if last := packed.Rows[len(packed.Rows)-1]; len(packed.Rows) != 6 || packed.Totals.Packed == nil ||
		packed.Totals.Packed.Rows != 2 || last.Packed != 2 || packed.Totals.Packed.Fill != 38./40 {
		t.Errorf("packed: %+v of %+v", packed.Rows, packed.Totals.Packed)
	}
	// An order of its own for each seed.
	order := func(seed string) (all []int) {
		for _, r := range mustJSON[preview](t, "data", "preview", "--model", dir, "--data", rows, "--rows", "9",
			"--seed", seed).Rows {
			all = append(all, r.Source.Row)
		}
		return all
	}
	if a, b := order("0"), order("1"); len(a) != 6 || slices.IsSorted(a) || slices.Equal(a, b) {
		t.Errorf("seed 0 orders the rows as %v, 1 as %v", a, b)
	}
	if none := mustJSON[preview](t, "data", "preview", "--model", dir, "--data", rows, "--rows",
		"0"); len(none.Rows) != 0 || none.Totals.Rows != 6 {
		t.Errorf("no rows: %+v", none)
	}
}

func TestPreviewOfAlpaca(t *testing.T) {
	model, alpaca := realModel(t)
	code, stdout, stderr := agora(t, "data", "preview", "--model", model, "--data", alpaca, "--rows", "1", "--pack")
	if code != 0 || !strings.Contains(stdout, "⟨<s>⟩ Below is an instruction") ||
		!strings.Contains(stdout, "\n\n### Response:⟦ ") ||
		!strings.Contains(stdout, "⟨</s>⟩⟧\n") || !strings.Contains(stdout, "rows       52002: ") {
		t.Errorf("exit code %d, %s, printed\n%s", code, stderr, stdout)
	}
}

func TestDataPreviewRefuses(t *testing.T) {
	dir := chatModel(t)
	writeFiles(t, dir, map[string]string{
		"rows.jsonl":  `{"prompt": "q", "completion": "a"}`,
		"chats.jsonl": `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}`,
		"bad.jsonl":   `{"prompt": "q"}`,
		"more.jsonl": `{"messages": [{"role": "user", "content": "q"}]}
{"messages": [{"role": "user", "content": "q", "name": "n"}]}`,
		"run.yaml":  "dataa: x\n",
		"none.json": "[]",
	})
	bare := filepath.Join(dir, "bare")
	if err := os.Mkdir(bare, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := copyFile("../../tokenizer/testdata/bytes.json", filepath.Join(bare, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"", "--model is missing (or --tokenizer)"},
		{"--model {}", "--data is missing"},
		{"--model {} --data {}/rows.jsonl --rows -1", "--rows -1: want at least 0"},
		{"--model {} --data {}/rows.jsonl --loss some", `--loss: want answers or all, got "some"`},
		{"--model {} --data {}/rows.jsonl --truncate left", `--truncate: want end, start, drop or split, got "left"`},
		{"--model {} --data {}/rows.jsonl --format xml",
			`--format: want auto, preference, labeled, chat, alpaca, completion or text, got "xml"`},
		{"--model {} --data {}/rows.jsonl --max-tokens 0", "--max-tokens: want at least 2, got 0"},
		{"--model {} --data {}/rows.jsonl --format alpaca",
			`rows.jsonl: row 1 (line 1): want a string "instruction", got none`},
		{"--model {} --data {}/bad.jsonl", `bad.jsonl: row 1 (line 1): cannot tell the format`},
		{"--model {} --data {}/more.jsonl", `want a template that writes "name" of messages, got one that leaves it out; --ignore-fields name passes over it`},
		{"--model {} --data {}/more.jsonl --ignore-fields content",
			`more.jsonl: row 1 (line 1): messages[0]: want a string "content", got none (ignore-fields names content, which the rows need)`},
		{"--model {} --data {}/none.json", "--data: want rows, got none in "},
		{"--model {} --data {}/none.jsonl", "none.jsonl: no such file"},
		{"--model {} --data {}", "want a folder of files of rows, got"},
		{"--model {}/bare --data {}/chats.jsonl", "bare: want a chat_template in"},
		{"--model {} --data {}/chats.jsonl --template llama3", "--template: "},
		{"{}/run.yaml --model {} --data {}/rows.jsonl", "dataa"},
	} {
		refuses(t, dir, []string{c.want}, append([]string{"data", "preview"},
			strings.Fields(strings.ReplaceAll(c.args, "{}", dir))...)...)
	}
}
