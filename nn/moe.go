package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// MoE is a feed-forward part of many experts, of which a router chooses Chosen for each token (Shazeer et al.,
// 1701.06538; as Mixtral has it, 2401.04088, section 2.1):
//
//	y = Σ w_e expert_e(x) over the chosen e, w = softmax(x routerᵀ)
//
// Each expert computes the rows of the tokens that chose it, all in one product, and none is padded. The choice is made
// on the host, so a device is waited for once in each MoE. A token's result depends on no other token: rows are summed
// in the order of experts, whatever the number of threads and, as in any layer, of tokens, if they are more than one. On a GPU
// more than rows chooses the order of a sum, and last bits may differ.
type MoE struct {
	Router  *Linear  `name:"gate"` // dim → experts; no slot, so that adapters leave the choice to it
	Experts []Expert `name:"experts"`

	Chosen    int  // experts of a token
	SumsToOne bool // the weights of the chosen experts are divided by their sum
}

// Expert is one of an MoE: a SwiGLU, say. As a type of its own it is no slot, its layers are.
type Expert interface {
	Forward(x *Var) *Var
	Layers() (gate, up, down Layer)
}

// Forward maps [..., dim] to [..., dim]. Router and weights compute in f32 (f64 of f64).
func (m *MoE) Forward(x *Var) *Var {
	dim := x.Dim(-1)
	rows := ops.Reshape(x, -1, dim)
	scores := m.Router.Forward(ops.Cast(rows, autograd.StatType(x.Tensor().DType())))
	host, err := scores.Tensor().Float32s()
	if err != nil { // the device has it for whoever asks next
		host = make([]float32, scores.Tensor().Numel())
	}
	r := route(host, len(m.Experts), m.Chosen)
	d := x.Tensor().Device()
	tokens, tokenCount := len(r.chosen)/m.Chosen, len(r.chosen)
	upload := func(numbers []int32, shape ...int) *Var { return autograd.Const(d.FromInt32s(numbers, shape...)) }

	weights := m.weights(scores, upload(r.chosen, tokens, m.Chosen))
	byRow := upload(r.order, tokenCount)
	weights = ops.Gather(ops.Reshape(weights, -1), 0, byRow)
	tokenOf := upload(r.tokens, tokenCount)
	gathered := ops.GatherRows(rows, tokenOf)
	var made []*Var
	at := 0
	for e, expert := range m.Experts {
		if n := r.counts[e]; n > 0 {
			made = append(made, forwardRows(expert, gathered, at, n, tokens))
			at += n
		}
	}
	y := ops.CombineRows(ops.Concat(0, made...), weights, upload(r.places, m.Chosen, tokens), tokenOf)
	y = ops.Reshape(y, x.Tensor().Shape()...)
	if autograd.Recording(d) {
		y = m.withIdle(y, r.counts)
	}
	return y
}

// withIdle is y as if an expert that trains and that no token has chosen had a part in it: a step is a step, and takes the
// same way back through the blocks as any other, whichever experts its tokens choose.
func (m *MoE) withIdle(y *Var, counts []int) *Var {
	for e, expert := range m.Experts {
		if counts[e] > 0 {
			continue
		}
		for _, p := range Params(expert) {
			if p.Grad != nil && !p.Frozen {
				return autograd.Apply(idle{}, y, p.Var())[0]
			}
		}
	}
	return y
}

// idle gives its first input; its second, which trains, has no part in it.
type idle struct{}

func (idle) Forward(f *autograd.Forward) (out, saved []*tensor.Tensor) {
	return []*tensor.Tensor{f.In[0].Reshape(f.In[0].Shape()...)}, nil
}

func (idle) Backward(b *autograd.Backward) {
	b.SetGrad(0, b.DOut[0])
	b.SetGrad(1, nil)
}

// Examples is empty: it computes nothing.
func (idle) Examples() []autograd.Example { return nil }

// forwardRows lets an expert compute n rows from one on. A single row of several tokens has one of zeros beside it, which is left
// out: products of one row add in another order than those of more, and a token's bits would depend on how many others chose
// its expert. Another expert's row would not do: what overflows in an expert that nobody chose for it would go back, times the
// zero of what is left out, as NaN.
func forwardRows(expert Expert, rows *Var, from, n, tokens int) *Var {
	own := ops.Slice(rows, 0, from, from+n)
	if n > 1 || tokens == 1 {
		return expert.Forward(own)
	}
	return ops.Slice(expert.Forward(ops.Pad(own, 0, 0, 1, 0)), 0, 0, 1)
}

// weights are those of the chosen experts, [tokens, chosen].
func (m *MoE) weights(scores, chosen *Var) *Var {
	if m.SumsToOne { // softmax over all, divided by the sum of some, is softmax over these
		return ops.Softmax(ops.Gather(scores, 1, chosen))
	}
	return ops.Gather(ops.Softmax(scores), 1, chosen)
}

// routing is which experts the tokens chose. A choice is numbered token · k + j, j in the order of experts; the rows
// of an expert lie together, in the order of tokens, and those of the first expert come first.
type routing struct {
	counts []int   // rows of each expert
	chosen []int32 // [tokens, k]: the expert of each choice
	order  []int32 // of each row, its choice
	tokens []int32 // of each row, its token
	places []int32 // [k, tokens]: the row of each choice
}

// route chooses the k experts of the highest scores [tokens, experts] for each token; of equal ones, and of those that
// are not numbers, the first.
func route(scores []float32, experts, k int) routing {
	tokens := len(scores) / experts
	r := routing{counts: make([]int, experts), chosen: make([]int32, 0, tokens*k)}
	taken := make([]bool, experts)
	for t := range tokens {
		row := scores[t*experts : (t+1)*experts]
		clear(taken)
		for range k {
			best := -1
			for e, v := range row {
				if !taken[e] && (best < 0 || v > row[best] || row[best] != row[best] && v == v) {
					best = e
				}
			}
			taken[best] = true
		}
		for e, is := range taken {
			if is {
				r.chosen = append(r.chosen, int32(e))
				r.counts[e]++
			}
		}
	}
	next := make([]int, experts) // the row that an expert's next token takes
	for e := 1; e < experts; e++ {
		next[e] = next[e-1] + r.counts[e-1]
	}
	r.order, r.tokens, r.places = make([]int32, tokens*k), make([]int32, tokens*k), make([]int32, tokens*k)
	for i, e := range r.chosen {
		row, token := next[e], i/k
		next[e]++
		r.order[row], r.tokens[row], r.places[i%k*tokens+token] = int32(i), int32(token), int32(row)
	}
	return r
}

// NewMoE has new experts and a router, all without bias.
func NewMoE(weights *Initializer, dim, hidden, experts, chosen int) *MoE {
	if chosen < 1 || chosen > experts {
		tensor.Panicf("moe", "%d of %d experts: want at least 1, and no more than there are", chosen, experts)
	}
	m := &MoE{Router: NewLinear(weights, dim, experts, false), Chosen: chosen, SumsToOne: true}
	for range experts {
		m.Experts = append(m.Experts, NewSwiGLU(weights, dim, hidden))
	}
	return m
}
