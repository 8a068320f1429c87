// Package llama is the LLaMA family of language models: LLaMA 1 to 3, Mistral and
// Qwen2 as Hugging Face stores them (config.json and safetensors).
//
// Config is the architecture, Model the network, Load and Save go from and to a
// folder, Loss is what training minimizes, Decoder and Generate continue texts.
package llama

import (
	"cmp"
	"maps"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Model is the network. Its names are those of the checkpoint; the projections of
// its blocks are slots that nn.Layers finds.
type Model struct {
	Config Config

	Embedding *nn.Embedding `name:"model.embed_tokens"`
	Blocks    []*Block      `name:"model.layers"`
	Norm      *nn.RMSNorm   `name:"model.norm"`
	Head      *nn.Linear    `name:"lm_head"` // nil where it is the embedding's weight (Config.Tied)

	// What an adapter adds to the weights of the embedding and of the head; nil: nothing. A head that
	// is the embedding has what the embedding has.
	BesideEmbedding nn.Beside `name:"model.embed_tokens"`
	BesideHead      nn.Beside `name:"lm_head"`

	// Checkpointing keeps only the blocks' inputs while a tape records and computes
	// the rest again on the way back.
	Checkpointing bool

	device *tensor.Device
	dtype  tensor.DType // of the activations
	rope   map[ropeUse]*tensor.Tensor

	elsewhere *elsewhere      // nil: all weights are on the device, or in their file
	need      func(layer int) // is told of every block before it is used; nil: nobody
}

// Block is one layer of the network. A norm that is nil is not there; of two fields with
// one name one is nil.
type Block struct {
	InputNorm *nn.RMSNorm   `name:"input_layernorm"` // before attention
	Attention *nn.Attention `name:"self_attn"`
	MLPNorm   *nn.RMSNorm   `name:"post_attention_layernorm"` // before the feed-forward part
	MLP       *nn.SwiGLU    `name:"mlp"`

	// A mixture of experts in place of MLP, or nil: Qwen3-MoE's, and Mixtral's by its name.
	MoE       *nn.MoE `name:"mlp"`
	SparseMoE *nn.MoE `name:"block_sparse_moe"`

	// Gemma's and OLMo 2's norms of what attention and the feed-forward part add, and Gemma's name
	// of the norm before the latter.
	AttentionOutNorm *nn.RMSNorm `name:"post_attention_layernorm"`
	MLPInNorm        *nn.RMSNorm `name:"pre_feedforward_layernorm"`
	MLPOutNorm       *nn.RMSNorm `name:"post_feedforward_layernorm"`

	ResidualScale float32 // of what both parts add; 0 = 1
}

// Forward maps x [batch, tokens, hidden] to the same shape.
func (b *Block) Forward(x *nn.Var, c nn.Context) *nn.Var {
	x = b.attend(x, c)
	if b.MLP != nil && b.addsAsMade(b.MLPOutNorm) {
		return autograd.Segment(func(x *nn.Var) *nn.Var { return b.MLP.ForwardPlus(x, b.mlpInput(x)) }, x)
	}
	return b.add(x, autograd.Segment(func(x *nn.Var) *nn.Var {
		return normed(b.MLPOutNorm, b.feedForward(b.mlpInput(x)))
	}, x))
}

// attend is the first half of Forward.
func (b *Block) attend(x *nn.Var, c nn.Context) *nn.Var {
	if b.addsAsMade(b.AttentionOutNorm) {
		return autograd.Segment(func(x *nn.Var) *nn.Var {
			return b.Attention.ForwardPlus(x, normed(b.InputNorm, x), c)
		}, x)
	}
	return b.add(x, autograd.Segment(func(x *nn.Var) *nn.Var {
		return normed(b.AttentionOutNorm, b.Attention.Forward(normed(b.InputNorm, x), c))
	}, x))
}

// addsAsMade reports whether nothing is done to what a part makes before it is added to x, so that its last layer can do so.
func (b *Block) addsAsMade(outNorm *nn.RMSNorm) bool {
	return outNorm == nil && (b.ResidualScale == 0 || b.ResidualScale == 1)
}

func (b *Block) mlpInput(x *nn.Var) *nn.Var { return normed(cmp.Or(b.MLPInNorm, b.MLPNorm), x) }

func (b *Block) feedForward(x *nn.Var) *nn.Var {
	if m := b.Mixture(); m != nil {
		return m.Forward(x)
	}
	return b.MLP.Forward(x)
}

// Mixture is the block's mixture of experts; nil where its feed-forward part is MLP.
func (b *Block) Mixture() *nn.MoE { return cmp.Or(b.MoE, b.SparseMoE) }

func (b *Block) add(x, y *nn.Var) *nn.Var { return ops.Add(x, scaled(y, b.ResidualScale)) }

// normed is x where there is no norm.
func normed(n *nn.RMSNorm, x *nn.Var) *nn.Var {
	if n == nil {
		return x
	}
	return n.Forward(x)
}

// scaled is x times a factor, of which 0 stands for 1.
func scaled(x *nn.Var, factor float32) *nn.Var {
	if factor == 0 || factor == 1 {
		return x
	}
	return ops.Scale(x, factor, 0)
}

// Device is where the model lives.
func (m *Model) Device() *tensor.Device { return m.device }

// DType is the storage type of the activations.
func (m *Model) DType() tensor.DType { return m.dtype }

// Stored are the types of the model's matrices, that of the most bytes first.
func (m *Model) Stored() []tensor.DType {
	bytes := map[tensor.DType]int{}
	for _, p := range nn.Params(m) {
		if p.Value.Rank() > 1 {
			bytes[p.Value.DType()] += p.Value.Bytes()
		}
	}
	return slices.SortedFunc(maps.Keys(bytes), func(a, b tensor.DType) int {
		return cmp.Or(cmp.Compare(bytes[b], bytes[a]), cmp.Compare(a, b))
	})
}

// Hidden is what the head sees, [rows, tokens, hidden]. A batch that the model cannot
// read panics; Config.CheckBatch tells beforehand.
func (m *Model) Hidden(b Batch) *nn.Var {
	body, _ := m.body(b)
	return m.hidden(body)
}

// hidden is what the head sees of the blocks' result.
func (m *Model) hidden(body *nn.Var) *nn.Var {
	return scaled(m.Norm.Forward(body), m.Config.LogitScale)
}

// logits are the head's, of what it sees.
func (m *Model) logits(hidden *nn.Var) *nn.Var {
	y := ops.Linear(hidden, m.HeadWeight().Var(), nil)
	if u, up := m.besideHead(hidden); u != nil {
		y = ops.Add(y, ops.Cast(ops.Linear(u, up, nil), y.Tensor().DType()))
	}
	if bound := m.Config.LogitSoftCap; bound != 0 {
		y = ops.Scale(ops.Tanh(ops.Scale(y, 1/bound, 0)), bound, 0)
	}
	return y
}

// body is the blocks' result, before the last norm. What else is to be on the device is
// uploaded with the batch.
func (m *Model) body(b Batch, also ...index) (x *nn.Var, uploaded []*nn.Var) {
	if err := m.Config.CheckBatch(b); err != nil {
		tensor.Panicf("llama", "%v", err)
	}
	rotary := m.rotary(b.MaxPositions())
	whole := b.Whole()
	if whole && m.Config.Windows == nil {
		b.Positions, b.Segments = nil, nil
	}
	all := m.onDevice(append(indices(b), also...)...)
	return m.forward(all[0], func(layer int) nn.Context {
		c := rotary(layer)
		// Of whole rows attention knows what a token sees, but by positions it finds what is all within a window.
		if !whole || m.Config.window(layer) > 0 {
			c.Positions, c.Segments = all[1], all[2]
		}
		return c
	}), all[3:]
}

// Logits are [rows, tokens, vocab], all of them in memory.
func (m *Model) Logits(b Batch) *nn.Var { return m.logits(m.Hidden(b)) }

// Loss is the negative log-likelihood of the batch's labels, summed and divided by
// counted: the number of labels that count over all batches of a step
// (Batch.Counted), so that losses and gradients of its micro-batches add up. The
// logits are never in memory as a whole, and made only where a label counts: in
// instruction data most tokens are a prompt's.
func (m *Model) Loss(b Batch, counted int) *nn.Var {
	x, labels := m.beforeHead(b)
	return ops.LinearCrossEntropy(x, m.HeadWeight().Var(), labels, counted, m.logitOptions(x)...)
}

// LossByToken is Loss, and the negative log-likelihoods that it sums: of each label that counts,
// in their order, in nats. No gradient goes through those.
func (m *Model) LossByToken(b Batch, counted int) (loss, tokens *nn.Var) {
	x, labels := m.beforeHead(b)
	return ops.LinearCrossEntropyByRow(x, m.HeadWeight().Var(), labels, counted, m.logitOptions(x)...)
}

// TokenLosses are the negative log-likelihoods of the labels that count, in their order, in nats, each with a
// gradient of its own: what a loss is made of that does not weigh all labels alike. As in Loss, the logits are
// never in memory as a whole. A batch without such a label panics.
func (m *Model) TokenLosses(b Batch) *nn.Var {
	if b.Counted() == 0 {
		tensor.Panicf("llama", "the batch has no label that counts")
	}
	x, labels := m.beforeHead(b)
	return ops.LinearCrossEntropyRows(x, m.HeadWeight().Var(), labels, m.logitOptions(x)...)
}

// beforeHead is what the head reads where labels count, and those labels; if none counts,
// everywhere.
func (m *Model) beforeHead(b Batch) (x, labels *nn.Var) {
	if b.Labels == nil {
		tensor.Panicf("llama", "the batch has no labels")
	}
	var rows, targets []int32
	for i, label := range b.Labels {
		if label != ops.IgnoreLabel {
			rows, targets = append(rows, int32(i)), append(targets, label)
		}
	}
	if len(rows) == 0 || len(rows) == len(b.Labels) {
		rows, targets = nil, b.Labels
	}
	x, indices := m.body(b, index{rows, []int{len(rows)}}, index{targets, []int{len(targets)}})
	x = ops.Reshape(x, -1, m.Config.Hidden)
	if rows != nil {
		x = ops.GatherRows(x, indices[0])
	}
	return m.hidden(x), indices[1]
}

// HeadWeight is the [vocab, hidden] weight that gives the logits.
func (m *Model) HeadWeight() *nn.Param {
	if m.Head == nil {
		return m.Embedding.Weight
	}
	return m.Head.Weight
}

// forward runs ids [rows, tokens] through the embedding and the blocks; context gives
// each its own.
func (m *Model) forward(ids *nn.Var, context func(layer int) nn.Context) *nn.Var {
	run := autograd.Segment
	if m.Checkpointing {
		run = autograd.Checkpoint
	}
	x := ids
	for i, block := range m.Blocks {
		c := context(i)
		x = run(func(x *nn.Var) *nn.Var {
			if i == 0 { // ids are smaller than what they stand for
				x = scaled(m.embed(x), m.Config.EmbeddingScale)
			}
			return m.held(block.Forward(x, c), i)
		}, x)
	}
	return x
}

// index is numbers of the host that become an i32 tensor; nil becomes none.
type index struct {
	numbers []int32
	shape   []int
}

// indices are the ids, the positions and the segments.
func indices(b Batch) []index {
	shape := []int{b.Rows, b.Len()}
	return []index{{b.IDs, shape}, {b.Positions, shape}, {b.Segments, shape}}
}

// onDevice uploads indices, all at once.
func (m *Model) onDevice(list ...index) []*nn.Var {
	var all []int32
	for _, x := range list {
		all = append(all, x.numbers...)
	}
	joined := m.device.FromInt32s(all, len(all))
	vars, at := make([]*nn.Var, len(list)), 0
	for i, x := range list {
		if x.numbers != nil {
			vars[i] = autograd.Const(joined.View(at, x.shape...))
			at += len(x.numbers)
		}
	}
	return vars
}
