package cpu

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// A Footprint foresees the scratch memory of matrix products but for the workers' own.
func TestFootprint(t *testing.T) {
	const own = 3 << 20
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		b, err := Open(Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		d := tensor.NewDevice(b)
		f := &Footprint{Threads: 2}
		d.Trace(func(k tensor.Kernel, ts []*tensor.Tensor) {
			args := make([]tensor.Arg, len(ts))
			for i, x := range ts {
				if x != nil {
					args[i] = tensor.Arg{Buf: x, N: x.Numel(), DType: x.DType()}
				}
			}
			f.Run(k, args)
		})
		if n := d.Stats().Scratch; n != 0 {
			t.Errorf("%d bytes of scratch before any kernel", n)
		}
		d.Run(kernels.Matmul{Batch: 1, M: 300, N: 64, K: 20000}, d.New(dt, 300, 64), d.New(dt, 300, 20000),
			d.New(dt, 20000, 64), nil)
		d.Run(kernels.Matmul{Batch: 1, M: 3000, N: 600, K: 600, BiasRows: 3000, TransB: true}, d.New(dt, 3000, 600),
			d.New(dt, 3000, 600), d.New(dt, 600, 600), d.New(dt, 3000, 600)) // a residual needs no memory
		d.Run(kernels.Matmul{Batch: 1, M: 3000, N: 600, K: 600, TransA: true}, d.New(tensor.F32, 3000, 600),
			d.New(dt, 600, 3000), d.New(dt, 600, 600), nil) // a transposed A is packed, whatever its rows
		k := kernels.Attention{Batch: 1, T: 300, S: 3000, Heads: 8, KVHeads: 8, HeadDim: 64} // packs 3 MB of keys, in f32
		d.Run(k, d.New(dt, 1, 300, 8, 64), nil, d.New(dt, 1, 300, 8, 64), d.New(dt, 1, 3000, 8, 64),
			d.New(dt, 1, 3000, 8, 64), nil, nil, nil, nil)
		if got, want := d.Stats().Scratch, f.Scratch(); got < want || got > want+own {
			t.Errorf("%s: %d bytes of scratch, foreseen were %d", dt, got, want)
		}
		least := 4 * 3000 * 600
		if dt == tensor.BF16 && gemm.HasBF16() { // packed as it is
			least /= 2
		}
		if f.Scratch() < least {
			t.Errorf("%s: %d bytes foreseen, want at least a packed operand", dt, f.Scratch())
		}
		f.keys = 0 // those of the forward pass
		before := f.Scratch()
		grad := kernels.AttentionGrad{Batch: 1, T: 99, S: 4000, Heads: 1, KVHeads: 1, HeadDim: 64}
		q, key := d.New(dt, 1, 99, 1, 64), d.New(dt, 1, 4000, 1, 64)
		stats, dq, dk := d.New(tensor.F32, 1, 1, 99), d.New(dt, 1, 99, 1, 64), d.New(dt, 1, 4000, 1, 64)
		d.Run(grad, dq, dk, d.New(dt, 1, 4000, 1, 64), q, q, stats, q, key, key, nil, nil, nil, nil)
		want := 2 * (2*4*4000*64 + 3*4*4096*64)  // sums, and three packed operands, in blocks of 256
		if dt == tensor.BF16 && gemm.HasBF16() { // blocks of 128, and three packed operands
			want = 2 * (2*4 + 3*2) * 4096 * 64
			if gemm.HasRaggedBF16() { // sums row by row
				want = 2 * (2*4*4000*64 + 3*2*4096*64)
			}
		}
		if got := f.Scratch() - before; got != want {
			t.Errorf("%d bytes for what attention's gradients keep of keys, want that of two threads, %d", got, want)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
