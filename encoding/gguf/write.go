package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/fileerror"
)

// Source is a tensor to be written. Write puts out its bytes when their turn comes: not
// all tensors need be in memory at once.
type Source struct {
	Name  string
	Type  Type
	Shape []int // row-major, as Tensor's
	Write func(io.Writer) error
}

// Source is the tensor as it stands, to be written.
func (t Tensor) Source() Source {
	return Source{t.Name, t.Type, t.Shape, func(w io.Writer) error {
		_, err := w.Write(t.Data)
		return err
	}}
}

// Write replaces the file at path by one of version 3, atomically (see atomicfile).
// Metadata and tensors keep their order, and the bytes depend on nothing else. The
// alignment is 32, or the power of two that the key general.alignment says.
func Write(path string, metadata []KeyValue, tensors ...Source) error {
	header, alignment, err := header(metadata, tensors)
	if err != nil {
		return inFile(path, err)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, t := range tensors {
			if err := writeTensor(w, path, t, alignment); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeTensor writes a tensor's bytes and the padding behind them.
func writeTensor(w io.Writer, path string, t Source, alignment int) error {
	want, err := size(t.Type, t.Shape)
	if err != nil {
		return err
	}
	left := &fileerror.Limited{W: w, Left: want}
	if err := t.Write(left); err != nil {
		return fmt.Errorf("gguf: %s: tensor %q: %w", path, t.Name, err)
	}
	if left.Left != 0 {
		return &Error{File: path, Tensor: t.Name,
			Want: fmt.Sprintf("%d bytes for %s %s", want, t.Type, fileerror.Shape(t.Shape)),
			Got:  fmt.Sprintf("%d less", left.Left)}
	}
	_, err = w.Write(make([]byte, padded(want, alignment)-want))
	return err
}

// header is all that precedes the data, padded if there are any.
func header(metadata []KeyValue, tensors []Source) (head []byte, alignment int, err error) {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte(magic), 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(metadata)))
	f := &File{values: map[string]any{}}
	for _, m := range metadata {
		_, taken := f.values[m.Key]
		switch {
		case taken:
			return nil, 0, &Error{Key: m.Key, Want: "each key once", Got: "it twice"}
		case m.Key == "" || len(m.Key) > maxKey || !utf8.ValidString(m.Key):
			return nil, 0, &Error{Key: m.Key, Want: fmt.Sprintf("a key of 1 to %d bytes in UTF-8", maxKey),
				Got: fileerror.Quote(m.Key)}
		}
		f.values[m.Key] = m.Value
		if b, err = appendValue(appendString(b, m.Key), m.Value, true, 0); err != nil {
			return nil, 0, inKey(m.Key, err)
		}
	}
	if err := f.setAlignment(); err != nil {
		return nil, 0, err
	}
	at := 0
	seen := map[string]bool{}
	for _, t := range tensors {
		n, err := size(t.Type, t.Shape)
		switch {
		case err != nil:
		case n < 0:
			err = &Error{Want: "a type of known size", Got: t.Type.String()}
		case seen[t.Name]:
			err = &Error{Want: "a name of its own", Got: "one that is taken"}
		case t.Name == "" || len(t.Name) >= maxName || !utf8.ValidString(t.Name): // ggml ends names by a zero byte
			err = &Error{Want: fmt.Sprintf("a name of 1 to %d bytes in UTF-8", maxName-1), Got: fileerror.Quote(t.Name)}
		case len(t.Shape) > maxDims:
			err = &Error{Want: fmt.Sprintf("at most %d dimensions", maxDims), Got: fileerror.Shape(t.Shape)}
		case n > math.MaxInt/2-at:
			err = &Error{Want: "tensors whose size fits 62 bits", Got: fileerror.Shape(t.Shape)}
		}
		if err != nil {
			return nil, 0, inTensor(t.Name, err)
		}
		seen[t.Name] = true
		b = le.AppendUint32(appendString(b, t.Name), uint32(len(t.Shape)))
		for i := range t.Shape {
			b = le.AppendUint64(b, uint64(t.Shape[len(t.Shape)-1-i]))
		}
		b = le.AppendUint64(le.AppendUint32(b, uint32(t.Type)), uint64(at))
		at = padded(at+n, f.alignment)
	}
	if len(tensors) > 0 {
		b = append(b, make([]byte, padded(len(b), f.alignment)-len(b))...)
	}
	return b, f.alignment, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends a value, inside so many arrays, with or without its type.
func appendValue(b []byte, v any, typed bool, depth int) ([]byte, error) {
	le := binary.LittleEndian
	typ, element, ok := typeOf(v)
	if !ok || !typed && typ != typeArray {
		want := "one of the types that KeyValue lists"
		if !typed {
			want = "a slice of one of the types that KeyValue lists, in an array of arrays"
		}
		return b, &Error{Want: want, Got: fmt.Sprintf("%T", v)}
	}
	if typed {
		b = le.AppendUint32(b, typ)
	}
	if typ == typeArray {
		if depth++; depth > maxDepth {
			return b, &Error{Want: fmt.Sprintf("arrays at most %d deep", maxDepth), Got: "a deeper one"}
		}
		b = le.AppendUint32(b, element)
	}
	switch v := v.(type) {
	case string:
		return appendString(b, v), nil
	case []string:
		b = le.AppendUint64(b, uint64(len(v)))
		for _, s := range v {
			b = appendString(b, s)
		}
		return b, nil
	case []any:
		b = le.AppendUint64(b, uint64(len(v)))
		for _, x := range v {
			var err error
			if b, err = appendValue(b, x, false, depth); err != nil {
				return b, err
			}
		}
		return b, nil
	}
	if typ != typeArray {
		return binary.Append(b, le, v)
	}
	b = le.AppendUint64(b, uint64(binary.Size(v)/scalars[element].size))
	return binary.Append(b, le, v)
}
