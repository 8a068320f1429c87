package ops

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// A weight that is a parameter has a gradient to be added to, a bias that is a leaf a
// new one; and the other way round.
func TestLayerNormAddsToOneGradientAndMakesTheOther(t *testing.T) {
	d := testdevice.CPU(t, 1)
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 4, 3, 1, 5}, 2, 3))
	ones := d.FromFloat32s(tensor.F32, []float32{1, 1, 1}, 3)
	grads := func(weightIsParam, biasIsParam bool) (dw, db []float32) {
		tape := autograd.NewTape(d)
		defer tape.Close()
		operand := func(isParam bool) (*Var, func() *tensor.Tensor) {
			if !isParam {
				leaf := tape.Leaf(ones)
				return leaf, func() *tensor.Tensor { return tape.Grad(leaf) }
			}
			p := autograd.NewParam(ones)
			p.Grad = d.FromFloat32s(tensor.F32, []float32{0, 0, 0}, 3)
			return p.Var(), func() *tensor.Tensor { return p.Grad }
		}
		w, gradW := operand(weightIsParam)
		b, gradB := operand(biasIsParam)
		y := LayerNorm(x, w, b, 1e-5)
		tape.Backward(Sum(Mul(y, y)))
		dw, errW := gradW().Float32s()
		db, errB := gradB().Float32s()
		if errW != nil || errB != nil {
			t.Fatal(errW, errB)
		}
		return dw, db
	}
	wantW, wantB := grads(false, false)
	for _, params := range [][2]bool{{true, true}, {true, false}, {false, true}} {
		dw, db := grads(params[0], params[1])
		if !slices.Equal(dw, wantW) || !slices.Equal(db, wantB) {
			t.Errorf("parameters %v: gradients %v and %v, want %v and %v", params, dw, db, wantW, wantB)
		}
	}
}
