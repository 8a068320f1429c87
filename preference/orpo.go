package preference

import (
	"fmt"
	"math"
)

// ORPO is odds ratio preference optimization, which needs no reference: Hong et al., "ORPO: Monolithic
// Preference Optimization without Reference Model", 2403.07691. Its loss, equation 6, is that of
// fine-tuning on the chosen answers and Lambda times that of the odds ratio.
type ORPO struct {
	Lambda float64 // λ, above 0; TRL (ORPOTrainer) calls it beta
}

// Validate returns an error for a field that is invalid.
func (o ORPO) Validate() error {
	if !(o.Lambda > 0) {
		return fmt.Errorf("preference: lambda: want more than 0, got %v", o.Lambda)
	}
	return nil
}

// OddsRatio returns λ·L_OR of a pair, and its derivatives by the log-probabilities of both answers. L_OR,
// equation 7, is −log σ of the log of the odds ratio. Odds are P / (1 − P), equation 4, where log P is the mean
// log-probability of a token.
func (o ORPO) OddsRatio(p Pair) (loss, dChosen, dRejected float64) {
	chosen, dLogOddsChosen := logOdds(p.Chosen)
	rejected, dLogOddsRejected := logOdds(p.Rejected)
	z := chosen - rejected
	g := o.Lambda * sigmoid(-z)
	return -o.Lambda * logSigmoid(z), -g * dLogOddsChosen, g * dLogOddsRejected
}

// certain is the mean log-probability above which f32 losses of tokens cannot tell it from 0, whose odds
// are without end.
const certain = -1e-7

// logOdds returns log(P / (1 − P)) for P = e^Mean, and its derivative by the answer's log-probability.
func logOdds(a Answer) (x, d float64) {
	mean := min(a.Mean(), certain)
	rest := -math.Expm1(mean) // 1 − P
	return mean - math.Log(rest), 1 / (rest * float64(a.Tokens))
}

// Reward returns what TRL reports as a reward: λ times the mean log-probability of a token.
func (o ORPO) Reward(a Answer) float64 { return o.Lambda * a.Mean() }
