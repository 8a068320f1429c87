//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64) && !vulkan_bindings

package vulkan_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// fewRows is a device whose products are compared with sums in float64.
type fewRows struct {
	*testing.T
	device *tensor.Device
	trace  bytes.Buffer
	random *random.Stream
	factor float64 // how much a factor of b may be rounded, of its magnitude
}

func newFewRows(t *testing.T, o vulkan.Options) *fewRows {
	t.Helper()
	return newFewRowsOn(t, o, open)
}

func newFewRowsOn(t *testing.T, o vulkan.Options, open func(testing.TB, vulkan.Options) tensor.Backend) *fewRows {
	t.Helper()
	f := &fewRows{T: t, random: random.NewStream(11, random.Test, 0, 0)}
	o.Profile = &f.trace
	f.device = tensor.NewDevice(open(t, o))
	return f
}

// ran closes the device and gives how often each shader ran.
func (f *fewRows) ran() map[string]int {
	f.Helper()
	if err := f.device.Close(); err != nil {
		f.Fatal(err)
	}
	return dispatches(f.T, &f.trace)
}

// operand is a view that begins at element margin of a larger tensor, whose other elements spoil any sum, and
// what it holds.
func (f *fewRows) operand(dt tensor.DType, n, margin int) (whole, view *tensor.Tensor, holds []float64) {
	f.Helper()
	if dt == absent {
		return nil, nil, nil
	}
	outside := math.NaN()
	if dt.IsQuantized() {
		outside, margin = 1e4, dt.BlockLen()
	}
	if dt > tensor.Q4 {
		kind := quant.Type(dt - tensor.Q8)
		blocks := kind.Random(f.random.Uint32, margin, 1<<13)
		blocks = append(blocks, kind.Random(f.random.Uint32, n, 2)...)
		whole = f.device.FromBytes(dt, append(blocks, kind.Random(f.random.Uint32, margin, 1<<13)...), n+2*margin)
		return f.held(whole, margin, n)
	}
	values := make([]float64, n+2*margin)
	for i := range values {
		if values[i] = outside; i >= margin && i < margin+n {
			values[i] = f.random.Normal()
		}
	}
	return f.held(f.device.FromFloat64s(dt, values, len(values)), margin, n)
}

// held is what operand gives of a tensor.
func (f *fewRows) held(whole *tensor.Tensor, margin, n int) (_, view *tensor.Tensor, holds []float64) {
	f.Helper()
	view = whole.View(margin, n)
	holds, err := view.Float64s()
	if err != nil {
		f.Fatal(err)
	}
	return whole, view, holds
}

// product runs one on views that begin at element margin. The types are those of c, a, b and bias.
func (f *fewRows) product(k kernels.Matmul, margin int, dts [4]tensor.DType) {
	f.Helper()
	scope := f.device.Scope()
	defer scope.Close()
	lens := k.Lens(nil)
	whole, c, before := f.operand(dts[0], lens[0], margin)
	_, a, as := f.operand(dts[1], lens[1], margin)
	_, b, bs := f.operand(dts[2], lens[2], margin)
	_, bias, biases := f.operand(dts[3], lens[3], margin)
	f.device.Run(k, c, a, b, bias)
	all, err := whole.Float64s()
	if err != nil {
		f.Fatal(err)
	}
	for i, v := range all {
		if outside := i < margin || i >= margin+lens[0]; outside != math.IsNaN(v) {
			f.Fatalf("%+v, %v: element %d is %v: inside there is no NaN, outside nothing else", k, dts, i-margin, v)
		}
	}
	ulp := map[tensor.DType]float64{tensor.F32: 0x1p-24, tensor.F16: 0x1p-11, tensor.BF16: 0x1p-8}[dts[0]]
	for at := range lens[0] {
		z, i, j := at/(k.M*k.N), at/k.N%k.M, at%k.N
		sum, size := 0.0, 0.0
		add := func(v float64) { sum, size = sum+v, size+math.Abs(v) }
		for l := range k.K {
			column := (z*k.K+l)*k.N + j
			if k.TransB {
				column = (z*k.N+j)*k.K + l
			}
			add(as[(z*k.M+i)*k.K+l] * bs[column])
		}
		switch {
		case biases != nil && k.BiasRows > 1:
			add(biases[at])
		case biases != nil:
			add(biases[j])
		}
		if k.Acc {
			add(before[at])
		}
		// The lanes' sums are short, and added in pairs.
		if got := all[margin+at]; !(math.Abs(got-sum) <= (4e-7+f.factor)*size+ulp*math.Abs(sum)+0x1p-25) {
			f.Fatalf("%+v, %v, from element %d: c[%d,%d,%d] is %v, want %v", k, dts, margin, z, i, j, got, sum)
		}
	}
}

