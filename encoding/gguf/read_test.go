package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// raw puts a file together from strings, byte slices and numbers, little-endian. A
// string that is text(…) has its length before it.
func raw(parts ...any) []byte {
	b := []byte(magic)
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case text:
			b = appendString(b, string(p))
		case pad:
			b = append(b, make([]byte, padded(len(b), int(p))-len(b))...)
		default:
			b, _ = binary.Append(b, binary.LittleEndian, p)
		}
	}
	return b
}

type (
	text string
	pad  int
	u32  = uint32
	u64  = uint64
)

// head is a header's beginning.
func head(tensors, keys u64) []byte { return raw(u32(3), tensors, keys)[len(magic):] }

// info is a tensor's info; dims in the file's order.
func info(name string, typ Type, offset u64, dims ...u64) []byte {
	return raw(text(name), u32(len(dims)), dims, typ, offset)[len(magic):]
}

func key(name string, typ u32) []byte { return raw(text(name), typ)[len(magic):] }

var some = bytes.Repeat([]byte{1}, 4096)

// bad are files that must be refused, with what the error must say. They are the fuzz
// target's seeds too.
var bad = []struct {
	name             string
	file             []byte
	key, tensor, err string
}{
	{"another format", []byte("PK\x03\x04 and more"), "", "", "begins with GGUF"},
	{"version 1", raw(u32(1), u64(0), u64(0)), "", "", "want version 2 or 3, got 1"},
	{"version 0", raw(u32(0), u64(0), u64(0)), "", "", "got 0"},
	{"version 4", raw(u32(4), u64(0), u64(0)), "", "", "got 4"},
	{"big-endian", raw("\x00\x00\x00\x03", u64(0), u64(0)), "", "", "little-endian"},
	{"no counts", raw(u32(3), u64(1)), "", "", "a number of keys"},
	{"too many keys", raw(head(0, 1<<60), some), "", "", "want at most 292 keys"},
	{"most keys", raw(head(0, math.MaxUint64), some), "", "", "18446744073709551615"},
	{"too many tensors", raw(head(1<<40, 0), some), "", "", "want at most 163 tensors"},
	{"more behind no tensors", raw(head(0, 0), some), "", "", "the end of a file without tensors"},

	{"long key", raw(head(0, 1), u64(math.MaxUint64), some), "", "", "bytes of text"},
	{"empty key", raw(head(0, 1), key("", 0), u64(0)), "", "", "a key of 1 to"},
	{"key not UTF-8", raw(head(0, 1), key("\xff", 0), u64(0)), "", "", "UTF-8"},
	{"key twice", raw(head(0, 2), key("a", 0), "\x01", key("a", 1), "\x02", some), "a", "", "twice"},
	{"value type 13", raw(head(0, 1), key("a", 13), some), "a", "", "0 to 12, got 13"},
	{"array of type 13", raw(head(0, 1), key("a", typeArray), u32(13), u64(1), some), "a", "", "0 to 12, got 13"},
	{"no value", raw(head(0, 1), key("abc", 10)), "abc", "", "values"},
	{"a bool of 2", raw(head(0, 1), key("a", typeBool), "\x02"), "a", "", "want 0 or 1"},
	{"long string", raw(head(0, 1), key("a", typeString), u64(1<<63), some), "a", "", "bytes of text"},
	{"long array", raw(head(0, 1), key("a", typeArray), u32(12), u64(1<<61), some), "a", "", "want at most 512 values"},
	{"long array of strings", raw(head(0, 1), key("a", typeArray), u32(typeString), u64(1<<61), some), "a", "",
		"want at most 512 strings"},
	{"long array of arrays", raw(head(0, 1), key("a", typeArray), u32(typeArray), u64(1<<61), some), "a", "",
		"want at most 341 arrays"},
	{"deep array", raw(head(0, 1), key("a", typeArray), bytes.Repeat(raw(u32(typeArray), u64(1))[4:], 100_000)), "a",
		"", "4 deep"},

	{"alignment 0", raw(head(0, 1), key(alignmentKey, 4), u32(0)), alignmentKey, "",
		"want a power of two, of type uint32, got uint32 0"},
	{"alignment 24", raw(head(0, 1), key(alignmentKey, 4), u32(24)), alignmentKey, "", "got uint32 24"},
	{"alignment of another type", raw(head(0, 1), key(alignmentKey, 10), u64(32)), alignmentKey, "", "got uint64 32"},

	{"empty name", raw(head(1, 0), info("", F32, 0), some), "", "", "name of 1 to 64"},
	{"long name", raw(head(1, 0), info(strings.Repeat("é", 33), F32, 0), some), "", "", "got 66"},
	{"name twice", raw(head(2, 0), info("a", F32, 0), info("a", F32, 32), pad(32), some[:36]), "", "a", "twice"},
	{"5 dimensions", raw(head(1, 0), info("a", F32, 0, 1, 1, 1, 1, 1), some), "", "a", "at most 4 dimensions, got 5"},
	{"2^32-1 dimensions", raw(head(1, 0), text("a"), u32(math.MaxUint32), some), "", "a", "got 4294967295"},
	{"negative dimension", raw(head(1, 0), info("a", F32, 0, math.MaxUint64), some), "", "a", "dimensions up to"},
	{"elements overflow", raw(head(1, 0), info("a", F32, 0, 1<<32, 1<<32), some), "", "a", "fits 62 bits"},
	{"bytes overflow", raw(head(1, 0), info("a", F32, 0, 1<<61), some), "", "a", "fits 62 bits"},
	{"overflow behind a zero", raw(head(1, 0), info("a", F32, 0, 0, 1<<40, 1<<40), some), "", "a", "fits 62 bits"},
	{"half a block", raw(head(1, 0), info("a", Q8_0, 0, 48, 2), pad(32), some[:102]), "", "a",
		"a multiple of 32 elements for Q8_0"},
	{"scalar of blocks", raw(head(1, 0), info("a", Q4_0, 0), pad(32), some[:18]), "", "a",
		"a multiple of 32 elements for Q4_0"},

	{"no data", raw(head(1, 0), info("a", F32, 0, 1)), "", "", "data that begin at byte 64"},
	{"no room for padding", raw(head(1, 1), key(alignmentKey, 4), u32(1<<30), info("a", F32, 0, 1)), "", "",
		"data that begin at byte 1073741824"},
	{"data cut", raw(head(1, 0), info("a", F32, 0, 8), pad(32), some[:31]), "", "a", "end at 31, where the file ends"},
	{"data left over", raw(head(1, 0), info("a", F32, 0, 1), pad(32), some[:33]), "", "",
		"want 4 bytes of tensors, got 33"},
	{"first not at 0", raw(head(1, 0), info("a", F32, 32, 1), pad(32), some[:64]), "", "a", "begin at 0"},
	{"gap", raw(head(2, 0), info("a", F32, 0, 1), info("b", F32, 64, 1), pad(32), some[:96]), "", "b", "begin at 32"},
	{"overlap", raw(head(2, 0), info("a", F32, 0, 9), info("b", F32, 32, 1), pad(32), some[:96]), "", "b",
		"begin at 64"},
	{"same bytes", raw(head(2, 0), info("a", F32, 0, 1), info("b", F32, 0, 1), pad(32), some[:32]), "", "b",
		"begin at 32"},
	{"unaligned", raw(head(2, 0), info("a", F32, 0, 1), info("b", F32, 4, 1), pad(32), some[:32]), "", "b",
		"begin at 32"},
	{"unaligned behind an unknown type", raw(head(2, 0), info("a", 99, 0, 1), info("b", F32, 4, 1), pad(32),
		some[:32]), "", "b", "a multiple of the alignment, 32"},
	{"huge offset", raw(head(2, 0), info("a", 99, 0, 1), info("b", F32, math.MaxUint64&^31, 1), pad(32), some[:32]),
		"", "b", "where the file ends"},
	{"overlap of an unknown type with the end", raw(head(1, 0), info("a", 99, 64, 1), pad(32), some[:32]), "", "a",
		"begin at 0"},
}

