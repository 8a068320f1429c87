package tensor

import (
	"fmt"
	"math/bits"
	"slices"
)

// Numel is the number of elements of a shape. A dimension below 1, or a product
// that does not fit an int, panics. (Messages print a copy: a caller's shape need not be on the heap.)
func Numel(shape []int) int {
	n := uint64(1)
	for _, d := range shape {
		if d < 1 {
			Panicf("shape", "dimension %d in %v: want at least 1", d, slices.Clone(shape))
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > 1<<56 {
			Panicf("shape", "%v has too many elements", slices.Clone(shape))
		}
		n = lo
	}
	return int(n)
}

// Shape is a copy of the dimensions.
func (t *Tensor) Shape() []int { return slices.Clone(t.must("shape").shape) }

// Rank is the number of dimensions.
func (t *Tensor) Rank() int { return len(t.must("rank").shape) }

// Dim is dimension i; negative i counts from the end.
func (t *Tensor) Dim(i int) int {
	t.must("dim")
	if i < 0 {
		i += len(t.shape)
	}
	if i < 0 || i >= len(t.shape) {
		Panicf("shape", "no dimension %d in %s", i, t)
	}
	return t.shape[i]
}

// Numel is the number of elements.
func (t *Tensor) Numel() int { return t.must("numel").n }

// SameShape reports whether t and u have equal dimensions.
func (t *Tensor) SameShape(u *Tensor) bool {
	return slices.Equal(t.must("same_shape").shape, u.must("same_shape").shape)
}

// HasShape reports whether the dimensions are exactly these.
func (t *Tensor) HasShape(shape ...int) bool {
	return slices.Equal(t.must("has_shape").shape, shape)
}

// Reshape is the same memory under other dimensions with as many elements. One
// dimension may be -1: it follows from the others.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	t.mustLive("reshape")
	v := newView(t, shape)
	s := v.shape
	free := slices.Index(s, -1)
	if free >= 0 {
		s[free] = 1
		s[free] = max(1, t.n/Numel(s))
	}
	if Numel(s) != t.n {
		Panicf("reshape", "%s has %d elements, which do not fit %v", t, t.n, slices.Clone(shape))
	}
	mustBeWholeBlocks("reshape", t.dtype, s)
	t.st.shared = true
	return v
}

// newView is t's memory under a shape of its own, in one allocation, as if it were all of t.
func newView(t *Tensor, shape []int) *Tensor {
	v := new(struct {
		Tensor
		dims [4]int
	})
	v.Tensor = *t
	v.shape = append(v.dims[:0], shape...)
	return &v.Tensor
}

// View is elements [from, from+numel(shape)) of the flat tensor under a shape of
// its own; it shares the memory.
func (t *Tensor) View(from int, shape ...int) *Tensor {
	t.mustLive("view")
	n := Numel(shape)
	if from < 0 || n > t.n || from > t.n-n {
		Panicf("view", "%d elements from %d on of %s, which has %d", n, from, t, t.n)
	}
	mustBeWholeBlocks("view", t.dtype, shape)
	t.st.shared = true
	v := newView(t, shape)
	v.n, v.off = n, t.off+t.dtype.Bytes(from)
	return v
}

// Whole is all of the memory that the tensor is a part of, a vector of its type, which may end behind the last tensor there,
// and at the element of it that is the tensor's first. It is for memory that holds this type alone.
func (t *Tensor) Whole() (all *Tensor, at int) {
	t.mustLive("whole")
	if t.dtype.IsQuantized() || t.st.borrowed {
		Panicf("whole", "%s is in blocks or borrowed: want numbers in memory of the device", t)
	}
	size := t.dtype.Bytes(1)
	n := t.st.bytes / size
	if n == 0 { // the device has failed
		return t, 0
	}
	t.st.shared = true
	return &Tensor{st: t.st, dtype: t.dtype, shape: []int{n}, n: n}, t.off / size
}

// Joined is tensors [n, ...] that lie one right behind the other in one memory as one tensor [sum of n, ...]; ok is false
// where they do not, or differ in more than n.
func Joined(ts ...*Tensor) (t *Tensor, ok bool) {
	if len(ts) == 0 {
		return nil, false
	}
	first := ts[0]
	first.mustLive("joined")
	shape, end := first.Shape(), first.off
	shape[0] = 0
	for _, x := range ts {
		x.mustLive("joined")
		if x.st != first.st || x.off != end || x.dtype != first.dtype || !slices.Equal(x.shape[1:], shape[1:]) {
			return nil, false
		}
		shape[0] += x.shape[0]
		end += x.Bytes()
	}
	first.st.shared = true
	return &Tensor{st: first.st, dtype: first.dtype, shape: shape, n: Numel(shape), off: first.off}, true
}

func (t *Tensor) String() string {
	switch {
	case t == nil:
		return "nil"
	case t.st == nil:
		return "a zero Tensor"
	}
	return fmt.Sprintf("%s%v", t.dtype, t.shape)
}
