package batch_test

import (
	"fmt"

	"github.com/agora-ml/agora/batch"
)

// Two rows of three tokens; after the first of each nothing is to be predicted.
func Example() {
	b := batch.Batch{
		Rows:   2,
		IDs:    []int32{1, 5, 7, 1, 9, 2},
		Labels: []int32{batch.Ignored, 7, 2, batch.Ignored, 2, batch.Ignored},
	}
	fmt.Println(b.Len(), "tokens a row,", b.Counted(), "count")
	fmt.Println(b.Row(1).IDs)
	// Output:
	// 3 tokens a row, 3 count
	// [1 9 2]
}
