package arrowrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/columns"
)

// read gives the rows of a file in a line each, and what is wrong with some.
func read(t testing.TB, file []byte, o columns.Options) (rows []string, err error) {
	t.Helper()
	err = Read(t.Context(), bytes.NewReader(file), int64(len(file)), o, func(row int, object []byte, bad error) error {
		if row != len(rows)+1 {
			t.Errorf("row %d behind %d", row, len(rows))
		}
		if bad != nil {
			object = []byte("bad: " + bad.Error())
		} else if !json.Valid(object) {
			t.Errorf("row %d: %q is no JSON", row, object)
		}
		rows = append(rows, string(object))
		return nil
	})
	return rows, err
}

func testFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parsed is a row with numbers as they are meant: 1.0 is 1.
func parsed(t testing.TB, row string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(row))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", row, err)
	}
	var plain func(v any) any
	plain = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = plain(v[k])
			}
		case []any:
			for i := range v {
				v[i] = plain(v[i])
			}
		case json.Number:
			f, err := v.Float64()
			if err == nil && strings.ContainsAny(v.String(), ".eE") && f == math.Trunc(f) {
				return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
			}
		}
		return v
	}
	return plain(v)
}

// Files that pyarrow wrote (tools/golden/arrow.py), of every type, packed and not, have the rows that it reads.
func TestFilesOfPyarrow(t *testing.T) {
	names, err := filepath.Glob("testdata/*.arrow.jsonl")
	if err != nil || len(names) < 7 {
		t.Fatalf("%d files, error %v", len(names), err)
	}
	for _, name := range names {
		name = filepath.Base(name)
		want := strings.Split(strings.TrimSuffix(string(testFile(t, name)), "\n"), "\n")
		got, err := read(t, testFile(t, strings.TrimSuffix(name, ".jsonl")), columns.Options{})
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d, error %v", name, len(got), len(want), err)
			continue
		}
		for i := range got {
			if !reflect.DeepEqual(parsed(t, got[i]), parsed(t, want[i])) {
				t.Errorf("%s row %d:\ngot  %s\nwant %s", name, i+1, got[i], want[i])
			}
		}
	}
}

// Columns of types that no row has are refused by name where they have a value, and need not be read.
func TestOtherTypes(t *testing.T) {
	file := testFile(t, "other.arrow")
	got, err := read(t, file, columns.Options{})
	want := `bad: "price" of type decimal: want text, numbers, true or false, dates or timestamps, or null, got a value ` +
		`of another type`
	if err != nil || len(got) != 2 || got[0] != want || !strings.HasPrefix(got[1], `bad: "runs" of type run_end_encoded`) {
		t.Errorf("rows %q, error %v", got, err)
	}
	got, err = read(t, file, columns.Options{Without: []string{"price", "time", "runs", "bytes"}})
	if err != nil || len(got) != 2 || got[0] != `bad: "image" of type binary: want text in UTF-8, got other bytes` ||
		got[1] != `{"text": "b", "price": null, "time": null, "image": null, "bytes": null, "runs": null}` {
		t.Errorf("rows %q, error %v", got, err)
	}
	all := []string{"text", "price", "time", "image", "bytes", "runs"}
	got, err = read(t, file, columns.Options{Without: all}) // rows are counted by one of them
	if err != nil || len(got) != 2 || !strings.Contains(got[1], `"text": "b", "price": null`) {
		t.Errorf("rows %q, error %v", got, err)
	}
}

// What is held is asked for before it is made, and an error of a visit ends the reading.
func TestLimits(t *testing.T) {
	for _, name := range []string{"stream.arrow", "zstd.arrow", "deltas.arrow"} {
		file, most := testFile(t, name), 0
		if _, err := read(t, file, columns.Options{Allow: func(n int) error {
			most = max(most, n)
			return nil
		}}); err != nil || most == 0 || most > 40<<10 {
			t.Errorf("%s: %d bytes held, error %v", name, most, err)
		}
		refused := errors.New("too many")
		_, err := read(t, file, columns.Options{Allow: func(n int) error {
			if n >= most {
				return refused
			}
			return nil
		}})
		if !errors.Is(err, refused) {
			t.Errorf("%s: error %v, want one of the budget", name, err)
		}
	}
	file, stop, n := testFile(t, "stream.arrow"), errors.New("stop"), 0
	err := Read(t.Context(), bytes.NewReader(file), int64(len(file)), columns.Options{}, func(int, []byte, error) error {
		n++
		return stop
	})
	if err != stop || n != 1 {
		t.Errorf("%d rows, error %v", n, err)
	}
}

// Whatever byte is wrong, and wherever a file ends, there are rows or an error, and hardly more memory than the file.
func TestDamagedFiles(t *testing.T) {
	const most = 1 << 24
	o := columns.Options{Allow: func(n int) error {
		if n > most {
			return errTooMany
		}
		return nil
	}}
	for _, name := range []string{"deltas.arrow", "legacy.arrow", "packed.arrow"} {
		file := testFile(t, name)
		whole, err := read(t, file, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range file {
			for _, change := range []byte{0xff, 1, 0x80} {
				damaged := bytes.Clone(file)
				damaged[i] ^= change
				_, _ = read(t, damaged, o)
			}
			if rows, err := read(t, file[:i], o); err == nil && len(rows) == len(whole) && i < len(file)-8 {
				t.Errorf("%s: all rows in %d of %d bytes", name, i, len(file))
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/*.arrow")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		f.Add(testFile(f, filepath.Base(name)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		_, _ = read(t, file, columns.Options{Allow: func(n int) error {
			if n > 1<<24 {
				return errTooMany
			}
			return nil
		}})
	})
}
