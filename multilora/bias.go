package multilora

import (
	"fmt"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/tensor"
)

// giveBiases gives the layers biases of zeros that are to have one merged into and have none.
func (a *Adapter) giveBiases() error {
	var without []adapted
	for _, l := range a.layers {
		if l.linear.Bias != nil && l.base.Bias == nil {
			without = append(without, l)
		}
	}
	if without == nil {
		return nil
	}
	if m, ok := a.model.(*llama.Model); ok {
		a.detachLayers() // its layers are looked for
		var names []string
		for _, l := range without {
			names = append(names, l.name)
		}
		take, err := m.AddBiases(names...)
		if err != nil {
			return fmt.Errorf("multilora: merging biases (lora_bias): %w", err)
		}
		a.takeBiases = take
		return nil
	}
	for _, l := range without {
		w := l.base.Weight.Value
		l.base.Bias = &nn.Param{Value: w.Device().FromFloat32s(w.DType(), make([]float32, w.Dim(0)), w.Dim(0)), Frozen: true}
	}
	a.takeBiases = func() {
		for _, l := range without {
			l.base.Bias = nil
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
