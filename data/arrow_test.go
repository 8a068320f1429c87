package data

import (
	"os"
	"strings"
	"testing"
)

// Arrow goes the way of Parquet: what cannot be read is told by row and column, with the way to pass over it.
func TestArrowIsRefused(t *testing.T) {
	b, err := os.ReadFile("../internal/arrowrows/testdata/other.arrow")
	if err != nil {
		t.Fatal(err)
	}
	other := save(t, "a.arrow", string(b))
	for _, c := range []struct {
		path   string
		ignore []string
		want   string
	}{
		{other, nil, `row 1: "price" of type decimal: want text, numbers`},
		{other, nil, "--ignore-fields price passes over it"},
		{other, []string{"price", "time", "bytes", "runs"}, `row 1: "image" of type binary: want text in UTF-8`},
		{save(t, "a.arrow", `{"text": "a"}`), nil, `want an Arrow file, which begins with ARROW1, or a stream, got "{`},
		{save(t, "a.feather", "FEA1"), nil, "want an Arrow file"},
		{save(t, "a.arrow.gz", "ARROW1"), nil, "whose columns are packed, got one that is packed as a whole"},
	} {
		_, _, err := Read(t.Context(), []string{c.path}, ReadOptions{Ignore: c.ignore})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s without %v: error %v, want %q", c.path, c.ignore, err, c.want)
		}
	}
	rows, _, err := Read(t.Context(), []string{other},
		ReadOptions{Ignore: []string{"price", "time", "image", "bytes", "runs"}})
	if err != nil || len(rows) != 2 || rows[1].Text != "b" || rows[1].Source.Row != 2 {
		t.Errorf("rows %+v, error %v", rows, err)
	}
	skipped := 0
	rows, _, err = Read(t.Context(), []string{other},
		ReadOptions{Ignore: []string{"runs"}, Skip: func(error) { skipped++ }})
	if err != nil || len(rows) != 1 || skipped != 1 {
		t.Errorf("%d rows, %d skipped, error %v", len(rows), skipped, err)
	}
	if _, _, err := Read(t.Context(), []string{"testdata/arrow/saved"}, ReadOptions{MaxBytes: 300}); err == nil ||
		!strings.Contains(err.Error(), "--max-data-bytes") {
		t.Errorf("a budget of 300 bytes: error %v", err)
	}
}
