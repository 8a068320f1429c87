package vec

import "math"

// AdamWStep has the numbers of one AdamW step. They are float64 so that what is
// derived from them is rounded once, as PyTorch does.
type AdamWStep struct {
	Clip         float32 // factor of the gradients
	LR           float64
	Beta1, Beta2 float64
	Eps          float64
	WeightDecay  float64
	Correction1  float64 // 1 - Beta1^t
	Correction2  float64 // 1 - Beta2^t
}

// adamwScalars are the derived numbers, in the order the assembly reads them.
type adamwScalars struct {
	clip       float32
	decay      float32 // 1 - LR*WeightDecay
	mix1       float32 // 1 - Beta1
	beta2      float32
	mix2       float32 // 1 - Beta2
	corr       float32 // sqrt(Correction2)
	eps        float32
	negativeLR float32 // -LR/Correction1
}

// AdamW updates parameters p and moments m, v by the gradients g, with the
// operations of torch.optim.AdamW (the single-tensor one) in their order. For
// Beta1 <= 0.5 PyTorch rounds the first moment differently.
func AdamW(p, m, v, g []float32, s AdamWStep) {
	same("AdamW", len(p), len(m), len(v), len(g))
	adamw(p, m, v, g, &adamwScalars{
		clip:       s.Clip,
		decay:      float32(1 - s.LR*s.WeightDecay),
		mix1:       float32(1 - s.Beta1),
		beta2:      float32(s.Beta2),
		mix2:       float32(1 - s.Beta2),
		corr:       float32(math.Sqrt(s.Correction2)),
		eps:        float32(s.Eps),
		negativeLR: float32(-s.LR / s.Correction1),
	})
}

// adamwGo rounds each operation, except that PyTorch's lerp (the first moment)
// is a fused multiply-add: the product of two float32 is exact in float64.
func adamwGo(p, m, v, g []float32, s *adamwScalars) {
	m, v, g = m[:len(p)], v[:len(p)], g[:len(p)]
	for i := range p {
		gi := float32(g[i] * s.clip)
		mi := float32(float64(s.mix1)*float64(gi-m[i]) + float64(m[i]))
		vi := float32(v[i]*s.beta2) + float32(float32(s.mix2*gi)*gi)
		root := float32(math.Sqrt(float64(vi)))
		denom := root/s.corr + s.eps
		p[i] = float32(p[i]*s.decay) + float32(s.negativeLR*mi)/denom
		m[i], v[i] = mi, vi
	}
}
