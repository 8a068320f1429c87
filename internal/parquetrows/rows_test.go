package parquetrows

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/agora-ml/agora/internal/columns"
)

type part struct {
	Type string  `parquet:"type"`
	Text *string `parquet:"text,optional"`
}

type message struct {
	Role  string `parquet:"role"`
	Parts []part `parquet:"content,list"`
}

type everything struct {
	Text     string            `parquet:"text,dict"`
	Flag     bool              `parquet:"flag"`
	Small    int32             `parquet:"small,delta"`
	Big      int64             `parquet:"big,delta"`
	Unsigned uint64            `parquet:"unsigned"`
	Half     float32           `parquet:"half"`
	Whole    float64           `parquet:"whole,split"`
	Day      int32             `parquet:"day,date"`
	At       int64             `parquet:"at,timestamp(microsecond)"`
	Length   string            `parquet:"length,delta"`
	Messages []message         `parquet:"messages,list"`
	Words    []string          `parquet:"words,list"`
	Numbers  []int32           `parquet:"numbers"` // repeated, without a list around it
	Map      map[string]string `parquet:"map"`
}

// Every type, in every packing and both versions of pages, in several row groups and pages. (Of optional columns
// outside of lists parquet-go writes pages of version 1 that nobody reads; TestHandmade has them.)
func TestTypes(t *testing.T) {
	text := func(s string) *string { return &s }
	rows := []everything{
		{Text: "é \"quoted\"", Flag: true, Small: -7, Big: math.MaxInt64, Unsigned: math.MaxUint64, Half: 0.1, Whole: 1e300,
			Day: -1, At: time.Date(2024, 2, 29, 12, 0, 0, 5000, time.UTC).UnixMicro(), Length: "a",
			Messages: []message{{"user", []part{{"text", text("q")}, {"image", nil}}}, {"assistant", nil}},
			Words:    []string{"x", "", "z"}, Numbers: []int32{1, 2}, Map: map[string]string{"k": "v"}},
		{Length: "bc"},
	}
	want := []string{
		`{"text": "é \"quoted\"", "flag": true, "small": -7, "big": 9223372036854775807, ` +
			`"unsigned": 18446744073709551615, "half": 0.1, "whole": 1e+300, "day": "1969-12-31", ` +
			`"at": "2024-02-29T12:00:00.000005Z", "length": "a", "messages": [{"role": "user", ` +
			`"content": [{"type": "text", "text": "q"}, {"type": "image", "text": null}]}, {"role": "assistant", ` +
			`"content": []}], "words": ["x", "", "z"], "numbers": [1, 2], "map": {"k": "v"}}`,
		`{"text": "", "flag": false, "small": 0, "big": 0, "unsigned": 0, "half": 0, "whole": 0, ` +
			`"day": "1970-01-01", "at": "1970-01-01T00:00:00Z", "length": "bc", "messages": [], "words": [], ` +
			`"numbers": [], "map": {}}`,
	}
	var many []everything
	var wanted []string
	for i := range 300 {
		many, wanted = append(many, rows[i%2]), append(wanted, want[i%2])
	}
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli,
		&parquet.Zstd} {
		for _, version := range []int{1, 2} {
			file := written(t, many, parquet.Compression(codec), parquet.DataPageVersion(version),
				parquet.MaxRowsPerRowGroup(128), parquet.PageBufferSize(256))
			got, err := read(t, file, columns.Options{})
			if err != nil || !slices.Equal(got, wanted) {
				t.Errorf("%s, pages %d: error %v, %d rows\ngot  %s\nwant %s", codec, version, err, len(got),
					strings.Join(got[:min(2, len(got))], "\n     "), strings.Join(want, "\n     "))
			}
		}
	}
}

