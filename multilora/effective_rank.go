package multilora

import "math"

// EffectiveRank is how many singular values count: exp of the entropy of their shares in
// their sum, which is k for k equal ones and near 1 where one stands out (O. Roy and
// M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
// 2007). It is 0 where all are zero.
func EffectiveRank(singular []float64) float64 {
	sum := 0.0
	for _, v := range singular {
		sum += v
	}
	if sum == 0 {
		return 0
	}
	entropy := 0.0
	for _, v := range singular {
		if p := v / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy)
}
