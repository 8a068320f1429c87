package ops

import (
	"fmt"
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

func numbers(seed uint64, n int) []float32 {
	r := random.NewStream(seed, random.Test, 7, 0)
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.Normal())
	}
	return x
}

// convolved is a convolution in float64 by its definition.
func convolved(x []float32, batch, channels, height, width int, w []float32, out, kh, kw int, bias []float32,
	o Conv2DOptions) []float64 {
	var y []float64
	in, per := channels/o.Groups, out/o.Groups
	for n := range batch {
		for k := range out {
			for p := 0; p*o.Stride[0]+(kh-1)*o.Dilation[0] < height+2*o.Padding[0]; p++ {
				for q := 0; q*o.Stride[1]+(kw-1)*o.Dilation[1] < width+2*o.Padding[1]; q++ {
					s := float64(bias[k])
					for c := range in {
						for a := range kh {
							for b := range kw {
								i, j := p*o.Stride[0]+a*o.Dilation[0]-o.Padding[0],
									q*o.Stride[1]+b*o.Dilation[1]-o.Padding[1]
								if i >= 0 && i < height && j >= 0 && j < width {
									s += float64(w[((k*in+c)*kh+a)*kw+
										b]) * float64(x[((n*channels+k/per*in+c)*height+i)*width+j])
								}
							}
						}
					}
					y = append(y, s)
				}
			}
		}
	}
	return y
}

func TestConv2DIsItsDefinition(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		for i, c := range []struct {
			batch, channels, height, width, out, kh, kw int
			o                                           Conv2DOptions
		}{
			{2, 3, 8, 9, 5, 3, 3, Conv2DOptions{[2]int{1, 1}, [2]int{1, 1}, [2]int{1, 1}, 1}},
			{1, 4, 11, 7, 6, 3, 2, Conv2DOptions{[2]int{2, 3}, [2]int{0, 1}, [2]int{1, 2}, 2}},
			{3, 6, 5, 5, 6, 5, 5, Conv2DOptions{[2]int{1, 2}, [2]int{2, 2}, [2]int{1, 1}, 6}},
			{2, 2, 13, 12, 3, 4, 3, Conv2DOptions{[2]int{3, 1}, [2]int{3, 4}, [2]int{3, 2}, 1}},
			{9, 16, 14, 14, 32, 3, 3, Conv2DOptions{[2]int{1, 1}, [2]int{1, 1}, [2]int{1, 1}, 1}},
		} {
			x, bias := numbers(uint64(i), c.batch*c.channels*c.height*c.width), numbers(100+uint64(i), c.out)
			w := numbers(200+uint64(i), c.out*c.channels/c.o.Groups*c.kh*c.kw)
			want := convolved(x, c.batch, c.channels, c.height, c.width, w, c.out, c.kh, c.kw, bias, c.o)
			y := Conv2D(autograd.Const(d.FromFloat32s(tensor.F32, x, c.batch, c.channels, c.height, c.width)),
				autograd.Const(d.FromFloat32s(tensor.F32, w, c.out, c.channels/c.o.Groups, c.kh, c.kw)),
				autograd.Const(d.FromFloat32s(tensor.F32, bias, c.out)), c.o)
			got, err := y.Tensor().Float64s()
			if err != nil || len(got) != len(want) {
				t.Fatalf("%+v: %d elements, want %d, error %v", c, len(got), len(want), err)
			}
			for j := range want {
				if math.Abs(got[j]-want[j]) > 1e-5*(1+math.Abs(want[j])) {
					t.Fatalf("%+v: element %d is %g, want %g", c, j, got[j], want[j])
				}
			}
		}
	})
}

