package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
)

func save(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	b := []byte(content)
	if strings.HasSuffix(name, ".gz") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		z.Write(b)
		z.Close()
		b = packed.Bytes()
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	rowA = `{"instruction": "Add \"{1}\"", "input": "1\n2", "output": "3", "more": [ ]}`
	rowB = `{"output": "", "instruction": "Say }{"}`
)

func TestReadAlpaca(t *testing.T) {
	want := [][2]string{
		{"Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\nAdd \"{1}\"\n\n### Input:\n1\n2\n\n### Response:", "3"},
		{"Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nSay }{\n\n### Response:", ""},
	}
	for name, content := range map[string]string{
		"array.json":    " [\n" + rowA + " ,\n" + rowB + "\n]\n",
		"array.json.gz": "[" + rowA + "," + rowB + "]",
		"lines.jsonl":   rowA + "\r\n\n" + rowB + "\n",
		"lines.gz":      rowA + "\n" + rowB,
		"windows.json":  "\ufeff[" + rowA + "," + rowB + "]",
	} {
		for _, format := range []Format{FormatAuto, FormatAlpaca} {
			path := save(t, name, content)
			got, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: format})
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s: got %+v, error %v", name, got, err)
			}
			for i, r := range got {
				if r.Prompt != want[i][0] || r.Answer != want[i][1] || r.Format != FormatAlpaca ||
					r.Source != (Source{path, i + 1}) {
					t.Errorf("%s: row %d is %+v", name, i, r)
				}
			}
		}
	}
	if got, _, err := Read(t.Context(), []string{save(t, "a.json", "[]")},
		ReadOptions{Format: FormatAuto}); err != nil || len(got) != 0 {
		t.Errorf("no rows: got %+v, error %v", got, err)
	}
}

// badRows are files that must be refused, with what the error must say.
var badRows = []struct{ name, content, want string }{
	{"empty", " \n", "empty file"},
	{"not JSON", "instruction,output\n", `row 1 (line 1): want {, got 'i'`},
	{"number", "[\n" + rowA + ",\n1]", `row 2 (line 3): want {, got '1'`},
	{"no output", "[" + rowA + ",\n\n" + `{"instruction": ""}]`, `row 2 (line 3): want a string "output", got none`},
	{"null instruction", `{"instruction": null, "output": ""}`, `row 1 (line 1): want a string "instruction"`},
	{"wrong type", "[{\n\"instruction\": \"\",\n\"output\": 3\n}]",
		`row 1 (line 3): "output": want a string, got the number 3`},
	{"wrong type in JSONL", rowA + "\n" + rowB + "\n" + `{"instruction": ["a"], "output": ""}`,
		`row 3 (line 3): "instruction": want a string, got a list`},
	{"syntax", "[" + rowA + ",\n{\"instruction\":\n 'a'}]",
		`row 2 (line 3): "instruction": want JSON, got invalid character`},
	{"cut in a row", "[" + rowA + `,{"instruction": "`, "row 2 (line 1): unexpected EOF"},
	{"cut between rows", "[" + rowA + "\n", "row 2 (line 2): unexpected EOF"},
	{"cut behind a comma", "[" + rowA + ",", "row 2 (line 1): unexpected EOF"},
	{"comma at the end", "[" + rowA + ",]", "row 2 (line 1): want {, got ']'"},
	{"no comma", "[" + rowA + rowB + "]", "behind row 1 (line 1): want , or ], got '{'"},
	{"more behind", "[" + rowA + "]\n" + rowB, "line 2: want nothing behind ]"},
	{"deep", `{"instruction": ` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_001),
		"exceeded max depth"},
	{"unclosed", strings.Repeat("{", 1000), "unexpected EOF"},
}

