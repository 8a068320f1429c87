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

	YaRN *YaRN     // in place of these rules, if not nil
	Long *LongRoPE // the same

	// Dynamic, if not nil, makes Theta larger for texts of more positions than the model was made for.
	Dynamic *DynamicRoPE
}

// DynamicRoPE stretches texts of n > Positions positions, and no others: Theta is multiplied by
// (Factor n / Positions - Factor + 1)^(dim / (dim - 2)), the rule of transformers' type "dynamic".
type DynamicRoPE struct {
	Factor    float64
	Positions int // max_position_embeddings
}

// YaRN stretches a context by Factor: waves that the old context holds BetaFast times or more
// stay as they are, those that it holds BetaSlow times or less are stretched, and between the
// two both are mixed (Peng et al., 2309.00071, section 3).
type YaRN struct {
	Factor             float64
	OriginalPositions  int
	BetaFast, BetaSlow float64
	Untruncated        bool // the bounds are not rounded to whole elements
	// Attention multiplies sines and cosines, and so queries and keys (equation 15's √(1/t)).
	Attention float64
	// QueryBeta makes queries longer with the position p, by 1 + QueryBeta ln(1 + ⌊p / OriginalPositions⌋),
	// as Ministral 3 does; 0: none.
	QueryBeta float64
}

// LongRoPE divides each frequency by a factor of its own, of which there are two sets: one for
// texts up to OriginalPositions, and one for longer texts (Ding et al., 2402.13753).
type LongRoPE struct {
	Short, Long       []float64 // dim / 2 each
	OriginalPositions int
	Attention         float64 // as YaRN's
}

// RoPETable is the table of RoPE, [positions, dim]: in each row the cosines of dim/2
// angles, then their sines. The longest text is taken to have so many positions (see
// LongRoPE and DynamicRoPE). Everything is rounded to float32 where transformers does.
func RoPETable(positions, dim int, s RoPEScaling) []float32 {
	return s.table(positions, dim, func(int) float32 { return s.attention() })
}

// RoPEQueryTable is RoPETable for queries, which YaRN.QueryBeta makes longer.
func RoPEQueryTable(positions, dim int, s RoPEScaling) []float32 {
	if s.YaRN == nil || s.YaRN.QueryBeta == 0 {
		return RoPETable(positions, dim, s)
	}
	return s.table(positions, dim, func(p int) float32 {
		return s.attention() * float32(1+s.YaRN.QueryBeta*math.Log(float64(1+p/s.YaRN.OriginalPositions)))
	})
}

// table has sines and cosines times a factor of their position.
func (s RoPEScaling) table(positions, dim int, factor func(position int) float32) []float32 {
	table := make([]float32, positions*dim)
	half := dim / 2
	for j, f := range s.frequencies(positions, dim) {
		for p := range positions {
			sin, cos := math.Sincos(float64(float32(p) * f))
			table[p*dim+j] = float32(cos) * factor(p)
			table[p*dim+half+j] = float32(sin) * factor(p)
		}
	}
	return table
}

// attention is the factor of all sines and cosines.
func (s RoPEScaling) attention() float32 {
	switch {
	case s.YaRN != nil:
		return float32(s.YaRN.Attention)
	case s.Long != nil:
		return float32(s.Long.Attention)
	}
	return 1
}

// frequencies are the angles of position 1. Explicit conversions keep the compiler
// from fusing a product and a sum, which would round once less than transformers.
func (s RoPEScaling) frequencies(positions, dim int) []float32 {
	theta, factor := s.Theta, float32(s.Factor)
	if theta == 0 {
		theta = 10000
	}
	if factor == 0 {
		factor = 1
	}
	if d := s.Dynamic; d != nil && positions > d.Positions {
		theta *= math.Pow(d.Factor*float64(positions)/float64(d.Positions)-d.Factor+1, float64(dim)/float64(dim-2))
	}
	f := make([]float32, dim/2)
	for j := range f {
		wavelength := float32(math.Pow(theta, float64(float32(2*j)/float32(dim))))
		f[j] = 1 / wavelength
		switch {
		case s.YaRN != nil:
			f[j] = s.YaRN.frequency(wavelength, theta, j, dim)
		case s.Long != nil:
			f[j] = 1 / (float32(s.Long.factors(positions)[j]) * wavelength)
		case s.OriginalPositions == 0:
			f[j] /= factor
		default:
			f[j] = s.llama3(f[j], factor)
		}
	}
	return f
}

func (s RoPEScaling) llama3(f, factor float32) float32 {
	wave := float32(2*math.Pi) / f
	switch length := float64(s.OriginalPositions); {
	case wave > float32(length/s.LowFreqFactor):
		return f / factor
	case wave >= float32(length/s.HighFreqFactor):
		smooth := (float32(length)/wave - float32(s.LowFreqFactor)) / float32(s.HighFreqFactor-s.LowFreqFactor)
		return float32((1-smooth)*f/factor) + float32(smooth*f)
	}
	return f
}

// frequency is that of element j, whose plain one is 1/wavelength.
func (y *YaRN) frequency(wavelength float32, theta float64, j, dim int) float32 {
	// at is the element whose wave the old context holds so many times.
	at := func(turns float64) float64 {
		return float64(dim) * math.Log(float64(y.OriginalPositions)/(turns*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high := at(y.BetaFast), at(y.BetaSlow)
	if !y.Untruncated {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	keep := 1 - min(max((float32(j)-float32(low))/float32(high-low), 0), 1)
	stretched := 1 / float32(float32(y.Factor)*wavelength)
	return float32(stretched*(1-keep)) + float32(1/wavelength*keep)
}

// factors are those for texts of so many positions.
func (l *LongRoPE) factors(positions int) []float64 {
	if positions > l.OriginalPositions {
		return l.Long
	}
	return l.Short
}
