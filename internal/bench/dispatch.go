// Package bench measures how fast Agora is on a device: what it costs beside the arithmetic
// (dispatch.go), how fast matrices are multiplied (gemm.go), and how fast a model trains (step.go).
package bench

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Options say what is measured, and how long.
type Options struct {
	Device     string // as device.Open takes it
	Threads    int    // of the CPU; 0: all
	Dispatches int    // in a measurement
	Rounds     int    // of which the median counts
	Notice     func(line string)
}

// Dispatch is what a device's runtime costs: the kernels do next to nothing. What a device
// does not have is nil: the CPU records nothing, it runs a kernel as it is called, and
// it compiles nothing.
type Dispatch struct {
	Device      string  `json:"device"`
	Independent Cost    `json:"independent"` // dispatches that may all run side by side
	Chain       Cost    `json:"chain"`       // each reads what the one before has written
	Alone       float64 `json:"alone_ns"`    // one that is submitted and waited for before the next
	Step        Step    `json:"step"`
	First       *Start  `json:"first_start"` // nothing in a cache
	Warm        *Start  `json:"warm_start"`  // what the first start has left there
}

// Cost is the time of one dispatch among many, in ns.
type Cost struct {
	Recorded *float64 `json:"recorded_ns"` // until the driver hears of it
	Done     float64  `json:"done_ns"`     // recorded, submitted and waited for
}

// Step is a training step of a tiny model.
type Step struct {
	Milliseconds float64        `json:"ms"`
	Counts       *vulkan.Counts `json:"counts"`
}

// Start is the way from nothing to the loss of the first training step.
type Start struct {
	Open      float64 `json:"open_ms"` // the device
	Step      float64 `json:"step_ms"` // and from there: a tiny model made, and one step
	Pipelines int     `json:"pipelines"`
}

// MeasureDispatch measures. The first start is one only in a process that has not used the
// device before.
func MeasureDispatch(o Options) (r Dispatch, err error) {
	dir, err := os.MkdirTemp("", "agora-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir) // what it leaves behind is the system's to clear
	for _, variable := range driverCaches {
		defer restore(variable)()
		if err := os.Setenv(variable, filepath.Join(dir, "driver")); err != nil {
			return r, err
		}
	}
	m, start, err := begin(o, dir)
	if err == nil && m.counts != nil {
		r.First, r.Warm = &start, new(Start)
		if err = m.device.Close(); err == nil {
			m, *r.Warm, err = begin(o, dir)
		}
	}
	if err != nil {
		return r, err
	}
	r.Device = m.device.Name()
	r.Independent, r.Chain, r.Alone = m.independent(), m.chain(), m.alone()
	r.Step, err = m.step()
	if closed := m.device.Close(); err == nil {
		err = closed
	}
	return r, err
}

// driverCaches name the environment variables with the folders where Mesa and NVIDIA's driver keep
// their own caches: the user's must not make the first start a warm one.
var driverCaches = []string{"MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"}

func restore(variable string) func() {
	if old, ok := os.LookupEnv(variable); ok {
		return func() { os.Setenv(variable, old) }
	}
	return func() { os.Unsetenv(variable) }
}

// meter is an open device with the tiny model and tensors of the dispatches.
type meter struct {
	Options
	device  *tensor.Device
	counts  func() vulkan.Counts // nil: the device counts nothing
	model   *model
	x       *tensor.Tensor
	outputs []*tensor.Tensor
}

// begin opens the device and makes one step on it.
func begin(o Options, cache string) (m *meter, s Start, err error) {
	began := time.Now()
	b, err := device.OpenBackend(o.Device, device.Options{Threads: o.Threads, CacheDir: cache, Notice: o.Notice})
	if err != nil {
		return nil, s, err
	}
	opened := time.Now()
	m = &meter{Options: o, device: tensor.NewDevice(b)}
	if b, ok := b.(interface{ Counts() vulkan.Counts }); ok {
		m.counts = b.Counts
	}
	if m.model, err = newModel(m.device); err == nil {
		err = m.model.step()
	}
	if err != nil {
		return nil, s, errors.Join(err, m.device.Close())
	}
	s.Open, s.Step = ms(opened.Sub(began)), ms(time.Since(opened))
	if m.counts != nil {
		s.Pipelines = m.counts().Pipelines
	}
	m.x = m.device.FromFloat32s(tensor.F32, make([]float32, width), width)
	for range 256 { // as many as a submission takes
		m.outputs = append(m.outputs, m.device.Like(m.x))
	}
	return m, s, nil
}

// width is how many numbers a dispatch adds.
const width = 64

var add = kernels.Add{N: width, M: width}

func (m *meter) independent() Cost {
	return m.cost(func(i int) { m.device.Run(add, m.outputs[i%len(m.outputs)], m.x, m.x) })
}

func (m *meter) chain() Cost {
	return m.cost(func(i int) { m.device.Run(add, m.outputs[(i+1)%2], m.outputs[i%2], m.x) })
}

func (m *meter) cost(dispatch func(i int)) (c Cost) {
	c.Done = m.median(func() int {
		for i := range m.Dispatches {
			dispatch(i)
		}
		m.wait()
		return m.Dispatches
	})
	if m.counts != nil {
		c.Recorded = m.recorded(dispatch)
	}
	return c
}

// recorded times bursts that are so short that nothing is submitted meanwhile; nil if
// every dispatch is submitted alone.
func (m *meter) recorded(dispatch func(i int)) *float64 {
	for burst := 100; burst > 0; burst /= 2 {
		var times []float64
		for range m.Rounds * 10 {
			m.wait()
			before, began := m.counts().Submissions, time.Now()
			for i := range burst {
				dispatch(i)
			}
			if took := time.Since(began); m.counts().Submissions == before {
				times = append(times, float64(took)/float64(burst))
			}
		}
		if len(times) > 0 {
			v := median(times)
			return &v
		}
	}
	return nil
}

func (m *meter) alone() float64 {
	return m.median(func() int {
		n := max(1, m.Dispatches/64)
		for range n {
			m.device.Run(add, m.outputs[0], m.x, m.x)
			m.wait()
		}
		return n
	})
}

func (m *meter) step() (s Step, err error) {
	s.Milliseconds = m.median(func() int {
		var before vulkan.Counts
		if m.counts != nil {
			before = m.counts()
		}
		if err == nil {
			err = m.model.step()
		}
		if m.counts != nil {
			did := m.counts().Since(before)
			s.Counts = &did
		}
		return 1
	}) / 1e6
	return s, err
}

// wait returns when the device has done everything. Its error shows at the end.
func (m *meter) wait() {
	_, err := m.outputs[0].Float32s()
	m.device.SetErr(err)
}

// median is the time in ns of one of the things that f does, and it says how many.
func (m *meter) median(f func() int) float64 {
	times := make([]float64, m.Rounds)
	for i := range times {
		m.wait()
		began := time.Now()
		n := f()
		times[i] = float64(time.Since(began)) / float64(n)
	}
	return median(times)
}

// median sorts the values; of an even number it is the mean of the two in the middle.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
