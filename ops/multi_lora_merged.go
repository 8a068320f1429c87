package ops

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// mergeRows is how many rows, for each number of its sums, a product must have for the modules to be merged into its
// weight: W + bs a takes out in rank multiply-adds beside it and saves rows out rank of them on the way forward, rows in
// rank on the way back, where the sums are of in and of out numbers. From 2 on it costs at most half of what it saves, and
// is at most half as large as what the product writes.
const mergeRows = 2

// merges reports whether a product of the rows of x, or of its gradient, with the weight, of sums of k numbers, is made
// with the modules in the weight: of 32 or 64 bits that a product takes whole, as a sum rounded to fewer would lose them, and
// where all rows see the modules alike. Where kernels have a price, layers are computed together (MultiLoRALinears).
func (m *multiLoRA) merges(x *tensor.Tensor, k int) bool {
	d, dt := x.Device(), x.DType()
	wide := dt == tensor.F32 && !d.SplitsFactors() || dt == tensor.F64
	return wide && !m.drops && !d.Launches() && x.Numel()/x.Dim(-1) >= MergesFrom(k)
}

// MergesFrom is the rows from which an adapter of a layer with so many inputs is merged into its weight, in f32 on a device
// that does so: then its narrow product is not kept for the way back.
func MergesFrom(in int) int { return mergeRows * in }

// Pieces is the Tag of a scope in which a text is computed a piece at a time, and a prompt has the same bits in any pieces
// of more tokens than one. Modules are not merged there, as that depends on the rows.
type Pieces struct{}

func inPieces(d *tensor.Device) bool {
	for s := d.CurrentScope(); s != nil; s = s.Parent() {
		if _, ok := s.Tag.(Pieces); ok {
			return true
		}
	}
	return false
}

// mergedWeight is w + bs a, a new tensor of bs's type, for one product.
func (m *multiLoRA) mergedWeight(d *tensor.Device, w, a, bs *tensor.Tensor) *tensor.Tensor {
	out, in := w.Dim(0), w.Dim(1)
	merged := d.New(bs.DType(), out, in)
	k := kernels.Matmul{Batch: 1, M: out, N: in, K: bs.Dim(1), BiasRows: out}
	if w.DType().IsQuantized() { // which a product takes as its second matrix alone
		ids := make([]int32, out)
		for i := range ids {
			ids[i] = int32(i)
		}
		d.Run(kernels.Embedding{Rows: out, Dim: in, Vocab: out}, merged, w, d.FromInt32s(ids, out))
		w, k.Acc = nil, true
	}
	d.Run(k, merged, bs, a, w)
	return merged
}

// mergedProduct is x wᵀ + bias + plus, both of which may be nil, with a mergedWeight that is then freed.
func (m *multiLoRA) mergedProduct(f *autograd.Forward, x, w, bias, plus *tensor.Tensor) *tensor.Tensor {
	defer w.Free("a weight with the modules in it, used up")
	if bias == nil || plus == nil {
		return linear{}.product(f.Device, x, w, bias, plus)
	}
	y := linear{}.product(f.Device, x, w, bias, nil)
	f.Run(kernels.Add{N: y.Numel(), M: y.Numel()}, y, y, plus)
	return y
}

// keepsNarrow reports whether u is kept for Backward: where the gradients of b and s need it, unless the way forward had no
// use for it and x is there anyway.
func (m *multiLoRA) keepsNarrow(needs []bool) bool {
	return (needs[4] || needs[5]) && !(m.merged && (needs[1] || needs[3]))
}
