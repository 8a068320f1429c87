package ops

import "math"

// RoPEScaling is how the angles of RoPE depend on the position. The names are those
// of config.json's rope_scaling (or rope_parameters).
type RoPEScaling struct {
	Theta float64 // rope_theta, the base; 0 means 10,000
	// Factor stretches the context: angles are divided by it. 0 or 1: plain RoPE.
	Factor float64
	// OriginalPositions (original_max_position_embeddings), if not 0, asks for
	// LLaMA 3's rule: only waves longer than OriginalPositions / LowFreqFactor are
	// stretched, those shorter than OriginalPositions / HighFreqFactor are not, and
	// between the two the frequency is interpolated.
	OriginalPositions             int
	LowFreqFactor, HighFreqFactor float64
}

// RoPETable is the table of RoPE, [positions, dim]: in each row the cosines of dim/2
// angles, then their sines. Everything is rounded to float32 where transformers does.
func RoPETable(positions, dim int, s RoPEScaling) []float32 {
	table := make([]float32, positions*dim)
	half := dim / 2
	for j, f := range s.frequencies(dim) {
		for p := range positions {
			sin, cos := math.Sincos(float64(float32(p) * f))
			table[p*dim+j] = float32(cos)
			table[p*dim+half+j] = float32(sin)
		}
	}
	return table
}

// frequencies are the angles of position 1. Explicit conversions keep the compiler
// from fusing a product and a sum, which would round once less than transformers.
func (s RoPEScaling) frequencies(dim int) []float32 {
	theta, factor := s.Theta, float32(s.Factor)
	if theta == 0 {
		theta = 10000
	}
	if factor == 0 {
		factor = 1
	}
	f := make([]float32, dim/2)
	for j := range f {
		exponent := float32(2*j) / float32(dim)
		f[j] = 1 / float32(math.Pow(theta, float64(exponent)))
		if s.OriginalPositions == 0 {
			f[j] /= factor
			continue
		}
		wave := float32(2*math.Pi) / f[j]
		switch length := float64(s.OriginalPositions); {
		case wave > float32(length/s.LowFreqFactor):
			f[j] /= factor
		case wave >= float32(length/s.HighFreqFactor):
			smooth := (float32(length)/wave - float32(s.LowFreqFactor)) / float32(s.HighFreqFactor-s.LowFreqFactor)
			f[j] = float32((1-smooth)*f[j]/factor) + float32(smooth*f[j])
		}
	}
	return f
}
