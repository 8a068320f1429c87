package nn

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

// The rows of each expert lie together in the order of tokens, of equal scores the first is chosen, and a score that is
// no number comes last.
func TestRoute(t *testing.T) {
	nan := float32(math.NaN())
	r := route([]float32{
		0, 3, 1, 2,
		5, 5, 5, 5,
		nan, 1, nan, 0,
		nan, nan, nan, nan,
	}, 4, 2)
	for what, lists := range map[string][2][]int32{
		"chosen": {r.chosen, {1, 3, 0, 1, 1, 3, 0, 1}},
		"order":  {r.order, {2, 6, 0, 3, 4, 7, 1, 5}},
		"tokens": {r.tokens, {1, 3, 0, 1, 2, 3, 0, 2}},
		"places": {r.places, {2, 0, 4, 1, 6, 3, 7, 5}},
	} {
		if !slices.Equal(lists[0], lists[1]) {
			t.Errorf("%s %v, want %v", what, lists[0], lists[1])
		}
	}
	if want := []int{2, 4, 0, 2}; !slices.Equal(r.counts, want) {
		t.Errorf("counts %v, want %v", r.counts, want)
	}
}

// moeByFormula computes an MoE of SwiGLUs in float64.
func moeByFormula(t *testing.T, m *MoE, x []float32, dim int) (y []float32) {
	t.Helper()
	product := func(l Layer, x []float64) []float64 {
		w := l.(*Linear).Weight.Value
		v, out := read(t, w), make([]float64, w.Dim(0))
		for o := range out {
			for i, xi := range x {
				out[o] += xi * float64(v[o*len(x)+i])
			}
		}
		return out
	}
	for row := range slices.Chunk(x, dim) {
		in := make([]float64, dim)
		for i, v := range row {
			in[i] = float64(v)
		}
		scores := product(m.Router, in)
		order := make([]int, len(scores))
		all := 0.0
		for e, s := range scores {
			order[e] = e
			all += math.Exp(s)
		}
		slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, scores[b]-scores[a])) })
		if m.SumsToOne {
			all = 0
			for _, e := range order[:m.Chosen] {
				all += math.Exp(scores[e])
			}
		}
		out := make([]float64, dim)
		for _, e := range order[:m.Chosen] {
			s := m.Experts[e].(*SwiGLU)
			gate, up := product(s.Gate, in), product(s.Up, in)
			for i, g := range gate {
				up[i] *= g / (1 + math.Exp(-g))
			}
			for i, v := range product(s.Down, up) {
				out[i] += math.Exp(scores[e]) / all * v
			}
		}
		for _, v := range out {
			y = append(y, float32(v))
		}
	}
	return y
}

func TestMoE(t *testing.T) {
	testMoE(t, 6, 5)
	testMoE(t, 64, 64) // of which kernels have ways of their own for few rows
}

func testMoE(t *testing.T, dim, hidden int) {
	t.Helper()
	const tokens = 11
	var first []float32
	for _, threads := range []int{1, 3} {
		d := testdevice.CPU(t, threads)
		weights := NewInitializer(d, 3)
		m := NewMoE(weights, dim, hidden, 7, 3)
		m.Router.Weight = weights.Normal(1, 7, dim)
		x := read(t, weights.Normal(1, tokens, dim).Value)
		forward := func(x []float32) []float32 {
			return read(t, m.Forward(autograd.Const(d.FromFloat32s(tensor.F32, x, 1, len(x)/dim, dim))).Tensor())
		}
		for _, m.SumsToOne = range []bool{false, true} {
			near(t, "mixture", d.FromFloat32s(tensor.F32, forward(x), tokens*dim), moeByFormula(t, m, x, dim)...)
		}
		whole := forward(x)
		if first == nil {
			first = whole
		}
		if !slices.Equal(whole, first) {
			t.Errorf("other bits with %d threads", threads)
		}
		for cut := 2; cut < tokens-1; cut++ { // no token's result depends on others
			if !slices.Equal(slices.Concat(forward(x[:cut*dim]), forward(x[cut*dim:])), whole) {
				t.Errorf("%d x %d: other bits where %d tokens come before the others", dim, hidden, cut)
			}
		}
	}
}