func TestReadAlpacaRefusesBadFiles(t *testing.T) {
	for _, c := range badRows {
		path := save(t, "a.json", c.content)
		_, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: FormatAlpaca})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want it to name the file and %q", c.name, err, c.want)
		}
	}
	plain := filepath.Join(t.TempDir(), "a.json.gz")
	if err := os.WriteFile(plain, []byte("[]"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(t.Context(), []string{plain}, ReadOptions{Format: FormatAuto}); err == nil ||
		!strings.Contains(err.Error(), "want gzip") {
		t.Errorf("not gzip: %v", err)
	}
	if _, _, err := Read(t.Context(), []string{plain + "x"}, ReadOptions{Format: FormatAuto}); err == nil ||
		!strings.Contains(err.Error(), plain+"x") {
		t.Errorf("missing: %v", err)
	}
}

// A row without end is given up, not held in memory.
func TestReadRefusesEndlessRow(t *testing.T) {
	err := eachRow(behindMark(&endless{head: `{"instruction": "`}), nil, func(int, []byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "want at most 16777216 bytes") {
		t.Errorf("got error %v", err)
	}
}

type endless struct{ head string }

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.head)
	e.head = e.head[n:]
	for i := n; i < len(b); i++ {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestRealAlpaca(t *testing.T) {
	dir := realdata.Folder(t)
	rows, _, err := Read(t.Context(), []string{filepath.Join(dir, "alpaca", "alpaca_data.json.gz")},
		ReadOptions{Format: FormatAuto})
	if err != nil || len(rows) != 52002 {
		t.Fatalf("%d rows, error %v, want 52002", len(rows), err)
	}
}

// What has ended before is not begun: neither reading nor tokenizing.
func TestEndsWithItsContext(t *testing.T) {
	path := save(t, "a.txt", "abc")
	rows, _, err := Read(t.Context(), []string{path}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Read(ctx, []string{path}, ReadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
	if _, _, err := Tokenize(ctx, letters{}, rows, TokenizeOptions{MaxTokens: 8}); !errors.Is(err, context.Canceled) {
		t.Errorf("Tokenize: %v", err)
	}
}

// Bad rows are passed over one by one and told of with file, row and line; those behind them are
// read, in files of lines, of objects over several lines and of an array.
func TestSkip(t *testing.T) {
	const good = `{"prompt": "a", "completion": "b"}`
	for name, c := range map[string]struct {
		text string
		rows []int    // good ones, by number
		bad  []string // what is told
	}{
		"lines": {
			good + "\n" + `{"prompt": "a"}` + "\n" + good + "\n" + `{"prompt": "a", "completion": "b"` + "\n" +
				`nothing` + "\n" + good + " x\n" + good,
			[]int{1, 3, 7},
			[]string{"row 2 (line 2)", "row 4 (line 4)", "row 5 (line 5): want {, got 'n'", "row 6 (line 6)"},
		},
		"the last line": {good + "\n" + `{"prompt": "\ud800", "completion": "x"}`, []int{1},
			[]string{"row 2 (line 2)"}},
		"an array": {
			"[" + good + ",\n" + `{"prompt": 1, "completion": "b"},` + "\n" +
				`{"prompt": "a", "prompt": "a", "completion": "b"},` + good + "]",
			[]int{1, 4}, []string{"row 2 (line 2)", "row 3 (line 3)"},
		},
		"objects over lines": {"{\n\"prompt\": \"a\",\n\"completion\": \"b\"}\n{\"prompt\":\n7}\n" + good,
			[]int{1, 3}, []string{"row 2 (line 5)"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rows.jsonl")
			if err := os.WriteFile(path, []byte(c.text), 0o666); err != nil {
				t.Fatal(err)
			}
			var bad []error
			rows, _, err := Read(t.Context(), []string{path},
				ReadOptions{Skip: func(err error) { bad = append(bad, err) }})
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, r := range rows {
				got = append(got, r.Source.Row)
			}
			if !slices.Equal(got, c.rows) || len(bad) != len(c.bad) {
				t.Fatalf("rows %v, bad %v; want %v and %d bad", got, bad, c.rows, len(c.bad))
			}
			for i, want := range c.bad {
				if text := bad[i].Error(); !strings.HasPrefix(text, path+": "+want) {
					t.Errorf("told %q, want %s: %s", text, path, want)
				}
			}
			if _, _, err := Read(t.Context(), []string{path}, ReadOptions{}); err == nil ||
				!strings.Contains(err.Error(), path+": "+c.bad[0]) {
				t.Errorf("without Skip: %v", err)
			}
		})
	}
	// What is wrong with the file as a whole is no bad row.
	for _, text := range []string{"", "hello", "[" + good + ",", "[" + good + "] x"} {
		path := filepath.Join(t.TempDir(), "rows.json")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Read(t.Context(), []string{path}, ReadOptions{Skip: func(error) {}}); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
