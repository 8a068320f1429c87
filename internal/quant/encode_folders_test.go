package quant

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// A number becomes the level nearest to it, in float64, times the largest magnitude; levels come back as they were.
func TestAppendNF4(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 64*20)
	for i := range values {
		values[i] = 0.02 * float32(r.NormFloat64())
	}
	for i, l := range NormalFloat {
		values[i] = -0.5 * l // the largest is 0.5; levels of both signs, in a block of their own
	}
	clear(values[16:64])
	blocks, err := NF4.Append([]byte{9}, values)
	if err != nil || len(blocks) != 1+NF4.Bytes(len(values)) || blocks[0] != 9 {
		t.Fatalf("%d bytes, error %v", len(blocks), err)
	}
	got := make([]float32, len(values))
	NF4.Decode(got, blocks[1:])
	for at := 0; at < len(values); at += 64 {
		most := 0.0
		for _, v := range values[at : at+64] {
			most = max(most, math.Abs(float64(v)))
		}
		for i, v := range values[at : at+64] {
			best := math.Inf(1)
			for _, l := range NormalFloat {
				best = min(best, math.Abs(float64(l)*most-float64(v)))
			}
			if off := math.Abs(float64(got[at+i]) - float64(v)); off > best+1e-7*most {
				t.Fatalf("number %d, %v of at most %v, is %v, %v away; a level is only %v", at+i, v, most, got[at+i], off, best)
			}
		}
	}
	// The codes themselves: 1 is the last level and stands in the upper half of the first byte, -1 the first one.
	block := make([]float32, 64)
	block[0], block[1], block[63] = 2, -2, 1 // 0.5 is nearest to level 12
	codes, err := NF4.Append(nil, block)
	if err != nil || codes[4] != 0xf0 || codes[35] != 0x7c || codes[20] != 0x77 {
		t.Errorf("codes % x, error %v", codes, err)
	}
	for _, bad := range []float64{math.NaN(), math.Inf(-1)} {
		block[7] = float32(bad)
		e := new(ScaleError)
		if _, err := NF4.Append(nil, block); !errors.As(err, &e) || e.At != 7 {
			t.Errorf("%v: error %v", bad, err)
		}
	}
}
