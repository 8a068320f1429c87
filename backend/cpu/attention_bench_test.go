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
// for all gradients, and its share of a peak of multiply-adds measured right before (0: there is no probe). Queries and keys have
// positions and segments, as those of a batch of training; the first two shapes are a layer of the 15m and the 110m.
func BenchmarkAttention(b *testing.B) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, k := range []kernels.Attention{
			{Batch: 8, T: 256, Heads: 6, HeadDim: 48},
			{Batch: 2, T: 512, Heads: 12, HeadDim: 64},
			{Batch: 1, T: 1024, Heads: 12, HeadDim: 64},
			{Batch: 1, T: 512, Heads: 4, HeadDim: 128},
			{Batch: 1, T: 2048, Heads: 8, HeadDim: 64},
			{Batch: 1, T: 2048, Heads: 4, HeadDim: 128},
		} {
			for _, threads := range []int{1, 2} {
				benchmarkAttention(b, dt, k, threads)
			}
		}
	}
}

func benchmarkAttention(b *testing.B, dt tensor.DType, k kernels.Attention, threads int) {
	backend, err := cpu.Open(cpu.Options{Threads: threads})
	if err != nil {
		b.Fatal(err)
	}
	d := tensor.NewDevice(backend)
	k.S, k.KVHeads, k.Scale = k.T, k.Heads, float32(1/math.Sqrt(float64(k.HeadDim)))
	numbers := make([]float32, k.Batch*k.T*k.Heads*k.HeadDim)
	for i := range numbers {
		numbers[i] = float32(math.Sin(float64(i) * float64(i)))
	}
	var x [8]*tensor.Tensor
	for i := range x {
		x[i] = d.FromFloat32s(dt, numbers, k.Batch, k.T, k.Heads, k.HeadDim)
	}
	at := make([]int32, k.Batch*k.T)
	for i := range at {
		at[i] = int32(i % k.T)
	}
	positions, segments := d.FromInt32s(at, k.Batch, k.T), d.FromInt32s(make([]int32, len(at)), k.Batch, k.T)
	lse := d.New(tensor.F32, k.Batch, k.Heads, k.T)
	run := func(name string, products float64, f func()) {
		b.Run(fmt.Sprintf("%s/B%dT%dD%d/threads%d/%s", dt, k.Batch, k.T, k.HeadDim, threads, name), func(b *testing.B) {
			peak := gemm.Peak(threads)
			f()
			b.ResetTimer()
			for b.Loop() {
				f()
			}
			rate := products * float64(k.T) * float64(len(numbers)) * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(rate/1e9, "GFLOP/s")
			if peak > 0 {
				b.ReportMetric(100*rate/peak, "%peak")
			}
		})
	}
	run("forward", 2, func() {
		d.Run(k, x[0], lse, x[1], x[2], x[3], positions, positions, segments, segments)
	})
	run("gradients", 5, func() {
		d.Run(kernels.AttentionGrad(k), x[4], x[5], x[6], x[7], x[0], lse, x[1], x[2], x[3], positions, positions, segments, segments)
	})
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}
