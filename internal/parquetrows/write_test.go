package parquetrows

import (
	"bytes"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/agora-ml/agora/internal/columns"
)

// written is a file of rows, as parquet-go writes it.
func written[T any](t testing.TB, rows []T, o ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, o...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// value is one of a column, with the levels at which it stands.
type value struct {
	v             any // nil: null
	rep, def, col int
}

// writtenBy is a file of a schema, of which every value and level is given.
func writtenBy(t testing.TB, root parquet.Group, rows [][]value, o ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	schema := parquet.NewSchema("schema", root)
	w := parquet.NewWriter(&b, append([]parquet.WriterOption{schema}, o...)...)
	for _, values := range rows {
		var row parquet.Row
		for _, v := range values {
			row = append(row, parquet.ValueOf(v.v).Level(v.rep, v.def, v.col))
		}
		if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// annotated is a structure that is said to be a list or a map, of whatever fields.
type annotated struct {
	parquet.Group
	like parquet.Node
}

func (a annotated) Type() parquet.Type { return a.like.Type() }

func listOf(fields parquet.Group) parquet.Node {
	return annotated{fields, parquet.List(parquet.String())}
}

// read gives the rows of a file in a line each, and what is wrong with some.
func read(t testing.TB, file []byte, o columns.Options) (rows []string, err error) {
	t.Helper()
	err = Read(t.Context(), bytes.NewReader(file), int64(len(file)), o, func(row int, object []byte, bad error) error {
		if row != len(rows)+1 {
			t.Errorf("row %d behind %d", row, len(rows))
		}
		text := string(object)
		if bad != nil {
			text = "bad: " + bad.Error()
		}
		rows = append(rows, text)
		return nil
	})
	return rows, err
}
