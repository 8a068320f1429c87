//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

const absent = tensor.DType(255) // an optional argument not given

// pair is the device and the CPU's plain loops, which must agree.
type pair struct {
	subject, reference *tensor.Device
	margin             int // elements before and behind every argument, which nobody may write
}

func newPair(t *testing.T) pair {
	return pair{openDevice(t, vulkan.Options{}), tensor.NewDevice(plainCPU(t)), 8}
}

// run runs a kernel on both and compares everything that it writes, and what lies around it.
// Inputs take their elements from value in turn; outputs hold NaN.
func (p pair) run(t *testing.T, k shaders.Kernel, value func() float64, dts ...tensor.DType) {
	t.Helper()
	desc, _ := shaders.Find(k.Name())
	lens := k.Lens(nil)
	host := make([][]float64, len(dts))
	for i, n := range lens {
		if n < 0 { // of any length: the first one's
			n, lens[i] = lens[0], lens[0]
		}
		host[i] = make([]float64, n+2*p.margin)
		for j := range host[i] {
			if dts[i] < tensor.Q8 || dts[i] == absent { // a block of another number would be none
				host[i][j] = math.NaN()
			}
			if desc.Args[i].Read && j >= p.margin && j < p.margin+n {
				host[i][j] = value()
			}
		}
	}
	results := func(d *tensor.Device) [][]float64 {
		scope := d.Scope()
		defer scope.Close()
		whole, args := make([]*tensor.Tensor, len(dts)), make([]*tensor.Tensor, len(dts))
		for i, values := range host {
			switch dts[i] {
			case absent:
				continue
			case tensor.I32:
				ints := make([]int32, len(values))
				for j, v := range values {
					ints[j] = int32(max(math.MinInt32, math.Floor(v)))
				}
				whole[i] = d.FromInt32s(ints, len(ints))
			default:
				whole[i] = d.FromFloat64s(dts[i], values, len(values))
			}
			args[i] = whole[i].View(p.margin, lens[i])
		}
		d.Run(k, args...)
		all := make([][]float64, len(dts))
		for i, b := range desc.Args {
			if !b.Written || dts[i] == absent {
				continue
			}
			var err error
			if dts[i] == tensor.I32 {
				var ints []int32
				ints, err = whole[i].Int32s()
				for _, v := range ints {
					all[i] = append(all[i], float64(v))
				}
			} else {
				all[i], err = whole[i].Float64s()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	want := results(p.reference)
	for i, got := range results(p.subject) {
		// One unit in the last place of 16 bits, what f32 sums lose, and more for those that cancel.
		relative := map[tensor.DType]float64{tensor.F32: 3e-6, tensor.F16: 0x1.1p-10, tensor.BF16: 0x1.1p-7}[dts[i]]
		for j, w := range want[i] {
			g := got[j]
			if g != w && !(math.IsNaN(g) && math.IsNaN(w)) && !(math.Abs(g-w) <= 1e-5+relative*math.Abs(w)) {
				t.Fatalf("%s%+v, %v: %s[%d] is %v, want %v", k.Name(), k, dts, desc.Bindings[i], j-p.margin, g, w)
			}
		}
	}
}

// normal gives random numbers, positive their magnitudes, cycle the numbers of a list in turn.
func normal() func() float64 { return random.NewStream(7, random.Test, 0, 0).Normal }

func positive() func() float64 {
	r := normal()
	return func() float64 { return math.Abs(r()) }
}

func cycle(list ...float64) func() float64 {
	i := -1
	return func() float64 {
		i++
		return list[i%len(list)]
	}
}

// Sizes below, at and above those of a workgroup, of its block and of its columns.
func TestKernelsAroundTheirTiles(t *testing.T) {
	p := newPair(t)
	const f32, f16, bf16, i32 = tensor.F32, tensor.F16, tensor.BF16, tensor.I32
	for i, n := range []int{1, 2, 3, 4, 5, 31, 33, 63, 64, 65, 255, 256, 257, 1021, 1024, 2048} {
		p.margin = 8 - 3*(i%2) // addresses that allow loads of four elements, and others
		p.run(t, kernels.Sub{N: n, M: n}, normal(), f16, f16, f32)
		p.run(t, kernels.Mul{N: 8 * n, M: 4}, normal(), f32, f32, bf16)
		p.run(t, kernels.Div{N: 3 * n, M: n}, positive(), f32, f32, f32)
		p.run(t, kernels.Scale{N: n, Alpha: 0.5, Beta: 3}, normal(), bf16, bf16)
		p.run(t, kernels.Fill{N: n, Value: 0.7}, nil, f16)
		p.run(t, kernels.Cast{N: n}, normal(), f16, bf16)
		p.run(t, kernels.SwiGLUGrad{N: n}, normal(), f32, f32, f32, f32, f32)
		p.run(t, kernels.SumSquares{N: 3 * n, Block: n}, normal(), f32, bf16)
		p.run(t, kernels.Softmax{Rows: 3, Dim: n}, normal(), f32, f32)
		p.run(t, kernels.SoftmaxGrad{Rows: 3, Dim: n}, normal(), f16, f16, f16)
		p.run(t, kernels.LogSoftmax{Rows: 3, Dim: n}, normal(), f32, f32)
		p.run(t, kernels.LogSoftmaxGrad{Rows: 3, Dim: n}, normal(), f16, f16, f16)
		p.run(t, kernels.CrossEntropy{Rows: 5, Vocab: n}, normal(), f32, f32, bf16, i32)
		p.run(t, kernels.CrossEntropyGrad{Rows: 5, Vocab: n, Scale: 0.5}, normal(), f16, f16, i32, f32, f32)
		p.run(t, kernels.LayerNorm{Rows: 3, Dim: n, Eps: 0.1}, normal(), f32, f32, f32, f32, absent, f16)
		p.run(t, kernels.LayerNormGrad{Rows: 3, Dim: n}, positive(), f32, f32, f32, absent, f32, f32)
		p.run(t, kernels.LayerNormGradWeight{Rows: 9, Dim: n, Acc: true}, normal(), f32, absent, bf16, bf16, f32, f32)
		p.run(t, kernels.LayerNormGradWeight{Rows: n, Dim: 11}, normal(), f32, f32, f32, f32, f32, f32)
		p.run(t, kernels.RMSNormGradWeight{Rows: n, Dim: 11, Acc: true}, normal(), f32, f32, f32, f32)
		p.run(t, kernels.RMSNormGradWeight{Rows: 17, Dim: n}, normal(), f32, f16, f16, f32)
		p.run(t, kernels.Sum{Outer: 3, N: n, Inner: 1, Scale: 0.5}, normal(), f32, f32)
		p.run(t, kernels.Sum{Outer: n, N: 3, Inner: 1, Scale: 1, Acc: true}, normal(), f16, f32)
		p.run(t, kernels.Sum{Outer: 2, N: 7, Inner: n, Scale: 2}, normal(), f32, bf16)
		p.run(t, kernels.Sum{Outer: 1, N: n, Inner: 5, Scale: 1, Acc: true}, normal(), f32, f32)
		p.run(t, kernels.Expand{Outer: 3, N: 2, Inner: n, Scale: 0.5}, normal(), f32, f32)
		p.run(t, kernels.Expand{Outer: 3, N: n, Inner: 1, Scale: 1}, normal(), f16, f16)
		p.run(t, kernels.LoRAScale{Out: n, Rank: 24, Modules: 3, Alpha: 0.5, PerOutput: i%4 == 0}, normal(), f32, f32, f32)
		p.run(t, kernels.Max{Outer: 2, N: n, Inner: 3}, normal(), f16, i32, f16)
		p.run(t, kernels.Max{Outer: 5, N: n, Inner: 1}, normal(), absent, i32, f32)
		p.run(t, kernels.MaxGrad{Outer: 2, N: 3, Inner: n}, positive(), f32, f32, i32)
		p.run(t, kernels.Embedding{Rows: n, Dim: 3, Vocab: 2}, normal(), bf16, f32, i32)
		p.run(t, kernels.Embedding{Rows: 3, Dim: n, Vocab: 2}, positive(), f32, f16, i32)
		p.run(t, kernels.RoPE{Rows: 5, Seq: 3, Heads: 3, Dim: 2 * n, Positions: 3, Sign: -1}, normal(), f16, f16, f32, absent)
		p.run(t, kernels.RoPE{Rows: n, Seq: 1, Heads: 3, Dim: 8, Positions: 2, Sign: 1}, normal(), f32, f32, f32, i32)
		p.run(t, kernels.Permute{D0: 1, D1: 1, D2: 2, D3: 3, D4: 5, D5: n, S2: 15 * n, S3: n, S4: 3 * n, S5: 1}, normal(),
			f16, f16)
		p.run(t, kernels.Permute{D0: 1, D1: 1, D2: 1, D3: 1, D4: n, D5: 4, S4: 1, S5: n}, normal(), bf16, bf16)
		p.run(t, kernels.Permute{D0: 3, D1: 1, D2: 2, D3: 1, D4: n, D5: 2, S0: 2, S2: 1, S4: 12, S5: 6}, normal(), f32, f32)
		p.run(t, kernels.EmbeddingGrad{Rows: n, Dim: 7, Vocab: 2}, normal(), f32, f16, i32)
		p.run(t, kernels.EmbeddingGrad{Rows: 9, Dim: n, Vocab: 3, Acc: true}, normal(), f32, f32, i32)
	}
}

// The kernels of the optimizers, which are no operations, with and without what is optional.
func TestOptimizerKernels(t *testing.T) {
	p := newPair(t)
	for _, n := range []int{1, 255, 256, 257, 1021} {
		adamw := kernels.AdamW{N: n, LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1,
			Correction1: 0.271, Correction2: 0.003}
		p.run(t, adamw, positive(), tensor.F32, tensor.F32, tensor.F32, tensor.F16, tensor.F32, tensor.F32)
		p.run(t, adamw, positive(), tensor.F32, tensor.F32, tensor.F32, tensor.BF16, tensor.F32, absent)
		p.run(t, adamw, positive(), tensor.F32, tensor.F32, tensor.F32, absent, tensor.F32, absent)
		sgd := kernels.SGD{N: n, LR: 0.1, Momentum: 0.9, WeightDecay: 0.05}
		p.run(t, sgd, normal(), tensor.F32, tensor.F32, tensor.F32, tensor.F32)
		p.run(t, sgd, normal(), tensor.F32, absent, tensor.F32, absent)
		for _, norm := range []float32{0, 0.5, 1e9} {
			p.run(t, kernels.ClipFactor{N: n, MaxNorm: norm}, positive(), tensor.F32, tensor.F32, tensor.F32)
		}
	}
}

// The mask of Dropout is package random's, number by number, as the CPU's is.
func TestDropoutMask(t *testing.T) {
	p := newPair(t)
	for _, rate := range []float32{0, 0.1, 0.5, 0.999} {
		k := kernels.Dropout{N: 70_001, P: rate, Key0: 0xa4093822, Key1: 0x299f31d0, Step: 5, Op: math.MaxUint32}
		p.run(t, k, cycle(1), tensor.F32, tensor.F32)
	}
}

// NaN, the infinities and numbers where a function changes its formula.
func TestSpecialNumbers(t *testing.T) {
	p := newPair(t)
	const f32 = tensor.F32
	inf, nan := math.Inf(1), math.NaN()
	numbers := []float64{
		0, inf, -inf, nan, 1, -1, 1e-20, -1e-20, 0.624, -0.624, 0.626, -0.626, 5, -5, 20, -20, 90, -90, 1e-30, 0.999999,
		1.000001, 1e30, -1e30, 3e38,
	}
	for f := kernels.FuncExp; f <= kernels.FuncSiLU; f++ {
		for i := range numbers { // each alone: an error names it
			p.run(t, kernels.Unary{N: 1, Func: f}, cycle(numbers[i]), f32, f32)
			p.run(t, kernels.UnaryGrad{N: 1, Func: f}, cycle(1, numbers[i]), f32, f32, f32)
		}
	}
	p.run(t, kernels.Max{Outer: 4, N: 5, Inner: 1}, cycle(-inf, -inf, 1, nan, 7, nan, -3, -inf, 0, 0, inf), f32,
		tensor.I32, f32)
	p.run(t, kernels.Max{Outer: 2, N: 3, Inner: 1}, cycle(-inf), f32, tensor.I32, f32)
	p.run(t, kernels.Softmax{Rows: 4, Dim: 4}, cycle(-inf, 0, 1, 2, nan, 0, 1, 2, -inf, -inf, -inf, -inf, 0, inf, 1, 2),
		f32, f32)
	p.run(t, kernels.CrossEntropy{Rows: 3, Vocab: 4}, cycle(-inf, -inf, -inf, -inf, 0, -inf, 3, 1, -inf, -2, nan, 0, 2, 3, 0),
		f32, f32, f32, tensor.I32)
	for _, label := range []float64{-100, -1, 0, 3, 4} {
		p.run(t, kernels.CrossEntropyGrad{Rows: 1, Vocab: 4, Scale: 1}, cycle(1, inf, nan, 2, label, 2), f32, f32,
			tensor.I32, f32, absent)
	}
	p.run(t, kernels.Embedding{Rows: 5, Dim: 6, Vocab: 2}, cycle(-1, 0, 1, 2, -inf), tensor.BF16, f32, tensor.I32)
	for _, norm := range []float32{0, 1} {
		p.run(t, kernels.ClipFactor{N: 3, MaxNorm: norm}, cycle(1, inf, 1), f32, f32, f32)
		p.run(t, kernels.ClipFactor{N: 3, MaxNorm: norm}, cycle(1, nan, 1), f32, f32, f32)
	}
	p.run(t, kernels.AdamW{N: 1, LR: 0.1, Beta1: 0.9, Beta2: 0.9, Correction1: 0.1, Correction2: 0.1},
		cycle(1, 2, 3, 4, 5, nan), f32, f32, f32, tensor.BF16, f32, f32)
	p.run(t, kernels.SGD{N: 1, LR: 1}, cycle(1, 2, 3, nan), f32, f32, f32, f32)
}

// Outputs below and above a workgroup's, columns of a module that are taken four at a time, one at a time, and more of them
// than a workgroup has invocations; every sum is there once.
func TestLoRAScaleGrad(t *testing.T) {
	p := newPair(t)
	for i, k := range []kernels.LoRAScaleGrad{{Out: 600, Rank: 24, Modules: 3}, {Out: 257, Rank: 15, Modules: 3},
		{Out: 5, Rank: 2600, Modules: 2}, {Out: 3, Rank: 601, Modules: 1}} {
		for _, k.PerOutput = range []bool{false, true} {
			k.Alpha, k.Acc = 0.5, i%2 == 0
			scales := k.Modules
			if k.PerOutput {
				scales *= k.Out
			}
			results := func(d *tensor.Device) (all []float64) {
				scope := d.Scope()
				defer scope.Close()
				r := normal()
				var args []*tensor.Tensor
				for _, n := range []int{k.Out * k.Rank, scales, k.Out * k.Rank, k.Out * k.Rank, scales} {
					values := make([]float64, n)
					for j := range values {
						values[j] = r()
					}
					args = append(args, d.FromFloat64s(tensor.F32, values, n))
				}
				d.Run(k, args...)
				for _, written := range args[:2] {
					values, err := written.Float64s()
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, values...)
				}
				return all
			}
			got := results(p.subject)
			for j, want := range results(p.reference) {
				if !(math.Abs(got[j]-want) <= 1e-5+3e-6*math.Abs(want)) {
					t.Fatalf("%+v: element %d of db and ds is %v, want %v", k, j, got[j], want)
				}
			}
		}
	}
}

// A part of less than a chunk, of a chunk, and of more, each with rank and columns of its own: the very numbers of the
// loops, in every type.
func TestLoRAMirror(t *testing.T) {
	p := newPair(t)
	r := normal()
	random := func(n int) (list []float32) {
		for range n {
			list = append(list, float32(r()))
		}
		return list
	}
	const chunk = 64
	//               at, from, elements, rank, columns, out, where scalings begin
	parts := []int32{0, 5, 33, 0, 0, 0, 0, 64, 40, 2 * 64, 0, 0, 0, 0, 192, 7, 12 * 11, 12, 4, 11, 2, 384, 200, 64, 4, 2, 16, 40}
	partOf := []int32{0, 1, 1, 2, 2, 2, 3}
	a, b, s, scales := random(200), random(264), random(80), random(4)
	for _, dt := range tensor.ActivationTypes() {
		for _, c := range []struct{ perOutput, s bool }{{false, true}, {true, true}, {false, false}} {
			k := kernels.LoRAMirror{N: len(partOf) * chunk, Chunk: chunk, Count: len(scales), PerOutput: c.perOutput}
			results := func(d *tensor.Device) []float64 {
				scope := d.Scope()
				defer scope.Close()
				vector := func(list []float32) *tensor.Tensor { return d.FromFloat32s(tensor.F32, list, len(list)) }
				y := d.New(dt, k.N)
				args := []*tensor.Tensor{y, vector(a), vector(b), nil, vector(scales), d.FromInt32s(parts, len(parts)),
					d.FromInt32s(partOf, len(partOf))}
				if c.s {
					args[3] = vector(s)
				}
				d.Run(k, args...)
				values, err := y.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				return values
			}
			if got, want := results(p.subject), results(p.reference); !slices.Equal(got, want) {
				t.Errorf("%v, %+v: got %v, want %v", dt, c, got, want)
			}
		}
	}
}

// Modules of layers of several ranks and outputs, the gradients of both, of B or of the scalings alone: against the loops in
// double precision, and what no layer has as it was.
func TestLoRAMirrorGrad(t *testing.T) {
	p := newPair(t)
	r := normal()
	random := func(n int) (list []float64) {
		for range n {
			list = append(list, float64(float32(r())))
		}
		return list
	}
	//               at, from, rank, first, columns, out, where scalings begin: two modules, three, and one of many outputs
	parts := []int32{0, 3, 8, 0, 4, 9, 1, 0, 3, 8, 4, 4, 9, 10, 256, 90, 3, 0, 1, 11, 19, 256, 90, 3, 1, 1, 11, 30, 256, 90, 3, 2, 1,
		11, 41, 512, 200, 5, 0, 5, 300, 52}
	db, ds, dbs, b, s, scales := random(1800), random(400), random(2100), random(1800), random(400), random(6)
	for _, c := range []struct{ perOutput, s, db, ds bool }{
		{false, true, true, true}, {true, true, true, true}, {false, true, true, false}, {true, true, false, true},
		{false, true, false, true}, {false, false, true, false},
	} {
		k := kernels.LoRAMirrorGrad{Count: len(scales), PerOutput: c.perOutput}
		results := func(d *tensor.Device, dt tensor.DType) []float64 {
			scope := d.Scope()
			defer scope.Close()
			vector := func(wanted bool, list []float64) *tensor.Tensor {
				if !wanted {
					return nil
				}
				return d.FromFloat64s(dt, list, len(list))
			}
			args := []*tensor.Tensor{vector(c.db, db), vector(c.ds, ds), vector(true, dbs), vector(true, b), vector(c.s, s),
				vector(true, scales), d.FromInt32s(parts, len(parts))}
			d.Run(k, args...)
			var all []float64
			for _, x := range args[:2] {
				if x != nil {
					values, err := x.Float64s()
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, values...)
				}
			}
			return all
		}
		got, want := results(p.subject, tensor.F32), results(p.reference, tensor.F64)
		for i := range want {
			if e := math.Abs(got[i] - want[i]); !(e <= 4e-6*(1+math.Abs(want[i]))) {
				t.Fatalf("%+v: element %d is %g, want %g", c, i, got[i], want[i])
			}
		}
	}
}
