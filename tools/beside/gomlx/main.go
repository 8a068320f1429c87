// Program gomlx measures GoMLX, another framework in Go, beside Agora. It needs GoMLX's sources, and Go's SIMD:
//
//	cd tools/beside/gomlx
//	git clone https://github.com/gomlx/gomlx source/gomlx && git -C source/gomlx checkout 486d1f0
//	git clone https://github.com/gomlx/compute source/compute && git -C source/compute checkout f72893f
//	GOEXPERIMENT=simd go build -o /tmp/gomlx .
//
//	agora bench gemm --dtype f32 --sizes 1024 --beside '/tmp/gomlx gemm'
//	/tmp/gomlx mlp
//
// Its products are DotGeneral of GoMLX's own CPU backend; the operands lie on its device, the result is a new tensor.
// The network is trained by both in this process, in turns.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"

	_ "github.com/gomlx/compute/gobackend" // the backend "go"
)

// config is the fastest of GoMLX's settings: by default a product often has one worker of two.
const config = "go:parallelism=-1"

func main() {
	log.SetFlags(0)
	pairs := flag.Int("pairs", 7, "measurements of each")
	seconds := flag.Float64("seconds", 3, "how long a measurement takes")
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "gemm":
		err = products(os.Stdin, os.Stdout)
	case "mlp":
		for _, n := range []network{{batch: 256, in: 784, hidden: []int{1024, 1024}, out: 10},
			{batch: 512, in: 1024, hidden: []int{4096, 4096}, out: 1024}} {
			if err = n.compare(*pairs, *seconds); err != nil {
				break
			}
		}
	default:
		err = fmt.Errorf("want gemm or mlp, got %q", flag.Arg(0))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