func TestConv2DRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		of := func(shape ...int) *Var {
			return autograd.Const(d.FromFloat32s(tensor.F32, make([]float32, tensor.Numel(shape)), shape...))
		}
		x := of(1, 4, 5, 5)
		for want, f := range map[string]func(){
			"in 1 groups: want [batch":      func() { Conv2D(x, of(2, 3, 3, 3), nil, Conv2DOptions{}) },
			"in 3 groups":                   func() { Conv2D(x, of(3, 1, 3, 3), nil, Conv2DOptions{Groups: 3}) },
			"bias f32[3] for weight":        func() { Conv2D(x, of(2, 4, 3, 3), of(3), Conv2DOptions{}) },
			"is larger than x f32[1 4 5 5]": func() { Conv2D(x, of(2, 4, 6, 1), nil, Conv2DOptions{}) },
			"want none below 0": func() {
				Conv2D(x, of(2, 4, 3, 3), nil, Conv2DOptions{Padding: [2]int{0, -1}})
			},
			"max_pool: window [6 2]": func() { MaxPool2D(x, PoolOptions{Kernel: [2]int{6, 2}}) },
			"avg_pool: window [2 2], stride": func() {
				AvgPool2D(x, PoolOptions{Kernel: [2]int{2, 2}, Padding: [2]int{2, 0}})
			},
			"batch_norm: no mean": func() { BatchNorm(x, nil, nil, nil, nil, BatchNormOptions{}) },
			"is f32[3] for x f32[1 4 5 5]": func() {
				BatchNorm(x, of(3), nil, nil, nil, BatchNormOptions{Training: true})
			},
			"want the lower one first":        func() { Clamp(x, 1, 0) },
			"want i32 of that shape":          func() { Gather(x, 1, of(1, 4, 5, 5)) },
			"want one dtype":                  func() { Where(Equal(x, x), x, Cast(x, tensor.F16)) },
			"mask f32[1 4 5 5]: want i32":     func() { Where(x, x, x) },
			"want floats, or i32 both":        func() { Less(x, Equal(x, x)) },
			"pieces of [2 4] of dimension 2":  func() { Split(x, 2, 2, 4) },
			"want at least 0, and more":       func() { Variance(x, 4, 1) },
			"\"ij,jk\" for 2 operands":        func() { Einsum("ij,jk", x, x) },
			"want a letter for each":          func() { Einsum("aab,b->a", x, x) },
			"c is 4 and 5":                    func() { Einsum("abcd,cbef->a", of(1, 5, 4, 1), of(5, 5, 1, 1)) },
			"the result's letters must be":    func() { Einsum("abcd->ax", x) },
			"before and 0 after":              func() { Pad(x, 0, -1, 0, 0) },
			"a new dimension 5":               func() { Stack(5, x) },
			"scatter_add: x f32[1 4 5 5] for": func() { ScatterAdd(x, 1, d3(d), x) },
		} {
			if err := tensor.Catch(f); err == nil || !contains(err, want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		}
	})
}

func d3(d *tensor.Device) *Var {
	return autograd.Const(d.FromInt32s(make([]int32, 1*2*5*5), 1, 2, 5, 5))
}

// By hand: two images of one channel, 1 2 and 3 6: mean 3, variance 3.5, unbiased 14/3.
func TestBatchNormMovesItsStatistics(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 6}, 2, 1, 2))
		mean, variance := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1}, 1)),
			autograd.Const(d.FromFloat32s(tensor.F32, []float32{2}, 1))
		y := BatchNorm(x, nil, nil, mean, variance, BatchNormOptions{Training: true, Momentum: 0.25, Eps: 0.5})
		wantNear(t, y, -1, -0.5, 0, 1.5) // sqrt(3.5 + 0.5) = 2
		wantNear(t, mean, 1+0.25*2)
		wantNear(t, variance, 2+0.25*(14./3-2))
		y = BatchNorm(x, nil, nil, mean, variance, BatchNormOptions{Eps: 1e-5})
		root := math.Sqrt(2 + 0.25*(14./3-2) + 1e-5)
		wantNear(t, y, (1-1.5)/root, 0.5/root, 1.5/root, 4.5/root)
	})
}

func wantNear(t *testing.T, v *Var, want ...float64) {
	t.Helper()
	got, err := v.Tensor().Float64s()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v: want %v", got, err, want)
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-6*(1+math.Abs(want[i])) || math.IsNaN(want[i]) && math.IsNaN(got[i]) ||
			got[i] == want[i]) {
			t.Errorf("got %v, want %v", got, want)
			return
		}
	}
}

func wantInts(t *testing.T, v *Var, want ...int32) {
	t.Helper()
	if got, err := v.Tensor().Int32s(); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
