package vec

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Benchmark runs each routine from the first-level cache and from memory.
// elem/ns is the rate of elements.
func Benchmark(b *testing.B) {
	type routine struct {
		name  string
		bytes int // an element
		run   func(x *[7][]float32, h []uint16)
	}
	var routines []routine
	for _, c := range elementwises {
		routines = append(routines, routine{c.name, 4 * (c.ins + c.outs),
			func(x *[7][]float32, _ []uint16) { c.run(x[:c.outs], x[3:]) }})
	}
	// these keep their state, where the cases of the tests copy it first
	replace := func(r routine) {
		for i := range routines {
			if routines[i].name == r.name {
				routines[i] = r
			}
		}
	}
	replace(routine{"Axpy", 12, func(x *[7][]float32, _ []uint16) { Axpy(x[0], x[1], 1e-3) }})
	replace(routine{"MulAdd", 16, func(x *[7][]float32, _ []uint16) { MulAdd(x[0], x[1], x[2], 1e-3) }})
	replace(routine{"AdamW", 28, func(x *[7][]float32, _ []uint16) { AdamW(x[0], x[1], x[6], x[3], testStep) }})
	routines = append(routines,
		routine{"Max", 4, func(x *[7][]float32, _ []uint16) { Max(x[3]) }},
		routine{"Sum", 4, func(x *[7][]float32, _ []uint16) { Sum(x[3]) }},
		routine{"SumSquares", 4, func(x *[7][]float32, _ []uint16) { SumSquares(x[3]) }},
		routine{"Dot", 8, func(x *[7][]float32, _ []uint16) { Dot(x[3], x[4]) }},
		routine{"dot3", 12, func(x *[7][]float32, _ []uint16) { dot3(x[3], x[4], x[5]) }},
		routine{"sumExpSub", 4, func(x *[7][]float32, _ []uint16) { sumExpSub(x[3], 1) }},
		routine{"LogSumExp", 4, func(x *[7][]float32, _ []uint16) { LogSumExp(x[3]) }},
		routine{"SoftmaxRow", 8, func(x *[7][]float32, _ []uint16) { SoftmaxRow(x[0], x[3]) }},
		routine{"SoftmaxGradRow", 12, func(x *[7][]float32, _ []uint16) { SoftmaxGradRow(x[0], x[3], x[4]) }},
		routine{"RMSNormRows", 12, func(x *[7][]float32, _ []uint16) { RMSNormRows(x[0], x[3], x[4], x[1][:1], 1e-5) }},
		routine{"RMSNormGradRows", 16, func(x *[7][]float32, _ []uint16) { RMSNormGradRows(x[0], x[3], x[4], x[5], nil, x[1][:1]) }},
		routine{"RoPERow", 8, func(x *[7][]float32, _ []uint16) {
			for i := 0; i+1024 <= len(x[0]); i += 1024 {
				RoPERow(x[0][i:i+1024], x[3][i:i+1024], x[4][:128], 1)
			}
		}},
		routine{"FromBF16", 6, func(x *[7][]float32, h []uint16) { FromBF16(x[0], h) }},
		routine{"FromF16", 6, func(x *[7][]float32, h []uint16) { FromF16(x[0], h) }},
		routine{"ToBF16", 6, func(x *[7][]float32, h []uint16) { ToBF16(h, x[3]) }},
		routine{"ToF16", 6, func(x *[7][]float32, h []uint16) { ToF16(h, x[3]) }},
	)
	for _, n := range []int{1 << 10, 1 << 24} {
		rng := rand.New(rand.NewPCG(1, 1))
		var x [7][]float32
		for k := range x {
			x[k] = normal(rng, n, 1)
		}
		for i, v := range x[6] {
			x[6][i] = v * v
		}
		h := make([]uint16, n)
		for _, impl := range implementations {
			impl.choose()
			for _, r := range routines {
				b.Run(fmt.Sprintf("%s/%s/%d", r.name, impl.name, n), func(b *testing.B) {
					b.SetBytes(int64(r.bytes * n))
					for b.Loop() {
						r.run(&x, h)
					}
					b.ReportMetric(float64(b.N)*float64(n)/float64(b.Elapsed().Nanoseconds()), "elem/ns")
				})
			}
		}
	}
}
