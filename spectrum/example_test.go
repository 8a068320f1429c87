package spectrum_test

import (
	"fmt"

	"github.com/agora-ml/agora/spectrum"
)

// Of four singular values the first holds most of the energy; as many count as 2.1 equal ones.
func ExampleUpdate() {
	u := spectrum.Update{Layer: "k_proj", Singular: []float64{4, 1, 0.5, 0}}
	fmt.Printf("%.2f of the energy in the first, effective rank %.1f\n", u.Energy(1), u.EffectiveRank())
	// Output: 0.93 of the energy in the first, effective rank 2.1
}
