package preference

import "fmt"

// KTO is Kahneman-Tversky optimization, which needs no pairs: Ethayarajh et al., "KTO: Model Alignment as
// Prospect Theoretic Optimization", 2402.01306.
type KTO struct {
	Beta float64 // above 0: how soon gains and losses are felt no more
	// Desirable and Undesirable weigh the answers: λ_D and λ_U. Where there are more of one kind, TRL
	// (KTOTrainer) advises that the products of weights and numbers be as 1 to 1, up to 4 to 3.
	Desirable, Undesirable float64
}

// Validate returns an error for the first field that is invalid.
func (k KTO) Validate() error {
	switch {
	case !(k.Beta > 0):
		return fmt.Errorf("preference: beta: want more than 0, got %v", k.Beta)
	case !(k.Desirable >= 0):
		return fmt.Errorf("preference: desirable weight: want at least 0, got %v", k.Desirable)
	case !(k.Undesirable >= 0):
		return fmt.Errorf("preference: undesirable weight: want at least 0, got %v", k.Undesirable)
	}
	return nil
}

// Loss returns the loss of an answer, and its derivative by the answer's log-probability: the paper's L_KTO
// (equation 7 as TRL's documentation counts), λ_y (1 − σ(β (log π/π_ref − z0))), with the other sign before β
// where the answer is undesirable. kl is z0, see KL; no derivative goes through it.
func (k KTO) Loss(a Answer, desirable bool, kl float64) (loss, d float64) {
	weight, sign := k.Undesirable, -1.0
	if desirable {
		weight, sign = k.Desirable, 1
	}
	value := sigmoid(sign * k.Beta * (a.LogRatio() - kl))
	return weight * (1 - value), -weight * sign * k.Beta * value * (1 - value)
}

// KL returns KTO's point of reference z0: the divergence of the model from the reference, estimated as the
// mean log-ratio of answers to prompts that they do not belong to, and at least 0. Without any it is 0.
func KL(mismatched []Answer) float64 {
	sum := 0.0
	for _, a := range mismatched {
		sum += a.LogRatio()
	}
	return max(0, sum/float64(max(1, len(mismatched))))
}

// Reward returns β log(π/π_ref), as of DPO.
func (k KTO) Reward(a Answer) float64 { return k.Beta * a.LogRatio() }
