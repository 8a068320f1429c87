package gemm

import (
	"fmt"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
)

// held is what an engine keeps for all workers, and own what the worker with most keeps for itself, its strip of B apart.
func held(e *Engine) (shared, own int) {
	shared = e.shared.bytes() + 4*cap(e.wide) + 2*cap(e.rounds)
	for i := range e.ws {
		w := e.ws[i]
		w.b = nil
		own = max(own, w.Bytes())
	}
	return shared, own
}

// ownBytes is what the comment at SharedBytes says that a worker keeps.
const ownBytes = 2 << 20

// byteShapes are m, n and k of products that are cut in all ways, where panels are as few as lessMemory has them.
var byteShapes = [][3]int{
	{300, 700, 700}, {64, 640, 1100}, {40, 96, 4096}, {5000, 256, 520}, {1100, 96, 1030}, {1100, 640, 600}, {9, 2000, 128}, {30, 30, 30},
}

// lessMemory lowers the limits on panels, so that small products meet them.
func lessMemory(t *testing.T) {
	shared, band := sharedLimit, bandLimit
	sharedLimit, bandLimit = 1<<19, 1<<19
	t.Cleanup(func() { sharedLimit, bandLimit = shared, band })
}

// HalfBytes foresees what an engine keeps of products with A or C in 16 bits.
func TestHalfBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("large products")
	}
	lessMemory(t)
	if kernels[0].name == "go" {
		t.Skip("slow without assembly, and the cuts are those of the other kernels")
	}
	for _, shape := range byteShapes {
		m, n, k := shape[0], shape[1], shape[2]
		a, b, c := make([]uint16, m*k), make([]uint16, k*n), make([]uint16, m*n)
		wideA, wideC := make([]float32, m*k), make([]float32, m*n)
		for what := range 6 {
			transA, halfA, halfC := what%2 == 1, what/2 != 1, what/2 != 2
			lda := k
			if transA {
				lda = m
			}
			x, y := F32(wideA, lda), F32(wideC, n)
			if halfA {
				x = F16(a, lda)
			}
			if halfC {
				y = F16(c, n)
			}
			for _, threads := range []int{2, 5} {
				team := parallel.New(threads)
				e := NewOn(team)
				want, ok := HalfBytes(threads, transA, halfA, halfC, m, n, k)
				done := e.SgemmHalf(transA, false, m, n, k, x, F16(b, n), y, Matrix{}, false)
				team.Close()
				checkBytes(t, fmt.Sprintf("%v, transposed %t, halves %t %t, %d threads", shape, transA, halfA, halfC, threads), e, want, ok, done)
			}
		}
	}
}

// BgemmBytes foresees what an engine keeps of products of bfloat16.
func TestBgemmBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("large products")
	}
	needPairs(t)
	lessMemory(t)
	for _, shape := range byteShapes {
		m, n, k := shape[0], shape[1], 2*shape[2]
		a, b, c := make([]uint16, m*k), make([]uint16, k*n), make([]uint16, m*n)
		wideA, wideC := make([]float32, m*k), make([]float32, m*n)
		for what := range 8 {
			transA, narrow, rounded := what&1 != 0, what&2 != 0, what&4 != 0
			lda := k
			if transA {
				lda = m
			}
			x, y := F32(wideA, lda), F32(wideC, n)
			if narrow {
				x = BF16(a, lda)
			}
			if rounded {
				y = BF16(c, n)
			}
			for _, threads := range []int{2, 5} {
				team := parallel.New(threads)
				e := NewOn(team)
				want, ok := BgemmBytes(threads, transA, !narrow, rounded, m, n, k)
				done := e.Bgemm(transA, false, m, n, k, 1, x, BF16(b, n), y, false)
				team.Close()
				checkBytes(t, fmt.Sprintf("%v, transposed %t, f32 a %t, rounded %t, %d threads", shape, transA, !narrow, rounded, threads), e.pairs(),
					want, ok, done)
			}
		}
	}
}

func checkBytes(t *testing.T, what string, e *Engine, want int, foreseen, done bool) {
	t.Helper()
	shared, own := held(e)
	if foreseen != done || shared != want {
		t.Errorf("%s: keeps %d bytes for all workers (computed: %t), foreseen were %d (%t)", what, shared, done, want, foreseen)
	}
	if own > ownBytes {
		t.Errorf("%s: a worker keeps %d bytes, want at most %d", what, own, ownBytes)
	}
}