// Lists in the forms that files have had (LogicalTypes.md of the format, backward-compatibility rules), of which
// the levels are worked out by hand.
func TestLists(t *testing.T) {
	word := parquet.String()
	pair := parquet.Group{"a": word, "b": parquet.Optional(word)}
	for name, c := range map[string]struct {
		field parquet.Node
		rows  [][]value
		want  []string
	}{
		"three floors, as pyarrow writes them": {
			parquet.Optional(listOf(parquet.Group{"list": parquet.Repeated(parquet.Group{"element": parquet.Optional(word)})})),
			[][]value{{{"x", 0, 3, 0}, {nil, 1, 2, 0}, {"y", 1, 3, 0}}, {{nil, 0, 1, 0}}, {{nil, 0, 0, 0}}},
			[]string{`["x", null, "y"]`, `[]`, `null`}},
		"a list of lists": {
			listOf(parquet.Group{"list": parquet.Repeated(parquet.Group{"element": listOf(parquet.Group{
				"list": parquet.Repeated(parquet.Group{"element": word})})})}),
			[][]value{{{"x", 0, 2, 0}, {"y", 2, 2, 0}, {"z", 1, 2, 0}}, {{nil, 0, 1, 0}, {nil, 1, 1, 0}}, {{nil, 0, 0, 0}}},
			[]string{`[["x", "y"], ["z"]]`, `[[], []]`, `[]`}},
		"rule 1: the repeated field is the element": {
			listOf(parquet.Group{"element": parquet.Repeated(word)}),
			[][]value{{{"x", 0, 1, 0}, {"y", 1, 1, 0}}, {{nil, 0, 0, 0}}}, []string{`["x", "y"]`, `[]`}},
		"rule 2: of several fields": {
			listOf(parquet.Group{"element": parquet.Repeated(pair)}),
			[][]value{{{"x", 0, 1, 0}, {"y", 1, 1, 0}, {nil, 0, 1, 1}, {"z", 1, 2, 1}}},
			[]string{`[{"a": "x", "b": null}, {"a": "y", "b": "z"}]`}},
		"rule 3: repeated in it": {
			listOf(parquet.Group{"x": parquet.Repeated(parquet.Group{"y": parquet.Repeated(word)})}),
			[][]value{{{"x", 0, 2, 0}, {"y", 2, 2, 0}, {nil, 1, 1, 0}}}, []string{`[{"y": ["x", "y"]}, {"y": []}]`}},
		"rule 4: named array": {
			listOf(parquet.Group{"array": parquet.Repeated(parquet.Group{"a": word})}),
			[][]value{{{"x", 0, 1, 0}}}, []string{`[{"a": "x"}]`}},
		"rule 4: named after the list": {
			listOf(parquet.Group{"f_tuple": parquet.Repeated(parquet.Group{"a": word})}),
			[][]value{{{"x", 0, 1, 0}}}, []string{`[{"a": "x"}]`}},
		"rule 5: three floors by other names": {
			listOf(parquet.Group{"bag": parquet.Repeated(parquet.Group{"item": word})}),
			[][]value{{{"x", 0, 1, 0}}}, []string{`["x"]`}},
		"repeated without a list": {parquet.Repeated(pair),
			[][]value{{{"x", 0, 1, 0}, {"y", 1, 1, 0}, {"u", 0, 2, 1}, {nil, 1, 1, 1}}, {{nil, 0, 0, 0}, {nil, 0, 0, 1}}},
			[]string{`[{"a": "x", "b": "u"}, {"a": "y", "b": null}]`, `[]`}},
		"a structure that is null": {parquet.Optional(pair),
			[][]value{{{nil, 0, 0, 0}, {nil, 0, 0, 1}}, {{"x", 0, 1, 0}, {nil, 0, 1, 1}}},
			[]string{`null`, `{"a": "x", "b": null}`}},
	} {
		got, err := read(t, writtenBy(t, parquet.Group{"f": c.field}, c.rows), columns.Options{})
		for i := range c.want {
			c.want[i] = `{"f": ` + c.want[i] + "}"
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: error %v\ngot  %s\nwant %s", name, err, got, c.want)
		}
	}
}

