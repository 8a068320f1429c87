package cpu_test

import (
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// A rectangle of no columns, or of no rows, is copied as any other: nothing changes.
func TestCopyOfNothing(t *testing.T) {
	for _, o := range []cpu.Options{{Threads: 2}, {Threads: 2, PlainLoops: true}} {
		b, err := cpu.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		d := tensor.NewDevice(b)
		x := d.FromFloat32s(tensor.F32, []float32{1, 2}, 2)
		y := d.FromFloat32s(tensor.F32, []float32{3, 4}, 2)
		d.Run(kernels.Copy{Rows: 2}, y, x)
		d.Run(kernels.Copy{Cols: 2}, y, x)
		if got, err := y.Float32s(); err != nil || got[0] != 3 || got[1] != 4 {
			t.Errorf("got %v, %v", got, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
