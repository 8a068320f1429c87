package ops

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// TestMultiLoRAAtTheStart: with s = 0 the layer is the base's bit for bit in every
// storage type, a and b have gradients of exactly 0, and s has not.
func TestMultiLoRAAtTheStart(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, in, out = 70, 33, 50
		for _, o := range []MultiLoRA{
			{Modules: 3, Rank: 4, Scale: 2},
			{Modules: 2, Rank: 5, Scale: 1, PerOutput: true, Dropout: 0.1},
		} {
			for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
				tape := autograd.NewTape(d)
				of := func(seed uint64, dt tensor.DType, rows, cols int) *tensor.Tensor {
					return d.FromFloat32s(dt, randomHeads(seed, 1, rows, 1, cols).data, rows, cols)
				}
				x, w, bias := autograd.Const(of(1, dt, rows, in)), autograd.Const(of(2, dt, out, in)),
					autograd.Const(of(3, dt, 1, out).Reshape(out))
				rank := o.Modules * o.Rank
				a, b := tape.Leaf(of(4, tensor.F32, rank, in)), tape.Leaf(of(5, tensor.F32, out, rank))
				shape := []int{o.Modules}
				if o.PerOutput {
					shape = append(shape, out)
				}
				s := tape.Leaf(d.FromFloat32s(tensor.F32, make([]float32, tensor.Numel(shape)), shape...))
				y, base := MultiLoRALinear(x, w, bias, a, b, s, o), Linear(x, w, bias)
				bytes := func(v *Var) []byte {
					data, err := v.Tensor().RawBytes()
					if err != nil {
						t.Fatal(err)
					}
					return data
				}
				if !slices.Equal(bytes(y), bytes(base)) {
					t.Errorf("%s: not the base's bits", dt)
				}
				tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{of(6, dt, rows, out)})
				for name, v := range map[string]*Var{"a": a, "b": b, "s": s} {
					grad, err := tape.Grad(v).Float32s()
					if err != nil {
						t.Fatal(err)
					}
					zeros := 0
					for _, g := range grad {
						if g == 0 {
							zeros++
						}
					}
					if name != "s" && zeros != len(grad) {
						t.Errorf("%s: gradient of %s is not 0 in %d of %d elements", dt, name, len(grad)-zeros,
							len(grad))
					}
					if name == "s" && zeros != 0 {
						t.Errorf("%s: gradient of s is 0 in %d of %d elements", dt, zeros, len(grad))
					}
				}
				tape.Close()
			}
		}
	})
}

// TestMultiLoRAIsItsModules compares the fused layer with the base plus every module's
// own two products.
func TestMultiLoRAIsItsModules(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, in, out, modules, rank, scale = 9, 11, 13, 3, 2, 0.75
		of := func(seed uint64, rows, cols int) *Var {
			return autograd.Const(d.FromFloat32s(tensor.F32, randomHeads(seed, 1, rows, 1, cols).data, rows, cols))
		}
		x, w, a, b := of(1, rows, in), of(2, out, in), of(3, modules*rank, in), of(4, out, modules*rank)
		for _, perOutput := range []bool{false, true} {
			s := of(5, modules, out)
			if !perOutput {
				s = autograd.Const(s.Tensor().View(0, modules))
			}
			want := Linear(x, w, nil)
			for i := range modules {
				ai, bi := Slice(a, 0, i*rank, (i+1)*rank), Slice(b, 1, i*rank, (i+1)*rank)
				part := Linear(Linear(x, ai, nil), bi, nil)
				if perOutput {
					part = Mul(part, autograd.Const(s.Tensor().View(i*out, out)))
				} else {
					part = Mul(part, autograd.Const(s.Tensor().View(i, 1).Reshape()))
				}
				want = Add(want, Scale(part, scale, 0))
			}
			got := MultiLoRALinear(x, w, nil, a, b, s,
				MultiLoRA{Modules: modules, Rank: rank, Scale: scale, PerOutput: perOutput})
			g, err := got.Tensor().Float32s()
			if err != nil {
				t.Fatal(err)
			}
			u, err := want.Tensor().Float32s()
			if err != nil {
				t.Fatal(err)
			}
			mustBeNear(t, "y", heads{data: g}, heads{data: u})
		}
	})
}

// TestFrozenWeightCostsNothing: no kernel of the size of the weight's gradient runs.
func TestFrozenWeightCostsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, in, out = 3, 64, 48
		zeros := func(shape ...int) *tensor.Tensor {
			return d.FromFloat32s(tensor.F32, make([]float32, tensor.Numel(shape)), shape...)
		}
		tape := autograd.NewTape(d)
		defer tape.Close()
		y := MultiLoRALinear(tape.Leaf(zeros(rows, in)), autograd.Const(zeros(out, in)), nil,
			tape.Leaf(zeros(2, in)), tape.Leaf(zeros(out, 2)), tape.Leaf(zeros(1)),
			MultiLoRA{Modules: 1, Rank: 2, Scale: 1})
		d.Trace(func(k tensor.Kernel, args []*tensor.Tensor) {
			if args[0] != nil && args[0].Numel() == in*out {
				t.Errorf("%s wrote %s, as large as the frozen weight", k.Name(), args[0])
			}
		})
		tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{zeros(rows, out)})
	})
}
