package optest

import (
	"maps"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// Kernels names the kernels that an operation's examples run on a backend, forward and
// backward: what another backend must have before Agree can be asked of it.
func Kernels(t testing.TB, b tensor.Backend, op autograd.Op) []string {
	d := tensor.NewDevice(b)
	names := map[string]bool{}
	d.Trace(func(k tensor.Kernel, _ []*tensor.Tensor) { names[k.Name()] = true })
	examples := op.Examples()
	if o, ok := op.(autograd.Randomized); ok {
		examples = append(examples, drawn(t, o)...)
	}
	for _, e := range examples {
		if e.Large {
			continue
		}
		data := make([][]float64, len(e.In))
		for i := range e.In {
			if e.In[i].Shape != nil {
				data[i] = values(e, i)
			}
		}
		for _, asParams := range []bool{false, true} {
			if _, err := run(d, e, data, onlyF32[0], true, asParams); err != nil {
				t.Fatalf("%s/%s: %v", opName(op), e.Name, err)
			}
		}
	}
	d.Trim()
	return slices.Sorted(maps.Keys(names))
}
