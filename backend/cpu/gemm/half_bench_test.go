package gemm

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// BenchmarkHalf multiplies matrices in float32 and in bfloat16 by turns: the median GFLOP/s of each, with C in float32 where A is
// transposed, as gradients of weights are, and the median and the best of their ratios.
func BenchmarkHalf(b *testing.B) {
	team := parallel.New(0)
	defer team.Close()
	e := NewOn(team)
	for _, s := range [][3]int{
		{1024, 1024, 1024}, {2048, 288, 288}, {512, 288, 768}, {512, 768, 288}, {2048, 768, 2048}, {512, 32, 4096}, {512, 4096, 96},
		{512, 96, 288}, {512, 288, 96}, {96, 288, 2048}, {256, 32000, 288}, {256, 288, 32000},
	} {
		m, n, k := s[0], s[1], s[2]
		for _, layout := range []string{"NN", "NT", "TN"} {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", m, n, k, layout), func(b *testing.B) {
				a, x, c := random(m*k), random(n*k), make([]float32, m*n)
				a16, x16, c16 := make([]uint16, m*k), make([]uint16, n*k), make([]uint16, m*n)
				formatBF16.round16(a16, a)
				formatBF16.round16(x16, x)
				transA, transB := layout[0] == 'T', layout[1] == 'T'
				lda, ldb := k, n
				if transA {
					lda = m
				}
				if transB {
					ldb = k
				}
				to := BF16(c16, n)
				if transA {
					to = F32(c, n)
				}
				var times [2][]time.Duration
				var ratios []float64
				for b.Loop() {
					start := time.Now()
					e.Sgemm(transA, transB, m, n, k, a, lda, F32(x, ldb), c, n, false)
					wide := time.Since(start)
					e.SgemmHalf(transA, transB, m, n, k, BF16(a16, lda), BF16(x16, ldb), to, Matrix{}, false)
					narrow := time.Since(start) - wide
					times[0], times[1] = append(times[0], wide), append(times[1], narrow)
					ratios = append(ratios, float64(wide)/float64(narrow))
				}
				flops := 2 * float64(m) * float64(n) * float64(k)
				for i, name := range []string{"f32", "bf16"} {
					slices.Sort(times[i])
					b.ReportMetric(flops/float64(times[i][len(times[i])/2]), name)
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
				b.ReportMetric(float64(times[0][0])/float64(times[1][0]), "best-ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
