package cpu_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

func openDevice(t *testing.T, o cpu.Options) *tensor.Device {
	t.Helper()
	b, err := cpu.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return testdevice.On(t, b)
}

func normals(n int, seed uint64) []float64 {
	r := random.NewStream(seed, random.Test, 0, 0)
	x := make([]float64, n)
	for i := range x {
		x[i] = r.Normal()
	}
	return x
}

// optimizerSizes reach below, to and beyond the elements of a task and of a pass.
var optimizerSizes = []int{1, 7, 2048, 2049, 1<<14 - 1, 1 << 14, 1<<14 + 1, 50_003}

// The fast AdamW and SGD agree with the loops in float64, with and without the
// optional arguments.
func TestOptimizerKernels(t *testing.T) {
	reference := openDevice(t, cpu.Options{PlainLoops: true})
	subjects := map[string]*tensor.Device{
		"plain": openDevice(t, cpu.Options{PlainLoops: true, Threads: 2}),
		"fast":  openDevice(t, cpu.Options{Threads: 2}),
	}
	for _, n := range optimizerSizes {
		adamw := kernels.AdamW{N: n, LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1,
			Correction1: 0.271, Correction2: 0.003}
		sgd := kernels.SGD{N: n, LR: 0.1, Momentum: 0.9, WeightDecay: 0.05}
		p, m, g := normals(n, 1), normals(n, 2), normals(n, 4)
		v := normals(n, 3)
		for i := range v {
			v[i] *= v[i]
		}
		// run gives the tensors that the kernels have written.
		run := func(d *tensor.Device, dt tensor.DType, half tensor.DType) [][]float64 {
			up := func(x []float64) *tensor.Tensor { return d.FromFloat64s(dt, x, len(x)) }
			clip := d.FromFloat64s(dt, []float64{0.25}, 1)
			p1, m1, v1, mirror := up(p), up(m), up(v), d.New(half, n)
			d.Run(adamw, p1, m1, v1, mirror, up(g), clip)
			p2, m2, v2 := up(p), up(m), up(v)
			d.Run(adamw, p2, m2, v2, nil, up(g), nil)
			p3, velocity := up(p), up(m)
			d.Run(sgd, p3, velocity, up(g), clip)
			p4 := up(p)
			d.Run(sgd, p4, nil, up(g), nil)
			var out [][]float64
			for _, x := range []*tensor.Tensor{p1, m1, v1, p2, m2, v2, p3, velocity, p4, mirror} {
				f, err := x.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, f)
			}
			return out
		}
		want := run(reference, tensor.F64, tensor.F64)
		for name, d := range subjects {
			for _, half := range []tensor.DType{tensor.F16, tensor.BF16} {
				got := run(d, tensor.F32, half)
				for k := range 9 {
					for i := range n {
						if diff := math.Abs(got[k][i] - want[k][i]); !(diff <= 1e-6*(1+math.Abs(want[k][i]))) {
							t.Fatalf("%s, %d elements, output %d, element %d: %g, want %g", name, n, k, i, got[k][i],
								want[k][i])
						}
					}
				}
				rounded, err := d.FromFloat64s(half, got[0], n).Float64s()
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got[9], rounded) {
					t.Errorf("%s, %d elements: the %s mirror is not the rounded parameters", name, n, half)
				}
			}
		}
	}
}

