package gemm

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
	"github.com/agora-ml/agora/backend/cpu/internal/parallel"
	"github.com/agora-ml/agora/internal/quant"
)

// A product with a quantized matrix has the bits of the product with the widened one, in
// every path: vectors, few rows, one strip, shared panels, tails.
func TestBlocksAreTheWidenedMatrix(t *testing.T) {
	team := parallel.New(3)
	defer team.Close()
	everyKernel(t, func(t *testing.T, kn kernel) {
		r := rand.New(rand.NewPCG(3, 4))
		engine, alone := newEngine(team, kn), newWorkspace(kn)
		sizes := []struct{ m, in, out int }{
			{1, 1, 1}, {1, 2, 37}, {2, 1, 7}, {5, 3, 33}, {40, 3, 70}, {301, 2, 96},
			{1, 33, 1500}, {13, 13, 19}, {6, 25, 300}, {100, 34, 130}, {3, 1, 1}, {30, 17, 640},
		}
		if testing.Short() {
			sizes = sizes[:6]
		}
		for _, s := range sizes {
			for typ := range quant.Types {
				s := s
				s.in *= 32
				if typ.Len() > 32 {
					s.in = typ.Len() * ((s.in + typ.Len() - 1) / typ.Len())
				}
				blocks, wide := pageend.Copy(t, typ.Random(r.Uint32, s.out*s.in, 1)), make([]float32, s.out*s.in)
				typ.Decode(wide, blocks)
				for _, trans := range []bool{true, false} {
					n, k := s.out, s.in
					if !trans {
						n, k = s.in, s.out
					}
					a := pageend.Of[float32](t, s.m*k)
					for i := range a {
						a[i] = r.Float32() - 0.5
					}
					for name, e := range map[string]multiplier{"team": engine, "alone": alone} {
						for _, transA := range []bool{false, true} {
							lda := k
							if transA {
								lda = s.m
							}
							got, want := pageend.Of[float32](t, s.m*n), make([]float32, s.m*n)
							e.Sgemm(transA, trans, s.m, n, k, a, lda, Blocks(BlockType(typ), blocks, s.in), got, n, false)
							e.Sgemm(transA, trans, s.m, n, k, a, lda, F32(wide, s.in), want, n, false)
							if !slices.Equal(got, want) {
								t.Errorf("%s, %s, %v transposed %t %t: other bits than the widened matrix", typ,
									name, s, transA, trans)
							}
						}
					}
				}
			}
		}
	})
}

func TestBlocksMustFit(t *testing.T) {
	for want, b := range map[string]Matrix{
		"not a multiple of a block": Blocks(Q8_0, make([]byte, 34*4), 48),
		"elements do not hold":      Blocks(Q4_0, make([]byte, 18*3), 64),
	} {
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); !strings.Contains(r, want) {
					t.Errorf("panic %q, want %q", r, want)
				}
			}()
			new(Workspace).Sgemm(false, true, 1, 2, 40, make([]float32, 40), 40, b, make([]float32, 2), 2, false)
		}()
	}
}

// Products with a weight [4096, 4096]: of one row (generation), forward and backward.
func BenchmarkBlocks(b *testing.B) {
	const n = 4096
	team := parallel.New(2)
	defer team.Close()
	e := NewOn(team)
	values := make([]float32, n*n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range values {
		values[i] = r.Float32() - 0.5
	}
	x, y := make([]float32, 512*n), make([]float32, 512*n)
	weights := map[string]Matrix{"f32": F32(values, n), "bf16": BF16(make([]uint16, n*n), n)}
	for typ := range quant.Types {
		weights[typ.String()] = Blocks(BlockType(typ), typ.Random(r.Uint32, n*n, 1), n)
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		for _, m := range []int{1, 8, 512} {
			for _, trans := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/%d/forward=%t", name, m, trans), func(b *testing.B) {
					for b.Loop() {
						e.Sgemm(false, trans, m, n, n, x, n, weights[name], y, n, false)
					}
					b.ReportMetric(2*float64(m)*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}
