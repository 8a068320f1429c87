package random_test

import (
	"fmt"

	"github.com/agora-ml/agora/random"
)

// The numbers depend on the seed, the stream, the step and the operation, and on nothing else: a
// mask comes out again without being kept, and streams do not disturb each other.
func ExampleNewStream() {
	mask := random.NewStream(8, random.Dropout, 100, 3) // step 100, the fourth call in it
	first := []int{mask.IntN(10), mask.IntN(10), mask.IntN(10)}

	order := random.NewStream(8, random.Order, 0, 0)
	fmt.Println(order.Perm(5))

	again := random.NewStream(8, random.Dropout, 100, 3)
	fmt.Println(first, []int{again.IntN(10), again.IntN(10), again.IntN(10)})
	// Output:
	// [0 2 1 4 3]
	// [5 1 1] [5 1 1]
}
