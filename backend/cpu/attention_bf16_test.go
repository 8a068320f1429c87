package cpu_test

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Attention in bfloat16 differs from that of the same numbers in float32 by what roundings of weights and results are, whichever tiles
// it has.
func TestAttentionInBF16(t *testing.T) {
	for _, c := range []struct {
		name   string
		k      kernels.Attention
		packed bool
	}{
		{"causal", kernels.Attention{Batch: 2, T: 300, S: 300, Heads: 4, KVHeads: 4, HeadDim: 48}, false},
		{"few queries", kernels.Attention{Batch: 1, T: 5, S: 150, Heads: 2, KVHeads: 1, HeadDim: 64}, false},
		{"more queries than keys", kernels.Attention{Batch: 1, T: 150, S: 71, Heads: 1, KVHeads: 1, HeadDim: 34}, false},
		{"window, groups", kernels.Attention{Batch: 1, T: 400, S: 400, Heads: 3, KVHeads: 1, HeadDim: 16, Window: 90}, false},
		{"packed, soft cap", kernels.Attention{Batch: 2, T: 291, S: 291, Heads: 2, KVHeads: 2, HeadDim: 32, SoftCap: 2}, true},
	} {
		c.k.Scale = float32(1 / math.Sqrt(float64(c.k.HeadDim)))
		d := openDevice(t, cpu.Options{Threads: 2})
		run := func(dt tensor.DType) (all [][]float32) {
			seed := uint64(0) // of each tensor its own: a query is no key
			random := func(n, heads int) *tensor.Tensor {
				v := make([]float32, c.k.Batch*n*heads*c.k.HeadDim)
				seed++
				for i, x := range normals(len(v), seed) {
					v[i] = math.Float32frombits(math.Float32bits(float32(x)) &^ 0xffff)
				}
				return d.FromFloat32s(dt, v, c.k.Batch, n, heads, c.k.HeadDim)
			}
			q, key, value, dy := random(c.k.T, c.k.Heads), random(c.k.S, c.k.KVHeads), random(c.k.S, c.k.KVHeads), random(c.k.T, c.k.Heads)
			var places [4]*tensor.Tensor
			if c.packed {
				places = packedPlaces(d, c.k.Batch, c.k.T)
			}
			with := func(first ...*tensor.Tensor) []*tensor.Tensor {
				return append(append(first, q, key, value), places[:]...)
			}
			y, lse := d.New(dt, q.Shape()...), d.New(tensor.F32, c.k.Batch, c.k.Heads, c.k.T)
			d.Run(c.k, with(y, lse)...)
			dq, dk, dv := d.New(dt, q.Shape()...), d.New(dt, key.Shape()...), d.New(dt, key.Shape()...)
			d.Run(kernels.AttentionGrad(c.k), with(dq, dk, dv, dy, y, lse)...)
			for _, x := range []*tensor.Tensor{y, lse, dq, dk, dv} {
				numbers, err := x.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, numbers)
			}
			return all
		}
		want := run(tensor.F32)
		check := func(tiles string) {
			for i, got := range run(tensor.BF16) {
				sum, size := 0.0, 0.0
				for j, x := range got {
					w := float64(want[i][j])
					if math.IsInf(w, -1) && x == want[i][j] {
						continue
					}
					sum, size = sum+(float64(x)-w)*(float64(x)-w), size+w*w
				}
				if name := []string{"y", "lse", "dq", "dk", "dv"}[i]; !(math.Sqrt(sum/size) < 0.01) {
					t.Errorf("%s, %s: %s is off by %g", c.name, tiles, name, math.Sqrt(sum/size))
				}
			}
		}
		check("chosen")
		cpu.WithTilesOfHalves(func() { check("of halves") })
	}
}
