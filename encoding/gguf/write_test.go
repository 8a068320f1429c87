package gguf

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// everything has a key for every type of value there is.
var everything = []KeyValue{
	{"z", "text"}, {"a.u8", uint8(200)}, {"a.i8", int8(-100)}, {"a.u16", uint16(60000)}, {"a.i16", int16(-30000)},
	{"a.u32", uint32(4e9)}, {"a.i32", int32(-2e9)}, {"a.u64", uint64(math.MaxUint64)}, {"a.i64", int64(math.MinInt64)},
	{"a.f32", float32(0.1)}, {"a.f64", 0.1}, {"a.true", true}, {"a.false", false}, {"empty", ""}, {"bytes", "\xff\x00"},
	{"b.u8", []uint8{1, 2}}, {"b.i8", []int8{-1, 2}}, {"b.u16", []uint16{1, 2, 3}}, {"b.i16", []int16{-1}},
	{"b.u32", []uint32{1, 2}}, {"b.i32", []int32{-1, 2}}, {"b.u64", []uint64{1, 2}}, {"b.i64", []int64{-1, 2}},
	{"b.f32", []float32{0.5, float32(math.Inf(1))}}, {"b.f64", []float64{}}, {"b.bool", []bool{true, false, true}},
	{"b.strings", []string{"", "é", "\xe2"}}, {"b.none", []string{}},
	{"c", []any{[]uint8{1}, []string{"x", "y"}, []any{[]float32{2}, []any{}}, []bool{}}},
}

func TestWriteReadsBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gguf")
	var tensors []Tensor
	var sources []Source
	for i, typ := range []Type{Q4_0, F32, BF16, Q8_0, F16, 12} {
		block, size := typ.block()
		x := Tensor{Name: "x" + typ.String(), Type: typ, Shape: []int{3, 2 * block},
			Data: bytes.Repeat([]byte{byte(i)}, 6*size)}
		tensors, sources = append(tensors, x), append(sources, x.Source())
	}
	for _, x := range []Tensor{
		{Name: "scalar", Type: F32, Shape: []int{}, Data: make([]byte, 4)},
		{Name: "none", Type: Q8_0, Shape: []int{0, 32}, Data: []byte{}},
		{Name: "cube", Type: F16, Shape: []int{2, 1, 3, 1}, Data: make([]byte, 12)},
	} {
		tensors, sources = append(tensors, x), append(sources, x.Source())
	}
	for _, alignment := range []uint32{0, 1, 8, 256} {
		metadata := slices.Clone(everything)
		if alignment > 0 {
			metadata = append(metadata, KeyValue{alignmentKey, alignment})
		}
		if err := Write(path, metadata, sources...); err != nil {
			t.Fatal(err)
		}
		first, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Metadata(); !reflect.DeepEqual(got, metadata) {
			t.Errorf("wrote %v\nread %v", metadata, got)
		}
		if len(f.Tensors()) != len(tensors) {
			t.Errorf("%d tensors, want %d", len(f.Tensors()), len(tensors))
		}
		for i, got := range f.Tensors() {
			want := tensors[i]
			if got.Name != want.Name || got.Type != want.Type || !slices.Equal(got.Shape, want.Shape) ||
				!bytes.Equal(got.Data, want.Data) {
				t.Errorf("wrote %v, read %v", want, got)
			}
		}
		if again := written(t, f.Metadata(), sources); !bytes.Equal(first, again) {
			t.Error("the same content gave other bytes")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNumbersOfAnyType(t *testing.T) {
	f, err := Parse("", written(t, append(everything, KeyValue{"a.one", uint64(1)}), nil))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"a.u8": 200, "a.i8": -100, "a.u16": 60000, "a.i16": -30000, "a.i32": -2e9,
		"a.i64": math.MinInt64, "a.one": 1} {
		if got, err := f.Int(key); err != nil || got != want {
			t.Errorf("%s: got %d, error %v, want %d", key, got, err, want)
		}
	}
	for key, want := range map[string]float64{"a.f32": float64(float32(0.1)), "a.f64": 0.1} {
		if got, err := f.Float(key); err != nil || got != want {
			t.Errorf("%s: got %v, error %v, want %v", key, got, err, want)
		}
	}
}

// A known file, byte for byte: what other programs must be able to read.
func TestWriteKnownBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	b, err := FromFloat32s("b", F32, []int{2, 1}, []float32{1, -2})
	if err != nil {
		t.Fatal(err)
	}
	metadata := []KeyValue{{"general.type", "adapter"}, {"adapter.lora.alpha", float32(16)}, {"l", []any{[]int32{7}}}}
	if err := Write(path, metadata, b.Source(), Tensor{Name: "a", Type: Q8_0, Shape: []int{32},
		Data: some[:34]}.Source()); err != nil {
		t.Fatal(err)
	}
	want := "GGUF\x03\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x03\x00\x00\x00\x00\x00\x00\x00" +
		"\x0c\x00\x00\x00\x00\x00\x00\x00general.type" + "\x08\x00\x00\x00" +
		"\x07\x00\x00\x00\x00\x00\x00\x00adapter" +
		"\x12\x00\x00\x00\x00\x00\x00\x00adapter.lora.alpha" + "\x06\x00\x00\x00" + "\x00\x00\x80\x41" +
		"\x01\x00\x00\x00\x00\x00\x00\x00l" + "\x09\x00\x00\x00" + "\x09\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00" +
		"\x05\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" + "\x07\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00b" + "\x02\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" +
		"\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00a" + "\x01\x00\x00\x00" + "\x20\x00\x00\x00\x00\x00\x00\x00" +
		"\x08\x00\x00\x00" + "\x20\x00\x00\x00\x00\x00\x00\x00"
	want += strings.Repeat("\x00", 31-(len(want)+31)%32)
	want += "\x00\x00\x80\x3f\x00\x00\x00\xc0" + strings.Repeat("\x00", 24) + string(some[:34]) +
		strings.Repeat("\x00", 30)
	if got, _ := os.ReadFile(path); string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWriteFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gguf")
	if err := Write(path, everything); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path)

	broken := errors.New("broken")
	puts := func(n int, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			if _, e := w.Write(make([]byte, n)); e != nil {
				return e
			}
			return err
		}
	}
	ok := Source{"x", F32, []int{1}, puts(4, nil)}
	deep := any([]any{})
	for range maxDepth {
		deep = []any{deep}
	}
	for _, c := range []struct {
		name, want string
		tensors    []Source
		metadata   []KeyValue
	}{
		{"source fails", `tensor "y": broken`, []Source{ok, {"y", F32, []int{2}, puts(4, broken)}}, nil},
		{"too few bytes", `tensor "y": want 8 bytes for F32 [2], got 1 less`,
			[]Source{{"y", F32, []int{2}, puts(7, nil)}}, nil},
		{"too many bytes", "8 more bytes at most, got 9", []Source{{"y", F32, []int{2}, puts(9, nil)}}, nil},
		{"name twice", `tensor "x": want a name of its own`, []Source{ok, ok}, nil},
		{"no name", "name of 1 to 63 bytes", []Source{{"", F32, []int{0}, puts(0, nil)}}, nil},
		{"long name", "name of 1 to 63 bytes", []Source{{strings.Repeat("x", 64), F32, []int{0}, puts(0, nil)}}, nil},
		{"name not UTF-8", "in UTF-8", []Source{{"\xff", F32, []int{0}, puts(0, nil)}}, nil},
		{"unknown type", "want a type of known size, got type 99", []Source{{"y", 99, []int{0}, puts(0, nil)}}, nil},
		{"half a block", "a multiple of 32", []Source{{"y", Q8_0, []int{32, 33}, puts(0, nil)}}, nil},
		{"5 dimensions", "at most 4 dimensions", []Source{{"y", F32, make([]int, 5), puts(0, nil)}}, nil},
		{"negative shape", "fits 62 bits", []Source{{"y", F32, []int{-1}, puts(0, nil)}}, nil},
		{"huge tensors", "fits 62 bits", []Source{{"y", F16, []int{1 << 60}, puts(0, nil)},
			{"z", F16, []int{1 << 60}, puts(0, nil)}}, nil},
		{"key twice", `key "k": want each key once`, nil, []KeyValue{{"k", "a"}, {"k", "b"}}},
		{"no key", "a key of 1 to", nil, []KeyValue{{"", "a"}}},
		{"key not UTF-8", "in UTF-8", nil, []KeyValue{{"\xff", "a"}}},
		{"unknown value", `key "k": want one of the types that KeyValue lists, got int`, nil, []KeyValue{{"k", 1}}},
		{"no value", "got <nil>", nil, []KeyValue{{"k", nil}}},
		{"scalars in an array of arrays", "want a slice", nil, []KeyValue{{"k", []any{"a"}}}},
		{"deep arrays", "4 deep", nil, []KeyValue{{"k", deep}}},
		{"alignment", "want a power of two", nil, []KeyValue{{alignmentKey, uint32(48)}}},
	} {
		err := Write(path, c.metadata, c.tensors...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v, want it to name the file and %q", c.name, err, c.want)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, old) {
			t.Errorf("%s: the old file has changed", c.name)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s: folder holds %v", c.name, entries)
		}
	}
	if err := Write(path, nil, Source{"y", F32, []int{2}, puts(0, broken)}); !errors.Is(err, broken) {
		t.Errorf("the source's error is not wrapped: %v", err)
	}
}
