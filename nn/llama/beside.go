package llama

import (
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// embed looks ids [rows, tokens] up, with what is beside the embedding: [rows, tokens, hidden].
func (m *Model) embed(ids *nn.Var) *nn.Var {
	if m.BesideEmbedding == nil {
		return m.Embedding.ForwardAs(ids, m.dtype)
	}
	up, down := m.BesideEmbedding.Factors()
	change := ops.MatMul(ops.EmbeddingAs(up, ids, tensor.F32), down, false, false)
	return ops.Cast(ops.Add(m.Embedding.ForwardAs(ids, tensor.F32), change), m.dtype)
}

// besideHead is what the head adds to the logits of x, u upᵀ; nil: nothing.
func (m *Model) besideHead(x *nn.Var) (u, up *nn.Var) {
	beside := m.BesideHead
	if m.Head == nil {
		beside = m.BesideEmbedding
	}
	if beside == nil {
		return nil, nil
	}
	up, down := beside.Factors()
	x = beside.Drop(x)
	if x.Tensor().DType() == tensor.F16 { // whose range is small
		x = ops.Cast(x, tensor.F32)
	}
	return ops.Linear(x, down, nil), up
}

// logitOptions are those of the loss, of x that the head sees.
func (m *Model) logitOptions(x *nn.Var) []ops.LogitOption {
	options := []ops.LogitOption{ops.CapLogits(m.Config.LogitSoftCap)}
	if u, up := m.besideHead(x); u != nil {
		options = append(options, ops.Beside(u, up))
	}
	return options
}
