package gguf

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/agora-ml/agora/internal/fileerror"
)

// place is the part of the data that the header gives a tensor.
type place struct {
	tensor int // its number
	begin  uint64
	size   int // bytes; -1 if the type is unknown
}

// place gives each tensor its bytes. The data begin behind the header, at a multiple of
// the alignment, and so does each tensor. As ggml wants it, the tensors follow each
// other without gap or overlap, in any order, and only padding follows the last. Where
// a tensor of unknown type ends, nobody knows: the next one may begin anywhere behind.
func (f *File) place(places []place, r *reader) error {
	if len(places) == 0 {
		if left := r.left(); left >= f.alignment {
			return &Error{Want: "the end of a file without tensors", Got: fmt.Sprintf("%d more bytes", left)}
		}
		return nil
	}
	start := padded(r.at, f.alignment)
	if start > len(r.b) {
		return &Error{Want: fmt.Sprintf("data that begin at byte %d", start),
			Got: fmt.Sprintf("a file of %d bytes", len(r.b))}
	}
	data := r.b[start:]
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.size, b.size), cmp.Compare(a.tensor, b.tensor))
	})
	at, known := 0, true // where the tensor before ends, if that is known
	for _, p := range places {
		t := &f.tensors[p.tensor]
		fail := func(format string, args ...any) error {
			return &Error{Tensor: t.Name, Want: fmt.Sprintf(format, args...), Got: fmt.Sprintf("offset %d", p.begin)}
		}
		if at = padded(at, f.alignment); known && p.begin != uint64(at) {
			return fail("data that begin at %d, where the tensor before ends", at)
		}
		if p.begin%uint64(f.alignment) != 0 {
			return fail("an offset that is a multiple of the alignment, %d", f.alignment)
		}
		if p.begin > uint64(len(data)) || p.size > len(data)-int(p.begin) {
			return fail("data of %s %s that end at %d, where the file ends", t.Type, fileerror.Shape(t.Shape),
				len(data))
		}
		at, known = int(p.begin), p.size >= 0
		if known {
			at += p.size
			t.Data = data[p.begin:at:at]
		}
	}
	if left := len(data) - at; known && left > padded(at, f.alignment)-at {
		return &Error{Want: fmt.Sprintf("%d bytes of tensors", at), Got: fmt.Sprint(len(data))}
	}
	return nil
}

// padded is the first multiple of alignment that is not below n.
func padded(n, alignment int) int { return (n + alignment - 1) &^ (alignment - 1) }

// size is the number of bytes of a tensor, -1 if the type is unknown. Elements and
// bytes must be below 2^62, zeros left aside, so that sums with them cannot overflow.
func size(typ Type, shape []int) (int, error) {
	block, bytes := typ.block()
	n, zero := 1, false
	for _, d := range shape {
		switch {
		case d == 0:
			zero = true
		case d < 0 || n > math.MaxInt/2/max(bytes, 1)/d:
			return 0, &Error{Want: "a shape whose size fits 62 bits", Got: fileerror.Shape(shape)}
		default:
			n *= d
		}
	}
	row := 1
	if len(shape) > 0 {
		row = shape[len(shape)-1]
	}
	switch {
	case block == 0:
		return -1, nil
	case row%block != 0:
		return 0, &Error{Want: fmt.Sprintf("rows of a multiple of %d elements for %s", block, typ),
			Got: fileerror.Shape(shape)}
	case zero:
		return 0, nil
	}
	return n / block * bytes, nil
}