// A value without a place in JSON spoils its row alone, and a column that is not read none.
func TestValuesWithoutAPlace(t *testing.T) {
	type row struct {
		Text  string  `parquet:"text"`
		Image []byte  `parquet:"image"`
		Score float64 `parquet:"score"`
		Price int64   `parquet:"price,decimal(2:9)"`
	}
	file := written(t, []row{{"a", []byte("b"), 1, 5}, {"c", []byte("\xff\xd8"), 2, 5}, {"d", nil, math.NaN(), 5}})
	got, err := read(t, file, columns.Options{Without: []string{"price"}})
	want := []string{`{"image": "b", "price": null, "score": 1, "text": "a"}`,
		`bad: "image" of type BYTE_ARRAY: want text in UTF-8, got other bytes`,
		`bad: "score" of type DOUBLE: want a finite number, got NaN`}
	if err != nil || !sameFields(got[0], want[0]) || !slices.Equal(got[1:], want[1:]) {
		t.Errorf("error %v\ngot  %s\nwant %s", err, got, want)
	}
	if got, err = read(t, file, columns.Options{Without: []string{"image", "score"}}); err != nil || len(got) != 3 ||
		!strings.Contains(got[0], `bad: "price" of type DECIMAL (INT64): want text, numbers`) {
		t.Errorf("error %v, got %s", err, got)
	}
	if got, err = read(t, file, columns.Options{Without: []string{"text", "image", "score", "price"}}); err != nil || len(got) != 3 {
		t.Errorf("without any column: error %v, got %s", err, got)
	}
}

// sameFields compares objects whose fields may be in another order.
func sameFields(a, b string) bool {
	x, y := strings.Split(strings.Trim(a, "{}"), ", "), strings.Split(strings.Trim(b, "{}"), ", ")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// Numbers and texts come out as parquet-go reads them, in each encoding, whatever is null.
func TestRandom(t *testing.T) {
	type row struct {
		Plain  *int64    `parquet:"plain,optional"`
		Delta  int32     `parquet:"delta,delta"`
		Places *string   `parquet:"places,optional,dict"`
		Prefix string    `parquet:"prefix,delta"`
		Flags  []bool    `parquet:"flags,list"`
		Split  []float64 `parquet:"split"`
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var rows []row
		var want []string
		for range r.IntN(3000) {
			var x row
			plain, places := "null", "null"
			x.Delta, x.Prefix = int32(r.Uint32())>>r.IntN(32), fmt.Sprint("prefix", r.IntN(1000))
			if r.IntN(4) > 0 {
				n := r.Int64() - r.Int64()
				x.Plain, plain = &n, fmt.Sprint(n)
			}
			if r.IntN(4) > 0 {
				text := fmt.Sprint("w", r.IntN(9))
				x.Places, places = &text, `"`+text+`"`
			}
			flags, split := []string{}, []string{}
			for range r.IntN(5) {
				x.Flags, x.Split = append(x.Flags, r.IntN(2) > 0), append(x.Split, float64(r.IntN(100))/8)
				flags = append(flags, fmt.Sprint(x.Flags[len(x.Flags)-1]))
				split = append(split, fmt.Sprint(x.Split[len(x.Split)-1]))
			}
			rows = append(rows, x)
			want = append(want, fmt.Sprintf(`{"plain": %s, "delta": %d, "places": %s, "prefix": %q, "flags": [%s], "split": [%s]}`,
				plain, x.Delta, places, x.Prefix, strings.Join(flags, ", "), strings.Join(split, ", ")))
		}
		file := written(t, rows, parquet.PageBufferSize(64+r.IntN(5000)),
			parquet.MaxRowsPerRowGroup(int64(1+r.IntN(2000))), parquet.Compression(&parquet.Snappy))
		got, err := read(t, file, columns.Options{})
		if err != nil || !slices.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			t.Fatalf("%d rows: error %v, %d rows, the first difference at row %d:\ngot  %s\nwant %s", len(rows), err, len(got),
				at, got[min(at, len(got)-1)], want[at])
		}
	}
}
