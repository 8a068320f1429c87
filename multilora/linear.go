package multilora

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Linear is a linear layer with low-rank modules beside it:
//
//	y = W x + b + scale Σ_i s_i B_i A_i x
//
// The n modules of rank r stand together as one pair of matrices of rank n r.
type Linear struct {
	Base *nn.Linear `name:""`

	A *nn.Param `name:"A"` // [n r, in]: the A_i one below the other
	B *nn.Param `name:"B"` // [out, n r]: the B_i side by side
	S *nn.Param `name:"s"` // [n] or [n, out]; nil for LoRA

	Bias      *nn.Param `name:"lora_bias"` // [out]: of B; nil: none
	Magnitude *nn.Param `name:"magnitude"` // [out]: of DoRA; else nil

	options ops.MultiLoRA
	gain    gain    // of DoRA
	mirror  *mirror // of the adapter; nil: none
}

// Forward maps [..., in] to [..., out].
func (l *Linear) Forward(x *nn.Var) *nn.Var {
	if l.Magnitude != nil {
		return l.dora(x)
	}
	return ops.MultiLoRALinear(x, l.Base.Weight.Var(), l.bias(), l.A.Var(), l.B.Var(), variable(l.S), l.beside(x))
}

// ForwardPlus implements nn.Adder.
func (l *Linear) ForwardPlus(plus, x *nn.Var) *nn.Var {
	if l.Magnitude != nil {
		return ops.Add(plus, l.dora(x))
	}
	return ops.MultiLoRALinearPlus(plus, x, l.Base.Weight.Var(), l.bias(), l.A.Var(), l.B.Var(), variable(l.S), l.beside(x))
}

// beside is what the modules are beside x.
func (l *Linear) beside(x *nn.Var) ops.MultiLoRA {
	o, dt := l.options, x.Tensor().DType()
	if l.mirrors(dt, x.Tensor().Numel()/x.Dim(-1)) {
		o.Mirror = l.mirror.modules(l, dt)
	}
	return o
}

// mirrors reports whether the adapter's mirror is used beside so many activations of this type. Beside f32 it is of B alone, which
// a CPU that trains scales as fast as it would keep it up to date; but a text that it writes between steps has the same B for
// every token.
func (l *Linear) mirrors(x tensor.DType, rows int) bool {
	d := l.A.Value.Device()
	again := !l.trains() || rows <= fewRows
	return l.mirror != nil && (x.Is16Bit() || x == tensor.F32 && (d.Launches() || again && !autograd.Recording(d)))
}

// trains reports whether the modules have had gradients.
func (l *Linear) trains() bool { return l.A.Grad != nil || l.B.Grad != nil }

// bias is the layer's, and that of B with its scale; nil: none.
func (l *Linear) bias() *nn.Var {
	base := variable(l.Base.Bias)
	if l.Bias == nil {
		return base
	}
	own := ops.Scale(l.Bias.Var(), l.options.Scale, 0)
	if base == nil {
		return own
	}
	return ops.Add(own, ops.Cast(base, tensor.F32))
}

func variable(p *nn.Param) *nn.Var {
	if p == nil {
		return nil
	}
	return p.Var()
}

// newLinear puts modules of undefined values beside a layer; set gives them theirs.
func newLinear(base *nn.Linear, cfg Config) *Linear {
	w := base.Weight.Value
	d, out, in := w.Device(), w.Dim(0), w.Dim(1)
	rank := cfg.TotalRank()
	l := &Linear{
		Base: base,
		A:    autograd.NewParam(d.New(tensor.F32, rank, in)),
		B:    autograd.NewParam(d.New(tensor.F32, out, rank)),
		options: ops.MultiLoRA{
			Modules: cfg.Modules, Rank: cfg.Rank, Scale: float32(cfg.Scale()),
			PerOutput: cfg.Scaling == ScalingPerOutput, Dropout: float32(cfg.Dropout),
		},
	}
	if cfg.learnsScaling() {
		shape := []int{cfg.Modules}
		if cfg.Scaling == ScalingPerOutput {
			shape = append(shape, out)
		}
		l.S = autograd.NewParam(d.New(tensor.F32, shape...))
		l.S.NoDecay = true
	}
	if cfg.Bias {
		l.Bias = autograd.NewParam(d.New(tensor.F32, out))
	}
	if cfg.Method == MethodDoRA {
		l.Magnitude = autograd.NewParam(d.New(tensor.F32, out))
		l.gain.norms = d.New(tensor.F32, out)
	}
	return l
}

// set gives the modules their values.
func (l *Linear) set(ms []module) {
	a, b, s := stack(ms, l.B.Value.Dim(0))
	l.A.Value.SetFloat32s(a)
	l.B.Value.SetFloat32s(b)
	if l.S != nil {
		l.S.Value.SetFloat32s(s)
	}
	if l.Bias != nil {
		l.Bias.Value.SetFloat32s(ms[0].bias)
	}
	l.gain.known = false
	switch {
	case l.Magnitude == nil:
	case ms[0].magnitude != nil:
		l.Magnitude.Value.SetFloat32s(ms[0].magnitude)
	default: // the weight's own
		assign(l.Magnitude.Value, l.norms().Tensor())
	}
}

// scaledB is B with scale s_i in the columns of module i, a new tensor [out, n r].
func (l *Linear) scaledB() *tensor.Tensor {
	if l.S == nil {
		return l.options.ScaledB(l.B.Value, nil)
	}
	return l.options.ScaledB(l.B.Value, l.S.Value)
}

// module is the numbers of one module on the host: A_i [r, in], B_i [out, r] and s_i [1]
// or [out], row-major. s is nil for LoRA. A layer's bias and magnitude [out] are with its first
// module; nil: it has none.
type module struct{ a, b, s, bias, magnitude []float32 }

// stack puts modules together as Linear holds them.
func stack(ms []module, out int) (a, b, s []float32) {
	for _, m := range ms {
		a, s = append(a, m.a...), append(s, m.s...)
	}
	for o := range out {
		for _, m := range ms {
			r := len(m.b) / out
			b = append(b, m.b[o*r:(o+1)*r]...)
		}
	}
	return a, b, s
}

// split is the inverse of stack for n modules.
func split(a, b, s []float32, n, out int) []module {
	ms := make([]module, n)
	r := len(b) / out / n
	for i := range ms {
		ms[i].a = a[i*len(a)/n : (i+1)*len(a)/n]
		ms[i].s = s[i*len(s)/n : (i+1)*len(s)/n]
		for o := range out {
			at := (o*n + i) * r
			ms[i].b = append(ms[i].b, b[at:at+r]...)
		}
	}
	return ms
}

// read takes the modules from the device.
func (l *Linear) read() ([]module, error) {
	a, err := l.A.Value.Float32s()
	if err != nil {
		return nil, err
	}
	b, err := l.B.Value.Float32s()
	if err != nil {
		return nil, err
	}
	var s []float32
	if l.S != nil {
		if s, err = l.S.Value.Float32s(); err != nil {
			return nil, err
		}
	}
	ms := split(a, b, s, l.options.Modules, l.B.Value.Dim(0))
	for _, p := range []struct {
		param *nn.Param
		to    *[]float32
	}{{l.Bias, &ms[0].bias}, {l.Magnitude, &ms[0].magnitude}} {
		if p.param == nil {
			continue
		}
		if *p.to, err = p.param.Value.Float32s(); err != nil {
			return nil, err
		}
	}
	return ms, nil
}
