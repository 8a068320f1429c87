package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/agora-ml/agora/internal/fileerror"
)

// maxHeader is the format's own limit to the header's length.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// parse checks a whole file and gives its tensors, sorted by name, their Data
// aliasing b, and its metadata. Its memory is in proportion to the header.
func parse(file string, b []byte) ([]Tensor, map[string]string, error) {
	fail := func(want, format string, args ...any) ([]Tensor, map[string]string, error) {
		return nil, nil, &Error{File: file, Want: want, Got: fmt.Sprintf(format, args...)}
	}
	if len(b) < 8 {
		return fail("at least 8 bytes", "%d", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader {
		return fail(fmt.Sprintf("a header of at most %d bytes", maxHeader), "%d", n)
	}
	if n > uint64(len(b)-8) {
		return fail(fmt.Sprintf("%d bytes of header", n), "a file that has %d bytes left", len(b)-8)
	}
	header, data := b[8:8+n], b[8+n:]
	if len(header) == 0 || header[0] != '{' {
		return fail("a header that begins with {", "%s", fileerror.Quote(string(header[:min(len(header), 16)])))
	}
	if !utf8.Valid(header) {
		return fail("a header in UTF-8", "other bytes")
	}

	if err := isText(header); err != nil {
		return nil, nil, inFile(file, err)
	}

	var tensors []placed
	metadata := map[string]string{}
	p := newJSONParser(file, header)
	err := p.object(func(key string) error {
		if key == metadataKey {
			return p.object(func(key string) (err error) {
				metadata[key], err = p.str()
				return err
			})
		}
		t, err := p.tensor(key)
		tensors = append(tensors, t)
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err == nil {
		err = place(tensors, data)
	}
	if err != nil {
		return nil, nil, inFile(file, err)
	}
	out := make([]Tensor, len(tensors))
	for i, t := range tensors {
		out[i] = t.Tensor
	}
	slices.SortFunc(out, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return out, metadata, nil
}

// placed is a tensor and the part of the data that the header gives it.
type placed struct {
	Tensor
	begin, end int
}

// tensor reads {"dtype": …, "shape": […], "data_offsets": [begin, end]}.
func (p jsonParser) tensor(name string) (placed, error) {
	t := placed{Tensor: Tensor{Name: name, file: p.file}}
	var offsets []int
	err := p.object(func(key string) (err error) {
		switch key {
		case "dtype":
			var s string
			s, err = p.str()
			t.DType = DType(s)
		case "shape":
			t.Shape, err = p.ints()
		case "data_offsets":
			offsets, err = p.ints()
		default:
			err = &Error{Want: "dtype, shape and data_offsets", Got: fileerror.Quote(key)}
		}
		return err
	})
	switch {
	case err != nil:
	case t.DType == "":
		err = &Error{Want: "a dtype", Got: "none"}
	case t.DType.size() == 0:
		err = &Error{Want: dtypeNames, Got: fileerror.Quote(string(t.DType))}
	case t.Shape == nil:
		err = &Error{Want: "a shape", Got: "none"}
	case len(offsets) != 2:
		err = &Error{Want: "two data_offsets", Got: strconv.Itoa(len(offsets))}
	default:
		t.begin, t.end = offsets[0], offsets[1]
	}
	return t, inTensor(name, err)
}

// place gives each tensor its bytes. The tensors must follow each other without gap
// or overlap and fill data exactly, and each part must be as long as its shape says.
func place(tensors []placed, data []byte) error {
	slices.SortFunc(tensors, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	at := 0
	for i := range tensors {
		t := &tensors[i]
		got := fmt.Sprintf("data_offsets [%d %d]", t.begin, t.end)
		if t.begin != at {
			return &Error{Tensor: t.Name, Want: fmt.Sprintf("data that begin at %d, where the tensor before ends",
				at), Got: got}
		}
		if t.end < t.begin || t.end > len(data) {
			return &Error{Tensor: t.Name, Want: fmt.Sprintf("an end from %d to %d, where the file ends", t.begin,
				len(data)),
				Got: got}
		}
		n, ok := elements(t.Shape)
		if !ok || n > math.MaxInt/t.DType.size() {
			return &Error{Tensor: t.Name, Want: "a shape whose size fits 64 bits", Got: fileerror.Shape(t.Shape)}
		}
		if bytes := n * t.DType.size(); bytes != t.end-t.begin {
			return &Error{Tensor: t.Name, Want: fmt.Sprintf("%d bytes for %s %s", bytes, t.DType,
				fileerror.Shape(t.Shape)),
				Got: strconv.Itoa(t.end - t.begin)}
		}
		t.Data = data[t.begin:t.end:t.end]
		at = t.end
	}
	if at != len(data) {
		return &Error{Want: fmt.Sprintf("%d bytes of tensors", at), Got: strconv.Itoa(len(data))}
	}
	return nil
}

// elements is the product of shape; false if it (zeros left aside) overflows, so that
// strides and element counts taken from a checked shape cannot.
func elements(shape []int) (int, bool) {
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, false
		case d == 0:
			zero = true
		case n > math.MaxInt/d:
			return 0, false
		default:
			n *= d
		}
	}
	if zero {
		return 0, true
	}
	return n, true
}
