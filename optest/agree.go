package optest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// Limits are the largest normalized squared errors by the dtype of the result.
type Limits map[tensor.DType]float64

// Strict holds where the same arithmetic is done in another order.
var Strict = Limits{tensor.F32: 1e-12, tensor.F16: 1e-6, tensor.BF16: 1e-4, tensor.I32: 0}

var (
	everyPair = pairs(tensor.F32, tensor.F16, tensor.BF16)
	onlyF32   = []dtypes{{tensor.F32, tensor.F32, tensor.F32}}
	inBlocks  = []dtypes{
		{tensor.F32, tensor.Q8, tensor.F32}, {tensor.F32, tensor.Q4, tensor.F32},
		{tensor.BF16, tensor.Q8, tensor.F32}, {tensor.F16, tensor.Q4, tensor.F32},
		{tensor.F32, tensor.Q4_1, tensor.F32}, {tensor.F32, tensor.Q5_0, tensor.F32},
		{tensor.F32, tensor.Q5_1, tensor.F32}, {tensor.F32, tensor.IQ4_NL, tensor.F32},
		{tensor.F32, tensor.Q4_K, tensor.F32}, {tensor.F32, tensor.Q5_K, tensor.F32},
		{tensor.F32, tensor.Q6_K, tensor.F32}, {tensor.F16, tensor.Q4_K, tensor.F32},
		{tensor.BF16, tensor.Q6_K, tensor.F32},
		{tensor.F32, tensor.NF4, tensor.F32}, {tensor.F32, tensor.FP4, tensor.F32},
		{tensor.F32, tensor.FP8, tensor.F32}, {tensor.BF16, tensor.NF4, tensor.F32},
		{tensor.F32, tensor.U4, tensor.F32},
	}
	shortList = []dtypes{{tensor.F32, tensor.F32, tensor.F32}, {tensor.F16, tensor.F16, tensor.F32}}
	fewPairs  = []dtypes{{tensor.F32, tensor.F32, tensor.F32}, {tensor.F32, tensor.BF16, tensor.F32},
		{tensor.BF16, tensor.F16, tensor.F32}}
)

// briefFactor loosens the limits of Brief examples' small results: among so many that are a
// few short sums there is one that nearly cancels.
const briefFactor, smallResult = 100, 64

func pairs(dts ...tensor.DType) []dtypes {
	var all []dtypes
	for _, t := range dts {
		for _, w := range dts {
			all = append(all, dtypes{t, w, tensor.F32})
		}
	}
	return all
}

// distinct leaves out combinations that give an example's inputs the same dtypes as one
// before.
func distinct(e autograd.Example, combinations []dtypes) []dtypes {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(combinations), func(dt dtypes) bool {
		of := []tensor.DType{dt.t}
		for _, in := range e.In {
			of = append(of, dt.of(in))
		}
		key := fmt.Sprint(of)
		defer func() { seen[key] = true }()
		return seen[key]
	})
}

// Agree compares a backend with a reference (the CPU's plain loops), forward and
// backward, with the same dtypes: every pair of them on an operation's first
// example, a few on the others, f32 alone on those that are Brief; weights that are
// matrices of whole blocks in q8 and q4 too, frozen. Freed memory becomes NaN, guard
// words fence every buffer, the result must have the same bits twice, and nothing may be
// leaked. With go test -short, f32 and f16 on the first example, f32 alone on the others.
func Agree(t *testing.T, reference, subject tensor.Backend, ops []autograd.Op, limits Limits) {
	fence := &fence{Backend: subject}
	ref, dev := tensor.NewDevice(reference), tensor.NewDevice(fence)
	dev.Poison(true)
	each(t, ops, func(t *testing.T, i int, e autograd.Example) {
		data := make([][]float64, len(e.In))
		for i := range e.In {
			if e.In[i].Shape != nil {
				data[i] = values(e, i)
			}
		}
		combinations := fewPairs
		switch {
		case testing.Short() && i == 0:
			combinations = shortList
		case e.Brief || testing.Short():
			combinations = onlyF32
		case i == 0:
			combinations = everyPair
		}
		for _, c := range inBlocks {
			fits := func(in autograd.Input) bool { return quantizable(in, c.w) }
			if !e.Brief && !testing.Short() && slices.ContainsFunc(e.In, fits) {
				combinations = append(slices.Clip(combinations), c)
			}
		}
		for _, dt := range distinct(e, combinations) {
			before := dev.Stats().Live
			for _, asParams := range []bool{false, true} {
				want, err := run(ref, e, data, dt, true, asParams)
				if err != nil {
					t.Fatalf("%s, reference: %v", dt, err)
				}
				got, err := run(dev, e, data, dt, true, asParams)
				if err != nil {
					t.Fatalf("%s: %v", dt, err)
				}
				again, err := run(dev, e, data, dt, true, asParams)
				if err != nil {
					t.Fatalf("%s: %v", dt, err)
				}
				for k, name := range want.names {
					limit := limits[want.dt[k]]
					if e.Brief && len(want.data[k]) <= smallResult {
						limit *= briefFactor
					}
					if ne := normalizedError(got.data[k], want.data[k]); !(ne <= limit) {
						t.Errorf("%s: %s: normalized error %.3g, want at most %g", dt, name, ne, limit)
					}
					if !slices.Equal(got.data[k], again.data[k]) && normalizedError(got.data[k], again.data[k]) != 0 {
						t.Errorf("%s: %s: other bits in a second run", dt, name)
					}
				}
			}
			if live := dev.Stats().Live; live != before {
				t.Errorf("%s: %d bytes leaked", dt, live-before)
			}
			dev.Trim()
			if fence.broken != "" {
				t.Fatalf("%s: %s", dt, fence.broken)
			}
		}
	})
}
