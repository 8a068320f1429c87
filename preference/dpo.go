package preference

import "fmt"

// DPOLoss is what DPO makes of the margin between the answers of a pair.
type DPOLoss string

const (
	// DPOSigmoid is −log σ(β·margin), the loss of DPO itself: Rafailov et al., "Direct Preference
	// Optimization", 2305.18290, equation 7. The margin is the chosen answer's log-ratio less the
	// rejected one's.
	DPOSigmoid DPOLoss = "sigmoid"
	// DPOHinge is max(0, 1 − β·margin): Zhao et al., "SLiC-HF", 2305.10425, on DPO's margin as Liu et
	// al., "Statistical Rejection Sampling Improves Preference Optimization", 2309.06657, have it.
	DPOHinge DPOLoss = "hinge"
	// DPOIPO is (margin − 1/(2β))²: Azar et al., "A General Theoretical Paradigm to Understand Learning
	// from Human Preferences", 2310.12036, equation 17. Log-ratios are means over tokens there, as
	// TRL (DPOTrainer, loss_type="ipo") takes them.
	DPOIPO DPOLoss = "ipo"
)

// DPOLosses lists every DPOLoss, the default first.
func DPOLosses() []DPOLoss { return []DPOLoss{DPOSigmoid, DPOHinge, DPOIPO} }

// DPO is direct preference optimization.
type DPO struct {
	Kind DPOLoss // "": DPOSigmoid
	Beta float64 // above 0: how dear it is to leave the reference
	// LabelSmoothing is the chance ε, below 1/2, with which a pair is taken to be labeled the wrong way
	// round: Mitchell, "A note on DPO with noisy preferences & relationship to IPO" (2023), called cDPO.
	// Of DPOSigmoid alone.
	LabelSmoothing float64
}

// Validate returns an error for the first field that is invalid.
func (d DPO) Validate() error {
	switch {
	case d.kind() != DPOSigmoid && d.kind() != DPOHinge && d.kind() != DPOIPO:
		return fmt.Errorf("preference: DPO loss: want one of %v, got %q", DPOLosses(), d.Kind)
	case !(d.Beta > 0):
		return fmt.Errorf("preference: beta: want more than 0, got %v", d.Beta)
	case !(d.LabelSmoothing >= 0 && d.LabelSmoothing < 0.5):
		return fmt.Errorf("preference: label smoothing: want at least 0 and below 0.5, got %v", d.LabelSmoothing)
	case d.LabelSmoothing != 0 && d.kind() != DPOSigmoid:
		return fmt.Errorf("preference: label smoothing: want 0 with the loss %s, got %v", d.Kind, d.LabelSmoothing)
	}
	return nil
}

func (d DPO) kind() DPOLoss {
	if d.Kind == "" {
		return DPOSigmoid
	}
	return d.Kind
}

// Loss returns the loss of a pair, and its derivatives by the log-probabilities of both answers.
func (d DPO) Loss(p Pair) (loss, dChosen, dRejected float64) {
	margin := p.Chosen.LogRatio() - p.Rejected.LogRatio()
	z := d.Beta * margin
	switch d.kind() {
	case DPOHinge:
		if z >= 1 {
			return 0, 0, 0
		}
		return 1 - z, -d.Beta, d.Beta
	case DPOIPO:
		chosen, rejected := float64(p.Chosen.Tokens), float64(p.Rejected.Tokens)
		off := p.Chosen.LogRatio()/chosen - p.Rejected.LogRatio()/rejected - 1/(2*d.Beta)
		return off * off, 2 * off / chosen, -2 * off / rejected
	}
	e := d.LabelSmoothing
	g := d.Beta * (e*sigmoid(z) - (1-e)*sigmoid(-z))
	return -(1-e)*logSigmoid(z) - e*logSigmoid(-z), g, -g
}

// Reward returns the reward that the model implies, β log(π/π_ref): equation 5 without what depends on
// the prompt alone.
func (d DPO) Reward(a Answer) float64 { return d.Beta * a.LogRatio() }
