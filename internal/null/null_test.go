package null_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/null"
	"github.com/agora-ml/agora/tensor"
)

func TestSizesWithoutContents(t *testing.T) {
	d := tensor.NewDevice(null.Open(null.Options{}))
	if !d.IsMeta() {
		t.Error("a device on the null backend must be virtual")
	}
	s := d.Scope()
	x, y := d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3), d.New(tensor.F32, 3)
	huge := d.New(tensor.BF16, 1<<40)
	d.Run(kernels.Scale{N: 3, Alpha: 2}, y, x)
	for _, v := range []*tensor.Tensor{x, y} {
		if got, err := v.Float32s(); err != nil || !slices.Equal(got, []float32{0, 0, 0}) {
			t.Errorf("read %v, %v: want zeros", got, err)
		}
	}
	if s := d.Stats(); s.Live != 2<<40+2*256 {
		t.Errorf("%d bytes live, want those of %s and two of 256", s.Live, huge)
	}
	s.Close()
	if s := d.Stats(); s.Live != 0 || s.Peak != 2<<40+2*256 || s.Taken != s.Peak || s.Pooled != s.Peak {
		t.Errorf("after the scope %+v", s)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// Kernel calls are checked on it as on every device.
func TestCallsAreChecked(t *testing.T) {
	d := tensor.NewDevice(null.Open(null.Options{}))
	defer d.Close()
	err := tensor.Catch(func() { d.Run(kernels.Scale{N: 3}, d.New(tensor.F32, 3), d.New(tensor.F32, 4)) })
	if err == nil || !strings.Contains(err.Error(), "want 3 elements") {
		t.Errorf("a call of the wrong size gave %v", err)
	}
}

func TestLimit(t *testing.T) {
	d := tensor.NewDevice(null.Open(null.Options{Limit: 1 << 20}))
	defer d.Close()
	s := d.Scope()
	d.New(tensor.F32, 1<<17)
	s.Close()
	kept := d.New(tensor.F32, 1<<18) // what is pooled gives way
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if d.New(tensor.F32, 1); !errors.Is(d.Err(), tensor.ErrOutOfMemory) {
		t.Errorf("beyond the limit of %s: %v", kept, d.Err())
	}
}
