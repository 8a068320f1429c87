package multilora

import (
	"fmt"
	"slices"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// giveBiases gives the layers biases of zeros that are to have one merged into and have none.
func (a *Adapter) giveBiases() error {
	var without []string
	for _, l := range a.layers {
		if l.linear.Bias != nil && l.base.Bias == nil {
			without = append(without, l.name)
		}
	}
	if without == nil {
		return nil
	}
	if m, ok := a.model.(*llama.Model); ok {
		attached := slices.DeleteFunc(slices.Clone(a.layers), func(l adapted) bool { return !l.has(l.linear) })
		a.detachLayers() // they stand before those that are to have biases
		var err error
		if a.takeBiases, err = m.AddBiases(without...); err != nil {
			for _, l := range attached {
				l.put(l.linear)
			}
			return fmt.Errorf("multilora: merging biases (lora_bias): %w", err)
		}
		return nil
	}
	var given []*nn.Linear
	for _, l := range a.layers {
		if w := l.base.Weight.Value; slices.Contains(without, l.name) {
			zeros := w.Device().FromFloat32s(w.DType(), make([]float32, w.Dim(0)), w.Dim(0))
			l.base.Bias = &nn.Param{Value: zeros, Frozen: true}
			given = append(given, l.base)
		}
	}
	a.takeBiases = func() {
		for _, l := range given {
			l.Bias = nil
		}
	}
	return nil
}

// mergeBias adds the bias of B to the layer's and returns the bytes of what that was; nil: there is none of B.
func (l adapted) mergeBias() (was []byte, err error) {
	if l.linear.Bias == nil {
		return nil, nil
	}
	base := l.base.Bias.Value
	if was, err = base.RawBytes(); err != nil {
		return nil, err
	}
	own := ops.Scale(autograd.Const(l.linear.Bias.Value), l.linear.options.Scale, 0)
	assign(base, ops.Add(autograd.Const(cast(base, tensor.F32)), own).Tensor())
	return was, nil
}
