package gemm_test

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/agora-ml/agora/backend/cpu/gemm"
)

// A program that uses gonum gets these products by one line.
func ExampleBLAS() {
	engine := gemm.New(0) // as many threads as there are processors
	defer engine.Close()
	blas32.Use(gemm.BLAS{Engine: engine})

	a := blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: []float32{1, 2, 3, 4}}
	c := blas32.General{Rows: 2, Cols: 2, Stride: 2, Data: make([]float32, 4)}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, a, a, 0, c)
	fmt.Println(c.Data)
	// Output: [5 11 11 25]
}
