package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/agora-ml/agora/internal/atomicfile"
	"github.com/agora-ml/agora/internal/fileerror"
)

// Source is a tensor to be written. Write puts out its bytes, little-endian and
// row-major, when their turn comes: not all tensors need be in memory at once.
type Source struct {
	Name  string
	DType DType
	Shape []int
	Write func(io.Writer) error
}

// Float32sSource is numbers that are fetched when they are written, and as many as the shape has: of a file made of such,
// one tensor at a time is in memory.
func Float32sSource(name string, shape []int, fetch func() ([]float32, error)) Source {
	return Source{name, F32, shape, func(w io.Writer) error {
		values, err := fetch()
		if err != nil {
			return err
		}
		data := make([]byte, 0, 4*min(len(values), 1<<13))
		for some := range slices.Chunk(values, 1<<13) {
			data = data[:0]
			for _, x := range some {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
			}
			if _, err := w.Write(data); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Source is the tensor as it stands, to be written.
func (t Tensor) Source() Source {
	return Source{t.Name, t.DType, t.Shape, func(w io.Writer) error {
		_, err := w.Write(t.Data)
		return err
	}}
}

// Write replaces the file at path, atomically (see atomicfile). The bytes depend on
// the tensors and the metadata only, not on the order of tensors: widest types come
// first, so that all data are aligned, and names of one width in their order.
func Write(path string, metadata map[string]string, tensors ...Source) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.DType.size(), a.DType.size()), cmp.Compare(a.Name, b.Name))
	})
	header, err := header(metadata, tensors)
	if err != nil {
		return inFile(path, err)
	}
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, t := range tensors {
			n, _ := elements(t.Shape)
			left := &fileerror.Limited{W: w, Left: n * t.DType.size()}
			if err := t.Write(left); err != nil {
				return fmt.Errorf("safetensors: %s: tensor %q: %w", path, t.Name, err)
			}
			if left.Left != 0 {
				return &Error{File: path, Tensor: t.Name,
					Want: fmt.Sprintf("%d bytes for %s %s", n*t.DType.size(), t.DType, fileerror.Shape(t.Shape)),
					Got:  fmt.Sprintf("%d less", left.Left)}
			}
		}
		return nil
	})
}

// header is the length and the JSON, padded with spaces to a multiple of 8.
func header(metadata map[string]string, tensors []Source) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		for key, value := range metadata {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, &Error{Want: "metadata in UTF-8", Got: strconv.Quote(key)}
			}
		}
		fmt.Fprintf(b, "%s:%s", jsonText(metadataKey), jsonText(metadata)) // maps are put out sorted
	}
	at := 0
	seen := map[string]bool{metadataKey: true}
	for _, t := range tensors {
		n, ok := elements(t.Shape)
		size := t.DType.size()
		switch {
		case seen[t.Name]:
			return nil, &Error{Tensor: t.Name, Want: "a name of its own", Got: "one that is taken"}
		case !utf8.ValidString(t.Name):
			return nil, &Error{Tensor: t.Name, Want: "a name in UTF-8", Got: "other bytes"}
		case size == 0:
			return nil, &Error{Tensor: t.Name, Want: dtypeNames, Got: fileerror.Quote(string(t.DType))}
		case !ok || n > (math.MaxInt-at)/size:
			return nil, &Error{Tensor: t.Name, Want: "a shape whose size fits 64 bits", Got: fileerror.Shape(t.Shape)}
		}
		seen[t.Name] = true
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{} // a scalar
		}
		fmt.Fprintf(b, `%s:{"dtype":%s,"shape":%s,"data_offsets":[%d,%d]}`,
			jsonText(t.Name), jsonText(t.DType), jsonText(shape), at, at+n*size)
		at += n * size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	n := b.Len() - 8
	if n > maxHeader {
		return nil, &Error{Want: fmt.Sprintf("a header of at most %d bytes", maxHeader), Got: strconv.Itoa(n)}
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(n))
	return b.Bytes(), nil
}

// jsonText is v in JSON, with <, > and & as they are.
func jsonText(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // strings, ints and maps of strings always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
