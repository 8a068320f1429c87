package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/agora-ml/agora/internal/fileerror"
)

// Bounds of the format, and of this reader.
const (
	magic            = "GGUF"
	alignmentKey     = "general.alignment"
	defaultAlignment = 32
	maxDims          = 4       // ggml's tensors have no more
	maxName          = 64      // bytes of a tensor's name
	maxKey           = 1 << 16 // bytes of a key
	maxDepth         = 4       // arrays in arrays; each level would cost stack
)

// The fewest bytes that things in a header take: counts that the file cannot hold are
// refused before anything is allocated.
const (
	minKeyValue   = 8 + 1 + 4 + 1     // length, key, type, value
	minTensorInfo = 8 + 1 + 4 + 4 + 8 // length, name, dimensions, type, offset
	minString     = 8
	minArray      = 4 + 8 // type, length
)

// Parse reads a whole file that is in memory; name is for errors. The tensors' Data
// alias b, everything else is copied. Memory is in proportion to the header.
func Parse(name string, b []byte) (*File, error) {
	f := &File{path: name, values: map[string]any{}, index: map[string]int{}}
	r := &reader{b: b}
	if err := f.parse(r); err != nil {
		return nil, inFile(name, err)
	}
	return f, nil
}

func (f *File) parse(r *reader) error {
	head, err := r.take(8, "the magic "+magic+" and a version")
	if err != nil {
		return err
	}
	if string(head[:4]) != magic {
		return &Error{Want: "a file that begins with " + magic, Got: fmt.Sprintf("%q", head[:4])}
	}
	switch v := binary.LittleEndian.Uint32(head[4:]); {
	case v == 2 || v == 3:
		f.version = int(v)
	case v&0xffff == 0 && v != 0: // a small number, its bytes swapped
		return &Error{Want: "a little-endian file", Got: "a big-endian one"}
	default:
		return &Error{Want: "version 2 or 3", Got: strconv.FormatUint(uint64(v), 10)}
	}
	tensors, err := r.uint64("a number of tensors")
	if err != nil {
		return err
	}
	entries, err := r.uint64("a number of keys")
	if err != nil {
		return err
	}
	n, err := r.fits(entries, minKeyValue, "keys")
	if err != nil {
		return err
	}
	f.metadata = make([]KeyValue, 0, n)
	for range n {
		if err := f.parseKeyValue(r); err != nil {
			return err
		}
	}
	if err := f.setAlignment(); err != nil {
		return err
	}
	n, err = r.fits(tensors, minTensorInfo, "tensors")
	if err != nil {
		return err
	}
	f.tensors = make([]Tensor, 0, n)
	places := make([]place, 0, n)
	for i := range n {
		p, err := f.parseTensor(r)
		if err != nil {
			return err
		}
		p.tensor = i
		places = append(places, p)
	}
	return f.place(places, r)
}

func (f *File) parseKeyValue(r *reader) error {
	key, err := r.name(maxKey, "a key")
	if err != nil {
		return err
	}
	if _, ok := f.values[key]; ok {
		return &Error{Key: key, Want: "each key once", Got: "it twice"}
	}
	typ, err := r.uint32("a value type")
	if err != nil {
		return inKey(key, err)
	}
	v, err := r.value(typ, 0)
	if err != nil {
		return inKey(key, err)
	}
	f.metadata = append(f.metadata, KeyValue{key, v})
	f.values[key] = v
	return nil
}

func (f *File) setAlignment() error {
	f.alignment = defaultAlignment
	if v, ok := f.values[alignmentKey]; ok {
		n, is := v.(uint32)
		if !is || n == 0 || n&(n-1) != 0 || n > math.MaxInt32 {
			return &Error{Key: alignmentKey, Want: "a power of two, of type uint32", Got: Describe(v)}
		}
		f.alignment = int(n)
	}
	return nil
}

