package llama

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/ops"
)

// waves is how many of each frequency the old context holds.
func waves(r ops.RoPEScaling, headDim int) []float64 {
	w := make([]float64, headDim/2)
	for i := range w {
		w[i] = float64(r.OriginalPositions) * math.Pow(r.Theta, -2*float64(i)/float64(headDim)) / (2 * math.Pi)
	}
	return w
}

// ropeFactors is what LLaMA 3's rule divides frequencies by: 1 where the old context holds
// more than HighFreqFactor waves, Factor where it holds fewer than LowFreqFactor; between the
// two the frequency is interpolated, linearly in the number of waves.
func ropeFactors(r ops.RoPEScaling, headDim int) []float32 {
	v := make([]float32, headDim/2)
	for i, w := range waves(r, headDim) {
		keep := min(max((w-r.LowFreqFactor)/(r.HighFreqFactor-r.LowFreqFactor), 0), 1)
		v[i] = float32(1 / (keep + (1-keep)/r.Factor))
	}
	return v
}

// readRopeFactors finds settings whose factors are those of a file. Several may be, for a file has not got them: Factor is
// the largest; LowFreqFactor and HighFreqFactor are 1 and 4, as in every LLaMA there is, if those will do; the old context,
// where the file does not say it, is 8192.
func readRopeFactors(f *gguf.File, theta float64, headDim, oldContext int) (r ops.RoPEScaling, err error) {
	t, err := f.Tensor(ropeFactorsName)
	if err != nil {
		return r, err
	}
	fail := func(want, got string) (ops.RoPEScaling, error) {
		return r, &gguf.Error{File: f.Path(), Tensor: ropeFactorsName, Want: want, Got: got}
	}
	if len(t.Shape) != 1 || t.Shape[0] != headDim/2 || headDim < 2 {
		return fail(fmt.Sprintf("shape [%d]", headDim/2), fileerror.Shape(t.Shape))
	}
	got, err := t.Float32s()
	if err != nil {
		return r, err
	}
	for i, f := range got {
		if !(0 < f && f <= math.MaxFloat32) {
			return fail("positive numbers", fmt.Sprintf("%v at %d", f, i))
		}
	}
	r = ops.RoPEScaling{
		Theta: theta, Factor: float64(got[len(got)-1]), LowFreqFactor: 1, HighFreqFactor: 4,
		OriginalPositions: cmp.Or(oldContext, 8192),
	}
	usual := differs(ropeFactors(r, headDim), got, 1e-4)
	switch {
	case usual < 0 && r.Factor == 1: // so are all
		return ops.RoPEScaling{Theta: theta}, nil
	case usual < 0:
		return r, nil
	}
	fitted := r
	fitted.LowFreqFactor, fitted.HighFreqFactor = fitFactors(got, waves(r, headDim))
	plain := fitted // in fewer digits
	plain.LowFreqFactor, plain.HighFreqFactor = digits(fitted.LowFreqFactor, 4), digits(fitted.HighFreqFactor, 4)
	for _, s := range []struct {
		ops.RoPEScaling
		tolerance float64
	}{{plain, 1e-6}, {fitted, 1e-4}} {
		if 0 < s.LowFreqFactor && s.LowFreqFactor < s.HighFreqFactor && differs(ropeFactors(s.RoPEScaling, headDim), got, s.tolerance) < 0 {
			return s.RoPEScaling, nil
		}
	}
	return fail(fmt.Sprintf("factors of LLaMA 3's rule, with original_max_position_embeddings %d, low_freq_factor 1 and"+
		" high_freq_factor 4 %v at %d", r.OriginalPositions, ropeFactors(r, headDim)[usual], usual), fmt.Sprint(got[usual]))
}

// differs is where factors are others than wanted, relative to them, or -1.
func differs(want, got []float32, tolerance float64) int {
	for i, w := range want {
		if !(math.Abs(float64(got[i]-w)) <= tolerance*math.Abs(float64(w))) {
			return i
		}
	}
	return -1
}

// fitFactors finds a LowFreqFactor and a HighFreqFactor between which frequencies that the old context holds so many waves
// of, fewer and fewer, are divided by such factors: what is kept of a frequency grows linearly in its waves.
func fitFactors(factors []float32, waves []float64) (low, high float64) {
	stretched := 1 / float64(factors[len(factors)-1])
	keep := make([]float64, len(factors))
	for i, f := range factors {
		keep[i] = (1/float64(f) - stretched) / (1 - stretched)
	}
	const nearly = 1e-6 // what float32 leaves
	first := max(0, slices.IndexFunc(keep, func(k float64) bool { return k < 1-nearly }))
	last := len(keep) - 1
	for last > first && keep[last] < nearly {
		last--
	}
	w, k := waves[last], keep[last]
	switch {
	case last > first: // a line through two
		each := (keep[first] - k) / (waves[first] - w)
		low = w - k/each
		return low, low + 1/each
	case k < nearly: // none is between
		if first == 0 {
			return w, 2 * w
		}
		return w, waves[first-1]
	}
	// One is: a line through it that leaves its neighbors alone.
	low = waves[last+1]
	if first > 0 {
		low = max(low, (w-k*waves[first-1])/(1-k))
	}
	return low, low + (w-low)/k
}

// digits is x rounded to so many decimal digits.
func digits(x float64, n int) float64 {
	y, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', n, 64), 64)
	return y
}