// fewRowsSizes are N and K: at the edges of a workgroup's columns, of a row's four and eight numbers, of blocks and
// of what a workgroup takes of a row at a time; odd ones and primes.
var fewRowsSizes = [][2]int{
	{1, 1}, {2, 31}, {3, 32}, {31, 33}, {32, 8}, {33, 4}, {5, 64}, {7, 63}, {37, 12}, {4, 256}, {6, 260}, {13, 511},
	{9, 512}, {11, 1056}, {8, 1031},
}

// Every storage type of every argument, with every number of rows, gives what sums in float64 do; up to eight rows
// run as the shader for them.
func TestFewRows(t *testing.T) {
	f := newFewRows(t, vulkan.Options{})
	floats := []tensor.DType{tensor.F32, tensor.F16, tensor.BF16}
	few, others := 0, 0
	for turn, b := range append(slices.Clone(floats), tensor.Q8, tensor.Q4, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1,
		tensor.IQ4_NL, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.NF4, tensor.FP4, tensor.FP8,
		tensor.U4) {
		for m := 1; m <= 9; m++ {
			if b > tensor.Q4 && m%4 != 1 {
				continue
			}
			dts := [4]tensor.DType{floats[(m/3+turn)%3], floats[(m+turn)%3], b, absent}
			if m&2 != 0 {
				dts[3] = floats[m%3]
			}
			if m == 9 {
				dts[0] = tensor.F32 // never made of factors that cooperative matrices have rounded
			}
			for i := range 5 {
				size := fewRowsSizes[(m+turn+3*i)%len(fewRowsSizes)]
				k := kernels.Matmul{Batch: 1 + i%2, M: m, N: size[0], K: size[1], BiasRows: 1, TransB: true, Acc: m&2 != 0}
				if i%3 == 0 {
					k.BiasRows = k.Batch * m
				}
				if b.IsQuantized() && k.N*k.K%b.BlockLen() != 0 {
					k.N = (k.N + b.BlockLen() - 1) / b.BlockLen() * b.BlockLen()
				}
				f.product(k, []int{8, 5}[(m/2+i)%2], dts) // aligned, or not
				if m <= 8 {
					few++
				} else {
					others++
				}
			}
		}
	}
	ran := f.ran()
	if ran["matmul_gemv"] != few || ran["matmul"]+ran["matmul_coopmat"] != others || others == 0 {
		t.Errorf("matmul_gemv ran %d times, want %d; the others %d times, want %d",
			ran["matmul_gemv"], few, ran["matmul"]+ran["matmul_coopmat"], others)
	}
}

