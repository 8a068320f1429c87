package nn

import (
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Embedding is a table of vectors.
type Embedding struct {
	Weight *Param `name:"weight"` // [vocab, dim]
}

// NewEmbedding is initialized as PyTorch's nn.Embedding: standard normal.
func NewEmbedding(weights *Initializer, vocab, dim int) *Embedding {
	return &Embedding{Weight: weights.Normal(1, vocab, dim)}
}

// Forward maps i32 ids [...] to the vectors [..., dim].
func (e *Embedding) Forward(ids *Var) *Var { return ops.Embedding(e.Weight.Var(), ids) }

// ForwardAs is Forward with the vectors in another storage type.
func (e *Embedding) ForwardAs(ids *Var, dt tensor.DType) *Var {
	return ops.EmbeddingAs(e.Weight.Var(), ids, dt)
}
