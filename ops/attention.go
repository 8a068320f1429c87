package ops

import (
	"fmt"
	"math"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// AttentionOptions say which keys a query sees. The zero value is plain causal
// attention, the queries being the last tokens of the keys' sequence.
type AttentionOptions struct {
	// Positions, i32 [batch, queries], and KeyPositions, i32 [batch, keys]: a query
	// sees keys at positions up to its own. Nil means that key j is at position j,
	// and query i at i + keys - queries.
	Positions, KeyPositions *Var
	// Segments, i32 [batch, queries], and KeySegments, i32 [batch, keys]: a query
	// sees keys of its own segment. Segment -1 is padding, seen by nobody. Nil, both
	// of them, means one segment.
	Segments, KeySegments *Var
	// Window, if not 0, is how many positions a query sees, its own included.
	Window int
	// Scale is the factor of every q · k; 0 means 1 / sqrt(dim).
	Scale float32
	// SoftCap, if not 0, bounds the scores s = scale q · k: they become SoftCap tanh(s / SoftCap)
	// (Gemma 2, 2408.00118, section 2).
	SoftCap float32
}

// Attention is softmax(scale q kᵀ) v over the keys that a query sees. q is [batch,
// queries, heads, dim], k and v [batch, keys, kvHeads, dim]; query head h uses key
// head h / (heads/kvHeads). A query that sees nothing gives zeros. Nothing of size
// queries × keys is ever stored (Dao et al., "FlashAttention", 2205.14135).
func Attention(q, k, v *Var, o AttentionOptions) *Var {
	qt, kt := q.Tensor(), k.Tensor()
	if qt.Rank() != 4 || kt.Rank() != 4 || kt.Dim(0) != qt.Dim(0) || kt.Dim(3) != qt.Dim(3) || kt.Dim(2) == 0 ||
		qt.Dim(2)%kt.Dim(2) != 0 {
		tensor.Panicf("attention", "q is %s, k %s: want [batch, queries, heads, dim] and "+
			"[batch, keys, a divisor of heads, dim]", qt, kt)
	}
	if !v.Tensor().SameShape(kt) {
		tensor.Panicf("attention", "k is %s, v %s: want one shape", kt, v.Tensor())
	}
	for _, i := range []struct {
		name string
		v    *Var
		of   *tensor.Tensor
	}{
		{"positions", o.Positions, qt}, {"key positions", o.KeyPositions, kt},
		{"segments", o.Segments, qt}, {"key segments", o.KeySegments, kt},
	} {
		if i.v != nil && !i.v.Tensor().HasShape(i.of.Dim(0), i.of.Dim(1)) {
			tensor.Panicf("attention", "%s are %s: want [%d, %d]", i.name, i.v.Tensor(), i.of.Dim(0), i.of.Dim(1))
		}
	}
	if (o.Segments == nil) != (o.KeySegments == nil) {
		tensor.Panicf("attention", "segments of the queries or of the keys alone: want both or neither")
	}
	if o.Window < 0 {
		tensor.Panicf("attention", "window %d: want at least 0", o.Window)
	}
	if o.Scale == 0 {
		o.Scale = float32(1 / math.Sqrt(float64(qt.Dim(3))))
	}
	if !(o.SoftCap >= 0) {
		tensor.Panicf("attention", "soft cap %v: want at least 0", o.SoftCap)
	}
	return apply(attention{o.Window, o.Scale, o.SoftCap}, q, k, v, o.Positions, o.KeyPositions, o.Segments, o.KeySegments)
}

type attention struct {
	window         int
	scale, softCap float32
}

func (a attention) kernel(q, k *tensor.Tensor) kernels.Attention {
	return kernels.Attention{
		Batch: q.Dim(0), T: q.Dim(1), S: k.Dim(1), Heads: q.Dim(2), KVHeads: k.Dim(2),
		Window: a.window, Scale: a.scale, SoftCap: a.softCap, HeadDim: q.Dim(3),
	}
}

func (a attention) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	q := f.In[0]
	y := f.Like(q)
	var lse *tensor.Tensor
	if f.AnyNeeds() {
		lse = f.New(autograd.StatType(q.DType()), q.Dim(0), q.Dim(2), q.Dim(1))
	}
	f.Run(a.kernel(q, f.In[1]), append([]*tensor.Tensor{y, lse}, f.In...)...)
	return one(y), one(lse)
}

