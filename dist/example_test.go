package dist_test

import (
	"fmt"

	"github.com/agora-ml/agora/dist"
)

// A process that no launcher has started is alone.
func ExampleJoin() {
	world, err := dist.Join()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer world.Close()
	parts, err := world.AllGather([]byte("mine"))
	fmt.Printf("process %d of %d: %s %v\n", world.Rank(), world.Size(), parts, err)
	// Output: process 0 of 1: [mine] <nil>
}
