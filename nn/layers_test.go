package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

func read(t testing.TB, x *tensor.Tensor) []float32 {
	t.Helper()
	v, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// near compares elements within 1e-5.
func near(t *testing.T, what string, got *tensor.Tensor, want ...float32) {
	t.Helper()
	v := read(t, got)
	if len(v) != len(want) {
		t.Fatalf("%s is %v, want %v", what, v, want)
	}
	for i := range v {
		if !(math.Abs(float64(v[i]-want[i])) <= 1e-5) {
			t.Errorf("%s is %v, want %v", what, v, want)
			return
		}
	}
}

func param(d *tensor.Device, shape []int, v ...float32) *Param {
	return autograd.NewParam(d.FromFloat32s(tensor.F32, v, shape...))
}

func TestLayersByHand(t *testing.T) {
	d := testdevice.CPU(t, 1)
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, -1, 0, 1}, 2, 3))
	linear := &Linear{Weight: param(d, []int{2, 3}, 1, 0, -1, 2, 1, 0), Bias: param(d, []int{2}, 10, 20)}
	near(t, "linear with bias", linear.Forward(x).Tensor(), 8, 24, 8, 18)
	linear.Bias = nil
	near(t, "linear", linear.Forward(x).Tensor(), -2, 4, -2, -2)
	double := Func(func(x *Var) *Var { return linear.Forward(x) })
	square := &Linear{Weight: param(d, []int{1, 2}, 1, 1)}
	near(t, "sequential", Sequential{double, square}.Forward(x).Tensor(), 2, -4)

	ids := autograd.Const(d.FromInt32s([]int32{2, 0}, 1, 2))
	e := &Embedding{Weight: param(d, []int{3, 2}, 1, 2, 3, 4, 5, 6)}
	y := e.Forward(ids)
	near(t, "embedding", y.Tensor(), 5, 6, 1, 2)
	if !slices.Equal(y.Shape(), []int{1, 2, 2}) {
		t.Errorf("embedding has shape %v, want [1 2 2]", y.Shape())
	}

	weights := NewInitializer(d, 1)
	row := autograd.Const(d.FromFloat32s(tensor.F32, []float32{3, 4}, 1, 2))
	rms := NewRMSNorm(weights, 2, 0)
	near(t, "RMS norm", rms.Forward(row).Tensor(), 3/float32(math.Sqrt(12.5)), 4/float32(math.Sqrt(12.5)))
	layer := NewLayerNorm(weights, 2, 0)
	layer.Bias = param(d, []int{2}, 5, 6)
	near(t, "layer norm", layer.Forward(row).Tensor(), 4, 7)

	mlp := &SwiGLU{
		Gate: &Linear{Weight: param(d, []int{1, 2}, 1, 0)}, Up: &Linear{Weight: param(d, []int{1, 2}, 0, 1)},
		Down: &Linear{Weight: param(d, []int{2, 1}, 1, -1)},
	}
	want := float32(3 / (1 + math.Exp(-3)) * 4)
	near(t, "SwiGLU", mlp.Forward(row).Tensor(), want, -want)
}

func TestDropoutOnlyWhileATapeRecords(t *testing.T) {
	d := testdevice.CPU(t, 1)
	x := autograd.Const(d.FromFloat32s(tensor.F32, slices.Repeat([]float32{1}, 1000), 1000))
	if got := read(t, Dropout{0.25}.Forward(x).Tensor()); slices.Contains(got, 0) {
		t.Error("dropout without a tape dropped something")
	}
	tape := autograd.NewTape(d)
	defer tape.Close()
	zeros := 0
	for _, v := range read(t, Dropout{0.25}.Forward(x).Tensor()) {
		if v == 0 {
			zeros++
		} else if v != 1/float32(0.75) {
			t.Fatalf("a kept element is %v, want 4/3", v)
		}
	}
	if zeros < 200 || zeros > 300 {
		t.Errorf("%d of 1000 dropped at 0.25", zeros)
	}
}

