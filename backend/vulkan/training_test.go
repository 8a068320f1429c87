//go:build cgo && (linux || windows || moltenvk) && (amd64 || arm64)

package vulkan_test

import (
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/tensor"
)

// Fifty steps of MultiLoRA give the losses and the adapter that the CPU gives.
func TestFiftyStepsAsOnTheCPU(t *testing.T) {
	batches := data.Batches(tinymodel.Rows(8, 1), 8)
	subject, reference := newTrainer(t, openDevice(t, vulkan.Options{}), 2), newTrainer(t, testdevice.CPU(t, 1), 2)
	first, last := 0.0, 0.0
	for step := range 50 {
		got, err := subject.Step(batches)
		if err != nil {
			t.Fatal(err)
		}
		want, err := reference.Step(batches)
		if err != nil {
			t.Fatal(err)
		}
		if diff := math.Abs(got.Loss - want.Loss); !(diff <= 1e-4) {
			t.Errorf("step %d: loss %v, on the CPU %v", step+1, got.Loss, want.Loss)
		}
		if step == 0 {
			first = want.Loss
		}
		last = want.Loss
	}
	t.Logf("loss %.4f, after 50 steps %.4f", first, last)
	if last > first-0.5 {
		t.Errorf("loss %v, after 50 steps %v: want one that falls by 0.5", first, last)
	}
	values := map[string][]float64{}
	for name, p := range reference.Trainable.Params() {
		v, err := p.Value.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		values[name] = v
	}
	largest := 0.0
	for name, p := range subject.Trainable.Params() {
		v, err := p.Value.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			largest = max(largest, math.Abs(v[i]-values[name][i]))
		}
	}
	t.Logf("adapters differ by at most %.3g", largest)
	if !(largest <= 1e-3) {
		t.Errorf("adapters differ by %g", largest)
	}
}

// longVariable names the environment variable that, set to 1, makes TestManySteps a long test.
const longVariable = "AGORA_LONG"

// Many steps, while another goroutine forces collections: no memory is lost, on the device or
// in the process, and nothing that the driver reads is freed under it.
func TestManySteps(t *testing.T) {
	steps := 150
	if os.Getenv(longVariable) == "1" {
		steps = 3000
	}
	d := openDevice(t, vulkan.Options{})
	tr := newTrainer(t, d, 1)
	batches := data.Batches(tinymodel.Rows(2, 1), 2)

	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { stop.Store(true); <-done }()

	var before tensor.Stats
	var heap uint64
	for step := range steps {
		if _, err := tr.Step(batches); err != nil {
			t.Fatalf("step %d: %v", step+1, err)
		}
		if step == 10 {
			before, heap = settled(d)
		}
	}
	now, heapNow := settled(d)
	for end := time.Now().Add(time.Minute); now.Live > before.Live && time.Now().Before(end); {
		now, heapNow = settled(d) // the collector may be late
	}
	runtime.KeepAlive(tr) // its tensors count both times
	if now.Live > before.Live || now.Live+now.Pooled > before.Live+before.Pooled {
		t.Errorf("device memory %+v, after 10 steps %+v", now, before)
	}
	if heapNow > heap+heap/2+4<<20 {
		t.Errorf("%d bytes of heap, after 10 steps %d", heapNow, heap)
	}
}

// settled tells the memory in use once the collector finds no more tensors to free.
func settled(d *tensor.Device) (s tensor.Stats, heap uint64) {
	for same := 0; same < 3; {
		runtime.GC()
		time.Sleep(time.Millisecond) // what it finds is told by other goroutines
		last := s.Live
		if s = d.Stats(); s.Live == last {
			same++
		} else {
			same = 0
		}
	}
	return s, heapBytes()
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The device may be anywhere while pipelines are made: the collector must not touch what they
// are made from. GODEBUG=cgocheck=1 is Go's default; vulkan-go's own calls fail this test.
func TestPipelinesUnderTheCollector(t *testing.T) {
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			runtime.GC()
			_ = make([]byte, 1<<20)
		}
	}()
	defer func() { stop.Store(true); <-done }()
	for range 10 {
		d := tensor.NewDevice(open(t, vulkan.Options{CacheDir: vulkan.NoCache}))
		x, y := d.FromFloat32s(tensor.F32, []float32{1, 2, 3, 4}, 4), d.New(tensor.F32, 4)
		for variant := range 4 {
			d.Run(kernels.Matmul{Batch: 1, M: 2, N: 2, K: 2, TransA: variant&1 != 0, TransB: variant&2 != 0}, y, x, x,
				nil)
			got, err := y.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			want := [][]float32{{7, 10, 15, 22}, {10, 14, 14, 20}, {5, 11, 11, 25}, {7, 15, 10, 22}}[variant]
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("variant %d: %v, want %v", variant, got, want)
				}
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