func TestParseRefusesBadFiles(t *testing.T) {
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("bad.gguf", c.file)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got error %v, want an *Error", err)
			}
			if e.File != "bad.gguf" || e.Key != c.key || e.Tensor != c.tensor || !strings.Contains(e.Error(), c.err) {
				t.Errorf("got %v\nwant key %q, tensor %q and %q", e, c.key, c.tensor, c.err)
			}
			if len(e.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(e.Error()))
			}
		})
	}
}

// small has something of everything, and no padding at its end.
func small() []byte {
	return raw(head(2, 3), key("s", typeString), text("abc"), key("n", typeArray), u32(typeArray), u64(2),
		u32(typeString), u64(1), text("x"), u32(5), u64(2), int32(1), int32(-2), key("u", 4), u32(7),
		info("b", F16, 32, 2), info("a", F32, 0, 3, 2), pad(32), float32(1), some[:20], pad(32), some[:4])
}

func TestParseRefusesCutFiles(t *testing.T) {
	whole := small()
	if _, err := Parse("", whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Parse("", slices.Clip(whole[:n])); err == nil {
			t.Fatalf("a file cut to %d of %d bytes was taken", n, len(whole))
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gguf")
	if err := os.WriteFile(path, small(), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Path() != path || f.version != 3 || !f.Has("a") || f.Has("c") {
		t.Errorf("path %s, version %d, has a %v, has c %v", f.Path(), f.version, f.Has("a"), f.Has("c"))
	}
	if m := f.Metadata(); len(m) != 3 || m[0].Key != "s" || m[2].Value != uint32(7) {
		t.Errorf("metadata %v", m)
	}
	n, err := Get[[]any](f, "n")
	if err != nil || len(n) != 2 || !slices.Equal(n[0].([]string), []string{"x"}) ||
		!slices.Equal(n[1].([]int32), []int32{1, -2}) {
		t.Errorf("n: got %v, error %v", n, err)
	}
	a, err := f.Tensor("a")
	if v, _ := a.Float32s(); err != nil || a.Type != F32 || !slices.Equal(a.Shape, []int{2, 3}) || len(v) != 6 ||
		v[0] != 1 {
		t.Errorf("a: got %v %v %v, error %v", a.Type, a.Shape, v, err)
	}
	if all := f.Tensors(); len(all) != 2 || all[0].Name != "b" || len(all[0].Data) != 4 {
		t.Errorf("tensors %v, want b and a", all)
	}
	if _, err := f.Tensor("c"); err == nil || !strings.Contains(err.Error(), path) ||
		!strings.Contains(err.Error(), `"c"`) {
		t.Errorf("tensor c: error %v", err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(path, []byte("GGUF?"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got error %v, want it to name the file", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestVersion2(t *testing.T) {
	b := small()
	b[4] = 2
	if f, err := Parse("", b); err != nil || f.version != 2 {
		t.Errorf("error %v", err)
	}
}

func TestValuesOfTheWrongType(t *testing.T) {
	f, err := Parse("f.gguf", raw(head(0, 3), key("s", typeString), text("abc"), key("u", 10), u64(math.MaxUint64),
		key("f", 6), float32(1.5)))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := f.Float("f"); err != nil || v != 1.5 {
		t.Errorf("f: %v, error %v", v, err)
	}
	_, err = f.Int("s")
	_, err2 := f.Int("u")
	_, err3 := f.Float("u")
	_, err4 := Get[uint32](f, "s")
	_, err5 := Get[string](f, "none")
	for want, err := range map[string]error{
		`gguf: f.gguf: key "s": want an integer, got the string "abc"`:               err,
		`gguf: f.gguf: key "u": want an integer, got uint64 18446744073709551615`:    err2,
		`key "u": want a number of type float32 or float64, got uint64 184467440737`: err3,
		`key "s": want a value of type uint32, got the string "abc"`:                 err4,
		`key "none": want a value of type string, got none`:                          err5,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}

// Tensors of other types can be found and copied, but not read.
func TestOtherTypes(t *testing.T) {
	f, err := Parse("f.gguf", raw(head(3, 0), info("k", 10, 0, 256), info("new", 99, 96, 7),
		info("last", F32, 128, 1), pad(32), some[:132]))
	if err != nil {
		t.Fatal(err)
	}
	k, _ := f.Tensor("k")
	if _, err := k.Float32s(); len(k.Data) != 84 || k.Len() != 256 || err == nil ||
		!strings.Contains(err.Error(), `f.gguf: tensor "k"`) || !strings.Contains(err.Error(), "got Q2_K") {
		t.Errorf("k: %d bytes, %d elements, error %v", len(k.Data), k.Len(), err)
	}
	unknown, _ := f.Tensor("new")
	if _, err := unknown.Float32s(); unknown.Data != nil || unknown.Len() != 7 || err == nil ||
		!strings.Contains(err.Error(), "got type 99") {
		t.Errorf("new: %d bytes, error %v", len(unknown.Data), err)
	}
	if last, _ := f.Tensor("last"); len(last.Data) != 4 {
		t.Errorf("last: %d bytes", len(last.Data))
	}
}

// A header that claims much must not make the reader allocate much.
func TestParseAllocatesByHeaderSize(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	size := 0
	for _, c := range bad {
		size += len(c.file)
		Parse("", c.file)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(8*size) {
		t.Errorf("allocated %d bytes for files of %d", got, size)
	}
}

// written is the file that Write writes.
func written(t *testing.T, metadata []KeyValue, tensors []Source) []byte {
	t.Helper()
	head, alignment, err := header(metadata, tensors)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.NewBuffer(head)
	for _, x := range tensors {
		if err := writeTensor(b, "", x, alignment); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// Whatever is taken has tensors that lie in the file, aligned and without overlap, and
// is read again as it was when it is written.
func FuzzParse(f *testing.F) {
	for _, c := range bad {
		if len(c.file) < 8192 {
			f.Add(c.file)
		}
	}
	f.Add(small())
	f.Add(raw(head(2, 1), key(alignmentKey, 4), u32(1), info("q", Q4_0, 2, 32, 1), info("a", F16, 0, 1), some[:20]))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := Parse("f", b)
		if err != nil {
			if err.Error() == "" {
				t.Error("an empty error")
			}
			return
		}
		total, known := 0, true
		var sources []Source
		for _, x := range g.Tensors() {
			block, size := x.Type.block()
			if known = known && block > 0; !known {
				continue
			}
			if len(x.Data) != x.Len()/block*size {
				t.Fatalf("%s: %d bytes for %s %v", x.Name, len(x.Data), x.Type, x.Shape)
			}
			total += len(x.Data)
			if _, err := x.Float32s(); err != nil && fits(x.Type, 0) == nil {
				t.Fatalf("%s: %v", x.Name, err)
			}
			sources = append(sources, x.Source())
			known = len(x.Name) < maxName
		}
		if total > len(b) {
			t.Fatalf("tensors of %d bytes in a file of %d", total, len(b))
		}
		if !known || g.alignment > 1<<16 {
			return
		}
		again, err := Parse("again", written(t, g.Metadata(), sources))
		if err != nil {
			t.Fatal(err)
		}
		// NaN is not equal to itself, but is printed alike.
		if fmt.Sprint(again.Metadata()) != fmt.Sprint(g.Metadata()) {
			t.Fatalf("metadata %v became %v", g.Metadata(), again.Metadata())
		}
		for _, x := range g.Tensors() {
			y, err := again.Tensor(x.Name)
			if err != nil || y.Type != x.Type || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
				t.Fatalf("tensor %v became %v, error %v", x, y, err)
			}
		}
	})
}

// A GGUF file is one by its name, or by how it begins.
func TestIsFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"model.bin": "GGUF\x03\x00", "short": "GGU",
		"model.safetensors": "\x08\x00\x00\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"model.bin": true, "short": false, "model.safetensors": false, "": false, "none": false, "none.GGUF": true,
	} {
		if got := IsFile(filepath.Join(dir, name)); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
