package data

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// saveParquet saves rows as a Parquet file.
func saveParquet[T any](t testing.TB, name string, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.Compression(&parquet.Snappy))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return save(t, name, b.String())
}

type parquetMessage struct {
	Role     string  `parquet:"role"`
	Content  string  `parquet:"content"`
	Thinking *string `parquet:"thinking,optional"`
	Weight   *int64  `parquet:"weight,optional"`
}

type parquetChat struct {
	ID       int64            `parquet:"id"`
	Messages []parquetMessage `parquet:"messages,list"`
}

// Columns are fields, as those of a row of JSON are: the same rows come of both.
func TestParquet(t *testing.T) {
	type completion struct {
		Prompt     string  `parquet:"prompt"`
		Completion string  `parquet:"completion"`
		Score      float64 `parquet:"score"`
		Image      []byte  `parquet:"image"`
	}
	type judged struct {
		Prompt     string `parquet:"prompt"`
		Completion string `parquet:"completion"`
		Label      bool   `parquet:"label"`
	}
	zero := int64(0)
	ignore := []string{"score", "image"}
	for _, c := range []struct {
		path, json string
		o          ReadOptions
	}{
		{saveParquet(t, "a.parquet", parquetChat{7, []parquetMessage{{"user", "q", nil, nil},
			{"assistant", "w", nil, &zero}, {"user", "r", nil, nil}, {"assistant", "é", nil, nil}}}),
			`{"id": 7, "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "w", "weight": 0},
			{"role": "user", "content": "r"}, {"role": "assistant", "content": "é"}]}`, ReadOptions{}},
		{saveParquet(t, "A.PARQUET", completion{"p", "c", 1, []byte("\xff")}, completion{"", "d", 2, nil}),
			`{"prompt": "p", "completion": "c"}{"prompt": "", "completion": "d"}`, ReadOptions{Ignore: ignore}},
		{saveParquet(t, "a.parquet", completion{"p", "c", 1, nil}), `{"prompt": "p", "completion": "c"}`,
			ReadOptions{Ignore: ignore, Fields: map[string]string{"prompt": "completion", "completion": "prompt"}}},
		{saveParquet(t, "a.parquet", judged{"p", "c", true}, judged{"p", "d", false}),
			`{"prompt": "p", "completion": "c", "label": true}{"prompt": "p", "completion": "d", "label": false}`,
			ReadOptions{}},
	} {
		got, _, err := Read(t.Context(), []string{c.path}, c.o)
		want, _, wantErr := Read(t.Context(), []string{save(t, "a.jsonl", c.json)}, c.o)
		for i := range got {
			if got[i].Source.File != c.path {
				t.Errorf("row of %s", got[i].Source.File)
			}
			got[i].Source.File = ""
		}
		for i := range want {
			want[i].Source.File = ""
		}
		if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v, error %v\nwant %+v, error %v", c.json, got, err, want, wantErr)
		}
	}
	fields := func(o ReadOptions, row completion) []Field {
		_, fields, err := Read(t.Context(), []string{saveParquet(t, "a.parquet", row)}, o)
		if err != nil {
			t.Error(err)
		}
		return fields
	}
	if got := fields(ReadOptions{Ignore: ignore}, completion{"p", "c", 1, []byte("\xff")}); !containsField(got,
		Field{FormatCompletion, "image", FateIgnored, 1}) {
		t.Errorf("fields %v, want image among them", got)
	}
}

// The ids of a conversation in a Parquet file, and which of them count, worked out by hand from the tokens of
// ../tokenizer/testdata/bytes.json: one a byte, then <s>, </s>, <|im_start|> and <|im_end|>.
func TestParquetIDs(t *testing.T) {
	tok, template := chatFolder(t, "")
	rows, _, err := Read(t.Context(), []string{saveParquet(t, "a.parquet",
		parquetChat{1, []parquetMessage{{"user", "q", nil, nil}, {"assistant", "a", nil, nil}}})}, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seqs, counts, err := Tokenize(t.Context(), tok, rows, TokenizeOptions{MaxTokens: 100, Template: template})
	if err != nil || len(seqs) != 1 {
		t.Fatalf("%d sequences, error %v", len(seqs), err)
	}
	const start, end, a = 282, 283, 97
	ids := []int32{start, 117, 115, 101, 114, 10, 113, end, 10,
		start, 97, 115, 115, 105, 115, 116, 97, 110, 116, 10, 97, end}
	if !slices.Equal(seqs[0].IDs, ids) {
		t.Errorf("ids %v, want %v", seqs[0].IDs, ids)
	}
	labels := slices.Repeat([]int32{Ignored}, len(ids))
	labels[len(ids)-3], labels[len(ids)-2] = a, end // each is of what comes next
	if counts.Counted != 2 || !slices.Equal(seqs[0].Labels, labels) {
		t.Errorf("%d count, labels %v, want %v", counts.Counted, seqs[0].Labels, labels)
	}
}

func TestParquetIsRefused(t *testing.T) {
	type scored struct {
		Prompt     string `parquet:"prompt"`
		Completion string `parquet:"completion"`
		Score      int32  `parquet:"score"`
	}
	type picture struct {
		Prompt     string `parquet:"prompt"`
		Completion string `parquet:"completion"`
		Picture    struct {
			Bytes []byte `parquet:"bytes"`
		} `parquet:"picture"`
	}
	type answer struct {
		Prompt     string `parquet:"prompt"`
		Completion int64  `parquet:"completion"`
	}
	with := picture{Prompt: "p", Completion: "c"}
	with.Picture.Bytes = []byte("\x89PNG\xff")
	good := saveParquet(t, "a.parquet", answer{"p", 1})
	for _, c := range []struct{ path, want string }{
		{saveParquet(t, "a.parquet", scored{"p", "c", 1}), `row 1: "score": want fields that a row of completion has`},
		{saveParquet(t, "a.parquet", with), `row 1: "picture.bytes" of type BYTE_ARRAY: ` +
			`want text in UTF-8, got other bytes; --ignore-fields picture passes over it`},
		{good, `row 1: "completion": want a string, got the number 1`},
		{save(t, "a.parquet", "PAR1, or not"), "want a Parquet file, which begins and ends with PAR1"},
		{save(t, "a.parquet.gz", "PAR1"), "got one that is packed as a whole"},
	} {
		_, _, err := Read(t.Context(), []string{c.path}, ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("error %v, want %q and %s", err, c.want, c.path)
		}
	}
	skipped := 0
	path := saveParquet(t, "a.parquet", with, picture{Prompt: "p", Completion: "c"})
	rows, _, err := Read(t.Context(), []string{path}, ReadOptions{Ignore: nil, Skip: func(error) { skipped++ }})
	if skipped != 2 || err != nil || len(rows) != 0 { // a picture without bytes is a field that would be lost, too
		t.Errorf("%d rows, %d skipped, error %v", len(rows), skipped, err)
	}
	rows, _, err = Read(t.Context(), []string{path}, ReadOptions{Ignore: []string{"picture"}})
	if err != nil || len(rows) != 2 || rows[1].Source.Row != 2 {
		t.Errorf("rows %+v, error %v", rows, err)
	}
	small := ReadOptions{Ignore: []string{"picture"}, MaxBytes: 300}
	if _, _, err := Read(t.Context(), []string{path}, small); err == nil ||
		!strings.Contains(err.Error(), "--max-data-bytes") {
		t.Errorf("a budget of 300 bytes: error %v", err)
	}
}
