package multilora

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// DoRA (2402.09353) gives each row of W + ΔW a magnitude of its own, m:
//
//	y = m / |W + ΔW| (W x + ΔW x) + b
//
// No gradient goes through the norms |W + ΔW|, as section 4.3 of the paper proposes and PEFT does.

// gain holds the norms of the rows of W + ΔW, while nothing of them changes.
type gain struct {
	norms *tensor.Tensor // [out], f32
	known bool
}

// dora is Forward.
func (l *Linear) dora(x *nn.Var) *nn.Var {
	o, w := l.beside(x), l.Base.Weight.Var()
	o.Dropout = 0
	seen := ops.Dropout(x, l.options.Dropout)
	y := wide(ops.MultiLoRALinear(seen, w, nil, l.A.Var(), l.B.Var(), nil, o))
	y = ops.Mul(y, ops.Div(l.Magnitude.Var(), l.norms()))
	if seen.Tensor() != x.Tensor() { // the weight alone sees all of x
		y = ops.Add(y, wide(ops.Sub(ops.Linear(x, w, nil), ops.Linear(seen, w, nil))))
	}
	if bias := variable(l.Base.Bias); bias != nil {
		y = ops.Add(y, wide(bias))
	}
	return ops.Cast(y, x.Tensor().DType())
}

func wide(x *nn.Var) *nn.Var { return ops.Cast(x, tensor.F32) }

// norms are those of the rows of W + ΔW [out], constants to a tape. While nobody trains the modules they are
// computed once.
func (l *Linear) norms() *nn.Var {
	if l.gain.known && !l.trains() {
		return autograd.Const(l.gain.norms)
	}
	d := l.gain.norms.Device()
	scope := d.Scope()
	defer scope.Close()
	// |w + ba|² = |w|² + 2 b·(a w) + b (a aᵀ) b for each row, without W + ΔW in memory.
	a, b := autograd.Const(l.A.Value), autograd.Const(l.scaledB())
	cross := ops.Mul(b, ops.Permute(ops.Linear(a, autograd.Const(l.Base.Weight.Use()), nil), 1, 0))
	square := ops.Mul(b, ops.MatMul(b, ops.MatMul(a, a, false, true), false, false))
	sum := ops.Add(ops.Scale(ops.Sum(cross, 1), 2, 0), ops.Sum(square, 1))
	assign(l.gain.norms, ops.Sqrt(ops.Add(squares(l.Base.Weight.Use()), sum)).Tensor())
	l.gain.known = true
	return autograd.Const(l.gain.norms)
}

// squares are the sums of the squares of the rows of a weight [out, in] in any storage type: [out].
func squares(w *tensor.Tensor) *nn.Var {
	const piece = 1 << 22 // numbers widened at once
	d, out := w.Device(), w.Dim(0)
	var parts []*nn.Var
	for from, step := 0, max(1, piece/w.Dim(1)); from < out; from += step {
		ids := make([]int32, min(step, out-from))
		for i := range ids {
			ids[i] = int32(from + i)
		}
		rows := ops.EmbeddingAs(autograd.Const(w), autograd.Const(d.FromInt32s(ids, len(ids))), tensor.F32)
		parts = append(parts, ops.Sum(ops.Mul(rows, rows), 1))
	}
	return ops.Concat(0, parts...)
}

// gains are m / |W + ΔW| of a layer [out]; nil: it has none.
func (l *Linear) gains() *tensor.Tensor {
	if l.Magnitude == nil {
		return nil
	}
	return ops.Div(autograd.Const(l.Magnitude.Value), l.norms()).Tensor()
}

// inRows repeats the numbers of rows [out] along them: [out, in].
func inRows(x *tensor.Tensor, in int) *nn.Var {
	return ops.Expand(ops.Reshape(autograd.Const(x), x.Dim(0), 1), x.Dim(0), in)
}

// lowRankAlone is an error of DoRA, whose changes are of any rank.
func (l *Linear) lowRankAlone() error {
	if l.Magnitude == nil {
		return nil
	}
	return fmt.Errorf("multilora: want a change of low rank, got one of method %s, which scales the weight's rows",
		MethodDoRA)
}
