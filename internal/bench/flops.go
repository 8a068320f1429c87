package bench

import (
	"cmp"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
)

// FLOPs are the floating-point operations of a training step that its model calls for, a
// token, a multiplication and an addition being two. What a program computes twice, such as
// a block that gradient checkpointing recomputes, counts once, and what is not a product of
// matrices (norms, softmax, RoPE, the optimizer) not at all. What is saved where an adapter is merged into its weight for
// a product of many rows (ops.MergesFrom) counts.
//
// Forward, a linear layer of in × out numbers takes 2·in·out, the head among them; an adapter
// of total rank R beside it 2·R·(in + out); of a mixture of experts those that a token has; attention 4·heads·size for
// every key that a query sees, of which there are (tokens + 1)/2 on average, or fewer within a window.
//
// On the way back, a linear layer takes 2·in·out for the gradient of its input, if anything
// before it trains, and 2·in·out for that of its weight, if the weight trains: not where
// it is frozen. Its adapter takes 2·R·out for the gradient of its narrow vector, 2·R·(in + out)
// for those of A and B, and 2·R·in for that of the input, if anything before it trains.
// Attention takes 2·heads·size a key for each of four gradients: of the probabilities and of
// q, k and v, as far as something before them trains.
type FLOPs struct {
	Forward   float64 `json:"forward"`   // attention's products apart
	Backward  float64 `json:"backward"`  // attention's products apart
	Attention float64 `json:"attention"` // both ways
}

// Total is all of them.
func (f FLOPs) Total() float64 { return f.Forward + f.Backward + f.Attention }

// CountFLOPs counts those of a model, with its adapter if it has one, in rows of so many
// tokens that all count in the loss. What trains is what is not frozen.
func CountFLOPs(m *llama.Model, tokens int) (f FLOPs) {
	c := m.Config
	x := trains(m.Embedding.Weight)       // a gradient must come to here
	if b := m.BesideEmbedding; b != nil { // rows of B are looked up, and no gradient goes to the ids
		rank, in, _, up := sizes(b)
		f.Forward += float64(2 * rank * in)
		f.Backward += float64(2 * rank * in)
		if up {
			f.Backward += float64(2 * rank * in)
		}
		x = true
	}
	for i, block := range m.Blocks {
		h := x || normTrains(block.InputNorm)
		var q, k, v bool
		if a := block.Attention; a.QKV != nil {
			q = f.layer(a.QKV, h)
			k, v = q, q
		} else {
			q, k, v = f.layer(a.Q, h), f.layer(a.K, h), f.layer(a.V, h)
		}
		q, k = q || normTrains(block.Attention.QNorm), k || normTrains(block.Attention.KNorm)
		gradients := 0
		for _, needed := range []bool{q || k, q, k, v} { // of the probabilities, q, k and v
			if needed {
				gradients++
			}
		}
		window := 0
		if c.Windows != nil {
			window = c.Windows[i]
		}
		f.Attention += float64((4+2*gradients)*c.Heads*c.HeadDim*seen(tokens, window)) / float64(tokens)
		x = f.layer(block.Attention.O, q || k || v) || normTrains(block.AttentionOutNorm) || x
		h = x || normTrains(block.MLPNorm) || normTrains(block.MLPInNorm)
		var y bool
		if m := block.Mixture(); m != nil {
			y = f.mixture(m, h)
		} else {
			y = f.swiglu(block.MLP, h)
		}
		x = y || normTrains(block.MLPOutNorm) || x
	}
	x = x || trains(m.Norm.Weight)
	f.linear(m.HeadWeight(), x)
	beside := m.BesideHead
	if m.Head == nil {
		beside = m.BesideEmbedding
	}
	if beside != nil {
		rank, in, out, up := sizes(beside)
		f.modules(rank, in, cmp.Or(out, c.Vocab), x)
		if !up {
			f.Backward -= float64(2 * rank * c.Vocab)
		}
	}
	return f
}

// seen is how many keys the queries of a row see together.
func seen(tokens, window int) int {
	if window == 0 || window > tokens {
		window = tokens
	}
	return window*(window+1)/2 + (tokens-window)*window
}

// normTrains reports whether there is such a norm and it trains.
func normTrains(n *nn.RMSNorm) bool { return n != nil && trains(n.Weight) }

// swiglu counts a feed-forward part whose input needs a gradient or does not, and tells whether its output does.
func (f *FLOPs) swiglu(m *nn.SwiGLU, input bool) (output bool) {
	if m.GateUp != nil {
		return f.layer(m.Down, f.layer(m.GateUp, input))
	}
	gate := f.layer(m.Gate, input)
	up := f.layer(m.Up, input)
	return f.layer(m.Down, gate || up)
}

// mixture counts a router and as many experts as a token has, which are as large and as adapted as all are on average.
func (f *FLOPs) mixture(m *nn.MoE, input bool) (output bool) {
	output = f.linear(m.Router.Weight, input)
	var all FLOPs
	for _, expert := range m.Experts {
		gate, up, down := expert.Layers()
		g := all.layer(gate, input)
		output = all.layer(down, all.layer(up, input) || g) || output
	}
	share := float64(m.Chosen) / float64(len(m.Experts))
	f.Forward += share * all.Forward
	f.Backward += share * all.Backward
	return output
}

// layer counts a linear layer, with an adapter or without, whose input needs a gradient or
// does not, and tells whether its output does.
func (f *FLOPs) layer(l nn.Layer, input bool) (output bool) {
	switch l := l.(type) {
	case *nn.Linear:
		return f.linear(l.Weight, input) || trains(l.Bias)
	case *multilora.Linear:
		f.linear(l.Base.Weight, input)
		f.modules(l.A.Value.Dim(0), l.A.Value.Dim(1), l.B.Value.Dim(0), input)
	}
	return true
}

// modules counts those beside a weight [out, in] by themselves.
func (f *FLOPs) modules(rank, in, out int, input bool) {
	f.Forward += float64(2 * rank * (in + out))
	f.Backward += float64(2*rank*out + 2*rank*(in+out))
	if input {
		f.Backward += float64(2 * rank * in)
	}
}

// sizes are those of the modules beside an embedding or a head, and whether the one that is as long as the vocabulary
// trains: of rows of tokens there is none.
func sizes(b nn.Beside) (rank, in, out int, up bool) {
	for name, p := range nn.Params(b) {
		switch name {
		case "A", "tokens":
			rank, in = p.Value.Dim(0), p.Value.Dim(1)
		case "B":
			out, up = p.Value.Dim(0), true
		}
	}
	return rank, in, out, up
}

func (f *FLOPs) linear(weight *nn.Param, input bool) (output bool) {
	product := float64(2 * weight.Value.Numel())
	f.Forward += product
	if input {
		f.Backward += product
	}
	if trains(weight) {
		f.Backward += product
	}
	return input || trains(weight)
}

func trains(p *nn.Param) bool { return p != nil && !p.Frozen }