// parseTensor reads a tensor's info and appends the tensor, still without its data.
func (f *File) parseTensor(r *reader) (place, error) {
	name, err := r.name(maxName, "a tensor's name")
	if err != nil {
		return place{}, err
	}
	fail := func(err error) (place, error) { return place{}, inTensor(name, err) }
	if _, ok := f.index[name]; ok {
		return fail(&Error{Want: "each name once", Got: "it twice"})
	}
	dims, err := r.uint32("a number of dimensions")
	if err != nil {
		return fail(err)
	}
	if dims > maxDims {
		return fail(&Error{Want: fmt.Sprintf("at most %d dimensions", maxDims), Got: fmt.Sprint(dims)})
	}
	t := Tensor{Name: name, Shape: make([]int, dims), file: f.path}
	for i := range t.Shape {
		d, err := r.uint64("a dimension")
		if err != nil {
			return fail(err)
		}
		if d > math.MaxInt {
			return fail(&Error{Want: fmt.Sprintf("dimensions up to %d", math.MaxInt), Got: fmt.Sprint(d)})
		}
		t.Shape[len(t.Shape)-1-i] = int(d)
	}
	typ, err := r.uint32("a type")
	if err != nil {
		return fail(err)
	}
	t.Type = Type(typ)
	p := place{}
	if p.size, err = size(t.Type, t.Shape); err != nil {
		return fail(err)
	}
	if p.begin, err = r.uint64("an offset"); err != nil {
		return fail(err)
	}
	f.index[name] = len(f.tensors)
	f.tensors = append(f.tensors, t)
	return p, nil
}

// reader walks over the header.
type reader struct {
	b  []byte
	at int
}

func (r *reader) left() int { return len(r.b) - r.at }

// take gives the next n bytes.
func (r *reader) take(n int, what string) ([]byte, error) {
	if n > r.left() {
		return nil, &Error{Want: fmt.Sprintf("%d bytes of %s", n, what),
			Got: fmt.Sprintf("a file that has %d left", r.left())}
	}
	r.at += n
	return r.b[r.at-n : r.at], nil
}

func (r *reader) uint32(what string) (uint32, error) {
	b, err := r.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) uint64(what string) (uint64, error) {
	b, err := r.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// fits checks that n things of at least size bytes each may follow.
func (r *reader) fits(n uint64, size int, what string) (int, error) {
	if most := r.left() / size; n > uint64(most) {
		return 0, &Error{Want: fmt.Sprintf("at most %d %s, as many as the %d bytes left may hold", most, what,
			r.left()),
			Got: fmt.Sprint(n)}
	}
	return int(n), nil
}

func (r *reader) string(what string) (string, error) {
	n, err := r.uint64("a length")
	if err != nil {
		return "", err
	}
	length, err := r.fits(n, 1, "bytes of text")
	if err != nil {
		return "", err
	}
	b, err := r.take(length, what)
	return string(b), err
}

// name is a string that names something.
func (r *reader) name(most int, what string) (string, error) {
	s, err := r.string(what)
	switch {
	case err != nil:
		return "", err
	case s == "" || len(s) > most:
		return "", &Error{Want: fmt.Sprintf("%s of 1 to %d bytes", what, most),
			Got: fmt.Sprintf("%d, %s", len(s), fileerror.Quote(s))}
	case !utf8.ValidString(s):
		return "", &Error{Want: what + " in UTF-8", Got: fileerror.Quote(s)}
	}
	return s, nil
}

// value reads a value inside so many arrays.
func (r *reader) value(typ uint32, depth int) (any, error) {
	switch typ {
	case typeString:
		return r.string("a string")
	case typeArray:
		return r.array(depth + 1)
	}
	return r.scalars(typ, 1, false)
}

func (r *reader) array(depth int) (any, error) {
	if depth > maxDepth {
		return nil, &Error{Want: fmt.Sprintf("arrays at most %d deep", maxDepth), Got: "a deeper one"}
	}
	typ, err := r.uint32("a value type")
	if err != nil {
		return nil, err
	}
	count, err := r.uint64("the length of an array")
	if err != nil {
		return nil, err
	}
	switch typ {
	case typeString:
		n, err := r.fits(count, minString, "strings")
		if err != nil {
			return nil, err
		}
		v := make([]string, n)
		for i := range v {
			if v[i], err = r.string("a string"); err != nil {
				return nil, err
			}
		}
		return v, nil
	case typeArray:
		n, err := r.fits(count, minArray, "arrays")
		if err != nil {
			return nil, err
		}
		v := make([]any, n)
		for i := range v {
			if v[i], err = r.array(depth + 1); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return r.scalars(typ, count, true)
}

// scalars reads count values of a type of fixed size.
func (r *reader) scalars(typ uint32, count uint64, array bool) (any, error) {
	s, ok := scalars[typ]
	if !ok {
		return nil, &Error{Want: "a value type from 0 to 12", Got: fmt.Sprint(typ)}
	}
	n, err := r.fits(count, s.size, "values")
	if err != nil {
		return nil, err
	}
	b, err := r.take(n*s.size, "values")
	if err != nil {
		return nil, err
	}
	if typ == typeBool {
		for _, x := range b {
			if x > 1 {
				return nil, &Error{Want: "0 or 1 for a bool", Got: fmt.Sprint(x)}
			}
		}
	}
	return s.decode(b, array), nil
}
