package cpu_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// BenchmarkElements runs kernels that are bound by memory on a layer of the 15m shape, 8 rows of 256 tokens, and tells the bytes of
// their arguments a second. Each call has others of several sets of arguments, as kernels of a step find what is in a cache or is not.
func BenchmarkElements(b *testing.B) {
	const rows, dim, hidden, headDim, seq, sets = 2048, 288, 768, 48, 256, 8
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		for _, threads := range []int{1, 2} {
			backend, err := cpu.Open(cpu.Options{Threads: threads})
			if err != nil {
				b.Fatal(err)
			}
			d := tensor.NewDevice(backend)
			numbers := make([]float32, rows*hidden)
			for i := range numbers {
				numbers[i] = float32(math.Sin(float64(i) * float64(i)))
			}
			var of [sets][5]*tensor.Tensor
			for s := range of {
				for i := range of[s] {
					of[s][i] = d.FromFloat32s(dt, numbers, rows, hidden)
				}
			}
			narrow := func(x *tensor.Tensor) *tensor.Tensor { return x.View(0, rows, dim) }
			rstd, weight := d.FromFloat32s(tensor.F32, numbers[:rows], rows), d.FromFloat32s(dt, numbers[:dim], dim)
			table := d.FromFloat32s(tensor.F32, numbers[:seq*headDim], seq, headDim)
			run := func(name string, arguments, columns int, f func(x [5]*tensor.Tensor)) {
				b.Run(fmt.Sprintf("%s/%s/threads%d", name, dt, threads), func(b *testing.B) {
					b.SetBytes(int64(arguments * rows * dt.Bytes(columns)))
					for i := 0; b.Loop(); i++ {
						f(of[i%sets])
					}
				})
			}
			run("swiglu", 3, hidden, func(x [5]*tensor.Tensor) { d.Run(kernels.SwiGLU{N: rows * hidden}, x[0], x[1], x[2]) })
			run("swiglu_grad", 5, hidden, func(x [5]*tensor.Tensor) {
				d.Run(kernels.SwiGLUGrad{N: rows * hidden}, x[0], x[1], x[2], x[3], x[4])
			})
			run("rms_norm", 2, dim, func(x [5]*tensor.Tensor) {
				d.Run(kernels.RMSNorm{Rows: rows, Dim: dim, Eps: 1e-5}, narrow(x[0]), rstd, narrow(x[1]), weight)
			})
			run("rms_norm_grad", 4, dim, func(x [5]*tensor.Tensor) {
				d.Run(kernels.RMSNormGrad{Rows: rows, Dim: dim}, narrow(x[0]), narrow(x[1]), narrow(x[2]), weight, rstd, narrow(x[3]))
			})
			run("rope", 2, dim, func(x [5]*tensor.Tensor) {
				d.Run(kernels.RoPE{Rows: rows, Heads: dim / headDim, Dim: headDim, Seq: seq, Positions: seq, Sign: 1},
					narrow(x[0]), narrow(x[1]), table, nil)
			})
			run("add", 3, dim, func(x [5]*tensor.Tensor) {
				d.Run(kernels.Add{N: rows * dim, M: rows * dim}, narrow(x[0]), narrow(x[1]), narrow(x[2]))
			})
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
