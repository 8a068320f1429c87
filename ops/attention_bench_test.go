package ops

import (
	"fmt"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/tensor"
)

// BenchmarkAttention reports the arithmetic of the seen half of the scores: 4 T² D / 2
// a head forward, 14 T² D / 2 backward (q kᵀ and dy vᵀ computed twice).
func BenchmarkAttention(b *testing.B) {
	for _, size := range []struct{ batch, tokens, heads, kvHeads, dim int }{
		{4, 512, 8, 4, 8}, {1, 1024, 12, 12, 64}, {1, 1024, 32, 8, 128},
	} {
		for _, backward := range []bool{false, true} {
			b.Run(fmt.Sprintf("B%dxT%dxH%dof%dxD%d/backward=%t", size.batch, size.tokens, size.heads, size.kvHeads,
				size.dim, backward), func(b *testing.B) {
				backend, err := cpu.Open(cpu.Options{Threads: 2})
				if err != nil {
					b.Fatal(err)
				}
				d := tensor.NewDevice(backend)
				upload := func(seed uint64, heads int) *tensor.Tensor {
					h := randomHeads(seed, size.batch, size.tokens, heads, size.dim)
					return d.FromFloat32s(tensor.F32, h.data, h.batch, h.tokens, h.heads, h.dim)
				}
				q, k, v, dy := upload(1, size.heads), upload(2, size.kvHeads), upload(3, size.kvHeads),
					upload(4, size.heads)
				products := 4
				if backward {
					products += 14
				}
				for b.Loop() {
					tape := autograd.NewTape(d)
					y := Attention(tape.Leaf(q), tape.Leaf(k), tape.Leaf(v), AttentionOptions{})
					if backward {
						tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{dy})
					}
					tape.Close()
				}
				flops := float64(products) / 2 * float64(size.batch*size.heads*size.tokens*size.tokens*size.dim)
				b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
