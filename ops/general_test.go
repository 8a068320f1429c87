package ops

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/optest"
	"github.com/agora-ml/agora/tensor"
)

func contains(err error, s string) bool { return strings.Contains(err.Error(), s) }

func row(d *tensor.Device, v ...float64) *Var {
	return autograd.Const(d.FromFloat64s(tensor.F32, v, len(v)))
}

var nan, inf = math.NaN(), math.Inf(1)

// What PyTorch gives where numbers end.
func TestEdgesOfElementwise(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		x, zero := row(d, -inf, -2, -0.5, 0, nan, inf), autograd.Const(d.FromFloat32s(tensor.F32, []float32{0}))
		wantInts(t, Equal(x, x), 1, 1, 1, 1, 0, 1)
		wantInts(t, NotEqual(x, x), 0, 0, 0, 0, 1, 0)
		wantInts(t, Less(x, zero), 1, 1, 1, 0, 0, 0)
		wantInts(t, LessEqual(x, zero), 1, 1, 1, 1, 0, 0)
		wantInts(t, Greater(x, zero), 0, 0, 0, 0, 0, 1)
		wantInts(t, GreaterEqual(x, zero), 0, 0, 0, 1, 0, 1)
		wantNear(t, Clamp(x, -1, 1), -1, -1, -0.5, 0, nan, 1)
		wantNear(t, Where(Greater(x, x), x, zero), 0, 0, 0, 0, 0, 0) // a NaN that is not chosen does not show
		wantNear(t, Pow(row(d, -2, -2, 0, 4, -0.5), 2), 4, 4, 0, 16, 0.25)
		wantNear(t, Pow(row(d, -2, 0, 2), 3), -8, 0, 8)
		wantNear(t, Pow(row(d, -2, 0, 4), 0.5), nan, 0, 2)
		wantNear(t, Pow(row(d, -2, 0, 4), -1), -0.5, inf, 0.25)
		wantNear(t, Pow(row(d, nan, 0, 4), 0), 1, 1, 1)
	})
}

func TestGatherAndScatter(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4, 5, 6}, 2, 3))
		index := autograd.Const(d.FromInt32s([]int32{2, 2, 0, 3, -1, 1, 1, 0}, 2, 4))
		wantNear(t, Gather(x, 1, index), 3, 3, 1, nan, nan, 5, 5, 4)
		add := autograd.Const(d.FromFloat32s(tensor.F32, []float32{10, 20, 30, 1000, 1000, 40, 50, 60}, 2, 4))
		wantNear(t, ScatterAdd(x, -1, index, add), 31, 2, 33, 64, 95, 6)
	})
}

func TestPoolEdges(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		x := autograd.Const(d.FromFloat64s(tensor.F32, []float64{-1, -2, -3, -4, nan, -6, -7, -8, -inf}, 1, 1, 3, 3))
		// What is outside is never the largest, but counts in the mean.
		o := PoolOptions{Kernel: [2]int{2, 2}, Stride: [2]int{2, 2}, Padding: [2]int{1, 1}}
		wantNear(t, MaxPool2D(x, o), -1, -2, -4, nan)
		wantNear(t, AvgPool2D(autograd.Const(d.FromFloat32s(tensor.F32, []float32{4, 8, 12, 16}, 1, 1, 2, 2)), o), 1, 2,
			3, 4)
		// The first of equal ones gets the gradient.
		tape := autograd.NewTape(d)
		defer tape.Close()
		tied := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{5, 5, 5, 5}, 1, 1, 2, 2))
		tape.Backward(Sum(MaxPool2D(tied, PoolOptions{Kernel: [2]int{2, 2}})))
		wantNear(t, autograd.Const(tape.Grad(tied)), 1, 0, 0, 0)
	})
}

// fronts are functions that are made of other operations, as an operation for optest.
type fronts struct{ add }

