package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// brief writes what a row holds.
func brief(r Row) string {
	switch r.Format {
	case FormatChat:
		var turns []string
		for _, m := range r.Messages {
			turns = append(turns, m.Role+":"+m.Content)
		}
		return "chat " + strings.Join(turns, "|")
	case FormatText:
		return "text " + r.Text
	}
	return fmt.Sprintf("%s %s|%s", r.Format, r.Prompt[max(0, len(r.Prompt)-10):], r.Answer)
}

func TestFormats(t *testing.T) {
	const (
		openAI   = `{"id": 5, "prompt": "p", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q", "name": "x"}, {"role": "assistant", "content": "a"}]}`
		shareGPT = `{"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}`
		prompted = `{"prompt": "p\n", "completion": " c", "text": "t"}`
		text     = `{"text": "é\n", "meta": {"a": [1]}}`
	)
	for _, c := range []struct {
		name, content string
		format        Format
		want          []string
	}{
		{"a.jsonl", openAI + "\n" + openAI, FormatAuto, []string{"chat system:s|user:q|assistant:a", "chat system:s|user:q|assistant:a"}},
		{"a.json.gz", "[" + shareGPT + "]", FormatAuto, []string{"chat system:s|user:q|assistant:a"}},
		{"a.jsonl", openAI + shareGPT, FormatChat, []string{"chat system:s|user:q|assistant:a", "chat system:s|user:q|assistant:a"}},
		{"a.json", "[" + prompted + "]", FormatAuto, []string{"completion p\n| c"}},
		{"a.json", "[" + prompted + "]", FormatText, []string{"text t"}},
		{"a.jsonl.gz", text + "\n" + text, FormatAuto, []string{"text é\n", "text é\n"}},
		{"a.jsonl", `{"text": "t", "instruction": "i", "output": "o"}`, FormatAuto, []string{"alpaca  Response:|o"}},
		{"a.txt", "\ufeffone\r\ntwo\n\n{", FormatAuto, []string{"text one\ntwo\n\n{"}},
		{"A.TXT.GZ", "one", FormatAuto, []string{"text one"}},
		{"a.txt", prompted, FormatCompletion, []string{"completion p\n| c"}},
		{"readme", "[one]", FormatText, []string{"text [one]"}},
		{"data", " \n" + prompted, FormatAuto, []string{"completion p\n| c"}},
		{"a.jsonl", "[]", FormatAuto, nil},
	} {
		path := save(t, strings.ToLower(c.name), c.content)
		if c.name != strings.ToLower(c.name) {
			upper := filepath.Join(filepath.Dir(path), c.name)
			if err := os.Rename(path, upper); err != nil {
				t.Fatal(err)
			}
			path = upper
		}
		rows, err := Read([]string{path}, c.format)
		var got []string
		for _, r := range rows {
			got = append(got, brief(r))
		}
		if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%s of %.30q as %s: got %q, error %v, want %q", c.name, c.content, c.format, got, err, c.want)
		}
	}
}

