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
	init := nn.NewInit(d, seed)
	init.DType, m.dtype = dt, dt
	for name, p := range nn.Params(m) {
		switch shape := shapes[p]; {
		case strings.HasSuffix(name, ".bias"):
			*p = *init.Constant(0, shape...)
		case len(shape) == 1:
			*p = *init.Constant(1, shape...)
		default:
			*p = *init.Normal(float64(c.InitRange), shape...)
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
	if err := c.check("config"); err != nil {
		return nil, err
	}
	m, shapes := build(d, c)
	m.dtype = o.activations()
	for name, p := range nn.Params(m) {
		p.Value, p.Frozen = d.New(storageType(o.DType, name, shapes[p]), shapes[p]...), true
	}
	return m, d.Err()
}

// build makes the network without values, and the shapes that its parameters need.
func build(d *tensor.Device, c Config) (*Model, map[*nn.Param][]int) {
	shapes := map[*nn.Param][]int{}
	param := func(shape ...int) *nn.Param {
		p := &nn.Param{}
		shapes[p] = shape
		return p
	}
	linear := func(in, out int, bias bool) *nn.Linear {
		l := &nn.Linear{Weight: param(out, in)}
		if bias {
			l.Bias = param(out)
		}
		return l
	}
	norm := func() *nn.RMSNorm { return &nn.RMSNorm{Weight: param(c.Hidden), Eps: c.NormEps} }

	m := &Model{Config: c, device: d, Embedding: &nn.Embedding{Weight: param(c.Vocab, c.Hidden)}, Norm: norm()}
	if !c.Tied {
		m.Head = linear(c.Hidden, c.Vocab, false)
	}
	for i := range c.Layers {
		m.Blocks = append(m.Blocks, &Block{
			InputNorm: norm(),
			Attention: &nn.Attention{
				Q:       linear(c.Hidden, c.Heads*c.HeadDim, c.QKVBias),
				K:       linear(c.Hidden, c.KVHeads*c.HeadDim, c.QKVBias),
				V:       linear(c.Hidden, c.KVHeads*c.HeadDim, c.QKVBias),
				O:       linear(c.Heads*c.HeadDim, c.Hidden, c.OBias),
				HeadDim: c.HeadDim,
				Window:  c.window(i),
			},
			MLPNorm: norm(),
			MLP: &nn.SwiGLU{
				Gate: linear(c.Hidden, c.Intermediate, c.MLPBias),
				Up:   linear(c.Hidden, c.Intermediate, c.MLPBias),
				Down: linear(c.Intermediate, c.Hidden, c.MLPBias),
			},
		})
	}
	return m, shapes
}
