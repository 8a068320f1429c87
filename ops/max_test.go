package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/tensor"
)

func TestMaxGivesItsGradientToTheFirstOfEqualMaxima(t *testing.T) {
	d := testdevice.CPU(t, 1)
	tape := autograd.NewTape(d)
	defer tape.Close()
	nan := float32(math.NaN())
	x := tape.Leaf(d.FromFloat32s(tensor.F32, []float32{1, 3, 3, 2, nan, nan}, 2, 3))
	y, index := Max(x, 1)
	tape.Keep(index)
	tape.Backward(Sum(y))
	at, err := index.Tensor().Int32s()
	if err != nil || !slices.Equal(at, []int32{1, 1}) {
		t.Errorf("index %v (%v), want the first 3 and the first NaN", at, err)
	}
	grad, err := tape.Grad(x).Float32s()
	if want := []float32{0, 1, 0, 0, 1, 0}; err != nil || !slices.Equal(grad, want) {
		t.Errorf("gradient %v (%v), want %v", grad, err, want)
	}
}
