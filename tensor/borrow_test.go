package tensor_test

import (
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Borrowed memory is read where it lies, is never written to or given back, and counts as none of the device's.
func TestBorrow(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Poison(true)
	x := d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 4)
	raw, err := x.RawBytes()
	if err != nil {
		t.Fatal(err)
	}
	live := d.Stats().Live
	outer := d.Scope()
	scope := d.Scope()
	y, ok := d.Borrow(tensor.F32, raw, 2, 2)
	if !ok || !y.Borrowed() || x.Borrowed() || d.Stats().Live != live {
		t.Fatalf("%v %v, %d bytes more", ok, y, d.Stats().Live-live)
	}
	sum := d.New(tensor.F32, 4)
	d.Run(kernels.Add{N: 4, M: 4}, sum, x, y.Reshape(4))
	if got, err := sum.Float32s(); err != nil || got[3] != 8 {
		t.Errorf("%v %v", got, err)
	}
	for want, f := range map[string]func(){
		"only read":         func() { y.SetFloat32s([]float32{1, 2, 3, 4}) },
		"may be written to": func() { d.Run(kernels.Add{N: 4, M: 4}, y.Reshape(4), x, x) },
	} {
		if err := tensor.Catch(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if scope.Keep(y); !y.Alive() {
		t.Error("gone")
	}
	outer.Keep(y)
	scope.Close()
	outer.Close()
	if y.Free("it is of no more use"); y.Alive() {
		t.Error("still there")
	}
	if raw[15] != 0x40 || d.Stats().Live != live {
		t.Errorf("%x, %d bytes more", raw, d.Stats().Live-live)
	}
	if _, ok := d.Borrow(tensor.F32, make([]byte, 17)[1:], 4); ok {
		t.Error("numbers at an odd address were taken")
	}
	if _, ok := d.Borrow(tensor.Q8, make([]byte, 35)[1:], 32); !ok {
		t.Error("blocks at an odd address were not taken")
	}
}