// An expert that nobody chose has no gradient, and the router has one through the weights of those that were chosen.
func TestMoEGradients(t *testing.T) {
	const dim = 4
	d := testdevice.CPU(t, 1)
	weights := NewInitializer(d, 5)
	m := NewMoE(weights, dim, 3, 3, 2)
	m.Router.Weight = param(d, []int{3, dim}, 1, 0, 0, 0, .5, .1, 0, 0, -9, 0, 0, 0)
	for _, p := range Params(m) {
		p.Grad = d.FromFloat32s(tensor.F32, make([]float32, p.Value.Numel()), p.Value.Shape()...)
	}
	tape := autograd.NewTape(d)
	defer tape.Close()
	y := m.Forward(autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, .5, -1, 2, 2, 1, .5, -1}, 2, dim)))
	tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4, 4, 3, 2, 1}, 2, dim)})
	for name, p := range Params(m) {
		g := read(t, p.Grad)
		moved := slices.ContainsFunc(g, func(v float32) bool { return v != 0 })
		if idle := len(name) > 9 && name[:9] == "experts.2"; moved == idle {
			t.Errorf("%s: gradient %v", name, g)
		}
	}
	g := read(t, m.Router.Weight.Grad)
	for i := range dim { // softmax: what the first gains, the second loses; the third is not chosen
		if math.Abs(float64(g[i]+g[dim+i])) > 1e-5 || g[2*dim+i] != 0 {
			t.Errorf("router: gradient %v", g)
		}
	}
}

// Where an expert trains alone and nobody has chosen it, its gradient is 0, and the way back is there.
func TestIdleExpertTrains(t *testing.T) {
	const dim = 4
	d := testdevice.CPU(t, 1)
	m := NewMoE(NewInitializer(d, 5), dim, 3, 3, 2)
	m.Router.Weight = param(d, []int{3, dim}, 1, 0, 0, 0, .5, .1, 0, 0, -9, 0, 0, 0)
	for name, p := range Params(m) {
		if p.Frozen = name != "experts.2.up_proj.weight"; !p.Frozen {
			p.Grad = d.FromFloat32s(tensor.F32, make([]float32, p.Value.Numel()), p.Value.Shape()...)
		}
	}
	x := autograd.Const(d.FromFloat32s(tensor.F32, []float32{1, .5, -1, 2}, 1, dim))
	want := read(t, m.Forward(x).Tensor())
	tape := autograd.NewTape(d)
	defer tape.Close()
	y := m.Forward(x)
	if !y.NeedsGrad() || !slices.Equal(read(t, y.Tensor()), want) {
		t.Errorf("it is %v with a tape, %v without, and needs a gradient: %v", read(t, y.Tensor()), want, y.NeedsGrad())
	}
	tape.BackwardFrom([]*Var{y}, []*tensor.Tensor{d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 1, dim)})
	for name, p := range Params(m) {
		if p.Grad != nil && slices.ContainsFunc(read(t, p.Grad), func(v float32) bool { return v != 0 }) {
			t.Errorf("%s: gradient %v", name, read(t, p.Grad))
		}
	}
}

// Rows for which an expert would overflow, and that have not chosen it, have no part in its gradients and it none in theirs,
// whatever is computed beside the few rows that have.
func TestExpertThatOverflowsForOthers(t *testing.T) {
	const dim, hidden = 64, 64
	d := testdevice.CPU(t, 1)
	for _, tokens := range []int{3, 9} {
		weights := NewInitializer(d, 5)
		m := NewMoE(weights, dim, hidden, 2, 1)
		router := make([]float32, 2*dim)
		router[0], router[dim] = -1, 1 // the first number's sign chooses
		m.Router.Weight = param(d, []int{2, dim}, router...)
		x := read(t, weights.Normal(1, tokens, dim).Value)
		for i := range x {
			if x[i] /= 1e3; i >= dim {
				x[i] *= 1e25
			}
			if i%dim == 0 {
				x[i] = 1e-3
			}
		}
		x[0] = -1e-3 // the first token alone chooses the first expert
		first, second := m.Experts[0].(*SwiGLU), m.Experts[1].(*SwiGLU)
		for l, factor := range map[Layer]float64{first.Gate: 1e18, first.Up: 1e-15, second.Gate: 1e-20, second.Up: 1e-20} {
			w := l.(*Linear).Weight
			l.(*Linear).Weight = weights.Normal(factor, w.Value.Shape()...)
		}
		for _, p := range Params(m) {
			p.Grad = d.FromFloat32s(tensor.F32, make([]float32, p.Value.Numel()), p.Value.Shape()...)
		}
		tape := autograd.NewTape(d)
		leaf := tape.Leaf(d.FromFloat32s(tensor.F32, x, tokens, dim))
		dy := make([]float32, len(x))
		for i := range dy {
			dy[i] = 1
		}
		tape.BackwardFrom([]*Var{m.Forward(leaf)}, []*tensor.Tensor{d.FromFloat32s(tensor.F32, dy, tokens, dim)})
		for name, p := range Params(m) {
			for _, v := range read(t, p.Grad) {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Errorf("%d tokens, %s: a gradient has %v", tokens, name, v)
					break
				}
			}
		}
		for i, v := range read(t, tape.Grad(leaf)) {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("%d tokens: the gradient of number %d has %v", tokens, i, v)
				break
			}
		}
		tape.Close()
	}
}
