package llama

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/ops"
)

// LLaMA 3.1's 64 factors: frequencies of more than 4 waves in 8192 positions are left
// alone, those of less than one are divided by 8.
func TestLLaMA3Factors(t *testing.T) {
	r := ops.RoPEScaling{Theta: 500000, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalPositions: 8192}
	got := ropeFactors(r, 128)
	for i, want := range map[int]float64{0: 1, 28: 1, 29: 1.207484, 32: 2.694530, 34: 5.257327, 35: 8, 63: 8} {
		if math.Abs(float64(got[i])-want) > 1e-5*want {
			t.Errorf("factor %d is %v, want %v", i, got[i], want)
		}
	}
	if !slices.IsSorted(got) || len(got) != 64 {
		t.Errorf("got %v", got)
	}
}

// A file has LLaMA 3's factors and not the settings that they come from: those that are read make the same.
func TestLLaMA3FactorsAreReadBack(t *testing.T) {
	for _, c := range []struct {
		theta, factor, low, high float64
		positions, headDim       int
		same                     bool // the settings, too
	}{
		{500000, 8, 1, 4, 8192, 128, true},
		{500000, 32, 1, 4, 8192, 64, true},
		{500000, 8, 1, 8, 8192, 128, true},
		{500000, 8, 2, 32.5, 8192, 128, true},
		{500000, 1.5, 0.5, 2, 4096, 64, true},
		{10000, 4, 1.25, 3, 2048, 128, true},
		{10000, 8, 1, 3, 100, 8, false},   // 15.9, 1.59: one is between
		{10000, 8, 2, 10, 1000, 8, false}, // 159, 15.9, 1.59: none is
		{10000, 8, 1, 30, 8192, 8, false}, // the last is, with one before it
		{10000, 8, 1, 4, 8192, 8, false},  // the last alone
		{10000, 8, 900, 1000, 100, 8, false},
		{10000, 1, 1, 8, 100, 8, false},
	} {
		r := ops.RoPEScaling{Theta: c.theta, Factor: c.factor, LowFreqFactor: c.low, HighFreqFactor: c.high, OriginalPositions: c.positions}
		metadata, tensors, err := ropeMetadata("llama.", r, c.headDim)
		if err != nil {
			t.Fatal(err)
		}
		k := &ggufKeys{file: ggufFile(t, metadata, tensors), prefix: "llama.", known: map[string]bool{}}
		got := k.rope(c.headDim)
		if k.err != nil {
			t.Errorf("%+v: %v", c, k.err)
			continue
		}
		if c.factor == 1 {
			if want := (ops.RoPEScaling{Theta: c.theta}); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v: read back as %+v", c, got)
			}
			continue
		}
		if c.same && !reflect.DeepEqual(got, r) {
			t.Errorf("%+v: read back as %+v", c, got)
		}
		if at := differs(ropeFactors(r, c.headDim), ropeFactors(got, c.headDim), 1e-6); at >= 0 {
			t.Errorf("%+v: read back as %+v, with another factor %d", c, got, at)
		}
	}
}

// What nothing can be divided by is no factor.
func TestRopeFactorsThatAreNone(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, factors := range [][]float32{{0}, {-8}, {nan}, {inf}, {1, 0}, {nan, 8}, {1, inf}} {
		factor, err := gguf.FromFloat32s(ropeFactorsName, gguf.F32, []int{len(factors)}, factors)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := readRopeFactors(ggufFile(t, nil, []gguf.Tensor{factor}), 10000, 2*len(factors), 0); err == nil {
			t.Errorf("%v are read as %+v", factors, r)
		}
	}
}
