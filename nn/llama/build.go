package llama

import (
	"fmt"
	"strings"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// New makes a model with random weights in f32, all of which train: matrices are normal
// with deviation Config.InitRange, norms one, biases zero.
func New(d *tensor.Device, c Config, seed uint64) (*Model, error) {
	return NewAs(d, c, tensor.F32, seed)
}

// NewAs is New with weights and activations in another storage type: the same numbers,
// rounded to f32, f16 or bf16.
func NewAs(d *tensor.Device, c Config, dt tensor.DType, seed uint64) (*Model, error) {
	tensor.NotNil("llama.New", "a device", d)
	if !dt.IsFloat() {
		return nil, fmt.Errorf("llama: a new model in %s: want f32, f16 or bf16", dt)
	}
	if err := c.check("config"); err != nil {
		return nil, err
	}
	m, shapes := build(d, c)
	weights := nn.NewInitializer(d, seed)
	weights.DType, m.dtype = dt, dt
	for name, p := range nn.Params(m) {
		switch shape := shapes[p]; {
		case strings.HasSuffix(name, ".bias"):
			*p = *weights.Constant(0, shape...)
		case len(shape) == 1:
			*p = *weights.Constant(1-float64(familyOf(c.ModelType).normOffset), shape...)
		default:
			*p = *weights.Normal(float64(c.InitRange), shape...)
		}
	}
	return m, d.Err()
}

// Blank makes a model as Load would store it, with parameters of undefined values.
// They are frozen.
func Blank(d *tensor.Device, c Config, o LoadOptions) (*Model, error) {
	tensor.NotNil("llama.Blank", "a device", d)
	if err := o.check(); err != nil {
		return nil, err
	}
	o = o.unquantized()
	if err := c.check("config"); err != nil {
		return nil, err
	}
	m, shapes := build(d, c)
	m.dtype = o.activations()
	o, err := o.offloaded(d)
	if err != nil {
		return nil, err
	}
	// A folder has no blocks of ours, so quantized weights would be converted.
	stays := o.Offload && o.Blocks == nil && !o.DType.IsQuantized()
	return m, m.place(o.Blocks, func(name string, p *nn.Param) (layout, error) {
		return layout{dt: storageType(o.DType, name, shapes[p]), shape: shapes[p], stays: stays}, nil
	})
}

// builder makes parts of a network without values and notes the shapes that their parameters
// need.
type builder struct {
	config Config
	layer  int // whose block is made
	shapes map[*nn.Param][]int
}

func (b *builder) param(shape ...int) *nn.Param {
	p := &nn.Param{}
	b.shapes[p] = shape
	return p
}

func (b *builder) linear(in, out int, bias bool) *nn.Linear {
	l := &nn.Linear{Weight: b.param(out, in)}
	if bias {
		l.Bias = b.param(out)
	}
	return l
}

func (b *builder) norm(dim int) *nn.RMSNorm {
	return &nn.RMSNorm{Weight: b.param(dim), Eps: b.config.NormEps, Offset: familyOf(b.config.ModelType).normOffset}
}

// block is layer i as LLaMA has it.
func (b *builder) block(i int) *Block {
	c := &b.config
	return &Block{
		InputNorm: b.norm(c.Hidden),
		Attention: &nn.Attention{
			Q:       b.linear(c.Hidden, c.Heads*c.HeadDim, c.QKVBias),
			K:       b.linear(c.Hidden, c.KVHeads*c.HeadDim, c.QKVBias),
			V:       b.linear(c.Hidden, c.KVHeads*c.HeadDim, c.QKVBias),
			O:       b.linear(c.Heads*c.HeadDim, c.Hidden, c.OBias),
			HeadDim: c.HeadDim,
			KVHeads: c.KVHeads,
			Window:  c.window(i),
			Scale:   c.AttentionScale,
			SoftCap: c.AttentionSoftCap,
		},
		MLPNorm: b.norm(c.Hidden),
		MLP: &nn.SwiGLU{
			Gate: b.linear(c.Hidden, c.Intermediate, c.MLPBias),
			Up:   b.linear(c.Hidden, c.Intermediate, c.MLPBias),
			Down: b.linear(c.Intermediate, c.Hidden, c.MLPBias),
			GELU: familyOf(c.ModelType).activation() == geluTanh,
		},
		ResidualScale: c.ResidualScale,
	}
}

// build makes the network without values, and the shapes that its parameters need.
func build(d *tensor.Device, c Config) (*Model, map[*nn.Param][]int) {
	b := &builder{config: c, shapes: map[*nn.Param][]int{}}
	m := &Model{
		Config: c, device: d,
		Embedding: &nn.Embedding{Weight: b.param(c.Vocab, c.Hidden)}, Norm: b.norm(c.Hidden),
	}
	if !c.Tied {
		m.Head = b.linear(c.Hidden, c.Vocab, false)
	}
	kind := familyOf(c.ModelType)
	for b.layer = range c.Layers {
		block := b.block(b.layer)
		if kind.block != nil {
			kind.block(b, block)
		}
		m.Blocks = append(m.Blocks, block)
	}
	return m, b.shapes
}

// Projections are the last parts of the names of a block's linear layers, which adapters are put on.
func (c *Config) Projections() (names []string) {
	if _, err := c.family(); err != nil {
		return nil
	}
	one := *c
	one.Layers, one.Windows, one.NoRoPE = 1, nil, nil
	if c.Mixture != nil {
		one.Mixture = &Mixture{Experts: 1, Chosen: 1, Intermediate: 1}
	}
	m, _ := build(nil, one)
	for name := range nn.Layers(m.Blocks[0]) {
		names = append(names, lastPart(name))
	}
	return names
}
