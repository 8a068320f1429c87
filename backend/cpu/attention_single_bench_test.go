package cpu_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// BenchmarkSingleAttention is one query of each text over the keys and values of the 110m shape's twelve layers in turn, so that
// none of them is in a core's cache, as when a token is written; it reports the rate at which they are read.
func BenchmarkSingleAttention(b *testing.B) {
	const layers = 12
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		for _, texts := range []int{1, 4} {
			for _, keys := range []int{40, 528, 2000} {
				b.Run(fmt.Sprintf("%s/texts%d/keys%d", dt, texts, keys), func(b *testing.B) {
					backend, err := cpu.Open(cpu.Options{})
					if err != nil {
						b.Fatal(err)
					}
					d := tensor.NewDevice(backend)
					k := kernels.Attention{Batch: texts, T: 1, S: keys, Heads: 12, KVHeads: 12, HeadDim: 64, Scale: 0.125}
					wide := k.Heads * k.HeadDim
					made := func(tokens int) *tensor.Tensor {
						numbers := make([]float32, texts*tokens*wide)
						for i := range numbers {
							numbers[i] = float32(i%97)/97 - 0.5
						}
						return d.FromFloat32s(dt, numbers, texts, tokens, k.Heads, k.HeadDim)
					}
					var caches [2 * layers]*tensor.Tensor
					for i := range caches {
						caches[i] = made(keys)
					}
					q, y := made(1), made(1)
					at := make([]int32, texts*keys)
					for i := range at {
						at[i] = int32(i % keys)
					}
					places, segments := d.FromInt32s(at, texts, keys), d.FromInt32s(make([]int32, len(at)), texts, keys)
					place := d.FromInt32s([]int32{int32(keys)}, 1, 1)
					own := d.FromInt32s([]int32{0}, 1, 1)
					if texts > 1 {
						place = d.FromInt32s(slices.Repeat([]int32{int32(keys)}, texts), texts, 1)
						own = d.FromInt32s(make([]int32, texts), texts, 1)
					}
					i := 0
					for b.Loop() {
						d.Run(k, y, nil, q, caches[2*i], caches[2*i+1], place, places, own, segments)
						i = (i + 1) % layers
					}
					bytes := 2 * dt.Bytes(caches[0].Numel())
					b.ReportMetric(float64(bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
					if err := d.Close(); err != nil {
						b.Fatal(err)
					}
				})
			}
		}
	}
}
