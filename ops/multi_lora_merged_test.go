package ops

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// mergedCase is an adapter beside a base that is size times as loud.
type mergedCase struct {
	rows, in, out int
	size          float32
	MultiLoRA
}

// run gives y and the gradients of x, a, b and s in one type, of the rows in pieces of so many.
func (c mergedCase) run(t *testing.T, d *tensor.Device, dt tensor.DType, piece int) (results [5][]float64) {
	t.Helper()
	numbers := func(seed uint64, size float32, rows, cols int) []float32 {
		data := randomHeads(seed, 1, rows, 1, cols).data
		for i := range data {
			data[i] *= size
		}
		return data
	}
	rank := c.Modules * c.Rank
	x, dy := numbers(1, 1, c.rows, c.in), numbers(2, 1, c.rows, c.out)
	for from := 0; from < c.rows; from += piece {
		tape := autograd.NewTape(d)
		part := func(all []float32, cols int) *tensor.Tensor {
			return d.FromFloat32s(dt, all[from*cols:(from+piece)*cols], piece, cols)
		}
		w := d.FromFloat32s(dt, numbers(3, c.size, c.out, c.in), c.out, c.in)
		in := []*Var{tape.Leaf(part(x, c.in)), tape.Leaf(d.FromFloat32s(dt, numbers(4, 1, rank, c.in), rank, c.in)),
			tape.Leaf(d.FromFloat32s(dt, numbers(5, 1, c.out, rank), c.out, rank)),
			tape.Leaf(d.FromFloat32s(dt, numbers(6, 1, 1, c.Modules), c.Modules))}
		y := MultiLoRALinear(in[0], autograd.Const(w), nil, in[1], in[2], in[3], c.MultiLoRA)
		tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{part(dy, c.out)})
		for i, v := range []*tensor.Tensor{y.Tensor(), tape.Grad(in[0]), tape.Grad(in[1]), tape.Grad(in[2]), tape.Grad(in[3])} {
			data, err := v.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			if i < 2 || from == 0 {
				results[i] = append(results[i], data...)
				continue
			}
			for j, g := range data {
				results[i][j] += g
			}
		}
		tape.Close()
	}
	return results
}

// apart is |a - b| / |b|.
func apart(a, b []float64) float64 {
	var wrong, all float64
	for i := range b {
		wrong += (a[i] - b[i]) * (a[i] - b[i])
		all += b[i] * b[i]
	}
	return math.Sqrt(wrong / all)
}

// Modules that are merged for many rows give what they give beside the base, where the rows come in halves: also where the
// base is a million times as loud, within twice the rounding error that they have there.
func TestMergedModules(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		for _, size := range []float32{1, 1e3, 1e6} {
			c := mergedCase{rows: 142, in: 71, out: 67, size: size, MultiLoRA: MultiLoRA{Modules: 3, Rank: 5, Scale: 0.5}}
			want := c.run(t, d, tensor.F64, c.rows)
			merged, beside := c.run(t, d, tensor.F32, c.rows), c.run(t, d, tensor.F32, c.rows/2)
			for i, name := range []string{"y", "gradient of x", "gradient of a", "gradient of b", "gradient of s"} {
				if e, had := apart(merged[i], want[i]), apart(beside[i], want[i]); !(e <= 2*had+1e-7 && e < 1e-6) {
					t.Errorf("base of size %g: %s is %.2g of its norm off, beside the base %.2g", size, name, e, had)
				}
			}
		}
	})
}

// products are those of a call and of its way back, in their order: rows x columns x sums.
func (c mergedCase) products(t *testing.T, d *tensor.Device, x tensor.DType, trains bool) (forward, backward []string) {
	t.Helper()
	zeros := func(dt tensor.DType, shape ...int) *tensor.Tensor {
		return d.FromFloat32s(dt, make([]float32, tensor.Numel(shape)), shape...)
	}
	var list []string
	stop := d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) {
		if k, ok := k.(kernels.Matmul); ok {
			list = append(list, fmt.Sprintf("%dx%dx%d", k.M, k.N, k.K))
		}
	})
	defer stop()
	tape := autograd.NewTape(d)
	defer tape.Close()
	rank := c.Modules * c.Rank
	a := autograd.Const(zeros(tensor.F32, rank, c.in))
	if trains {
		a = tape.Leaf(a.Tensor())
	}
	y := MultiLoRALinear(tape.Leaf(zeros(x, c.rows, c.in)), autograd.Const(zeros(x, c.out, c.in)), nil, a,
		tape.Leaf(zeros(tensor.F32, c.out, rank)), nil, c.MultiLoRA)
	forward = list
	list = nil
	tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{zeros(x, c.rows, c.out)})
	return forward, list
}