// Blocks are read 32 elements at a time, from addresses that are multiples of two: less and more of them than a
// workgroup has invocations along a row, an odd number of blocks, for a few rows, whose sums are scaled, and for more, whose
// elements are. Those of FP8 widen as halves where the device's conversions keep subnormals, and by integers elsewhere.
func TestFewRowsInSpans(t *testing.T) {
	for m, tile := range map[int]shaders.Tile{1: {64, 1, 2, 512}, 3: {64, 4, 2, 512}} { // as many lanes as on a GPU
		for _, halves := range []bool{true, false} {
			var types []tensor.DType
			for b := tensor.Q8; b <= tensor.U4; b++ {
				if halves || b == tensor.FP8 {
					types = append(types, b)
				}
			}
			f := newFewRowsOn(t, vulkan.Options{Tiles: map[string]shaders.Tile{"matmul_gemv": tile}, ConvertHalves: halves},
				openAsAsked)
			for _, b := range types {
				for _, k := range []int{256, 2560 + b.BlockLen()} {
					f.product(kernels.Matmul{Batch: 2, M: m, N: 5, K: k, TransB: true}, 8,
						[4]tensor.DType{tensor.F32, tensor.F16, b, absent})
				}
			}
			if ran := f.ran(); ran["matmul_gemv"] != 2*len(types) {
				t.Errorf("matmul_gemv ran %d times", ran["matmul_gemv"])
			}
		}
	}
}

// Blocks of every kind become factors of cooperative matrices: lines along the sums, of which sixteen numbers are taken
// together, from every place in a block, and lines across, with a part of a step behind them.
func TestMatmulOfBlocks(t *testing.T) {
	needs(t, "matmul_coopmat")
	f := newFewRows(t, vulkan.Options{Tiles: map[string]shaders.Tile{"matmul_coopmat": {64, 16, 32, 32}}})
	f.factor = 0x1p-11
	calls := 0
	for b := tensor.Q8; b <= tensor.U4; b++ {
		if short := []tensor.DType{tensor.Q5_1, tensor.Q4_K, tensor.Q6_K, tensor.U4}; !slices.Contains(short, b) &&
			os.Getenv("AGORA_LONG") != "1" { // software compiles one for seconds
			continue
		}
		k := kernels.Matmul{Batch: 2, M: 9, N: 33, K: 512, TransB: true}
		f.product(k, 8, [4]tensor.DType{tensor.F16, tensor.F16, b, absent})
		calls++
		if b == tensor.Q6_K {
			f.product(kernels.Matmul{Batch: 2, M: 9, N: 256, K: 40}, 8, [4]tensor.DType{tensor.F16, tensor.F16, b, absent})
			calls++
		}
	}
	if ran := f.ran(); ran["matmul_coopmat"] != calls {
		t.Errorf("matmul_coopmat ran %d times, want %d", ran["matmul_coopmat"], calls)
	}
}

// Tiles of other forms: those of a GPU, since software has its own, several teams a workgroup, several workgroups for the
// rows, and sizes that are no powers of two.
func TestFewRowsTiles(t *testing.T) {
	matmul, _ := shaders.Find("matmul")
	i := slices.IndexFunc(matmul.Alternatives, func(a shaders.Alternative) bool { return a.Name == "matmul_gemv" })
	gpus := slices.Clip(matmul.Alternatives[i].Tiles)
	for _, tile := range append(gpus, shaders.Tile{64, 1, 8, 64}, shaders.Tile{32, 2, 6, 128}, shaders.Tile{96, 3, 6, 384},
		shaders.Tile{8, 4, 4, 32}, shaders.Tile{20, 8, 3, 160}) {
		t.Run(fmt.Sprint(tile), func(t *testing.T) {
			f := newFewRows(t, vulkan.Options{Tiles: map[string]shaders.Tile{"matmul_gemv": tile}})
			for i, size := range fewRowsSizes {
				k := kernels.Matmul{Batch: 1, M: 1 + i%8, N: size[0], K: size[1], BiasRows: 1, TransB: true}
				f.product(k, 8, [4]tensor.DType{tensor.F32, tensor.F32, tensor.F16, tensor.F32})
				k.N, k.K = size[0], (size[1]+31)&^31
				f.product(k, 8, [4]tensor.DType{tensor.F16, tensor.BF16, tensor.Q4, absent})
			}
			if ran := f.ran(); ran["matmul_gemv"] != 2*len(fewRowsSizes) {
				t.Errorf("matmul_gemv ran %d times", ran["matmul_gemv"])
			}
		})
	}
}
