package data

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The rows of each form, {} where more fields come, and the names of its messages' fields.
var formRows = map[Format][]string{
	FormatAlpaca:     {`{"instruction": "i", "output": "o"{}}`},
	FormatCompletion: {`{"prompt": "p", "completion": "c"{}}`},
	FormatText:       {`{"text": "t"{}}`},
	FormatPreference: {
		`{"prompt": "p", "chosen": "a", "rejected": "b"{}}`,
		`{"prompt": [{"role": "user", "content": "q"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]{}}`,
		`{"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"{}}], "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]}`,
	},
	FormatLabeled: {
		`{"prompt": "p", "completion": "c", "label": true{}}`,
		`{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}], "label": false{}}`,
	},
	FormatChat: {
		`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]{}}`,
		`{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]{}}`,
		`{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"{}}]}`,
		`{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"{}}]}`,
		`{"messages": [{"role": "user", "content": [{"type": "text", "text": "q"{}}]}, {"role": "assistant", "content": "a"}]}`,
	},
}

// eachForm calls f for every form of row, as the second of three rows in every kind of file,
// under FormatAuto and under its own name.
func eachForm(f func(where, row string, save func(t *testing.T, row string) string, format Format)) {
	for _, form := range Formats()[1:] {
		for i, row := range formRows[form] {
			plain := strings.Replace(row, "{}", "", 1)
			for name, file := range map[string]string{
				"a.jsonl": plain + "\n%s\n" + plain + "\n", "a.json": "[\n" + plain + ",\n%s,\n" + plain + "]",
				"a.jsonl.gz": plain + "\r\n%s\r\n" + plain,
			} {
				for _, format := range []Format{FormatAuto, form} {
					f(fmt.Sprintf("%s %d in %s as %s", form, i, name, format), row,
						func(t *testing.T, row string) string {
							return save(t, name, fmt.Sprintf(file, row))
						}, format)
				}
			}
		}
	}
}

// with puts fields into a row.
func with(row, fields string) string { return strings.Replace(row, "{}", fields, 1) }

// A field that would be lost is an error that names it, the file, the row, its line and the
// way out, whatever the form, the file and the place.
func TestUnknownFieldsAreRefused(t *testing.T) {
	values := map[string]string{
		"dialog": `[["a", "b"]]`, "toolset": `[{"name": "f"}]`, "label": `0`, "rationale": `"hm"`,
		"calls": `[{"id": 1}]`,
		"nick":  `"Bob"`, "chosen": `"x"`, "rejected": `{"a": 1}`, "context": `"c"`, "images": `["a.png"]`,
		"train": `false`, "masked": `true`,
		"loss": `0.5`, "title": `"t"`, "category": `"c"`, "split": `"test"`, "score": `1`, "answer": `"a"`,
		"thought": `"x"`, "ID": `1`, "Weight": `0`, "System": `"x"`,
		"instruction ": `"x"`, "functions": `[0]`, "prefix": `" "`, "x\\ty": `"z"`, "éa": `[[]]`,
	}
	forms := 0
	eachForm(func(where, row string, save func(*testing.T, string) string, format Format) {
		forms++
		for i, name := range slices.Sorted(maps.Keys(values)) {
			if (i+forms)%4 != 0 || strings.Contains(row, `"`+name+`":`) { // each name in a quarter of the rows
				continue
			}
			value := values[name]
			for _, more := range []string{
				fmt.Sprintf(`, "id": 3,%s"%s": %s`, "\n", name, value),
				fmt.Sprintf(",\n\"%s\": %s, \"source\": \"web\"", name, value),
			} {
				path := save(t, with(row, more))
				_, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: format})
				line := 3
				if strings.Contains(where, ".json as") {
					line = 4
				}
				field := strings.ReplaceAll(name, `\t`, "\t")
				for _, want := range []string{path, fmt.Sprintf("row 2 (line %d): ", line),
					fmt.Sprintf(`%s": want fields that`, name), "--ignore-fields " + field + " passes over it"} {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Fatalf("%s of %s: error %v, want %q", where, more, err, want)
					}
				}
				if name == "ID" && !strings.Contains(err.Error(), `("ID" differs from "id" by case only)`) {
					t.Errorf("%s: error %v", where, err)
				}
				rows, fields, err := Read(t.Context(), []string{path},
					ReadOptions{Format: format, Ignore: []string{"other", field}})
				if err != nil || len(rows) != 3 || !slices.ContainsFunc(fields, func(f Field) bool {
					return strings.HasSuffix(f.Name, field) && f.Fate == FateIgnored && f.Count == 1
				}) {
					t.Fatalf("%s, ignored: %d rows, fields %v, error %v", where, len(rows), fields, err)
				}
				rows[0].Source, rows[1].Source = Source{}, Source{}
				if !reflect.DeepEqual(rows[0], rows[1]) {
					t.Errorf("%s, ignored: %v, want %v", where, rows[1], rows[0])
				}
			}
		}
	})
}

