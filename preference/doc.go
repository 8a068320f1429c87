// Package preference is the losses of preference training: DPO, ORPO and KTO as functions of the
// log-probabilities that models give to answers, each with its derivatives, in float64.
//
//	dpo := preference.DPO{Beta: 0.1}
//	loss, dChosen, dRejected := dpo.Loss(preference.Pair{
//		Chosen:   preference.Answer{LogProb: -10, Reference: -12, Tokens: 8},
//		Rejected: preference.Answer{LogProb: -11, Reference: -11, Tokens: 9},
//	})
//
// Log-probabilities are natural logarithms (nats), summed over the tokens of an answer behind its
// prompt: log π(y|x).
package preference

import "math"

// Answer is what models think of an answer y to a prompt x.
type Answer struct {
	LogProb   float64 // log π(y|x) of the model that trains
	Reference float64 // log π_ref(y|x) of the model that it is compared with; ORPO has none
	Tokens    int     // of y, at least 1
}

// LogRatio returns log π(y|x) − log π_ref(y|x).
func (a Answer) LogRatio() float64 { return a.LogProb - a.Reference }

// Mean returns the mean log-probability of a token.
func (a Answer) Mean() float64 { return a.LogProb / float64(a.Tokens) }

// Pair is two answers to one prompt, of which somebody has preferred one.
type Pair struct{ Chosen, Rejected Answer }

// sigmoid returns 1 / (1 + e^-x).
func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// logSigmoid returns log sigmoid(x), also where that is too small for a sigmoid.
func logSigmoid(x float64) float64 {
	if x < 0 {
		return x - math.Log1p(math.Exp(x))
	}
	return -math.Log1p(math.Exp(-x))
}
