package ops

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

func onBoth(t *testing.T, f func(t *testing.T, d *tensor.Device)) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("plain=%t", plain), func(t *testing.T) {
			b, err := cpu.Open(cpu.Options{Threads: 2, PlainLoops: plain})
			if err != nil {
				t.Fatal(err)
			}
			d := tensor.NewDevice(b)
			f(t, d)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// heads is a host tensor [batch, tokens, heads, dim].
type heads struct {
	batch, tokens, heads, dim int
	data                      []float32
}

func randomHeads(seed uint64, batch, tokens, n, dim int) heads {
	r := random.NewStream(seed, random.Test, 0, 0)
	h := heads{batch, tokens, n, dim, make([]float32, batch*tokens*n*dim)}
	for i := range h.data {
		h.data[i] = float32(r.Normal())
	}
	return h
}

// part is tokens [from, to) of sequence b.
func (h heads) part(b, from, to int) heads {
	row := h.heads * h.dim
	data := h.data[(b*h.tokens+from)*row : (b*h.tokens+to)*row]
	return heads{1, to - from, h.heads, h.dim, slices.Clone(data)}
}

// attended is the result of one attention: y, dq, dk, dv.
type attended [4]heads

// indices are what AttentionOptions holds, on the host.
type indices struct {
	qPos, kPos, qSeg, kSeg []int32
	window                 int
}

func attend(t *testing.T, d *tensor.Device, q, k, v, dy heads, o indices) (r attended) {
	t.Helper()
	tape := autograd.NewTape(d)
	defer tape.Close()
	leaf := func(h heads) *Var {
		return tape.Leaf(d.FromFloat32s(tensor.F32, h.data, h.batch, h.tokens, h.heads, h.dim))
	}
	index := func(i []int32, h heads) *Var {
		if i == nil {
			return nil
		}
		return autograd.Const(d.FromInt32s(i, h.batch, h.tokens))
	}
	in := []*Var{leaf(q), leaf(k), leaf(v)}
	y := Attention(in[0], in[1], in[2], AttentionOptions{
		Positions: index(o.qPos, q), KeyPositions: index(o.kPos, k), Segments: index(o.qSeg, q),
		KeySegments: index(o.kSeg, k), Window: o.window,
	})
	tape.Keep(y)
	tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{d.FromFloat32s(tensor.F32, dy.data, y.Shape()...)})
	for i, x := range []*tensor.Tensor{y.Tensor(), tape.Grad(in[0]), tape.Grad(in[1]), tape.Grad(in[2])} {
		data, err := x.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		r[i] = heads{x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3), data}
	}
	return r
}

func mustBeNear(t *testing.T, what string, got, want heads) {
	t.Helper()
	if len(got.data) != len(want.data) {
		t.Fatalf("%s: %d elements, want %d", what, len(got.data), len(want.data))
	}
	for i := range got.data {
		if d := math.Abs(float64(got.data[i] - want.data[i])); !(d <= 1e-5) {
			t.Fatalf("%s, element %d: %g, want %g", what, i, got.data[i], want.data[i])
		}
	}
}

var attendedNames = [4]string{"y", "dq", "dk", "dv"}

// TestLongIsPlain: tiles are larger in long sequences; the plain loops have none.
func TestLongIsPlain(t *testing.T) {
	for _, c := range []struct{ tokens, heads, kvHeads, window int }{{701, 3, 1, 0}, {1031, 2, 2, 0},
		{1031, 2, 1, 333}} {
		q, k := randomHeads(1, 1, c.tokens, c.heads, 8), randomHeads(2, 1, c.tokens, c.kvHeads, 8)
		v, dy := randomHeads(3, 1, c.tokens, c.kvHeads, 8), randomHeads(4, 1, c.tokens, c.heads, 8)
		var results []attended
		onBoth(t, func(t *testing.T, d *tensor.Device) {
			results = append(results, attend(t, d, q, k, v, dy, indices{window: c.window}))
		})
		for i, name := range attendedNames {
			mustBeNear(t, fmt.Sprintf("%d tokens, window %d: %s", c.tokens, c.window, name), results[1][i],
				results[0][i])
		}
	}
}