// Backward computes the probabilities again from lse: once where the backend has one kernel for all gradients, else
// once for dq and once for dk and dv, so that neither kernel needs atomics or a matrix of them.
func (a attention) Backward(b *autograd.Backward) {
	y, dy, lse := b.Out[0], b.DOut[0], b.Saved[0]
	k := a.kernel(b.In[0], b.In[1])
	keys := b.Needs[1] || b.Needs[2]
	dq := b.GradOrScratch(0)
	if keys && b.Device.Offers(kernels.AttentionGrad(k)) {
		dk, dv := b.GradOrScratch(1), b.GradOrScratch(2)
		b.Run(kernels.AttentionGrad(k), append([]*tensor.Tensor{dq, dk, dv, dy, y, lse}, b.In...)...)
		return
	}
	delta := b.Like(lse) // it is needed for dk and dv too
	b.Run(kernels.AttentionGradQ(k), append([]*tensor.Tensor{dq, delta, dy, y, lse}, b.In...)...)
	if keys {
		dk, dv := b.GradOrScratch(1), b.GradOrScratch(2)
		b.Run(kernels.AttentionGradKV(k), append([]*tensor.Tensor{dk, dv, dy, lse, delta}, b.In...)...)
	}
}

func (attention) Examples() []autograd.Example {
	example := attentionExample
	inOrder := func(i int) float64 { return float64(i) }
	plain := func(name string, batch, t, s, heads, kvHeads, dim int) autograd.Example {
		return example(name, batch, t, s, heads, kvHeads, dim, 0, 0, nil, nil, nil, nil)
	}
	capped := func(name string, bound float32, t, s, window int) autograd.Example {
		e := example(name, 2, t, s, 4, 2, 8, window, 0.7, nil, nil, nil, nil)
		e.Call = call(func(in []*Var) *Var {
			return Attention(in[0], in[1], in[2], AttentionOptions{Window: window, Scale: 0.7, SoftCap: bound})
		})
		return e
	}
	packed := func(lengths ...int) (position, segment func(i int) float64) {
		at := func(i int) (int, int) {
			for n, length := range lengths {
				if i < length {
					return i, n
				}
				i -= length
			}
			return i, -1
		}
		return func(i int) float64 { p, _ := at(i); return float64(p) },
			func(i int) float64 { _, s := at(i); return float64(s) }
	}
	pos, seg := packed(3, 1, 5)
	longPos, longSeg := packed(30, 37, 64)
	large := plain("large", 1, 1024, 1024, 12, 12, 64)
	large.Large = true
	backwards := func(i int) float64 { return float64(10 - i) }
	// The gradients of a single q and k are exactly 0: nothing to compare with.
	single := plain("one token", 1, 1, 1, 1, 1, 8)
	single.In[0].NoGrad, single.In[1].NoGrad = true, true
	examples := []autograd.Example{ // of few head sizes: a GPU's kernels are compiled for each
		plain("causal", 2, 5, 5, 4, 2, 8),
		example("packed and padded", 2, 11, 11, 2, 1, 6, 0, 0.3, pos, pos, seg, seg),
		example("window", 1, 9, 9, 2, 2, 8, 3, 0, nil, nil, nil, nil),
		example("keys out of order", 1, 7, 7, 2, 1, 6, 5, 0, inOrder, backwards, nil, nil),
		plain("decode", 2, 1, 67, 4, 1, 8),
		example("decode across blocks", 1, 1, 141, 4, 2, 16, 0, 0.3, func(int) float64 { return 120 }, inOrder,
			func(int) float64 { return 1 }, func(i int) float64 { return float64(min(i/3, 1)) }),
		plain("more queries than keys", 1, 7, 3, 2, 1, 8), // the first queries see nothing
		single,
		plain("31", 1, 31, 31, 2, 1, 8),
		plain("32", 1, 32, 32, 1, 1, 8),
		plain("33", 1, 33, 33, 4, 1, 8),
		plain("63 of 65", 1, 63, 65, 2, 2, 8),
		plain("64", 1, 64, 64, 1, 1, 8),
		plain("65 of 97", 1, 65, 97, 1, 1, 8),
		plain("127", 1, 127, 127, 1, 1, 8),
		plain("129", 1, 129, 129, 2, 1, 8),
		example("window across blocks", 1, 131, 131, 1, 1, 8, 40, 0, nil, nil, nil, nil),
		example("packed across blocks", 1, 137, 137, 2, 1, 6, 33, 0, longPos, longPos, longSeg, longSeg),
		plain("heads of 67", 1, 33, 35, 2, 1, 67),
		capped("soft cap", 1, 5, 9, 0),
		capped("soft cap, packed across blocks", 1.5, 137, 137, 33),
		capped("soft cap, decode", 1.5, 1, 70, 40),
		large,
	}
	for _, dim := range []int{64, 80, 128, 256} {
		e := plain(fmt.Sprintf("heads of %d", dim), 1, 3, 35, 2, 1, dim)
		e.Brief = true
		examples = append(examples, e)
	}
	return examples
}

