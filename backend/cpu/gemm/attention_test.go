package gemm_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/cpu/gemm"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// An attentionCase is a shape; packed: sequences of 50 tokens, and padding at the end; room: the last so many keys are a
// cache's room, which nobody has written to.
type attentionCase struct {
	k      kernels.Attention
	packed bool
	room   int
}

var attentionCases = []attentionCase{
	{kernels.Attention{Batch: 2, T: 140, S: 140, Heads: 2, KVHeads: 1, HeadDim: 16}, false, 0},
	{kernels.Attention{Batch: 1, T: 40, S: 150, Heads: 1, KVHeads: 1, HeadDim: 64}, false, 0},
	{kernels.Attention{Batch: 1, T: 70, S: 33, Heads: 1, KVHeads: 1, HeadDim: 8}, false, 0},
	{kernels.Attention{Batch: 1, T: 290, S: 290, Heads: 1, KVHeads: 1, HeadDim: 4, Window: 90}, false, 0},
	{kernels.Attention{Batch: 2, T: 131, S: 131, Heads: 1, KVHeads: 1, HeadDim: 12, SoftCap: 2}, true, 0},
	{kernels.Attention{Batch: 1, T: 37, S: 37, Heads: 3, KVHeads: 1, HeadDim: 80}, false, 0},
	{kernels.Attention{Batch: 1, T: 9, S: 35, Heads: 1, KVHeads: 1, HeadDim: 96}, false, 0},
	{kernels.Attention{Batch: 1, T: 33, S: 33, Heads: 1, KVHeads: 1, HeadDim: 128}, false, 0},
	{kernels.Attention{Batch: 1, T: 2, S: 17, Heads: 1, KVHeads: 1, HeadDim: 256}, false, 0},
	{kernels.Attention{Batch: 1, T: 2, S: 100, Heads: 130, KVHeads: 130, HeadDim: 4}, false, 0}, // more than are packed together
	{kernels.Attention{Batch: 1, T: 20, S: 20, Heads: 1, KVHeads: 1, HeadDim: 7}, false, 0},     // in float32
	{kernels.Attention{Batch: 2, T: 40, S: 70, Heads: 4, KVHeads: 2, HeadDim: 64, Window: 20}, false, 9},
}

// attend runs the forward pass and all gradients, in one pass or two, on numbers of bfloat16 that the seed decides.
func attend(d *tensor.Device, c attentionCase, dt tensor.DType, onePass bool) map[string][]float64 {
	k := c.k
	r := rand.New(rand.NewPCG(7, uint64(k.T*k.HeadDim)))
	random := func(n, heads int) *tensor.Tensor {
		x := make([]float64, k.Batch*n*heads*k.HeadDim)
		for i := range x {
			x[i] = float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64())) &^ 0xffff))
			if n == k.S && i/(heads*k.HeadDim)%n >= n-c.room {
				x[i] = math.NaN()
			}
		}
		return d.FromFloat64s(dt, x, k.Batch, n, heads, k.HeadDim)
	}
	q, key, value, dy := random(k.T, k.Heads), random(k.S, k.KVHeads), random(k.S, k.KVHeads), random(k.T, k.Heads)
	var places [4]*tensor.Tensor
	if c.room > 0 {
		position := make([]int32, k.Batch*k.T)
		for i := range position {
			position[i] = int32(i%k.T + k.S - c.room - k.T)
		}
		places[0] = d.FromInt32s(position, k.Batch, k.T)
	}
	if c.packed {
		position, segment := make([]int32, k.Batch*k.T), make([]int32, k.Batch*k.T)
		for i := range position {
			position[i], segment[i] = int32(i%k.T%50), int32(i%k.T/50)
			if i%k.T >= k.T-9 {
				segment[i] = -1
			}
		}
		pos, seg := d.FromInt32s(position, k.Batch, k.T), d.FromInt32s(segment, k.Batch, k.T)
		places = [4]*tensor.Tensor{pos, pos, seg, seg}
	}
	with := func(first ...*tensor.Tensor) []*tensor.Tensor {
		return append(append(first, q, key, value), places[:]...)
	}
	statistics := tensor.F32
	if dt == tensor.F64 {
		statistics = dt
	}
	y, lse := d.New(dt, q.Shape()...), d.New(statistics, k.Batch, k.Heads, k.T)
	dq, dk, dv := d.New(dt, q.Shape()...), d.New(dt, key.Shape()...), d.New(dt, key.Shape()...)
	d.Run(k, with(y, lse)...)
	if onePass {
		d.Run(kernels.AttentionGrad(k), with(dq, dk, dv, dy, y, lse)...)
	} else {
		delta := d.New(statistics, lse.Shape()...)
		d.Run(kernels.AttentionGradQ(k), with(dq, delta, dy, y, lse)...)
		d.Run(kernels.AttentionGradKV(k), with(dk, dv, dy, lse, delta)...)
	}
	results := map[string][]float64{}
	for name, x := range map[string]*tensor.Tensor{"y": y, "lse": lse, "dq": dq, "dk": dk, "dv": dv} {
		v, err := x.Float64s()
		if err != nil {
			panic(err)
		}
		results[name] = v
	}
	return results
}

// Attention of bfloat16 on tiles of AMX, as the model has them.
func TestTileModelAttention(t *testing.T) {
	gemm.UseTileModel(t)
	everyAttention(t)
}

// Attention of bfloat16 as this processor multiplies it.
func TestAttention(t *testing.T) { everyAttention(t) }

// What an emulated processor is given: heads in groups, a window and a cache with room, and sequences that are packed.
func init() {
	gemm.Attend = func(t *testing.T, parts bool) {
		o, dt := cpu.Options{Threads: 1}, tensor.BF16
		if parts {
			o.MatmulPrecision, dt = cpu.High, tensor.F32
		}
		b, err := cpu.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		d := testdevice.On(t, b)
		for _, c := range attentionCases {
			if c.room > 0 || c.packed {
				attend(d, c, dt, true)
			}
		}
	}
}

// everyAttention is right by float64, in one pass and two, and has the same bits for any number of threads.
func everyAttention(t *testing.T) {
	open := func(o cpu.Options) *tensor.Device {
		b, err := cpu.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return testdevice.On(t, b)
	}
	exact := open(cpu.Options{Threads: 1, PlainLoops: true})
	one, three := open(cpu.Options{Threads: 1}), open(cpu.Options{Threads: 3})
	for _, c := range attentionCases {
		c.k.Scale = float32(1 / math.Sqrt(float64(c.k.HeadDim)))
		name := fmt.Sprintf("%+v", c.k)
		want := attend(exact, c, tensor.F64, false)
		got := attend(one, c, tensor.BF16, true)
		for part, x := range got {
			if e := relative(x, want[part]); !(e < 1e-2) {
				t.Errorf("%s: %s: off by %.2g of its norm", name, part, e)
			}
		}
		for part, x := range attend(three, c, tensor.BF16, false) {
			if !slices.Equal(x, got[part]) {
				t.Errorf("%s: %s has other bits on three threads, in two passes", name, part)
			}
		}
	}
}

// relative is the norm of a-b by that of b. Where both are -Inf they are the same.
func relative(a, b []float64) float64 {
	var off, of float64
	for i := range b {
		if a[i] != b[i] {
			off += (a[i] - b[i]) * (a[i] - b[i])
		}
		if !math.IsInf(b[i], 0) {
			of += b[i] * b[i]
		}
	}
	return math.Sqrt(off / of)
}
