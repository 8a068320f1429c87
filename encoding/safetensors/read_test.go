package safetensors

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// file is a safetensors file with this header and n bytes of data, 0, 1, 2, …
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func save(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	// The offset of f, 3, is unaligned; a scalar, an empty tensor and trailing spaces are legal.
	path := save(t, t.TempDir(), "a.safetensors", file(`{"__metadata__":{"format":"pt"},
		"f":{"data_offsets":[3,11],"dtype":"F32","shape":[2,1]},
		"u":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},
		"scalar":{"dtype":"I16","shape":[],"data_offsets":[11,13]},
		"empty":{"dtype":"F64","shape":[0,9223372036854775807],"data_offsets":[3,3]}}   `, 13))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Names(), []string{"empty", "f", "scalar", "u"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	if got := f.Metadata()["format"]; got != "pt" {
		t.Errorf("metadata format %q, want pt", got)
	}
	x, err := f.Tensor("f")
	if err != nil || x.DType != F32 || !slices.Equal(x.Shape, []int{2, 1}) ||
		!slices.Equal(x.Data, []byte{3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("f: got %v, error %v", x, err)
	}
	if v, err := x.Float32s(); err != nil || v[1] != math.Float32frombits(0x0a090807) {
		t.Errorf("values of f: %v, error %v", v, err)
	}
	s, err := f.Tensor("scalar")
	if err != nil || s.Shape == nil || s.Len() != 1 {
		t.Errorf("scalar: got %v, error %v", s, err)
	}
	e, err := f.Tensor("empty")
	if err != nil || e.Len() != 0 {
		t.Errorf("empty: got %v, error %v", e, err)
	}
	if _, err := f.Tensor("g"); err == nil || f.Has("g") || !f.Has("f") {
		t.Errorf("tensor g: error %v, Has(g) %v, Has(f) %v", err, f.Has("g"), f.Has("f"))
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// bad are headers (with the bytes of data behind them) that must be refused, with
// what the error must say. They are the fuzz target's seeds too.
var bad = []struct {
	name, header string
	data         int
	tensor, want string
}{
	{"not JSON", `{"a"`, 0, "a", "want JSON"},
	{"not an object", ` {}`, 0, "", "begins with {"},
	{"two objects", `{}{}`, 0, "", "nothing behind"},
	{"invalid UTF-8", "{\"\xff\":{}}", 0, "", "UTF-8"},
	{"no data", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 3, "a", "to 3, where the file ends"},
	{"data left over", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 5, "",
		"want 4 bytes of tensors, got 5"},
	{"only data", `{}`, 1, "", "want 0 bytes of tensors, got 1"},
	{"gap", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3, "b", "begin at 1"},
	{"gap at the start", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, "a", "begin at 0"},
	{"overlap", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, "b", "begin at 2"},
	{"same bytes", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2, "b", "begin at 2"},
	{"end before begin", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,1]}}`, 2, "b", "want an end from 2"},
	{"negative offset", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[-1,1]}}`, 1, "a", "whole numbers"},
	{"huge offset", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,18446744073709551615]}}`, 1, "a",
		"whole numbers"},
	{"fraction", `{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1, "a", "whole numbers"},
	{"negative shape", `{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1, "a", "whole numbers"},
	{"wrong byte count", `{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,12]}}`, 12, "a",
		"want 16 bytes for F32 [2 2], got 12"},
	{"product overflows", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "a",
		"fits 64 bits"},
	{"bytes overflow", `{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0, "a",
		"fits 64 bits"},
	{"overflow behind a zero", `{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "a",
		"fits 64 bits"},
	{"unknown dtype", `{"a":{"dtype":"F6_E2M3","shape":[1],"data_offsets":[0,1]}}`, 1, "a", `got "F6_E2M3"`},
	{"no dtype", `{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1, "a", "a dtype"},
	{"no shape", `{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1, "a", "a shape"},
	{"no offsets", `{"a":{"dtype":"U8","shape":[1]}}`, 1, "a", "two data_offsets, got 0"},
	{"null tensor", `{"a":null}`, 0, "a", "want {, got null"},
	{"unknown field", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"order":"F"}}`, 1, "a", `got "order"`},
	{"twice the same tensor", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, "", `got "a" twice`},
	{"twice the same field", `{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1, "a",
		`got "dtype" twice`},
	{"half a surrogate pair", `{"a\ud83d":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, "",
		"want text in field \"\", got half a surrogate pair (line 1)"},
	{"names of another case", `{"a":{"DType":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, "a", `got "DType"`},
	{"metadata not text", `{"__metadata__":{"n":1}}`, 0, "", `want a string, got "1"`},
	{"deep", `{"a":{"shape":` + strings.Repeat("[", 100_000) + `}}`, 0, "a", "whole numbers"},
	{"deep objects", strings.Repeat(`{"a":`, 100_000), 0, "a", "got \"a\""},
	{"long dtype", `{"a":{"dtype":"` + strings.Repeat("é", 10_000) + `"}}`, 0, "a", "éé"},
}

func TestOpenRefusesBadHeaders(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			path := save(t, t.TempDir(), "bad.safetensors", file(c.header, c.data))
			_, err := Open(path)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got error %v, want an *Error", err)
			}
			if e.File != path || e.Tensor != c.tensor || !strings.Contains(e.Error(), c.want) {
				t.Errorf("got %v\nwant file %s, tensor %q and %q", e, path, c.tensor, c.want)
			}
			if len(e.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(e.Error()))
			}
		})
	}
}

func TestOpenRefusesBadFiles(t *testing.T) {
	dir := t.TempDir()
	whole := file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	for n := range whole {
		if _, err := Open(save(t, dir, "cut", whole[:n])); err == nil {
			t.Fatalf("a file cut to %d of %d bytes was taken", n, len(whole))
		}
	}
	for _, n := range []uint64{uint64(len(whole)), maxHeader + 1, 1 << 63, math.MaxUint64} {
		lie := slices.Clone(whole)
		binary.LittleEndian.PutUint64(lie, n)
		if _, err := Open(save(t, dir, "lie", lie)); err == nil {
			t.Errorf("a header length of %d was taken", n)
		}
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder was opened as a file")
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// A header that claims much must not make the reader allocate much.
func TestParseAllocatesByHeaderSize(t *testing.T) {
	header := file(`{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4000000000000000000]}}`, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if _, _, err := parse("f", header); err == nil {
			t.Fatal("taken")
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("allocated %d bytes for a header of %d", got, len(header))
	}
}

func TestConversions(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		dtype DType
		data  []byte
		want  []float32
	}{
		// 1, -2, largest, smallest normal, smallest and largest subnormal, -0, infinity, NaN
		{F16, []byte{0, 0x3c, 0, 0xc0, 0xff, 0x7b, 0, 4, 1, 0, 0xff, 3, 0, 0x80, 0, 0x7c, 0, 0x7e},
			[]float32{1, -2, 65504, 0x1p-14, 0x1p-24, 1023 * 0x1p-24, float32(math.Copysign(0, -1)), inf, nan}},
		{BF16, []byte{0x80, 0x3f, 0x49, 0xc0, 0x80, 0x7f}, []float32{1, -3.140625, inf}},
		{F64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1)), []float32{0.1}},
	} {
		got, err := Tensor{DType: c.dtype, Data: c.data}.Float32s()
		if err != nil || len(got) != len(c.want) {
			t.Fatalf("%s: got %v, error %v", c.dtype, got, err)
		}
		for i, w := range c.want {
			same := math.Float32bits(got[i]) == math.Float32bits(w)
			if !same && (w == w || got[i] == got[i]) {
				t.Errorf("%s: element %d is %v, want %v", c.dtype, i, got[i], w)
			}
		}
	}
	minus := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff} // -2 in 1, 2, 4 or 8 bytes
	for dtype, want := range map[DType]int64{I64: -2, I32: -2, I16: -2, I8: -2, U8: 254} {
		got, err := Tensor{DType: dtype, Data: minus[:dtype.size()]}.Int64s()
		if err != nil || !slices.Equal(got, []int64{want}) {
			t.Errorf("%s: got %v, error %v, want %d", dtype, got, err, want)
		}
	}
	if _, err := (Tensor{DType: I64}).Float32s(); err == nil {
		t.Error("I64 was taken for floats")
	}
	if _, err := (Tensor{DType: F32}).Int64s(); err == nil {
		t.Error("F32 was taken for integers")
	}
}

// Whatever is taken has tensors that lie in the file, in order and without gaps.
func FuzzParse(f *testing.F) {
	for _, c := range bad {
		f.Add(file(c.header, c.data))
	}
	f.Add(file(`{"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[1,5]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  `, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, _, err := parse("f", b)
		if err != nil {
			if err.Error() == "" {
				t.Error("an empty error")
			}
			return
		}
		bytes := 0
		for _, x := range tensors {
			n, ok := elements(x.Shape)
			if !ok || n*x.DType.size() != len(x.Data) || x.Len() != n {
				t.Fatalf("%s: %d bytes for %s %v", x.Name, len(x.Data), x.DType, x.Shape)
			}
			bytes += len(x.Data)
		}
		if header := int(binary.LittleEndian.Uint64(b)); bytes != len(b)-8-header {
			t.Fatalf("tensors of %d bytes in %d", bytes, len(b)-8-header)
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"a":"model-00001-of-00002.safetensors"}}`))
	for _, c := range badIndex {
		f.Add([]byte(c.index))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		shards, err := parseIndex("f", b)
		for shard := range shards {
			if err == nil && filepath.Dir(filepath.Join("d", shard)) != "d" {
				t.Fatalf("shard %q is outside its folder", shard)
			}
		}
	})
}
