package multilora

import (
	"iter"
	"math"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/tensor"
)

// Numbers show what storage they have been through: those that were bf16 have no bits below
// its seventh, those that were q4 are few multiples of one step in each block. What a number
// may have been before is a range around it, half a step of each such storage to both sides,
// and two samples are of one model if their ranges meet. The type of the tensor is not
// asked: a q8 file loaded as f32 holds q8's numbers.

// narrow is a storage type of 16 bits.
type narrow struct {
	dtype tensor.DType
	round func(float32) float32
	bits  int // behind the point
	least int // exponent of the smallest normal number
}

var narrows = [...]narrow{
	{tensor.F16, func(v float32) float32 { return half.FromF16(half.ToF16(v)) }, 10, -14},
	{tensor.BF16, func(v float32) float32 { return half.FromBF16(half.ToBF16(v)) }, 7, -126},
}

// halfStep is half the distance between the type's numbers around v.
func (n narrow) halfStep(v float32) float64 {
	_, e := math.Frexp(float64(v)) // |v| is 0.5 to 1 times 2^e
	if v == 0 {
		e = n.least
	}
	return math.Ldexp(1, max(e-1, n.least)-n.bits-1)
}

// rounding is what storage the sample of a parameter has been through.
type rounding struct {
	values  []float32
	through [len(narrows)]bool
	// quantized is what blocks may have changed each number by; nil: nothing.
	quantized []float64
	// storage is the coarsest type of all.
	storage tensor.DType
}

// roundings are those of all parameters of a model.
func (f *Fingerprint) roundings() []rounding {
	list := make([]rounding, len(f.Tensors))
	var model [len(narrows)]bool // what any of its parameters has been through
	for i, t := range f.Tensors {
		r := &list[i]
		r.values = t.Values
		for k, n := range narrows {
			r.through[k] = all(t.Values, func(v float32) bool { return n.round(v) == v })
			model[k] = model[k] || r.through[k] && telling(t.Values)
		}
	}
	for i, t := range f.Tensors {
		r := &list[i]
		for k, n := range narrows {
			r.through[k] = r.through[k] && model[k]
			if r.through[k] {
				r.storage = n.dtype
			}
		}
		if len(t.Shape) > 1 && t.Shape[len(t.Shape)-1]%sampleLen == 0 {
			r.findBlocks()
		}
	}
	return list
}

// telling reports whether a storage type shows in a sample: ones and zeros are bf16 in every
// model.
func telling(values []float32) bool {
	seen := map[float32]bool{}
	for _, v := range values {
		if m, _ := math.Frexp(float64(v)); math.Abs(m) != 0.5 && m != 0 {
			seen[v] = true
		}
	}
	return len(seen) >= 4
}

func all(values []float32, is func(float32) bool) bool {
	for _, v := range values {
		if !is(v) {
			return false
		}
	}
	return true
}

// off is what rounding to 16 bits may have changed number i by, unless other has been
// through the same.
func (r *rounding) off(i int, other *rounding) (off float64) {
	for k, n := range narrows {
		if r.through[k] && (other == nil || !other.through[k]) {
			off += n.halfStep(r.values[i])
		}
	}
	return off
}

// findBlocks looks for blocks in the sample.
func (r *rounding) findBlocks() {
	off := make([]float64, len(r.values))
	for at := 0; at+sampleLen <= len(r.values); at += sampleLen {
		dt, ok := r.block(at, off[at:])
		if !ok {
			dt, ok = r.levels(at, off[at:])
		}
		if ok {
			r.storage, r.quantized = coarser(r.storage, dt), off
		}
	}
}

// coarser is the coarser of two types. A group of q4_k and its like that begins at 0 passes for one of u4.
func coarser(a, b tensor.DType) tensor.DType {
	if least := min(a, b); max(a, b) == tensor.U4 && least >= tensor.Q4_K && least <= tensor.Q6_K {
		return least
	}
	return max(a, b)
}

