package gemm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/agora-ml/agora/internal/quant"
)

// BenchmarkTurned multiplies some rows and a transposed matrix, which stays in a level-2 cache or comes from memory, by turning its
// rows in registers and by panels, in turns, on one thread: medians, in GB/s of the matrix.
func BenchmarkTurned(b *testing.B) {
	for _, kn := range kernels[:len(kernels)-1] {
		panels := kn
		panels.turnedMost, panels.bytesMost = 0, 0
		ways := []*Workspace{newWorkspace(kn), newWorkspace(panels)}
		for _, size := range []struct{ n, k int }{{256, 768}, {32000, 768}, {256, 2048}} {
			wide, half := random(size.n*size.k), make([]uint16, size.n*size.k)
			formatBF16.round16(half, wide)
			matrices := []Matrix{F32(wide, size.k), BF16(half, size.k), F16(half, size.k)}
			for _, kind := range []quant.Type{quant.Q8_0, quant.Q4_0, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
				data := kind.Random(rand.New(rand.NewPCG(1, 2)).Uint32, size.n*size.k, 1)
				matrices = append(matrices, Blocks(BlockType(kind), data, size.k))
			}
			for _, of := range matrices {
				bytes := float64(size.n * size.k * of.format.size())
				if of.format.inBlocks() {
					bytes = float64(of.format.blocks().Bytes(size.n * size.k))
				}
				for _, m := range []int{2, 4, 5, 8, 9, 12, 16, 24, 32} {
					x, y := random(m*size.k), make([]float32, m*size.n)
					b.Run(fmt.Sprintf("%s/%dx%dx%d/%d", kn.name, m, size.n, size.k, of.format), func(b *testing.B) {
						var times [2][]float64
						for b.Loop() {
							for i, w := range ways {
								start := time.Now()
								w.Sgemm(false, true, m, size.n, size.k, x, size.k, of, y, size.n, false)
								times[i] = append(times[i], float64(time.Since(start)))
							}
						}
						for i, name := range []string{"turned", "panels"} {
							slices.Sort(times[i])
							b.ReportMetric(bytes/times[i][len(times[i])/2], name)
						}
						b.ReportMetric(0, "ns/op")
					})
				}
			}
		}
	}
}
