package cpu_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// BenchmarkAttention reports the arithmetic of the half of the scores that is seen, 4 T² D / 2 a head forward and 10 T² D / 2
// for all gradients, on one thread, and its share of a peak of multiply-adds measured right before (0: there is no probe).
func BenchmarkAttention(b *testing.B) {
	const width = 512
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, tokens := range []int{512, 2048} {
			for _, dim := range []int{64, 128} {
				backend, err := cpu.Open(cpu.Options{Threads: 1})
				if err != nil {
					b.Fatal(err)
				}
				d := tensor.NewDevice(backend)
				k := kernels.Attention{
					Batch: 1, T: tokens, S: tokens, Heads: width / dim, KVHeads: width / dim, HeadDim: dim,
					Scale: float32(1 / math.Sqrt(float64(dim))),
				}
				numbers := make([]float32, tokens*width)
				for i := range numbers {
					numbers[i] = float32(math.Sin(float64(i) * float64(i)))
				}
				var x [8]*tensor.Tensor
				for i := range x {
					x[i] = d.FromFloat32s(dt, numbers, 1, tokens, k.Heads, dim)
				}
				lse := d.New(tensor.F32, 1, k.Heads, tokens)
				run := func(name string, products float64, f func()) {
					b.Run(fmt.Sprintf("%s/T%d/D%d/%s", dt, tokens, dim, name), func(b *testing.B) {
						peak := gemm.Peak(1)
						b.ResetTimer()
						for b.Loop() {
							f()
						}
						rate := products * float64(tokens) * float64(tokens) * width * float64(b.N) / b.Elapsed().Seconds()
						b.ReportMetric(rate/1e9, "GFLOP/s")
						if peak > 0 {
							b.ReportMetric(100*rate/peak, "%peak")
						}
					})
				}
				run("forward", 2, func() { d.Run(k, x[0], lse, x[1], x[2], x[3], nil, nil, nil, nil) })
				run("gradients", 5, func() {
					d.Run(kernels.AttentionGrad(k), x[4], x[5], x[6], x[7], x[0], lse, x[1], x[2], x[3], nil, nil, nil, nil)
				})
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
