package llama

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/normals"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// One product of a single row and all weights that see it has the bits of the layers by themselves, and loading
// lets those weights lie so, of whatever sizes.
func TestNeighbors(t *testing.T) {
	c := small("llama")
	c.Hidden, c.Heads, c.KVHeads, c.HeadDim, c.Intermediate = 96, 3, 1, 32, 224
	for _, as := range []struct {
		dtype   tensor.DType
		rounded bool
	}{{tensor.Q4, false}, {tensor.Q4, true}, {tensor.BF16, false}, {tensor.F32, false}} {
		b, err := device.OpenBackend("cpu", device.Options{RoundActivations: as.rounded})
		if err != nil {
			t.Fatal(err)
		}
		d := tensor.NewDevice(b)
		defer d.Close()
		m, err := Blank(d, c, LoadOptions{DType: as.dtype})
		if err != nil {
			t.Fatal(err)
		}
		values := normals.Values(1, 1)
		for _, p := range nn.Params(m) {
			p.Value.SetFloat32s(values[:p.Value.Numel()])
			values = values[p.Value.Numel():]
		}
		x := autograd.Const(d.FromFloat32s(m.DType(), values[:c.Hidden], 1, 1, c.Hidden))
		for i, block := range m.Blocks {
			gate, up, _ := block.MLP.Layers()
			for _, layers := range [][]nn.Layer{{block.Attention.Q, block.Attention.K, block.Attention.V}, {gate, up}} {
				all := layers[0].(nn.Joiner).ForwardAll(x, layers)
				if len(all) != len(layers) {
					t.Fatalf("%d results of %d layers", len(all), len(layers))
				}
				for j, l := range layers {
					got, want := floats(t, all[j].Tensor()), floats(t, l.Forward(x).Tensor())
					if !slices.Equal(got, want) || !all[j].Tensor().SameShape(l.Forward(x).Tensor()) {
						t.Errorf("block %d, %v: layer %d gives %v among others, %v alone", i, as, j, got[:4], want[:4])
					}
					if all[j].Tensor().Memory() != all[0].Tensor().Memory() {
						t.Errorf("block %d: layer %d of %d was computed by another product", i, j, len(layers))
					}
				}
			}
		}
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func floats(t *testing.T, x *tensor.Tensor) []float32 {
	t.Helper()
	values, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}
