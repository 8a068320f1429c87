package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// product is what agora bench gemm --beside names: c [M, N] of a and b, of which T is stored transposed.
type product struct {
	Name   string `json:"name"`
	DType  string `json:"dtype"`
	Layout string `json:"layout"`
	M      int    `json:"m"`
	N      int    `json:"n"`
	K      int    `json:"k"`
}

func products(r io.Reader, w io.Writer) error {
	var task struct {
		Products []product `json:"products"`
		Rounds   int       `json:"rounds"`
		Seconds  float64   `json:"seconds"`
		Threads  int       `json:"threads"`
	}
	if err := json.NewDecoder(r).Decode(&task); err != nil {
		return err
	}
	runtime.GOMAXPROCS(task.Threads)
	backend, err := compute.NewWithConfig(config)
	if err != nil {
		return err
	}
	rates := map[string]float64{}
	for _, p := range task.Products {
		if p.DType != "f32" {
			return fmt.Errorf("%s: want f32, got %s", p.Name, p.DType)
		}
		if rates[p.Name], err = p.rate(backend, task.Rounds, task.Seconds); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{"name": "GoMLX 486d1f0", "rates": rates})
}

// rate is the median GFLOP/s of rounds that take about so many seconds.
func (p product) rate(backend compute.Backend, rounds int, seconds float64) (float64, error) {
	lhsAxis, rhsAxis := 1, 0
	lhs, rhs := [2]int{p.M, p.K}, [2]int{p.K, p.N}
	if p.Layout[0] == 'T' {
		lhsAxis, lhs = 0, [2]int{p.K, p.M}
	}
	if p.Layout[1] == 'T' {
		rhsAxis, rhs = 1, [2]int{p.N, p.K}
	}
	exec, err := graph.NewExec(backend, func(a, b *graph.Node) *graph.Node {
		return graph.DotGeneral(a, []int{lhsAxis}, nil, b, []int{rhsAxis}, nil)
	})
	if err != nil {
		return 0, err
	}
	defer exec.Finalize()
	a, b := normal(lhs[0], lhs[1]), normal(rhs[0], rhs[1])
	took := func(calls int) (float64, error) {
		start := time.Now()
		for range calls {
			c, err := exec.Call(a, b)
			if err != nil {
				return 0, err
			}
			if err := c[0].FinalizeAll(); err != nil {
				return 0, err
			}
		}
		return time.Since(start).Seconds() / float64(calls), nil
	}
	if _, err := took(2); err != nil {
		return 0, err
	}
	once, err := took(2)
	if err != nil {
		return 0, err
	}
	times := make([]float64, rounds)
	for i := range times {
		if times[i], err = took(max(1, int(seconds/once))); err != nil {
			return 0, err
		}
	}
	return 2e-9 * float64(p.M) * float64(p.N) * float64(p.K) / median(times), nil
}

func normal(rows, cols int) *tensors.Tensor {
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(rand.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(x, rows, cols)
}
