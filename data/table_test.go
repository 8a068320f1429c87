package data

import (
	"strings"
	"testing"
)

// Columns are fields: they tell the format, may have other names, and none is lost.
func TestTables(t *testing.T) {
	rows, fields, err := Read(t.Context(), []string{
		save(t, "a.csv", "\ufeffcompletion,prompt,id\r\n\"x, \"\"y\"\"\",\"two\nlines\",1\r\nb,c,2\r\n"),
		save(t, "b.tsv", "instruction\tinput\toutput\nSay it.\t\ta, b\n"),
		save(t, "c.csv", ",text,weight\n0,t,1\n1,u,0\n"),
	}, ReadOptions{})
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	if r := rows[0]; r.Prompt != "two\nlines" || r.Answer != `x, "y"` || r.Source.Row != 1 || r.Format != FormatCompletion {
		t.Errorf("row %+v", r)
	}
	if r := rows[2]; r.Prompt != AlpacaPrompt("", "Say it.", "") || r.Answer != "a, b" {
		t.Errorf("row %+v", r)
	}
	if rows[3].Text != "t" || rows[3].Uncounted || !rows[4].Uncounted || rows[4].Source.Row != 2 {
		t.Errorf("rows %+v", rows[3:])
	}
	if want := (Field{FormatCompletion, "id", FatePassedOver, 2}); len(fields) == 0 || !containsField(fields, want) {
		t.Errorf("fields %v, want %v among them", fields, want)
	}
	rows, _, err = Read(t.Context(), []string{save(t, "d.csv", "question,answer,score\nq,a,1\n")},
		ReadOptions{Fields: map[string]string{"prompt": "question", "completion": "answer"}, Ignore: []string{"score"}})
	if err != nil || len(rows) != 1 || rows[0].Prompt != "q" || rows[0].Answer != "a" {
		t.Errorf("rows %+v, error %v", rows, err)
	}
}

func containsField(all []Field, want Field) bool {
	for _, f := range all {
		if f == want {
			return true
		}
	}
	return false
}

func TestTablesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "want a line with the names of columns",
		"prompt,completion\n":                   "want rows, got the names of columns alone",
		"question,answer\na,b\n":                "row 1 (line 2): cannot tell the format",
		"prompt,completion,score\na,b,1\n":      `row 1 (line 2): "score": want fields that a row of completion has`,
		"prompt,completion\na\n":                "line 2: wrong number of fields",
		"prompt,completion\na,b\n\"a,b\n":       "line 3, column",
		"prompt,completion\n\"a\nb\",c\n\xff,b": `row 2 (line 4): "prompt": want text in UTF-8`,
		"prompt,prompt\na,b\n":                  `line 1: want a column "prompt" once`,
		"prompt,\na,b\n":                        "line 1: want a name of column 2",
		"text,weight\na,2\n":                    `"weight": want 0 (not in the loss) or 1, got 2`,
	} {
		path := save(t, "a.csv", text)
		_, _, err := Read(t.Context(), []string{path}, ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	skipped := 0
	rows, _, err := Read(t.Context(), []string{save(t, "a.csv", "text\na\n\xff\nb\n")},
		ReadOptions{Skip: func(error) { skipped++ }})
	if err != nil || len(rows) != 2 || skipped != 1 || rows[1].Source.Row != 3 {
		t.Errorf("rows %+v, %d skipped, error %v", rows, skipped, err)
	}
}