// TestPackedIsSeparate packs sequences in one row, told apart by segments.
func TestPackedIsSeparate(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		lengths := []int{1, 40, 130, 29, 190, 250} // beyond the first tile of keys, too
		var o indices
		for n, length := range lengths {
			for i := range length {
				o.qPos, o.qSeg = append(o.qPos, int32(i)), append(o.qSeg, int32(n))
			}
		}
		o.kPos, o.kSeg = o.qPos, o.qSeg
		total := len(o.qPos)
		q, k, v, dy := randomHeads(1, 1, total, 4, 8), randomHeads(2, 1, total, 2, 8), randomHeads(3, 1, total, 2, 8),
			randomHeads(4, 1, total, 4, 8)
		for _, window := range []int{0, 17} {
			o.window = window
			packed := attend(t, d, q, k, v, dy, o)
			from := 0
			for _, length := range lengths {
				to := from + length
				alone := attend(t, d, q.part(0, from, to), k.part(0, from, to), v.part(0, from, to),
					dy.part(0, from, to), indices{window: window})
				for i, name := range attendedNames {
					mustBeNear(t, fmt.Sprintf("window %d, %s of tokens %d to %d", window, name, from, to),
						packed[i].part(0, from, to), alone[i])
				}
				from = to
			}
		}
	})
}

// TestPaddedIsUnpadded puts sequences of unequal length in one batch, some padded in
// front, some behind. Padding queries see nothing: zeros, and zero gradients.
func TestPaddedIsUnpadded(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const tokens = 133
		spans := [][2]int{{0, 70}, {5, 133}, {131, 133}, {0, 0}}
		q, k, v, dy := randomHeads(5, 4, tokens, 2, 4), randomHeads(6, 4, tokens, 1, 4),
			randomHeads(7, 4, tokens, 1, 4), randomHeads(8, 4, tokens, 2, 4)
		var o indices
		for _, span := range spans {
			for i := range tokens {
				seg := int32(-1)
				if span[0] <= i && i < span[1] {
					seg = 0
				}
				o.qSeg, o.qPos = append(o.qSeg, seg), append(o.qPos, int32(max(0, i-span[0])))
			}
		}
		o.kSeg, o.kPos = o.qSeg, o.qPos
		padded := attend(t, d, q, k, v, dy, o)
		for b, span := range spans {
			if from, to := span[0], span[1]; from < to {
				alone := attend(t, d, q.part(b, from, to), k.part(b, from, to), v.part(b, from, to),
					dy.part(b, from, to), indices{})
				for i, name := range attendedNames {
					mustBeNear(t, fmt.Sprintf("%s of sequence %d", name, b), padded[i].part(b, from, to), alone[i])
				}
			}
			for i, name := range attendedNames {
				for _, part := range []heads{padded[i].part(b, 0, span[0]), padded[i].part(b, span[1], tokens)} {
					for j, x := range part.data {
						if x != 0 {
							t.Fatalf("%s of sequence %d: padding has %g at %d, want 0", name, b, x, j)
						}
					}
				}
			}
		}
	})
}

// TestCachedIsWhole attends with the last queries alone to all keys, as generation
// does with a cache, with and without room left in the cache.
func TestCachedIsWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const tokens, room = 150, 21
		q, k, v, dy := randomHeads(9, 1, tokens, 4, 16), randomHeads(10, 1, tokens, 1, 16),
			randomHeads(11, 1, tokens, 1, 16), randomHeads(12, 1, tokens, 4, 16)
		for _, window := range []int{0, 33} {
			whole := attend(t, d, q, k, v, dy, indices{window: window})
			for _, last := range []int{1, 2, 64, 65, 149} {
				from := tokens - last
				got := attend(t, d, q.part(0, from, tokens), k, v, dy.part(0, from, tokens), indices{window: window})
				mustBeNear(t, fmt.Sprintf("y of the last %d", last), got[0], whole[0].part(0, from, tokens))
				mustBeNear(t, fmt.Sprintf("dq of the last %d", last), got[1], whole[1].part(0, from, tokens))

				roomy := func(h heads) heads { // nothing has been written there yet
					h.tokens += room
					h.data = append(slices.Clone(h.data),
						slices.Repeat([]float32{float32(math.NaN())}, room*h.heads*h.dim)...)
					return h
				}
				positions := make([]int32, last)
				for i := range positions {
					positions[i] = int32(from + i)
				}
				got = attend(t, d, q.part(0, from, tokens), roomy(k), roomy(v), dy.part(0, from, tokens),
					indices{window: window, qPos: positions})
				mustBeNear(t, fmt.Sprintf("y of the last %d, cache with room", last), got[0],
					whole[0].part(0, from, tokens))
				mustBeNear(t, fmt.Sprintf("dq of the last %d, cache with room", last), got[1],
					whole[1].part(0, from, tokens))
			}
		}
	})
}

