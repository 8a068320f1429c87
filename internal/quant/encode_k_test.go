package quant

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// relativeError is |decoded - x| / |x| over many blocks of numbers.
func relativeError(t *testing.T, typ Type, draw func() float64) float64 {
	t.Helper()
	values := make([]float32, 256*64)
	for i := range values {
		values[i] = float32(draw())
	}
	blocks, err := typ.Append(nil, values)
	if err != nil {
		t.Fatal(err)
	}
	if err := typ.Check(blocks); err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(values))
	typ.Decode(got, blocks)
	var off, size float64
	for i, x := range values {
		d := float64(got[i]) - float64(x)
		off, size = off+d*d, size+float64(x)*float64(x)
	}
	return math.Sqrt(off / size)
}

// The errors of normal numbers, and of their cubes, which have many small ones and few large, are those of
// llama-quantize on such numbers (build 11669, 65,536 of them), or less.
func TestErrorOfKQuants(t *testing.T) {
	for typ, most := range map[Type][2]float64{Q4_K: {0.0713, 0.0898}, Q6_K: {0.0177, 0.0243}} {
		r := rand.New(rand.NewPCG(1, 2))
		normal := func() float64 { return 0.02 * r.NormFloat64() }
		cubed := func() float64 { return 0.02 * math.Pow(r.NormFloat64(), 3) }
		for i, draw := range []func() float64{normal, cubed} {
			if e := relativeError(t, typ, draw); !(e <= 1.01*most[i]) || e < most[i]/2 {
				t.Errorf("%s: relative error %.4f of draw %d, llama-quantize has %.4f", typ, e, i, most[i])
			}
		}
	}
}

// What blocks hold already is found again: zeros, one number for all, levels.
func TestKQuantsOfLevels(t *testing.T) {
	for _, typ := range []Type{Q4_K, Q6_K} {
		for name, x := range map[string]func(i int) float32{
			"zeros":    func(int) float32 { return 0 },
			"negative": func(int) float32 { return -1 },
			"positive": func(int) float32 { return 1 },
			"levels":   func(i int) float32 { return float32(i%16-8) / 8 },
			"tiny":     func(i int) float32 { return float32(i%16-8) * 1e-30 },
		} {
			values := make([]float32, 256)
			for i := range values {
				values[i] = x(i)
			}
			blocks, err := typ.Append(nil, values)
			if err != nil {
				t.Errorf("%s, %s: %v", typ, name, err)
				continue
			}
			got := make([]float32, 256)
			typ.Decode(got, blocks)
			for i, v := range values {
				if math.Abs(float64(got[i]-v)) > 0.03 {
					t.Errorf("%s, %s: number %d is %v, want %v", typ, name, i, got[i], v)
					break
				}
			}
		}
	}
}

// A block without a finite scale is an error that leaves the blocks before it.
func TestKQuantsRefuse(t *testing.T) {
	for _, typ := range []Type{Q4_K, Q6_K} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e38} {
			values := make([]float32, 512)
			values[0], values[300] = 1, float32(bad)
			blocks, err := typ.Append(nil, values)
			if e := (*ScaleError)(nil); !errors.As(err, &e) || len(blocks) != typ.Bytes(256) || e.At != 300 {
				t.Errorf("%s with %v: %d bytes, error %v", typ, bad, len(blocks), err)
			}
		}
	}
}