// Where the factor of the gradient is NaN, nothing that a step writes has other bits
// afterwards, whatever it held and whatever the gradient is.
func TestStepWithoutFactor(t *testing.T) {
	for name, o := range map[string]cpu.Options{"plain": {PlainLoops: true, Threads: 2}, "fast": {Threads: 2}} {
		d := openDevice(t, o)
		for _, n := range optimizerSizes {
			for _, half := range []tensor.DType{tensor.F16, tensor.BF16} {
				var written []*tensor.Tensor
				up := func(dt tensor.DType, seed uint64) *tensor.Tensor {
					x := d.FromFloat64s(dt, normals(n, seed), n)
					written = append(written, x)
					return x
				}
				g := d.FromFloat64s(tensor.F32, normals(n, 9), n)
				clip := d.FromFloat32s(tensor.F32, []float32{float32(math.NaN())}, 1)
				adamw := kernels.AdamW{N: n, LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1,
					Correction1: 0.1, Correction2: 0.001}
				sgd := kernels.SGD{N: n, LR: 0.1, Momentum: 0.9, WeightDecay: 0.05}
				var steps []func()
				for _, mirrored := range []bool{true, false} {
					p, m, v, mirror := up(tensor.F32, 1), up(tensor.F32, 2), up(tensor.F32, 3), up(half, 4)
					if !mirrored {
						mirror = nil
					}
					steps = append(steps, func() { d.Run(adamw, p, m, v, mirror, g, clip) })
				}
				for _, velocity := range []*tensor.Tensor{up(tensor.F32, 5), nil} {
					p := up(tensor.F32, 6)
					steps = append(steps, func() { d.Run(sgd, p, velocity, g, clip) })
				}
				var before [][]byte
				for _, x := range written {
					before = append(before, raw(t, x))
				}
				for _, step := range steps {
					step()
				}
				for i, x := range written {
					if !bytes.Equal(raw(t, x), before[i]) {
						t.Errorf("%s, %d elements, mirror %s: tensor %d has changed", name, n, half, i)
					}
				}
			}
		}
	}
}

func raw(t *testing.T, x *tensor.Tensor) []byte {
	t.Helper()
	b, err := x.RawBytes()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b)
}

func TestSumSquares(t *testing.T) {
	const block = 1 << 16
	for _, n := range []int{1, block - 1, block, block + 1, 3*block + 17} {
		x := normals(n, uint64(n))
		var first []float64
		for _, o := range []cpu.Options{{Threads: 1}, {Threads: 2}, {Threads: 5}, {Threads: 3, PlainLoops: true}} {
			d := openDevice(t, o)
			parts := (n + block - 1) / block
			partial := d.New(tensor.F32, parts)
			in := d.FromFloat64s(tensor.F32, x, n)
			d.Run(kernels.SumSquares{N: n, Block: block}, partial, in)
			got, err := partial.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			rounded, _ := in.Float64s()
			for k, g := range got {
				want := 0.0
				for _, v := range rounded[k*block : min((k+1)*block, n)] {
					want += v * v
				}
				if math.Abs(g-want) > 1e-7*want {
					t.Errorf("%+v, %d elements, block %d: %.9g, want %.9g", o, n, k, g, want)
				}
			}
			if first == nil {
				first = got
			}
			if !o.PlainLoops && !slices.Equal(first, got) {
				t.Errorf("%d threads give other bits than one", o.Threads)
			}
		}
	}
}

func TestClipFactor(t *testing.T) {
	d := openDevice(t, cpu.Options{})
	for _, c := range []struct {
		partial      []float32
		max          float32
		norm, factor float64
	}{
		{[]float32{9, 16}, 1, 5, 0.2},
		{[]float32{9, 16}, 10, 5, 1},
		{[]float32{9, 16}, 0, 5, 1},
		{[]float32{0}, 1, 0, 1},
		{[]float32{float32(math.Inf(1))}, 1, math.Inf(1), math.NaN()},
		{[]float32{float32(math.Inf(1))}, 0, math.Inf(1), math.NaN()},
		{[]float32{float32(math.NaN())}, 0, math.NaN(), math.NaN()},
		{[]float32{math.MaxFloat32, math.MaxFloat32}, 1e20, math.Sqrt(2 * math.MaxFloat32), 1},
		{[]float32{1, float32(math.NaN())}, 1, math.NaN(), math.NaN()},
	} {
		factor, norm := d.New(tensor.F32, 1), d.New(tensor.F32, 1)
		n := len(c.partial)
		d.Run(kernels.ClipFactor{N: n, MaxNorm: c.max}, factor, norm, d.FromFloat32s(tensor.F32, c.partial, n))
		f, _ := factor.Float64s()
		g, err := norm.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		same := func(a, b float64) bool {
			return a == b || math.Abs(a-b) < 1e-6*max(1, math.Abs(b)) || math.IsNaN(a) && math.IsNaN(b)
		}
		if !same(f[0], c.factor) || !same(g[0], c.norm) {
			t.Errorf("%v clipped at %g: factor %g, norm %g, want %g, %g", c.partial, c.max, f[0], g[0], c.factor,
				c.norm)
		}
	}
}
