package cpu_test

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// All gradients of attention in one pass have the bits of those in two: how many threads there are may choose.
func TestAttentionGradientsInOnePass(t *testing.T) {
	for _, c := range []struct {
		name   string
		k      kernels.Attention
		packed bool // sequences of 50 tokens, and padding at the end
	}{
		{"causal", kernels.Attention{Batch: 2, T: 300, S: 300, Heads: 4, KVHeads: 2, HeadDim: 48}, false},
		{"fewer queries than keys", kernels.Attention{Batch: 1, T: 70, S: 150, Heads: 2, KVHeads: 2, HeadDim: 64}, false},
		{"more queries than keys", kernels.Attention{Batch: 1, T: 150, S: 70, Heads: 1, KVHeads: 1, HeadDim: 8}, false},
		{"window", kernels.Attention{Batch: 1, T: 400, S: 400, Heads: 3, KVHeads: 1, HeadDim: 16, Window: 90}, false},
		{"packed, soft cap", kernels.Attention{Batch: 2, T: 290, S: 290, Heads: 2, KVHeads: 2, HeadDim: 32, SoftCap: 2}, true},
		{"many queries a key", kernels.Attention{Batch: 1, T: 260, S: 260, Heads: 300, KVHeads: 1, HeadDim: 4}, false},
		{"odd", kernels.Attention{Batch: 1, T: 131, S: 131, Heads: 2, KVHeads: 1, HeadDim: 7}, false},
	} {
		c.k.Scale = float32(1 / math.Sqrt(float64(c.k.HeadDim)))
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
			d := openDevice(t, cpu.Options{Threads: 2})
			random := func(n, heads int) *tensor.Tensor {
				v := make([]float32, c.k.Batch*n*heads*c.k.HeadDim)
				for i, x := range normals(len(v), uint64(n+heads)) {
					v[i] = float32(x)
				}
				return d.FromFloat32s(dt, v, c.k.Batch, n, heads, c.k.HeadDim)
			}
			q, key, value, dy := random(c.k.T, c.k.Heads), random(c.k.S, c.k.KVHeads), random(c.k.S, c.k.KVHeads),
				random(c.k.T, c.k.Heads)
			var places [4]*tensor.Tensor
			if c.packed {
				places = packedPlaces(d, c.k.Batch, c.k.T)
			}
			with := func(first ...*tensor.Tensor) []*tensor.Tensor {
				return append(append(first, q, key, value), places[:]...)
			}
			y, lse := d.New(dt, q.Shape()...), d.New(tensor.F32, c.k.Batch, c.k.Heads, c.k.T)
			d.Run(c.k, with(y, lse)...)

			var one, two [3]*tensor.Tensor
			for i, like := range []*tensor.Tensor{q, key, value} {
				one[i], two[i] = d.New(dt, like.Shape()...), d.New(dt, like.Shape()...)
			}
			d.Run(kernels.AttentionGrad(c.k), with(one[0], one[1], one[2], dy, y, lse)...)
			delta := d.New(tensor.F32, lse.Shape()...)
			d.Run(kernels.AttentionGradQ(c.k), with(two[0], delta, dy, y, lse)...)
			d.Run(kernels.AttentionGradKV(c.k), with(two[1], two[2], dy, lse, delta)...)
			for i, name := range []string{"dq", "dk", "dv"} {
				a, err := one[i].Float32s()
				if err != nil {
					t.Fatal(err)
				}
				b, _ := two[i].Float32s()
				if !slices.Equal(a, b) {
					t.Errorf("%s, %s: %s has other bits in one pass", c.name, dt, name)
				}
				if !slices.ContainsFunc(a, func(x float32) bool { return x != 0 }) {
					t.Errorf("%s, %s: %s is zero throughout", c.name, dt, name)
				}
			}
		}
	}
}

// packedPlaces are positions and segments of queries and keys.
func packedPlaces(d *tensor.Device, batch, n int) (p [4]*tensor.Tensor) {
	position, segment := make([]int32, batch*n), make([]int32, batch*n)
	for i := range position {
		position[i], segment[i] = int32(i%n%50), int32(i%n/50)
		if i%n >= n-9 {
			segment[i] = -1
		}
	}
	pos, seg := d.FromInt32s(position, batch, n), d.FromInt32s(segment, batch, n)
	return [4]*tensor.Tensor{pos, pos, seg, seg}
}

// One pass is offered where its tasks, one a key head of a sequence, keep the threads busy.
func TestOnePassIsOffered(t *testing.T) {
	for _, c := range []struct {
		threads, batch, heads, keys int
		want                        bool
	}{
		{1, 1, 1, 100, true}, {2, 1, 1, 100, false}, {2, 1, 2, 100, true}, {2, 1, 3, 100, true},
		{16, 1, 17, 100, false}, {16, 4, 8, 100, true}, {16, 8, 8, 1 << 14, false},
	} {
		d := openDevice(t, cpu.Options{Threads: c.threads})
		k := kernels.AttentionGrad{Batch: c.batch, T: 9, S: c.keys, Heads: c.heads, KVHeads: c.heads, HeadDim: 64}
		if got := d.Offers(k); got != c.want {
			t.Errorf("%+v: offered %v", c, got)
		}
	}
}