// What is merged when: each way by the length of its own sums, in training, in f32 and without dropout. u is made on the
// way back, where x is there for the gradient of a.
func TestMergedProducts(t *testing.T) {
	lora := MultiLoRA{Modules: 1, Rank: 3, Scale: 1}
	dropped := lora
	dropped.Dropout = 0.5
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		for _, tt := range []struct {
			name string
			mergedCase
			dt                tensor.DType
			frozen            bool // a
			forward, backward []string
		}{
			{"both ways", mergedCase{40, 20, 20, 1, lora}, tensor.F32, false, []string{"20x20x3", "40x20x20"},
				[]string{"40x3x20", "20x20x3", "40x20x20", "40x3x20", "3x20x40", "20x3x40"}},
			{"too few rows", mergedCase{39, 20, 20, 1, lora}, tensor.F32, false, []string{"39x3x20", "39x20x20", "39x20x3"},
				[]string{"39x20x20", "39x3x20", "39x20x3", "3x20x39", "20x3x39"}},
			{"on the way forward", mergedCase{40, 20, 30, 1, lora}, tensor.F32, false, []string{"30x20x3", "40x30x20"},
				[]string{"40x3x20", "40x20x30", "40x3x30", "40x20x3", "3x20x40", "30x3x40"}},
			{"on the way back", mergedCase{40, 30, 20, 1, lora}, tensor.F32, false, []string{"40x3x30", "40x20x30", "40x20x3"},
				[]string{"20x30x3", "40x30x20", "40x3x20", "3x30x40", "20x3x40"}},
			{"a frozen", mergedCase{40, 20, 20, 1, lora}, tensor.F32, true, []string{"20x20x3", "40x20x20", "40x3x20"},
				[]string{"20x20x3", "40x20x20", "20x3x40"}},
			{"dropout", mergedCase{40, 20, 20, 1, dropped}, tensor.F32, false, []string{"40x3x20", "40x20x20", "40x20x3"},
				[]string{"40x20x20", "40x3x20", "40x20x3", "3x20x40", "20x3x40"}},
			{"16 bits", mergedCase{40, 20, 20, 1, lora}, tensor.BF16, false, []string{"40x3x20", "40x20x20", "40x20x3"},
				[]string{"40x20x20", "40x3x20", "40x20x3", "3x20x40", "20x3x40"}},
		} {
			forward, backward := tt.products(t, d, tt.dt, !tt.frozen)
			if !slices.Equal(forward, tt.forward) || !slices.Equal(backward, tt.backward) {
				t.Errorf("%s: products %v, back %v, want %v, %v", tt.name, forward, backward, tt.forward, tt.backward)
			}
		}
	})
}

// Without a tape modules are merged as well, to the bits of a training step; not where a text comes in pieces.
func TestMergedWithoutTape(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const rows, in, out, rank = 40, 20, 20, 3
		numbers := func(seed uint64, shape ...int) *Var {
			n := tensor.Numel(shape)
			return autograd.Const(d.FromFloat32s(tensor.F32, randomHeads(seed, 1, n, 1, 1).data, shape...))
		}
		x, w, a, b := numbers(1, rows, in), numbers(2, out, in), numbers(3, rank, in), numbers(4, out, rank)
		merged := false
		d.Trace(func(k tensor.Kernel, args []*tensor.Tensor) { merged = merged || args[0].HasShape(out, in) })
		forward := func() []float32 {
			merged = false
			y, err := MultiLoRALinear(x, w, nil, a, b, nil, MultiLoRA{Modules: 1, Rank: rank, Scale: 1}).Tensor().Float32s()
			if err != nil {
				t.Fatal(err)
			}
			return y
		}
		tape := autograd.NewTape(d)
		step := forward()
		tape.Close()
		if evaluated := forward(); !merged || !slices.Equal(evaluated, step) {
			t.Errorf("without a tape: merged %v, want it and the bits with one", merged)
		}
		scope := d.Scope()
		scope.Tag = Pieces{}
		d.Scope() // as a segment
		if forward(); merged {
			t.Error("in pieces: merged")
		}
		scope.Close()
	})
}
