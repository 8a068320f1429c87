package preference_test

import (
	"fmt"

	"github.com/agora-ml/agora/preference"
)

// A model that likes the chosen answer e² times as much as its reference does, and the rejected one alike.
func Example() {
	dpo := preference.DPO{Beta: 0.1}
	pair := preference.Pair{
		Chosen:   preference.Answer{LogProb: -10, Reference: -12, Tokens: 8},
		Rejected: preference.Answer{LogProb: -11, Reference: -11, Tokens: 9},
	}
	loss, dChosen, dRejected := dpo.Loss(pair)
	fmt.Printf("loss %.4f, to be raised by %.4f and lowered by %.4f\n", loss, -dChosen, dRejected)
	fmt.Printf("rewards %.1f and %.1f\n", dpo.Reward(pair.Chosen), dpo.Reward(pair.Rejected))
	// Output:
	// loss 0.5981, to be raised by 0.0450 and lowered by 0.0450
	// rewards 0.2 and 0.0
}
