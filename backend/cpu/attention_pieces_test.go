package cpu_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// A query has the same bits whichever queries are computed with it, and so in tiles of other queries, whose first key in sight is
// another: in whole texts, windows and packed texts.
func TestAttentionInPieces(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, c := range []struct{ text, window int }{{400, 0}, {400, 50}, {400, 170}, {130, 0}, {100, 40}} {
			const tokens, heads, dim = 400, 4, 32
			backend, err := cpu.Open(cpu.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			d := tensor.NewDevice(backend)
			r := random.NewStream(9, 0, 0, 0)
			numbers := func(heads int) []float32 {
				x := make([]float32, tokens*heads*dim)
				for i := range x {
					x[i] = 4 * (r.Float32() - 0.5)
				}
				return x
			}
			q := numbers(heads)
			keys, values := d.FromFloat32s(dt, numbers(heads/2), 1, tokens, heads/2, dim), d.FromFloat32s(dt, numbers(heads/2), 1, tokens, heads/2, dim)
			at, of := make([]int32, tokens), make([]int32, tokens)
			for i := range at {
				at[i], of[i] = int32(i%c.text), int32(i/c.text)
			}
			places, texts := d.FromInt32s(at, 1, tokens), d.FromInt32s(of, 1, tokens)
			some := func(from, to int) []float32 {
				n := to - from
				k := kernels.Attention{Batch: 1, T: n, S: tokens, Heads: heads, KVHeads: heads / 2, HeadDim: dim, Scale: 0.3, Window: c.window}
				out := d.New(dt, 1, n, heads, dim)
				d.Run(k, out, nil, d.FromFloat32s(dt, q[from*heads*dim:to*heads*dim], 1, n, heads, dim), keys, values,
					d.FromInt32s(at[from:to], 1, n), places, d.FromInt32s(of[from:to], 1, n), texts)
				y, err := out.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				return y
			}
			whole := some(0, tokens)
			for _, cut := range []int{37, 130, 300, 391} {
				if !slices.Equal(slices.Concat(some(0, cut), some(cut, tokens)), whole) {
					t.Errorf("%s, texts of %d, window %d: other bits with %d queries before the others", dt, c.text, c.window, cut)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
