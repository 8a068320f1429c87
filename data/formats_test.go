package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
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
		openAI   = `{"id": 5, "prompt": "", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q", "name": ""}, {"role": "assistant", "content": "a"}]}`
		shareGPT = `{"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}`
		prompted = `{"prompt": "p\n", "completion": " c", "text": null}`
		text     = `{"text": "é\n", "meta": {"a": [1]}}`
	)
	for _, c := range []struct {
		name, content string
		format        Format
		want          []string
	}{
		{"a.jsonl", openAI + "\n" + openAI, FormatAuto,
			[]string{"chat system:s|user:q|assistant:a", "chat system:s|user:q|assistant:a"}},
		{"a.json.gz", "[" + shareGPT + "]", FormatAuto, []string{"chat system:s|user:q|assistant:a"}},
		{"a.jsonl", openAI + shareGPT, FormatChat,
			[]string{"chat system:s|user:q|assistant:a", "chat system:s|user:q|assistant:a"}},
		{"a.json", "[" + prompted + "]", FormatAuto, []string{"completion p\n| c"}},
		{"a.json", `[{"prompt": "", "completion": null, "text": "t"}]`, FormatText, []string{"text t"}},
		{"a.jsonl.gz", text + "\n" + text, FormatAuto, []string{"text é\n", "text é\n"}},
		{"a.jsonl", `{"text": [], "instruction": "i", "output": "o"}`, FormatAuto, []string{"alpaca  Response:|o"}},
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
		rows, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: c.format})
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
	a, b, c := save(t, "a.json", "["+rowA+","+rowB+"]"), save(t, "b.txt", "text"),
		save(t, "c.jsonl.gz", `{"prompt":"p","completion":"c"}`)
	rows, _, err := Read(t.Context(), []string{b, a, c}, ReadOptions{})
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
	if _, _, err := Read(t.Context(), []string{a, b}, ReadOptions{Format: FormatAlpaca}); err == nil ||
		!strings.Contains(err.Error(), b) || !strings.Contains(err.Error(), "want {, got 't'") {
		t.Errorf("text for Alpaca's rows: error %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, content string
		format        Format
		want          string
	}{
		{"a.json", "[]", "xml", `format "xml": want one of [auto preference labeled chat`},
		{"a.dat", "text,label\n", FormatAuto, `cannot tell the format: want rows of JSON, or a name that ends in .txt, got a file that begins with "text,label\n"`},
		{"a.jsonl", `{"question": "q", "answer": "a"}`, FormatAuto,
			`row 1 (line 1): cannot tell the format: want the fields chosen and rejected, prompt and completion and label, messages and label, messages, conversations, instruction and output, prompt and completion, or text, got "question", "answer"`},
		{"a.jsonl", `{"a":1,"b":[{}],"c":1,"d":"e","f":1,"g":1,"h":1,"i":1,"j":1}`, FormatAuto,
			`got "a", "b", "c", "d", "f", "g", "h", "i", …`},
		{"a.jsonl", `{}`, FormatAuto, "got none"},
		{"a.jsonl", "\n{\n'a'}", FormatAuto, "row 1 (line 3): want JSON, got invalid character"},
		{"a.jsonl", `{"text": "a"}` + "\n" + `{"prompt": "a", "completion": ""}`, FormatAuto,
			`row 2 (line 2): want a string "text", got none`},
		{"a.jsonl", `{"prompt": "a"}`, FormatCompletion, `row 1 (line 1): want a string "completion", got none`},
		{"a.jsonl", `{"prompt": "a",` + "\n" + `"completion": ["b"]}`, FormatAuto,
			`row 1 (line 2): "completion": want a string, got a list`},
		{"a.jsonl", `{"text": 5}`, FormatAuto, `row 1 (line 1): "text": want a string, got the number 5`},
		{"a.jsonl", `{"text": null}`, FormatAuto, `row 1 (line 1): want a string "text", got none`},
		{"a.jsonl", `{"messages": []}`, FormatAuto, "row 1 (line 1): want messages, got an empty list"},
		{"a.jsonl", `{"messages": null}`, FormatAuto,
			`row 1 (line 1): want a list "messages" or "conversations", got none`},
		{"a.jsonl", `{"messages": "hi"}`, FormatAuto, `row 1 (line 1): "messages": want a list, got a string`},
		{"a.jsonl", `{"messages": ["hi"]}`, FormatAuto, `row 1 (line 1): "messages[0]": want an object, got a string`},
		{"a.jsonl", `{"messages": [{"role": "user"}]}`, FormatAuto,
			`row 1 (line 1): messages[0]: want a string "content", got none`},
		{"a.jsonl", `{"messages": [{"role": "user", "content": "q"}, {"content": "a"}]}`, FormatAuto,
			`messages[1]: want a string "role", got none`},
		{"a.jsonl", `{"messages": [{"role": "user",` + "\n" + `"content": [{"type": "text"}]}]}`, FormatAuto,
			`row 1 (line 2): messages[0].content[0]: want a string "text", got none`},
		{"a.jsonl", `{"conversations": [{"from": "human", "value": "q"}, {"from": "bing", "value": "a"}]}`,
			FormatAuto, `conversations[1].from: want human, gpt, system, function_call, observation or tool, got "bing"`},
		{"a.jsonl", `{"prompt": "a",` + "\n" + `"completion": "` + "\xe9" + `"}`, FormatAuto,
			`row 1 (line 2): "completion": want text in UTF-8, got other bytes`},
		{"a.txt", "", FormatAuto, "want text, got an empty file"},
		{"a.txt", "a\nb\xff\n", FormatAuto, "line 2: want text in UTF-8"},
		{"a.txt.gz", "", FormatAuto, "want text, got an empty file"},
	} {
		path := save(t, c.name, c.content)
		_, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: c.format})
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			c.format != "xml" && !strings.Contains(err.Error(), path) {
			t.Errorf("%s of %q as %s: error %v, want it to name the file and %q", c.name, c.content, c.format, err,
				c.want)
		}
	}
	if _, _, err := Read(t.Context(), []string{t.TempDir()}, ReadOptions{}); err == nil ||
		!strings.HasSuffix(err.Error(), ": want a folder of files of rows, got none in it") {
		t.Errorf("a folder: %v", err)
	}
}

func TestRealText(t *testing.T) {
	dir := realdata.Folder(t)
	rows, _, err := Read(t.Context(), []string{filepath.Join(dir, "text", "war-and-peace.txt.gz"),
		filepath.Join(dir, "text", "tinyshakespeare.txt")}, ReadOptions{})
	if err != nil || len(rows) != 2 || len(rows[0].Text) < 3<<20 || len(rows[1].Text) != 1115394 ||
		strings.Contains(rows[0].Text, "\r") {
		t.Errorf("%d rows, error %v", len(rows), err)
	}
}
