package llama

import (
	"math"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// A block of the smallest size at which no two dimensions are equal.
const (
	refTokens, refHidden, refHeads, refKVHeads, refHeadDim, refInner = 5, 10, 4, 2, 6, 7
	refEps, refTheta                                                 = 1e-3, 50.0
)

// refBlock is a LLaMA block in float64, with norms of the heads where w has
// their weights, one token and one number at a time, written from its formulas: it shares
// nothing with the engine.
func refBlock(w map[string][]float64, x []float64) []float64 {
	norm := func(x, g []float64) []float64 {
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		y := make([]float64, len(x))
		for i := range x {
			y[i] = x[i] / math.Sqrt(sum/float64(len(x))+refEps) * g[i]
		}
		return y
	}
	apply := func(w, x []float64) []float64 {
		y := make([]float64, len(w)/len(x))
		for o := range y {
			for i := range x {
				y[o] += w[o*len(x)+i] * x[i]
			}
		}
		return y
	}
	rotate := func(x []float64, position int) []float64 {
		y := make([]float64, len(x))
		for head := 0; head < len(x); head += refHeadDim {
			for j := range refHeadDim / 2 {
				angle := float64(position) * math.Pow(refTheta, -2*float64(j)/refHeadDim)
				a, b := head+j, head+j+refHeadDim/2
				y[a] = x[a]*math.Cos(angle) - x[b]*math.Sin(angle)
				y[b] = x[b]*math.Cos(angle) + x[a]*math.Sin(angle)
			}
		}
		return y
	}
	normHeads := func(x []float64, g []float64) (y []float64) {
		for ; g != nil && len(x) > 0; x = x[refHeadDim:] {
			y = append(y, norm(x[:refHeadDim], g)...)
		}
		return append(y, x...)
	}
	var q, k, v [refTokens][]float64
	for t := range refTokens {
		h := norm(x[t*refHidden:(t+1)*refHidden], w["input_layernorm.weight"])
		q[t] = rotate(normHeads(apply(w["self_attn.q_proj.weight"], h), w["self_attn.q_norm.weight"]), t)
		k[t] = rotate(normHeads(apply(w["self_attn.k_proj.weight"], h), w["self_attn.k_norm.weight"]), t)
		v[t] = apply(w["self_attn.v_proj.weight"], h)
	}
	var out []float64
	for t := range refTokens {
		y := make([]float64, refHeads*refHeadDim)
		for head := range refHeads {
			from := head / (refHeads / refKVHeads) * refHeadDim
			var e [refTokens]float64
			total := 0.0
			for s := 0; s <= t; s++ {
				dot := 0.0
				for j := range refHeadDim {
					dot += q[t][head*refHeadDim+j] * k[s][from+j]
				}
				e[s] = math.Exp(dot / math.Sqrt(refHeadDim))
				total += e[s]
			}
			for s := 0; s <= t; s++ {
				for j := range refHeadDim {
					y[head*refHeadDim+j] += e[s] / total * v[s][from+j]
				}
			}
		}
		h := make([]float64, refHidden)
		for i, d := range apply(w["self_attn.o_proj.weight"], y) {
			h[i] = x[t*refHidden+i] + d
		}
		n := norm(h, w["post_attention_layernorm.weight"])
		gate, up := apply(w["mlp.gate_proj.weight"], n), apply(w["mlp.up_proj.weight"], n)
		for i := range gate {
			gate[i] *= up[i] / (1 + math.Exp(-gate[i]))
		}
		for i, d := range apply(w["mlp.down_proj.weight"], gate) {
			out = append(out, h[i]+d)
		}
	}
	return out
}

// The block in f64 and f32 against refBlock: its values, and the gradients of a
// weighted sum of them against central differences of refBlock.
func TestBlockAgainstFloat64(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		dt            tensor.DType
		values, grads float64 // largest errors allowed
		normHeads     bool
	}{{tensor.F64, 1e-6, 1e-6, false}, {tensor.F32, 1e-5, 1e-4, false},
		{tensor.F64, 1e-6, 1e-6, true}} { // the rotary table is f32 in all
		if c.dt == tensor.F64 && testdevice.Name() != "cpu" {
			continue // no shader has f64
		}
		weights := &nn.Initializer{Device: d, DType: c.dt, Seed: 5}
		block := &Block{
			InputNorm: nn.NewRMSNorm(weights, refHidden, refEps),
			Attention: nn.NewAttention(weights, refHidden, refHeads, refKVHeads, refHeadDim),
			MLPNorm:   nn.NewRMSNorm(weights, refHidden, refEps),
			MLP:       nn.NewSwiGLU(weights, refHidden, refInner),
		}
		if c.normHeads {
			block.Attention.QNorm = nn.NewRMSNorm(weights, refHeadDim, refEps)
			block.Attention.KNorm = nn.NewRMSNorm(weights, refHeadDim, refEps)
		}
		stat := autograd.StatType(c.dt)
		w := map[string][]float64{}
		r := random.NewStream(11, random.Test, 0, 0)
		for name, p := range nn.Params(block) {
			for range p.Value.Numel() {
				w[name] = append(w[name], r.Normal()/2)
			}
			p.Value = d.FromFloat64s(c.dt, w[name], p.Value.Shape()...)
			p.Grad = d.FromFloat64s(stat, make([]float64, p.Value.Numel()), p.Value.Shape()...)
		}
		x, dy := make([]float64, refTokens*refHidden), make([]float64, refTokens*refHidden)
		for i := range x {
			x[i], dy[i] = r.Normal(), r.Normal()
		}

		tape := autograd.NewTape(d)
		table := d.FromFloat32s(stat, ops.RoPETable(refTokens, refHeadDim, ops.RoPEScaling{Theta: refTheta}),
			refTokens, refHeadDim)
		leaf := tape.Leaf(d.FromFloat64s(c.dt, x, 1, refTokens, refHidden))
		y := block.Forward(leaf, nn.Context{RoPE: autograd.Const(table)})
		tape.Keep(y)
		tape.BackwardFrom([]*nn.Var{y}, []*tensor.Tensor{d.FromFloat64s(c.dt, dy, 1, refTokens, refHidden)})

		compare := func(what string, got *tensor.Tensor, want []float64, limit float64) {
			t.Helper()
			v, err := got.Float64s()
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if !(math.Abs(v[i]-want[i]) <= limit*max(1, math.Abs(want[i]))) {
					t.Errorf("%s, %s, element %d: %v, want %v", c.dt, what, i, v[i], want[i])
					return
				}
			}
		}
		compare("block", y.Tensor(), refBlock(w, x), c.values)
		differences := func(of []float64) []float64 {
			grad := make([]float64, len(of))
			for i, keep := range of {
				for _, h := range []float64{1e-5, -1e-5} {
					of[i] = keep + h
					for j, v := range refBlock(w, x) {
						grad[i] += dy[j] * v / (2 * h)
					}
				}
				of[i] = keep
			}
			return grad
		}
		compare("gradient of x", tape.Grad(leaf), differences(x), c.grads)
		for name, p := range nn.Params(block) {
			compare("gradient of "+name, p.Grad, differences(w[name]), c.grads)
		}
		tape.Close()
	}
}
