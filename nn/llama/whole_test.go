package llama

import (
	"bytes"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// Rows that are one text each and not padded have the bits that they have with positions and segments, which say nothing
// then, and are read only by layers with a window: so a row has the same bits whatever stands beside it in a batch.
func TestWholeRows(t *testing.T) {
	d := open(t)
	full, windowed := small("llama"), small("qwen2")
	windowed.Windows = []int{0, 40, 40}
	for windows, c := range map[int]Config{0: full, 2: windowed} {
		c.MaxPositions, c.HeadDim, c.Hidden = 512, 16, 32
		folder := t.TempDir()
		if err := create(t, d, c).Save(folder); err != nil {
			t.Fatal(err)
		}
		for _, dt := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
			t.Run(c.ModelType+" "+dt.String(), func(t *testing.T) {
				m := loadAs(t, d, folder, dt)
				for _, tokens := range []int{3, 40, 271} {
					b := Batch{Rows: 2, IDs: text(1, 2*tokens, c.Vocab), Labels: text(2, 2*tokens, c.Vocab)}
					given := b
					for r := range b.Rows {
						for i := range tokens {
							given.Positions, given.Segments = append(given.Positions, int32(i)), append(given.Segments, int32(3*r))
						}
					}
					got, known := lossAndGradients(t, m, func() *nn.Var { return m.Loss(given, given.Counted()) })
					want, all := lossAndGradients(t, m, func() *nn.Var {
						in := m.onDevice(indices(given)...)
						rotary := m.rotary(tokens)
						hidden := m.hidden(m.forward(in[0], func(layer int) nn.Context {
							at := rotary(layer)
							at.Positions, at.Segments = in[1], in[2]
							return at
						}))
						labels := m.onDevice(index{b.Labels, []int{len(b.Labels)}})[0]
						return ops.LinearCrossEntropy(ops.Reshape(hidden, -1, c.Hidden), m.HeadWeight().Var(), labels, b.Counted())
					})
					if all == 0 || c.Layers*known != windows*all {
						t.Errorf("%d tokens: positions and segments are read %d times in place of %d, where %d layers of %d have a window",
							tokens, known, all, windows, c.Layers)
					}
					if !bytes.Equal(got, want) {
						t.Errorf("%d tokens: other bits of the loss or of gradients of the first block's queries, keys or values", tokens)
					}
				}
				padded := NewBatch([][]int32{text(1, 9, c.Vocab), text(2, 7, c.Vocab)}, [][]int32{text(1, 9, c.Vocab), text(2, 7, c.Vocab)})
				if _, known := lossAndGradients(t, m, func() *nn.Var { return m.Loss(padded, padded.Counted()) }); known == 0 {
					t.Error("attention reads no positions and segments of padded rows")
				}
			})
		}
	}
}

// shifted adds numbers that train, which are f32, to what a layer makes.
type shifted struct {
	nn.Layer
	by *nn.Param
}

func (s shifted) Forward(x *nn.Var) *nn.Var {
	y := s.Layer.Forward(x)
	return ops.Add(y, ops.Cast(s.by.Var(), y.Tensor().DType()))
}

// lossAndGradients are the bits of a loss and of its gradients of what is added to the first block's queries, keys and values, and
// how often positions and segments have been read for them.
func lossAndGradients(t *testing.T, m *Model, f func() *nn.Var) (bits []byte, known int) {
	t.Helper()
	d := m.Device()
	scope := d.Scope()
	defer scope.Close()
	a := m.Blocks[0].Attention
	var shifts []*nn.Param
	for _, l := range []*nn.Layer{&a.Q, &a.K, &a.V} {
		own, n := *l, (*l).(*nn.Linear).Weight.Value.Dim(0)
		p := nn.NewInitializer(d, 5).Normal(1, n)
		p.Frozen, p.Grad = false, d.FromFloat32s(tensor.F32, make([]float32, n), n)
		*l = shifted{own, p}
		defer func() { *l = own }()
		shifts = append(shifts, p)
	}
	stop := d.Trace(func(k tensor.Kernel, args []*tensor.Tensor) {
		seen := 0
		switch k.(type) {
		case kernels.Attention, kernels.AttentionGrad, kernels.AttentionGradQ, kernels.AttentionGradKV:
			seen = 4
		case kernels.RoPE:
			seen = 1
		}
		for _, x := range args[len(args)-seen:] {
			if x != nil {
				known++
			}
		}
	})
	defer stop()
	tape := autograd.NewTape(d)
	loss := f()
	tape.Keep(loss)
	tape.Backward(loss)
	tape.Close()
	all := []*tensor.Tensor{loss.Tensor()}
	for _, p := range shifts {
		all = append(all, p.Grad)
	}
	for _, x := range all {
		raw, err := x.RawBytes()
		if err != nil {
			t.Fatal(err)
		}
		bits = slices.Concat(bits, raw)
	}
	return bits, known
}