func TestInitialValues(t *testing.T) {
	d := testdevice.CPU(t, 1)
	moments := func(v []float32) (mean, deviation, largest float64) {
		for _, x := range v {
			mean += float64(x) / float64(len(v))
			largest = max(largest, math.Abs(float64(x)))
		}
		for _, x := range v {
			deviation += (float64(x) - mean) * (float64(x) - mean) / float64(len(v))
		}
		return mean, math.Sqrt(deviation), largest
	}
	weights := NewInitializer(d, 7)
	linear := NewLinear(weights, 100, 200, true)
	for name, p := range Params(linear) { // uniform within 0.1: deviation 0.1/sqrt(3)
		mean, deviation, largest := moments(read(t, p.Value))
		if !(math.Abs(mean) < 0.01 && math.Abs(deviation-0.0577) < 0.005 && largest > 0.095 && largest <= 0.1) {
			t.Errorf("%s of a linear layer: mean %v, deviation %v, largest %v; want uniform within 0.1",
				name, mean, deviation, largest)
		}
	}
	embedding := NewEmbedding(weights, 100, 100)
	mean, deviation, largest := moments(read(t, embedding.Weight.Value))
	if !(math.Abs(mean) < 0.05 && math.Abs(deviation-1) < 0.05 && largest > 3) {
		t.Errorf("embedding: mean %v, deviation %v, largest %v; want standard normal", mean, deviation, largest)
	}
	again := NewLinear(NewInitializer(d, 7), 100, 200, true)
	if !slices.Equal(read(t, again.Weight.Value), read(t, linear.Weight.Value)) {
		t.Error("the same seed gives other numbers")
	}
	second := NewLinear(weights, 100, 200, false)
	if slices.Equal(read(t, second.Weight.Value), read(t, linear.Weight.Value)) {
		t.Error("the second layer has the numbers of the first")
	}
}

// A new attention block gives the same for a sequence whether it comes whole or piece
// by piece through a cache, in one row or beside others.
func TestAttentionCache(t *testing.T) {
	d := testdevice.CPU(t, 1)
	const batch, tokens, dim, heads, kvHeads, headDim = 2, 7, 12, 4, 2, 4
	weights := NewInitializer(d, 3)
	a := NewAttention(weights, dim, heads, kvHeads, headDim)
	x := weights.Normal(1, batch, tokens, dim).Value
	whole := read(t, a.Forward(autograd.Const(x), Context{}).Tensor())

	for _, rows := range []int{1, batch} {
		cache := NewCache(d, tensor.F32, rows, tokens+1, kvHeads, headDim)
		segments := slices.Repeat([]int32{-1}, rows*(tokens+1))
		positions := make([]int32, len(segments))
		for from := 0; from < tokens; from += 3 {
			n := min(3, tokens-from)
			piece, at := d.New(tensor.F32, rows, n, dim), make([]int32, rows*n)
			var data []float32
			all := read(t, x)
			for r := range rows {
				data = append(data, all[(r*tokens+from)*dim:(r*tokens+from+n)*dim]...)
				for i := range n {
					positions[r*(tokens+1)+from+i], segments[r*(tokens+1)+from+i] = int32(from+i), 0
					at[r*n+i] = int32(from + i)
				}
			}
			piece.SetFloat32s(data)
			y := a.Forward(autograd.Const(piece), Context{
				Positions: autograd.Const(d.FromInt32s(at, rows, n)),
				Segments:  autograd.Const(d.FromInt32s(make([]int32, rows*n), rows, n)),
				Cache: &CacheUse{
					Cache: cache, Slot: from,
					Positions: autograd.Const(d.FromInt32s(positions, rows, tokens+1)),
					Segments:  autograd.Const(d.FromInt32s(segments, rows, tokens+1)),
				},
			})
			var want []float32
			for r := range rows {
				want = append(want, whole[(r*tokens+from)*dim:(r*tokens+from+n)*dim]...)
			}
			near(t, "a cached piece", y.Tensor(), want...)
		}
	}
}
