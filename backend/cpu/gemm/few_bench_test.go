package gemm

import (
	"fmt"
	"testing"
)

// BenchmarkFew is some rows times a transposed matrix, from a level-2 cache and from memory: GB/s of B, on one thread.
func BenchmarkFew(b *testing.B) {
	for _, kn := range kernels[:len(kernels)-1] {
	w := newWorkspace(kn)
	for _, size := range []struct{ n, k int }{{16, 512}, {64, 512}, {256, 768}, {32000, 768}, {256, 2048}} {
		half := make([]uint16, size.n*size.k)
		for i := range half {
			half[i] = uint16(0x3c00 + i%1000)
		}
		wide := random(size.n * size.k)
		for _, of := range []struct {
			name  string
			b     Matrix
			bytes int
		}{{"f32", F32(wide, size.k), 4}, {"bf16", BF16(half, size.k), 2}, {"f16", F16(half, size.k), 2}} {
			for _, m := range []int{2, 3, 4, 5, 8, 9, 12, 16} {
				x, y := random(m*size.k), make([]float32, m*size.n)
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%s", kn.name, m, size.n, size.k, of.name), func(b *testing.B) {
					b.SetBytes(int64(size.n * size.k * of.bytes))
					for b.Loop() {
						w.Sgemm(false, true, m, size.n, size.k, x, size.k, of.b, y, size.n, false)
					}
				})
			}
		}
	}
	}
}
