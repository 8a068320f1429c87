package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteReadsBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	values := []float32{1, -2, float32(math.Inf(1)), 0x1p-140, 5, 6}
	f32 := FromFloat32s("x<é>\"\n", []int{2, 3}, values)
	byteT := Tensor{Name: "b", DType: U8, Shape: []int{3}, Data: []byte{7, 8, 9}}
	scalar := Tensor{Name: "s", DType: I64, Data: binary.LittleEndian.AppendUint64(nil, 42)}
	empty := Tensor{Name: "e", DType: BF16, Shape: []int{0, 4}}
	metadata := map[string]string{"format": "pt", "a": "<&>", "z": ""}

	write := func(path string, tensors ...Tensor) []byte {
		var sources []Source
		for _, x := range tensors {
			sources = append(sources, x.Source())
		}
		if err := Write(path, metadata, sources...); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	first := write(path, f32, byteT, scalar, empty)
	if again := write(filepath.Join(dir, "b"), empty, scalar, f32, byteT); !bytes.Equal(first, again) {
		t.Error("the order of the tensors changed the file")
	}

	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range []Tensor{f32, byteT, scalar, empty} {
		got, err := f.Tensor(want.Name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) ||
			!bytes.Equal(got.Data, want.Data) {
			t.Errorf("wrote %v, read %v, error %v", want, got, err)
		}
	}
	got, _ := f.Tensor(f32.Name)
	if v, err := got.Float32s(); err != nil || !slices.Equal(v, values) {
		t.Errorf("values %v, error %v, want %v", v, err, values)
	}
	for key, want := range metadata {
		if got := f.Metadata()[key]; got != want {
			t.Errorf("metadata %s: %q, want %q", key, got, want)
		}
	}
	if n := binary.LittleEndian.Uint64(first); n%8 != 0 {
		t.Errorf("a header of %d bytes leaves the data unaligned", n)
	}
}

// A known file, byte for byte: what other programs must be able to read.
func TestWriteKnownBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	err := Write(path, map[string]string{"b": "2", "a": "1"},
		Tensor{Name: "n", DType: U8, Shape: []int{1}, Data: []byte{9}}.Source(),
		FromFloat32s("w", []int{1, 1}, []float32{1}).Source())
	if err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"a":"1","b":"2"},"w":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"n":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}`
	header += strings.Repeat(" ", 7-(len(header)+7)%8)
	want := string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + "\x00\x00\x80\x3f\x09"
	if got, _ := os.ReadFile(path); string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWriteFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.safetensors")
	if err := Write(path, nil, FromFloat32s("x", []int{1}, []float32{1}).Source()); err != nil {
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
	ok := FromFloat32s("x", []int{1}, []float32{1}).Source()
	for _, c := range []struct {
		name, want string
		tensors    []Source
		metadata   map[string]string
	}{
		{"source fails", `tensor "y": broken`, []Source{ok, {"y", F32, []int{2}, puts(4, broken)}}, nil},
		{"too few bytes", "want 8 bytes for F32 [2], got 1 less", []Source{{"y", F32, []int{2}, puts(7, nil)}}, nil},
		{"too many bytes", "8 more bytes at most, got 9", []Source{{"y", F32, []int{2}, puts(9, nil)}}, nil},
		{"name twice", "taken", []Source{ok, ok}, nil},
		{"reserved name", "taken", []Source{{metadataKey, U8, []int{0}, puts(0, nil)}}, nil},
		{"name not UTF-8", "UTF-8", []Source{{"\xff", U8, []int{0}, puts(0, nil)}}, nil},
		{"unknown type", "BOOL", []Source{{"y", "Q8", []int{0}, puts(0, nil)}}, nil},
		{"negative shape", "fits 64 bits", []Source{{"y", U8, []int{-1}, puts(0, nil)}}, nil},
		{"huge shape", "fits 64 bits", []Source{{"y", F32, []int{math.MaxInt}, puts(0, nil)}}, nil},
		{"metadata not UTF-8", "UTF-8", nil, map[string]string{"a": "\xff"}},
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

func TestFromFloat32sChecksItsShape(t *testing.T) {
	defer func() {
		if _, ok := recover().(*Error); !ok {
			t.Error("want a panic with *Error")
		}
	}()
	FromFloat32s("x", []int{2, 2}, make([]float32, 3))
}

// Numbers that are fetched when their turn comes have the bytes of those that were there, and an error, or another number
// of them than the shape has, leaves the old file.
func TestFloat32sAreFetchedInTurn(t *testing.T) {
	dir := t.TempDir()
	a, b := make([]float32, 3*9001), []float32{1, -2}
	for i := range a {
		a[i] = float32(i) / 3
	}
	want, got := filepath.Join(dir, "want"), filepath.Join(dir, "got")
	if err := Write(want, nil, FromFloat32s("a", []int{3, 9001}, a).Source(), FromFloat32s("b", []int{2}, b).Source()); err != nil {
		t.Fatal(err)
	}
	var turns []string
	fetch := func(name string, values []float32, err error) func() ([]float32, error) {
		return func() ([]float32, error) {
			turns = append(turns, name)
			return values, err
		}
	}
	sources := func(b []float32, err error) []Source {
		return []Source{Float32sSource("b", []int{2}, fetch("b", b, err)), Float32sSource("a", []int{3, 9001}, fetch("a", a, nil))}
	}
	if all := sources(b, nil); len(turns) > 0 || Write(got, nil, all...) != nil {
		t.Fatalf("fetched %v before they were written, or not written", turns)
	}
	same := func() bool {
		x, errX := os.ReadFile(want)
		y, errY := os.ReadFile(got)
		return errX == nil && errY == nil && bytes.Equal(x, y)
	}
	if !same() || !slices.Equal(turns, []string{"a", "b"}) {
		t.Errorf("other bytes, or fetched as %v", turns)
	}
	gone := errors.New("gone")
	if err := Write(got, nil, sources(nil, gone)...); !errors.Is(err, gone) || !same() {
		t.Errorf("error %v, or the old file is gone", err)
	}
	for _, n := range []int{1, 3} {
		if err := Write(got, nil, sources(make([]float32, n), nil)...); err == nil || !strings.Contains(err.Error(), `"b"`) || !same() {
			t.Errorf("%d numbers: error %v, or the old file is gone", n, err)
		}
	}
}