// What cannot change a row's meaning passes.
func TestHarmlessFieldsPass(t *testing.T) {
	eachForm(func(where, row string, save func(*testing.T, string) string, format Format) {
		more := ""
		for _, name := range harmless {
			more += fmt.Sprintf(`, %q: {"a": 1}`, name)
		}
		for i, empty := range []string{"null", `""`, "[]", "{}", "[ ]", "{\t}"} {
			more += fmt.Sprintf(`, "none%d": %s`, i, empty)
		}
		rows, fields, err := Read(t.Context(), []string{save(t, with(row, more))}, ReadOptions{Format: format})
		if err != nil || len(rows) != 3 {
			t.Fatalf("%s: %d rows, error %v", where, len(rows), err)
		}
		passed, empty := 0, 0
		for _, f := range fields {
			switch f.Fate {
			case FatePassedOver:
				passed += f.Count
			case FateEmpty:
				empty += f.Count
			}
		}
		if passed != len(harmless) || empty != 6 {
			t.Errorf("%s: %d passed over, %d empty of %v", where, passed, empty, fields)
		}
		rows[0].Source, rows[1].Source = Source{}, Source{}
		if !reflect.DeepEqual(rows[0], rows[1]) {
			t.Errorf("%s: %v, want %v", where, rows[1], rows[0])
		}
	})
}

// A name in other letters is another name, and one that comes twice an error, at any depth;
// so is half a surrogate pair, in values and in names.
func TestRowsAreStrict(t *testing.T) {
	eachForm(func(where, row string, save func(*testing.T, string) string, format Format) {
		line := 3
		if strings.Contains(where, ".json as") {
			line = 4
		}
		for more, want := range map[string]string{
			`,` + "\n" + `"id": 1, "id": 1`:                      `id": want each name once, got it twice`,
			`, "id": 1,` + "\n" + `"\u0069d": 2`:                 `id": want each name once, got it twice`,
			`, "meta":` + "\n" + `{"x": [0, {"a": 1, "a": []}]}`: `meta.x[1].a": want each name once, got it twice`,
			`,` + "\n" + `"id": "bad \ud83d end"`:                `id": want text, got half a surrogate pair`,
			`,` + "\n" + `"id": "\ude00\ud83d"`:                  `id": want text, got half a surrogate pair`,
			`,` + "\n" + `"meta": {"\udc00": 1}`:                 `want text, got half a surrogate pair`,
			`,` + "\n" + `"a\ud800": 1`:                          `want text, got half a surrogate pair`,
			`,` + "\n" + `"id": "` + "\xff" + `"`:                `id": want text in UTF-8, got other bytes`,
			`,` + "\n" + `"` + "\xc3" + `": 1`:                   `want text in UTF-8, got other bytes`,
			`,` + "\n" + `"id": 01`:                              `want JSON, got invalid`,
		} {
			path := save(t, with(row, more))
			_, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: format, Ignore: []string{"id", "meta"}})
			if row := fmt.Sprintf("%s: row 2 (line %d): ", path, line); err == nil ||
				!strings.Contains(err.Error(), row) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %q: error %v, want %s…%s", where, more, err, row, want)
			}
		}
	})
	for _, c := range []struct{ row, want string }{
		{`{"Prompt": "p", "completion": "c"}`, `cannot tell the format: want the fields chosen and rejected, prompt and completion and label, messages and label, messages, conversations, instruction and output, prompt and completion, or text, got "Prompt", "completion" ("Prompt" differs from "prompt" by case only)`},
		{`{"prompt": "p", "Completion": "bad", "completion": "good"}`,
			`"Completion": want fields that a row of completion has (prompt, completion, weight), got what would be lost ("Completion" differs from "completion" by case only); --ignore-fields Completion passes over it`},
		{`{"prompt": "p", "completion": "good", "COMPLETION": "bad"}`,
			`"COMPLETION" differs from "completion" by case only`},
		{`{"messages": [{"role": "user", "Content": "q"}]}`,
			`messages[0]: want a string "content", got none ("Content" differs from "content" by case only)`},
		{`{"messages": [{"role": "user", "content": "q", "Role": "system"}]}`,
			`"messages[0].Role": want fields that it has (role, content, weight, tool_calls, tool_call_id, name, reasoning_content, reasoning, thinking), got what would be lost ("Role" differs from "role" by case only)`},
		{`{"text": "a", "Text": "b", "TEXT": "c"}`, `"Text", "TEXT": want fields`},
		{`{"TEXT": ""}`, `"TEXT" differs from "text" by case only`},
	} {
		if _, _, err := Read(t.Context(), []string{save(t, "a.jsonl", c.row)}, ReadOptions{}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\nerror %v\nwant  %s", c.row, err, c.want)
		}
	}
}

