//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// Every 16-bit number, the middle between it and the next one, and the neighbors of that, are
// stored as on the host: rounded to nearest, ties to even; NaN stays NaN. Below 2^-126 devices
// may take a float32 for 0. So it is by the device's conversion and by integers, four numbers at a time and one.
func TestRounding(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for from := range 2 {
			t.Run(fmt.Sprintf("plain=%v,from=%d", plain, from), func(t *testing.T) {
				testRounding(t, openDevice(t, vulkan.Options{Plain: plain}), from)
			})
		}
	}
}

func testRounding(t *testing.T, d *tensor.Device, from int) {
	for _, tt := range []struct {
		dt    tensor.DType
		wide  func(uint16) float32
		round func(float32) uint16
	}{
		{tensor.F16, half.FromF16, half.ToF16}, {tensor.BF16, half.FromBF16, half.ToBF16},
	} {
		var values []float32
		for h := range 1 << 16 {
			v := tt.wide(uint16(h))
			middle := float32((float64(v) + float64(tt.wide(uint16(h+1)))) / 2)
			values = append(values, v, math.Nextafter32(middle, 0), middle,
				math.Nextafter32(middle, float32(math.Copysign(math.MaxFloat32, float64(v)))))
		}
		n := len(values)
		x, all := d.FromFloat32s(tensor.F32, values, n), d.FromFloat32s(tt.dt, make([]float32, n+from), n+from)
		y := all.View(from, n)
		d.Run(kernels.Cast{N: n}, y, x)
		got, err := y.RawBytes()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if math.Abs(float64(v)) < 0x1p-126 {
				continue
			}
			h := uint16(got[2*i]) | uint16(got[2*i+1])<<8
			if math.IsNaN(float64(v)) {
				if f := tt.wide(h); f == f {
					t.Fatalf("NaN %#x stored as %s %#x", math.Float32bits(v), tt.dt, h)
				}
			} else if want := tt.round(v); h != want {
				t.Fatalf("%v stored as %s %#x, want %#x", v, tt.dt, h, want)
			}
		}
	}
}

// runBoth runs a kernel on the device and on the CPU's plain loops, with every argument a view that
// begins at element from of a larger tensor, and compares the whole of the first one.
func runBoth(t *testing.T, o vulkan.Options, k tensor.Kernel, from int, dts ...tensor.DType) {
	t.Helper()
	r := random.NewStream(3, random.Test, 0, 0)
	var host [][]float32
	for _, n := range k.Lens(nil) {
		values := make([]float32, n+from+5)
		for i := range values {
			values[i] = float32(r.Normal())
		}
		host = append(host, values)
	}
	result := func(d *tensor.Device) []float32 {
		var whole, args []*tensor.Tensor
		for i, values := range host {
			whole = append(whole, d.FromFloat32s(dts[i], values, len(values)))
			args = append(args, whole[i].View(from, k.Lens(nil)[i]))
		}
		d.Run(k, args...)
		got, err := whole[0].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got, want := result(openDevice(t, o)), result(tensor.NewDevice(plainCPU(t)))
	for i := range want {
		limit := 1e-5 + 1e-5*math.Abs(float64(want[i]))
		if dts[0] == tensor.F16 {
			limit *= 100
		}
		if !(math.Abs(float64(got[i]-want[i])) <= limit) {
			t.Fatalf("%+v from element %d: element %d is %v, want %v", k, from, i, got[i], want[i])
		}
	}
}

// A view begins at any element: at no more than an even address.
func TestViewsAtAnyElement(t *testing.T) {
	for from := range 5 {
		runBoth(t, vulkan.Options{}, kernels.Add{N: 130, M: 130}, from, tensor.F32, tensor.F32, tensor.F16)
		runBoth(t, vulkan.Options{}, kernels.Add{N: 130, M: 13}, from, tensor.F16, tensor.F16, tensor.F32)
		runBoth(t, vulkan.Options{}, kernels.Matmul{Batch: 1, M: 9, N: 12, K: 16, BiasRows: 1, TransB: true}, from, tensor.F32,
			tensor.F16, tensor.F32, tensor.F32)
	}
}

// More workgroups than one dimension takes are folded over two, and the last row is partly idle.
func TestFoldedGrid(t *testing.T) {
	runBoth(t, vulkan.Options{}, kernels.RMSNorm{Rows: 131_071, Dim: 1, Eps: 0.25}, 0, tensor.F32, tensor.F32,
		tensor.F32, tensor.F32)
}

// A device that takes only small workgroups computes the same.
func TestSmallWorkgroups(t *testing.T) {
	small := vulkan.Options{Limits: vulkan.Limits{Invocations: 64}}
	runBoth(t, small, kernels.SumSquares{N: 1000, Block: 300}, 0, tensor.F32, tensor.F32)
	runBoth(t, small, kernels.Sum{Outer: 3, N: 70, Inner: 45, Scale: 0.5}, 0, tensor.F32, tensor.F32)
	runBoth(t, small, kernels.RMSNormGradWeight{Rows: 40, Dim: 70}, 0, tensor.F32, tensor.F32, tensor.F32, tensor.F32)
}