// block recognizes a block of q4, q5_0 or q8, also one that was rounded to 16 bits afterwards, and
// says what quantizing may have changed each of its numbers by.
func (r *rounding) block(at int, off []float64) (tensor.DType, bool) {
	values, f16 := r.values[at:at+sampleLen], narrows[0]
	most, where := 0.0, 0
	for i, v := range values {
		if a := math.Abs(float64(v)); a > most {
			most, where = a, i
		}
	}
	switch {
	case math.IsInf(most, 0) || math.IsNaN(most):
		return 0, false
	case most == 0: // of a block of tiny numbers the scale is 0 in f16
		for i := range values {
			off[i] = 127 * f16.halfStep(0)
		}
		return 0, true
	}
	slack := r.off(at+where, nil)
	for _, q := range []struct {
		dtype tensor.DType
		most  float64 // multiple of the step in a block
		edge  float64 // from here on a number may be a step off: there is a -8, but no 8
	}{{tensor.Q4, 8, 6.5}, {tensor.Q4, 7, 6.5}, {tensor.Q5_0, 16, 14.5}, {tensor.Q8, 127, 128}, {tensor.Q8, 128, 128}} {
		for step := range scales((most-slack)/q.most, (most+slack)/q.most) {
			if !r.multiples(at, step, q.most) {
				continue
			}
			for i, v := range values {
				a := math.Abs(float64(v))
				off[i] = step / 2
				if a > q.edge*step {
					off[i] = step
				}
				// The step was rounded to f16, and before that perhaps the number to bf16.
				off[i] += a*(0x1p-11+0x1p-8) + a/step*f16.halfStep(0)
			}
			return q.dtype, true
		}
	}
	return 0, false
}

// scales are the positive numbers of f16 from one number to another.
func scales(from, to float64) iter.Seq[float64] {
	return func(yield func(float64) bool) {
		for h := max(half.ToF16(float32(from)), 1) - 1; h < 0x7c00; h++ {
			s := float64(half.FromF16(h))
			if s > to || s > 0 && s >= from && !yield(s) {
				return
			}
		}
	}
}

// multiples reports whether a block is of multiples of a step, up to most of them, within what rounding
// to 16 bits has changed.
func (r *rounding) multiples(at int, step, most float64) bool {
	for i := range sampleLen {
		x := float64(r.values[at+i])
		q := math.Round(x / step)
		if math.Abs(q) > most || math.Abs(x-q*step) > r.off(at+i, nil) {
			return false
		}
	}
	return true
}

// comparison of two samples of a size.
type comparison struct {
	differ int // numbers that differ by more than rounding explains
	// twice are numbers that are neighbors in a type of 16 bits that both samples have been
	// through: one of them was rounded to the other such type first, and lay halfway then.
	// That becomes one number of 16 on the way through f16 to bf16.
	twice int
	most  float64 // by which those that differ do, or else those rounded twice
}

func (r *rounding) compare(other *rounding) (c comparison) {
	var most [2]float64
	for i, v := range r.values {
		w := other.values[i]
		if math.Float32bits(v) == math.Float32bits(w) {
			continue
		}
		by, blocks := math.Abs(float64(v)-float64(w)), r.blockOff(i)+other.blockOff(i)
		switch {
		case by <= r.off(i, other)+other.off(i, r)+blocks:
		case by <= r.off(i, nil)+other.off(i, nil)+blocks:
			c.twice++
			most[1] = max(most[1], by)
		default: // NaN too
			c.differ++
			most[0] = max(most[0], by)
		}
	}
	c.most = most[0]
	if c.differ == 0 {
		c.most = most[1]
	}
	return c
}

// near reports whether samples differ by no more than rounding of sums, or of storage.
func (r *rounding) near(other *rounding) bool {
	largest := 0.0
	for _, v := range r.values {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, v := range r.values {
		a, b := float64(v), float64(other.values[i])
		may := r.off(i, nil) + other.off(i, nil) + r.blockOff(i) + other.blockOff(i) + 1e-6*largest
		if !(math.Abs(a-b) <= may) {
			return false
		}
	}
	return true
}

// blockOff is what quantizing may have changed number i by.
func (r *rounding) blockOff(i int) float64 {
	if r.quantized == nil {
		return 0
	}
	return r.quantized[i]
}