func (fronts) Examples() []autograd.Example {
	einsum := func(spec string, shapes ...[]int) autograd.Example {
		return autograd.Example{Name: spec, In: normal(autograd.Activation, shapes...),
			Call: call(func(in []*Var) *Var { return Einsum(spec, in...) })}
	}
	return []autograd.Example{
		einsum("bij,bjk->bik", []int{2, 3, 5}, []int{2, 5, 4}),
		einsum("bhqd,bhkd->bhqk", []int{2, 3, 5, 4}, []int{2, 3, 7, 4}),
		einsum("ij,kj->ki", []int{3, 5}, []int{4, 5}),
		einsum("i,j->ji", []int{3}, []int{4}),
		einsum("ij->j", []int{3, 5}),
		einsum("abc->cab", []int{2, 3, 4}),
		einsum("ij,ij->", []int{3, 5}, []int{3, 5}),
		einsum("ab,bc,cd->ad", []int{2, 3}, []int{3, 4}, []int{4, 5}),
		einsum("nchw,oc->nohw", []int{2, 3, 2, 4}, []int{5, 3}),
		{Name: "variance", In: normal(autograd.Activation, []int{3, 7, 2}),
			Call: call(func(in []*Var) *Var { return Variance(in[0], 1, 1) })},
		{Name: "stack", In: normal(autograd.Activation, []int{3, 2}, []int{3, 2}),
			Call: call(func(in []*Var) *Var { return Stack(1, in...) })},
		{Name: "split", In: normal(autograd.Activation, []int{3, 7}),
			Call: func(in []*Var) []*Var { return Split(in[0], 1, 2, 4, 1) }},
	}
}

func TestFrontsGradients(t *testing.T) {
	b, err := cpu.Open(cpu.Options{Threads: 1, PlainLoops: true})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	optest.Gradients(t, d, []autograd.Op{fronts{}})
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// summed is Einstein's convention by its definition: a loop over all letters.
func summed(spec string, xs [][]float64, shapes [][]int) []float64 {
	in, result, _ := strings.Cut(spec, "->")
	terms := strings.Split(in, ",")
	sizes, letters := map[byte]int{}, []byte{}
	for i, term := range terms {
		for j := range term {
			if _, ok := sizes[term[j]]; !ok {
				letters = append(letters, term[j])
			}
			sizes[term[j]] = shapes[i][j]
		}
	}
	at := map[byte]int{}
	offset := func(term string) (o int) {
		for j := range term {
			o = o*sizes[term[j]] + at[term[j]]
		}
		return o
	}
	n := 1
	for j := range result {
		n *= sizes[result[j]]
	}
	y := make([]float64, n)
	var loop func(rest []byte)
	loop = func(rest []byte) {
		if len(rest) > 0 {
			for at[rest[0]] = 0; at[rest[0]] < sizes[rest[0]]; at[rest[0]]++ {
				loop(rest[1:])
			}
			return
		}
		product := 1.0
		for i, term := range terms {
			product *= xs[i][offset(term)]
		}
		y[offset(result)] += product
	}
	loop(letters)
	return y
}

func TestEinsumIsItsDefinition(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		for _, e := range (fronts{}).Examples() {
			if !strings.Contains(e.Name, "->") {
				continue
			}
			in, xs, shapes := make([]*Var, len(e.In)), make([][]float64, len(e.In)), make([][]int, len(e.In))
			for i, spec := range e.In {
				x := numbers(uint64(i), tensor.Numel(spec.Shape))
				in[i], shapes[i] = autograd.Const(d.FromFloat32s(tensor.F32, x, spec.Shape...)), spec.Shape
				for _, v := range x {
					xs[i] = append(xs[i], float64(v))
				}
			}
			got, err := e.Call(in)[0].Tensor().Float64s()
			want := summed(e.Name, xs, shapes)
			near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-5*(1+math.Abs(b)) }
			if err != nil || !slices.EqualFunc(got, want, near) {
				t.Errorf("%s: %v, %v, want %v", e.Name, got, err, want)
			}
		}
	})
}

// By hand: 1 2 4 9 has mean 4 and squares 9 + 4 + 0 + 25 = 38.
func TestVarianceAndOthersByHand(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		x := row(d, 1, 2, 4, 9)
		wantNear(t, Variance(x, 0), 38./4)
		wantNear(t, Variance(x, 1), 38./3)
		wantNear(t, CumSum(x, 0), 1, 3, 7, 16)
		wantNear(t, Flip(x, 0), 9, 4, 2, 1)
		wantNear(t, Pad(x, 0, 1, 2, -1), -1, 1, 2, 4, 9, -1, -1)
		wantNear(t, Stack(-1, x, Flip(x, 0)), 1, 9, 2, 4, 4, 2, 9, 1)
		wantNear(t, Split(x, 0, 1, 3)[1], 2, 4, 9)
		wantNear(t, LogSoftmax(row(d, 1000, 1000)), -math.Ln2, -math.Ln2)
	})
}