// RandomExample draws sizes, a window and a row of two packed sequences. Some
// query always sees two keys: the gradients of q and k would be 0 otherwise.
func (attention) RandomExample(r *random.Stream) autograd.Example {
	batch, kvHeads, dim := 1+r.IntN(2), 1+r.IntN(2), 6+2*r.IntN(2)
	heads, t, window := kvHeads*(1+r.IntN(3)), 2+r.IntN(70), max(0, r.IntN(40)-20)
	if window == 1 {
		window = 2
	}
	s, cut := t, 0
	var position, segment func(i int) float64
	if r.IntN(2) == 0 {
		s += r.IntN(70)
	} else { // two sequences, of which the first has the tokens before cut
		cut = 2 + r.IntN(t-1)
		segment = func(i int) float64 { return float64(min(1, i/cut)) }
		position = func(i int) float64 { return float64(i) - segment(i)*float64(cut) }
	}
	name := fmt.Sprintf("random %d of %d x %d, heads %d of %d, dim %d, window %d, cut %d", batch, t, s, heads, kvHeads,
		dim, window, cut)
	return attentionExample(name, batch, t, s, heads, kvHeads, dim, window, 0, position, position, segment, segment)
}

func attentionExample(name string, batch, t, s, heads, kvHeads, dim, window int, scale float32, qPos, kPos, qSeg,
	kSeg func(i int) float64) autograd.Example {
	index := func(n int, value func(i int) float64) autograd.Input {
		if value == nil {
			return autograd.Input{Kind: autograd.Index}
		}
		return autograd.Input{Shape: []int{batch, n}, Kind: autograd.Index,
			Value: func(i int, _ *random.Stream) float64 { return value(i % n) }}
	}
	return autograd.Example{Name: name, In: []autograd.Input{
		{Shape: []int{batch, t, heads, dim}},
		{Shape: []int{batch, s, kvHeads, dim}},
		{Shape: []int{batch, s, kvHeads, dim}},
		index(t, qPos), index(s, kPos), index(t, qSeg), index(s, kSeg),
	}, Call: call(func(in []*Var) *Var {
		return Attention(in[0], in[1], in[2], AttentionOptions{
			Positions: in[3], KeyPositions: in[4], Segments: in[5], KeySegments: in[6], Window: window, Scale: scale,
		})
	})}
}
