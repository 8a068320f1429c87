package compare_test

import (
	"fmt"
	"log"

	"github.com/agora-ml/agora/compare"
)

func ExampleScale() {
	e, err := compare.Scale("default")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(e.Methods), "methods,", len(e.Seeds.Score), "seeds, after", e.Train.Steps, "steps")
	// Output: 7 methods, 8 seeds, after [1200 3600] steps
}

func ExamplePaired() {
	d := compare.Paired([]float64{0.98, 0.93, 0.81, 0.61}, []float64{0.45, 0.37, 0.50, 0.11})
	fmt.Printf("ahead by %.2f, 95 %% %.2f to %.2f, on %d of %d seeds\n", d.Mean, d.Low, d.High, d.Up, d.N)
	// Output: ahead by 0.48, 95 % 0.30 to 0.65, on 4 of 4 seeds
}
