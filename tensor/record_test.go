package tensor_test

import (
	"slices"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// y = 2 (2 x), with memory for what is between them.
func quadruple(d *tensor.Device, x *tensor.Tensor) func() []*tensor.Tensor {
	return func() []*tensor.Tensor {
		between, y := d.Like(x), d.Like(x)
		d.Run(kernels.Scale{N: x.Numel(), Alpha: 2}, between, x)
		d.Run(kernels.Scale{N: x.Numel(), Alpha: 2}, y, between)
		return []*tensor.Tensor{y}
	}
}

func openCPU(t *testing.T) *tensor.Device {
	b, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestRecordingRunsAgain(t *testing.T) {
	d := openCPU(t)
	x := d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3)
	live := d.Stats().Live
	scope := d.Scope()
	r, out := d.Record(quadruple(d, x))
	scope.Close() // what was made stays
	if r == nil || len(r.Calls) != 2 {
		t.Fatalf("recorded %+v, want two kernels", r)
	}
	var others []*tensor.Tensor // none has memory of the recording's
	for range 8 {
		others = append(others, d.FromFloat32s(tensor.F32, []float32{7, 7, 7}, 3))
	}
	x.SetFloat32s([]float32{5, 6, 7})
	version := out[0].Version()
	if !r.Again() || out[0].Version() == version {
		t.Fatal("it was not run again, or the version says so")
	}
	if got, _ := out[0].Float32s(); !slices.Equal(got, []float32{20, 24, 28}) {
		t.Errorf("got %v, want 4 x", got)
	}
	for _, o := range others {
		if got, _ := o.Float32s(); !slices.Equal(got, []float32{7, 7, 7}) {
			t.Errorf("another tensor became %v", got)
		}
		o.Free("of no use")
	}
	r.Close()
	r.Close()
	if now := d.Stats().Live; r.Again() || out[0].Alive() || now != live {
		t.Errorf("closed, it runs, its result lives: %t, or %d bytes are live, before %d", out[0].Alive(), now, live)
	}
}

// What a recording writes beside its results is told by its version, too.
func TestRecordingTellsWhatItWrites(t *testing.T) {
	d := openCPU(t)
	x, kept := d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3), d.New(tensor.F32, 3)
	r, _ := d.Record(func() []*tensor.Tensor {
		d.Run(kernels.Scale{N: 3, Alpha: 2}, kept, x)
		return nil
	})
	written, read := kept.Version(), x.Version()
	if !r.Again() || kept.Version() == written || x.Version() != read {
		t.Errorf("versions are %d and %d, before %d and %d", kept.Version(), x.Version(), written, read)
	}
}

// Memory that others have left is given back where a recording has to have its own and there is no more.
func TestRecordingHasRoom(t *testing.T) {
	b, err := cpu.Open(cpu.Options{MemoryLimit: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	const n = 10 << 20
	d.New(tensor.F32, n).Free("of no use")
	r, _ := d.Record(func() []*tensor.Tensor {
		y := d.New(tensor.F32, n)
		d.Run(kernels.Fill{N: n, Value: 1}, y)
		return []*tensor.Tensor{y}
	})
	if d.Err() != nil || r == nil || !r.Again() {
		t.Errorf("recorded %t, %v", r != nil, d.Err())
	}
}

func TestRecordingNeedsItsTensors(t *testing.T) {
	d := openCPU(t)
	x := d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3)
	r, _ := d.Record(quadruple(d, x))
	stop := d.Trace(func(tensor.Kernel, []*tensor.Tensor) {})
	if r.Again() {
		t.Error("it runs where a trace would miss it")
	}
	if stop(); !r.Again() {
		t.Error("it does not run after the trace")
	}
	if x.Free("of no use"); r.Again() {
		t.Error("it runs without a tensor that it reads")
	}
}

func TestWhatIsNoRecording(t *testing.T) {
	d := openCPU(t)
	x := d.FromFloat32s(tensor.F32, []float32{1, 2, 3}, 3)
	inner := func() []*tensor.Tensor {
		r, out := d.Record(quadruple(d, x))
		if r != nil {
			t.Error("a recording within another")
		}
		return out
	}
	for name, f := range map[string]func() []*tensor.Tensor{
		"reads":  func() []*tensor.Tensor { out := quadruple(d, x)(); out[0].Float32s(); return out },
		"writes": func() []*tensor.Tensor { x.SetFloat32s([]float32{1, 2, 3}); return quadruple(d, x)() },
		"trims":  func() []*tensor.Tensor { out := quadruple(d, x)(); d.Trim(); return out },
	} {
		r, out := d.Record(f)
		if got, err := out[0].Float32s(); r != nil || err != nil || !slices.Equal(got, []float32{4, 8, 12}) {
			t.Errorf("what %s: recorded %t, and %v, %v", name, r != nil, got, err)
		}
	}
	if r, _ := d.Record(func() []*tensor.Tensor { return nil }); r != nil {
		t.Error("a recording without a kernel")
	}
	if r, _ := d.Record(inner); r == nil {
		t.Error("what asks for a recording within is none itself")
	}
	func() {
		defer func() { recover() }()
		d.Record(func() []*tensor.Tensor { panic("no") })
	}()
	if r, _ := d.Record(quadruple(d, x)); r == nil {
		t.Error("no recording after one that panicked")
	}
	d.Poison(true)
	if r, out := d.Record(quadruple(d, x)); r != nil || len(out) != 1 {
		t.Error("a recording with poison")
	}
}