// TestWindowIsTruncation compares a window with the same attention over the window's
// keys alone, query by query.
func TestWindowIsTruncation(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const tokens, window = 140, 9
		q, k, v := randomHeads(14, 1, tokens, 2, 8), randomHeads(15, 1, tokens, 2, 8), randomHeads(16, 1, tokens, 2, 8)
		whole := attend(t, d, q, k, v, q, indices{window: window})
		for i := range tokens {
			from := max(0, i+1-window)
			one := attend(t, d, q.part(0, i, i+1), k.part(0, from, i+1), v.part(0, from, i+1), q.part(0, i, i+1),
				indices{})
			mustBeNear(t, fmt.Sprintf("y of query %d", i), whole[0].part(0, i, i+1), one[0])
			mustBeNear(t, fmt.Sprintf("dq of query %d", i), whole[1].part(0, i, i+1), one[1])
		}
	})
}

// TestGroupedIsRepeated repeats every key head for the query heads that share it.
func TestGroupedIsRepeated(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		const tokens, dim = 40, 4
		for _, group := range []int{2, 4, 70} {
			q, dy := randomHeads(17, 2, tokens, 2*group, dim), randomHeads(18, 2, tokens, 2*group, dim)
			k, v := randomHeads(19, 2, tokens, 2, dim), randomHeads(20, 2, tokens, 2, dim)
			repeat := func(h heads) heads {
				r := heads{h.batch, h.tokens, h.heads * group, dim, nil}
				for head := range slices.Chunk(h.data, dim) {
					for range group {
						r.data = append(r.data, head...)
					}
				}
				return r
			}
			sum := func(h heads) heads {
				r := heads{h.batch, h.tokens, h.heads / group, dim, make([]float32, len(h.data)/group)}
				for i, x := range h.data {
					r.data[i/(dim*group)*dim+i%dim] += x
				}
				return r
			}
			grouped, repeated := attend(t, d, q, k, v, dy, indices{}),
				attend(t, d, q, repeat(k), repeat(v), dy, indices{})
			repeated[2], repeated[3] = sum(repeated[2]), sum(repeated[3])
			for i, name := range attendedNames {
				if i >= 2 { // sums of up to 70 heads: relative to their size
					for j := range grouped[i].data {
						grouped[i].data[j] /= float32(group)
						repeated[i].data[j] /= float32(group)
					}
				}
				mustBeNear(t, fmt.Sprintf("%s of groups of %d", name, group), grouped[i], repeated[i])
			}
		}
	})
}

// TestAttentionMemory: nothing of size queries × keys is stored, so the peak grows
// with the length, not with its square.
func TestAttentionMemory(t *testing.T) {
	peak := func(tokens int) int {
		d := tensor.NewDevice(memoryOnly{})
		tape := autograd.NewTape(d)
		x := tape.Leaf(d.New(tensor.F32, 1, tokens, 4, 64))
		y := Attention(x, x, x, AttentionOptions{})
		tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{d.Like(y.Tensor())})
		tape.Close()
		return d.Stats().Peak
	}
	if short, long := peak(2048), peak(4096); float64(long) > 2.2*float64(short) {
		t.Errorf("peak of 4,096 tokens is %d bytes, of 2,048 %d: more than 2.2 times", long, short)
	}
}

func TestAttentionRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, d *tensor.Device) {
		c := func(shape ...int) *Var { return autograd.Const(d.New(tensor.F32, shape...)) }
		i := func(shape ...int) *Var { return autograd.Const(d.New(tensor.I32, shape...)) }
		q, k := c(2, 3, 4, 8), c(2, 5, 2, 8)
		for name, f := range map[string]func(){
			"heads":        func() { Attention(q, c(2, 5, 3, 8), c(2, 5, 3, 8), AttentionOptions{}) },
			"dim":          func() { Attention(q, c(2, 5, 2, 4), c(2, 5, 2, 4), AttentionOptions{}) },
			"values":       func() { Attention(q, k, c(2, 4, 2, 8), AttentionOptions{}) },
			"positions":    func() { Attention(q, k, k, AttentionOptions{Positions: i(2, 5)}) },
			"one segments": func() { Attention(q, k, k, AttentionOptions{Segments: i(2, 3)}) },
			"window":       func() { Attention(q, k, k, AttentionOptions{Window: -1}) },
		} {
			if err := tensor.Catch(f); err == nil {
				t.Errorf("%s: not refused", name)
			}
		}
	})
}
