package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// A parameter's gradient that is forgotten becomes what it would as zeros, whichever type the parameter has: an operation is
// told to write into f32 memory where it else is told to add.
func TestForgottenGradients(t *testing.T) {
	d := testdevice.CPU(t, 2)
	ids := func(list ...int32) *Var { return autograd.Const(d.FromInt32s(list, len(list))) }
	for name, f := range map[string]func(x *Var) *Var{
		"gathered rows":      func(x *Var) *Var { return GatherRows(x, ids(1, 1, 2)) },
		"rows of a slice":    func(x *Var) *Var { return Slice(x, 0, 1, 3) },
		"columns of a slice": func(x *Var) *Var { return Slice(x, 1, 1, 2) },
		"expanded":           func(x *Var) *Var { return Expand(x, 3, 4, 2) },
		"times itself":       func(x *Var) *Var { return MatMul(x, x, false, true) },
		"squared":            func(x *Var) *Var { return Mul(x, x) },
		"twice":              func(x *Var) *Var { return Add(x, x) },
		"tied":               func(x *Var) *Var { return Linear(Embedding(x, ids(0, 3)), x, nil) },
	} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
			gradient := func(start float32, forget bool) []float32 {
				p := autograd.NewParam(d.FromFloat32s(dt, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 4, 2))
				p.Grad = d.FromFloat32s(tensor.F32, slices.Repeat([]float32{start}, 8), 4, 2)
				if forget {
					p.ForgetGrad()
				}
				tape := autograd.NewTape(d)
				tape.Backward(Sum(Cast(f(p.Var()), tensor.F32)))
				tape.Close()
				g, err := p.Grad.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				return g
			}
			if got, want := gradient(float32(math.NaN()), true), gradient(0, false); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %v forgotten, %v of zeros", name, dt, got, want)
			}
		}
	}
}