// To ignore what a form needs is an error.
func TestNeededFieldsAreNotIgnored(t *testing.T) {
	for form, names := range map[Format][]string{
		FormatAlpaca: {"instruction", "output"}, FormatCompletion: {"prompt", "completion"}, FormatText: {"text"},
		FormatChat: {"messages", "role", "content"},
	} {
		for _, name := range names {
			for _, format := range []Format{FormatAuto, form} {
				path := save(t, "a.jsonl", with(formRows[form][0], ""))
				_, _, err := Read(t.Context(), []string{path}, ReadOptions{Format: format, Ignore: []string{name}})
				if err == nil || !strings.Contains(err.Error(), path+": row 1 (line 1): ") ||
					!strings.Contains(err.Error(), "ignore-fields names "+name) {
					t.Errorf("%s of %s as %s is ignored: error %v", name, form, format, err)
				}
			}
		}
	}
}

// The report counts by form, name and fate, and is bounded.
func TestFieldCounts(t *testing.T) {
	rows := save(t, "a.jsonl", `{"instruction": "i", "input": "", "output": "o", "id": 1, "history": [], "label": 1}
{"instruction": "i", "input": "x", "output": "", "id": null, "history": [1], "system": "s"}`)
	chats := save(t, "b.jsonl", `{"messages": [{"role": "user", "content": "q", "id": 1}, {"role": "assistant", "content": [{"type": "text", "text": "a"}], "weight": 0, "name": "n"}], "name": null}`)
	_, fields, err := Read(t.Context(), []string{chats, rows},
		ReadOptions{Ignore: []string{"label", "history", "name"}})
	var got []string
	for _, f := range fields {
		got = append(got, fmt.Sprintf("%s %s %s %d", f.Format, f.Name, f.Fate, f.Count))
	}
	want := []string{
		"chat messages used 1", "chat messages[].role used 2", "chat messages[].content used 2",
		"chat messages[].content[].type used 1", "chat messages[].content[].text used 1",
		"chat messages[].weight used 1",
		"chat messages[].id passed over 1",
		"chat messages[].name ignored on request 1", "chat name ignored on request 1",
		"alpaca instruction used 2", "alpaca output used 2", "alpaca input used 1", "alpaca system used 1",
		"alpaca id passed over 1",
		"alpaca history ignored on request 2", "alpaca label ignored on request 1",
		"alpaca input empty 1", "alpaca id empty 1",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var many strings.Builder
	for i := range 3 * mostFields {
		fmt.Fprintf(&many, `{"text": "t", "x%d": null}`, i)
	}
	if _, fields, err := Read(t.Context(), []string{save(t, "a.jsonl", many.String())}, ReadOptions{}); err != nil ||
		len(fields) != mostFields+1 || fields[mostFields].Count != 2*mostFields+1 {
		t.Errorf("%d fields of made up names, error %v", len(fields), err)
	}
}

// One error names all fields of a row that would be lost.
func TestSeveralUnknownFields(t *testing.T) {
	path := save(t, "a.jsonl", `{"messages": [{"role": "user", "content": "q", "nick": "n"}, {"role": "user", "content": "q", "nick": "n"}], "toolset": [1], "nick": 1}`)
	_, _, err := Read(t.Context(), []string{path}, ReadOptions{})
	want := `"messages[0].nick", "toolset": want fields that it has (role, content, weight, tool_calls, tool_call_id, name, reasoning_content, reasoning, thinking), got what would be lost; --ignore-fields nick,toolset passes over it`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}