func TestReadSeveralFiles(t *testing.T) {
	a, b, c := save(t, "a.json", "["+rowA+","+rowB+"]"), save(t, "b.txt", "text"), save(t, "c.jsonl.gz", `{"prompt":"p","completion":"c"}`)
	rows, err := Read([]string{b, a, c}, FormatAuto)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	for i, want := range []struct {
		name   string
		format Format
	}{{b, FormatText}, {a + " row 1", FormatAlpaca}, {a + " row 2", FormatAlpaca}, {c + " row 1", FormatCompletion}} {
		if got := rows[i]; got.Source.String() != want.name || got.Format != want.format {
			t.Errorf("row %d is %s of %s, want %+v", i, got.Format, got.Source, want)
		}
	}
	if _, err := Read([]string{a, b}, FormatAlpaca); err == nil || !strings.Contains(err.Error(), b) || !strings.Contains(err.Error(), "want {, got 't'") {
		t.Errorf("text for Alpaca's rows: error %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, content string
		format        Format
		want          string
	}{
		{"a.json", "[]", "csv", `format "csv": want one of [auto alpaca completion chat text]`},
		{"a.csv", "text,label\n", FormatAuto, `cannot tell the format: want rows of JSON, or a name that ends in .txt, got a file that begins with "text,label\n"`},
		{"a.jsonl", `{"question": "q", "answer": "a"}`, FormatAuto,
			`row 1 (line 1): cannot tell the format: want the fields messages, conversations, instruction and output, prompt and completion, or text, got "question", "answer"`},
		{"a.jsonl", `{"a":1,"b":[{}],"c":1,"d":"e","f":1,"g":1,"h":1,"i":1,"j":1}`, FormatAuto, `got "a", "b", "c", "d", "f", "g", "h", "i", …`},
		{"a.jsonl", `{}`, FormatAuto, "got none"},
		{"a.jsonl", "\n{\n'a'}", FormatAuto, "row 1 (line 3): invalid character"},
		{"a.jsonl", `{"text": "a"}` + "\n" + `{"prompt": "a", "completion": ""}`, FormatAuto, `row 2 (line 2): want a string "text", got none`},
		{"a.jsonl", `{"prompt": "a"}`, FormatCompletion, `row 1 (line 1): want a string "completion", got none`},
		{"a.jsonl", `{"prompt": "a",` + "\n" + `"completion": ["b"]}`, FormatAuto, `row 1 (line 2): "completion": want a string, got array`},
		{"a.jsonl", `{"text": 5}`, FormatAuto, `row 1 (line 1): "text": want a string, got number`},
		{"a.jsonl", `{"text": null}`, FormatAuto, `row 1 (line 1): want a string "text", got none`},
		{"a.jsonl", `{"messages": []}`, FormatAuto, "row 1 (line 1): want messages, got an empty list"},
		{"a.jsonl", `{"messages": null}`, FormatAuto, `row 1 (line 1): want a list "messages" or "conversations", got none`},
		{"a.jsonl", `{"messages": "hi"}`, FormatAuto, `row 1 (line 1): "messages": want a list, got string`},
		{"a.jsonl", `{"messages": ["hi"]}`, FormatAuto, `row 1 (line 1): "messages": want an object, got string`},
		{"a.jsonl", `{"messages": [{"role": "user"}]}`, FormatAuto, `row 1 (line 1): messages[0]: want a string "content", got none`},
		{"a.jsonl", `{"messages": [{"role": "user", "content": "q"}, {"content": "a"}]}`, FormatAuto, `messages[1]: want a string "role", got none`},
		{"a.jsonl", `{"messages": [{"role": "user",` + "\n" + `"content": [{"type": "text"}]}]}`, FormatAuto, `row 1 (line 2): "messages.content": want a string, got array`},
		{"a.jsonl", `{"conversations": [{"from": "human", "value": "q"}, {"from": "bing", "value": "a"}]}`, FormatAuto, `conversations[1].from: want human, gpt or system, got "bing"`},
		{"a.jsonl", `{"prompt": "a",` + "\n" + `"completion": "` + "\xe9" + `"}`, FormatAuto, "row 1 (line 2): want text in UTF-8, got other bytes"},
		{"a.txt", "", FormatAuto, "want text, got an empty file"},
		{"a.txt", "a\nb\xff\n", FormatAuto, "line 2: want text in UTF-8"},
		{"a.txt.gz", "", FormatAuto, "want text, got an empty file"},
	} {
		path := save(t, c.name, c.content)
		_, err := Read([]string{path}, c.format)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.format != "csv" && !strings.Contains(err.Error(), path) {
			t.Errorf("%s of %q as %s: error %v, want it to name the file and %q", c.name, c.content, c.format, err, c.want)
		}
	}
	if _, err := Read([]string{t.TempDir()}, FormatAuto); err == nil || !strings.HasSuffix(err.Error(), ": want a file, got a folder") {
		t.Errorf("a folder: %v", err)
	}
}

func TestSplitOfOtherFormats(t *testing.T) {
	var rows []Row
	for i := range 50 {
		word := fmt.Sprint(i)
		rows = append(rows, Row{Format: FormatText, Text: word}, Row{Format: FormatChat, Messages: []chat.Message{{Role: "user", Content: word}}})
	}
	train, held := Split(append(rows, rows...), 20)
	if len(held) != 20 || len(train) != 180 {
		t.Fatalf("split into %d and %d", len(train), len(held))
	}
	in := map[string]bool{}
	for _, r := range train {
		in[brief(r)] = true
	}
	for _, r := range held {
		if in[brief(r)] {
			t.Errorf("%s is on both sides", brief(r))
		}
	}
	say := func(words ...string) Row {
		r := Row{Format: FormatChat}
		for i := 0; i < len(words); i += 2 {
			r.Messages = append(r.Messages, chat.Message{Role: words[i], Content: words[i+1]})
		}
		return r
	}
	if say("user", "ab", "", "").hash() == say("user", "a", "b", "").hash() || say("ab", "c").hash() == say("a", "bc").hash() {
		t.Error("the borders of messages do not count")
	}
}

// Whole rows are held out, by their content alone; of a book, which is one row, some
// sequences are.
func TestHoldOut(t *testing.T) {
	book := Row{Source: Source{File: "book.txt"}, Format: FormatText, Text: strings.Repeat("abcdefghijk", 100)}
	seqs, _, err := Tokenize(letters{}, []Row{book}, TokenizeOptions{MaxTokens: 10})
	if err != nil {
		t.Fatal(err)
	}
	train, held := HoldOut([]Row{book}, seqs, 20)
	if len(held) == 0 || len(held) > 20 || len(train)+len(held) != len(seqs) {
		t.Errorf("%d sequences of a book are split into %d and %d", len(seqs), len(train), len(held))
	}

	var rows []Row
	for i := range 40 { // half of them have no answer within 10 tokens
		rows = append(rows, Row{Source: Source{"rows", i + 1}, Prompt: strings.Repeat("p", i), Answer: strings.Repeat("a", 20)})
	}
	sources := func(o TokenizeOptions, n int) (got []Source, count int) {
		seqs, _, err := Tokenize(letters{}, rows, o)
		if err != nil {
			t.Fatal(err)
		}
		train, held := HoldOut(rows, seqs, n)
		for _, s := range held {
			if slices.ContainsFunc(train, func(x Sequence) bool { return x.Source == s.Source }) {
				t.Errorf("%v is on both sides", s.Source)
			}
			if !slices.Contains(got, s.Source) {
				got = append(got, s.Source)
			}
		}
		return got, len(held)
	}
	if _, n := sources(TokenizeOptions{MaxTokens: 10}, 5); n != 5 {
		t.Errorf("%d sequences are held out, want 5, though most rows are dropped", n)
	}
	whole, _ := sources(TokenizeOptions{MaxTokens: 100}, 5)
	bare, _ := sources(TokenizeOptions{MaxTokens: 90}, 5)
	if !slices.Equal(whole, bare) {
		t.Errorf("what is held out depends on how the rows are cut: %v, %v", whole, bare)
	}
	sources(TokenizeOptions{MaxTokens: 10, Truncate: TruncateSplit}, 9)
}

func TestRealText(t *testing.T) {
	dir := realdata.Folder(t)
	rows, err := Read([]string{filepath.Join(dir, "text", "war-and-peace.txt.gz"), filepath.Join(dir, "text", "tinyshakespeare.txt")}, FormatAuto)
	if err != nil || len(rows) != 2 || len(rows[0].Text) < 3<<20 || len(rows[1].Text) != 1115394 || strings.Contains(rows[0].Text, "\r") {
		t.Errorf("%d rows, error %v", len(rows), err)
	}
}
