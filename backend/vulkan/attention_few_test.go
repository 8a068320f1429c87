//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64) && !vulkan_bindings

package vulkan_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/shaders"
	"github.com/agora-ml/agora/tensor"
)

// fewCases are calls with few queries: caches shorter and longer than the keys that a workgroup takes at a time, all head
// sizes, and all that decides what a query sees.
func fewCases() (list []attentionCase) {
	plain := func(name string, batch, t, s, heads, kvHeads, dim int) *attentionCase {
		list = append(list, attentionCase{name: name, k: kernels.Attention{Batch: batch, T: t, S: s, Heads: heads,
			KVHeads: kvHeads, HeadDim: dim, Scale: float32(1 / math.Sqrt(float64(dim)))}})
		return &list[len(list)-1]
	}
	plain("one key", 1, 1, 1, 1, 1, 4)
	plain("a token", 2, 1, 1100, 4, 2, 64)
	plain("a tile", 1, 1, 512, 1, 1, 64)
	plain("three tokens", 2, 3, 70, 2, 1, 64)
	plain("window", 1, 2, 600, 2, 1, 64).k.Window = 530
	plain("soft cap", 1, 2, 90, 2, 2, 64).k.SoftCap = 1.5
	for _, dim := range []int{80, 96, 128, 256} {
		plain(fmt.Sprint("heads of ", dim), 1, 1, 530, 2, 1, dim)
	}
	packed := plain("packed, padded and backwards", 1, 8, 600, 2, 1, 64)
	for j := range packed.k.S {
		packed.kpos, packed.kseg = append(packed.kpos, int32(packed.k.S-1-j)), append(packed.kseg, int32(j/200-1))
	}
	for i := range packed.k.T { // the first two, of nobody and of a segment without keys, see nothing
		packed.qpos, packed.qseg = append(packed.qpos, int32(90*i)), append(packed.qseg, int32([]int{-1, 7, 1, 0}[i%4]))
	}
	return list
}

// forward runs the kernel: y and lse.
func (c attentionCase) forward(t *testing.T, d *tensor.Device, dt, stat tensor.DType, in attentionInputs) (all [2][]float64) {
	t.Helper()
	scope := d.Scope()
	defer scope.Close()
	put := func(x []float64) *tensor.Tensor { return d.FromFloat64s(dt, x, len(x)) }
	ints := func(x []int32) *tensor.Tensor {
		if x == nil {
			return nil
		}
		return d.FromInt32s(slices.Repeat(x, c.k.Batch), c.k.Batch*len(x))
	}
	y, lse := d.New(dt, len(in.q)), d.New(stat, c.k.Batch*c.k.Heads*c.k.T)
	d.Run(c.k, y, lse, put(in.q), put(in.k), put(in.v), ints(c.qpos), ints(c.kpos), ints(c.qseg), ints(c.kseg))
	for i, x := range []*tensor.Tensor{y, lse} {
		var err error
		if all[i], err = x.Float64s(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Few queries, as in decoding, have a shader of their own, which computes what sums in float64 give of the same numbers;
// the same bits twice, and for each sequence of a batch alone.
func TestAttentionOfFewQueries(t *testing.T) {
	attention, _ := shaders.Find("attention")
	i := slices.IndexFunc(attention.Alternatives, func(a shaders.Alternative) bool { return a.Name == "attention_few" })
	few := attention.Alternatives[i]
	reference := tensor.NewDevice(plainCPU(t))
	for _, tile := range []shaders.Tile{few.Tiles[0], few.Software[0]} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
			t.Run(fmt.Sprint(tile[0], " ", dt), func(t *testing.T) {
				var trace bytes.Buffer
				subject := tensor.NewDevice(open(t, vulkan.Options{Profile: &trace,
					Tiles: map[string]shaders.Tile{"attention_few": tile}}))
				runs := 0
				for _, c := range fewCases() {
					if dt == tensor.BF16 && c.k.HeadDim != 64 {
						continue
					}
					runs += c.compareForward(t, subject, reference, dt)
				}
				if err := subject.Close(); err != nil {
					t.Fatal(err)
				}
				if ran := dispatches(t, &trace)["attention_few"]; ran != runs {
					t.Errorf("attention_few ran %d times, want %d", ran, runs)
				}
			})
		}
	}
}

// compareForward says how often the case ran on the subject.
func (c attentionCase) compareForward(t *testing.T, subject, reference *tensor.Device, dt tensor.DType) (runs int) {
	r := random.NewStream(3, random.Test, 0, 0)
	normal := func(heads, tokens int) []float64 {
		values := make([]float64, c.k.Batch*heads*tokens*c.k.HeadDim)
		for i := range values {
			values[i] = r.Normal()
		}
		return rounded(t, reference, dt, values)
	}
	in := attentionInputs{q: normal(c.k.Heads, c.k.T), k: normal(c.k.KVHeads, c.k.S), v: normal(c.k.KVHeads, c.k.S)}
	want := c.forward(t, reference, tensor.F64, tensor.F64, in)
	got, again := c.forward(t, subject, dt, tensor.F32, in), c.forward(t, subject, dt, tensor.F32, in)
	limits := [2]float64{map[tensor.DType]float64{tensor.F32: 1e-12, tensor.F16: 1e-6, tensor.BF16: 1e-5}[dt], 1e-11}
	for i, name := range attentionOutputs[:2] {
		if e := unlike(got[i], want[i]); !(e <= limits[i]) {
			t.Errorf("%s: %s: normalized error %.3g, want at most %g", c.name, name, e, limits[i])
		}
		if !slices.Equal(got[i], again[i]) {
			t.Errorf("%s: %s: other bits in a second run", c.name, name)
		}
	}
	one := c
	one.k.Batch = 1
	for b := range c.k.Batch {
		alone := one.forward(t, subject, dt, tensor.F32, in.sequence(b, c.k.Batch))
		for i, name := range attentionOutputs[:2] {
			n := len(alone[i])
			if !slices.Equal(alone[i], got[i][b*n:(b+1)*n]) {
				t.Errorf("%s: %s: other bits of sequence %d alone", c.name, name, b)
			}
		}
	}
	return 2 + c.k.Batch
}
