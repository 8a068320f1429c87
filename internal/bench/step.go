package bench

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/backend/vulkan"
	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// StepOptions say what training step is measured, and how long.
type StepOptions struct {
	Config      train.Config // of the run; Model is whatever llama.ReadShape takes
	Device      string       // as device.Open takes it
	Threads     int          // of the CPU; 0: all
	MemoryLimit int          // bytes; 0: what is free
	// MatmulPrecision is device.Options'.
	MatmulPrecision cpu.Precision
	WarmUp          int // steps before those that count
	Steps           int
	Seconds         float64 // after which no further step begins; 0: no end
	Kernels         bool    // take the time of every kernel, which costs some itself
	Peak            float64 // operations a second that the device could do; 0: on the CPU it is measured
	Notice          func(line string)
}

// TrainingStep is how fast a model trains.
type TrainingStep struct {
	Device string `json:"device"`
	// MatmulPrecision is how products of f32 were computed.
	MatmulPrecision cpu.Precision `json:"matmul_precision"`
	Model           string        `json:"model"`
	Method          string        `json:"method"`
	DType           string        `json:"dtype"`
	ComputeDType    string        `json:"compute_dtype"` // of the activations
	Rows            int           `json:"rows"`          // of a micro-batch
	Context         int           `json:"context"`       // tokens of a row
	Accumulate      int           `json:"accumulate"`
	Tokens          int           `json:"tokens"` // of a step
	Checkpointing   bool          `json:"gradient_checkpointing"`
	Parameters      int           `json:"parameters"` // of the base model
	Trained         int           `json:"trained"`

	Fill  float64 `json:"fill_ms"`  // until the weights are on the device
	First float64 `json:"first_ms"` // step, which compiles what is not in a cache

	Steps           int     `json:"steps"` // that count
	Milliseconds    float64 `json:"ms"`    // a step, the median
	Fastest         float64 `json:"best_ms"`
	TokensPerSecond float64 `json:"tokens_per_s"` // the median
	Best            float64 `json:"best_tokens_per_s"`
	// Processors are those that the process had on average in these steps, on the CPU: fewer than its threads
	// where others used them.
	Processors float64    `json:"processors,omitempty"`
	Losses     [2]float64 `json:"losses"`  // of the first and the last step
	Skipped    int        `json:"skipped"` // steps whose gradients did not fit f16

	Live    int `json:"peak_bytes"`              // most tensors at once
	Taken   int `json:"peak_pooled_bytes"`       // most of them and the pool
	Scratch int `json:"scratch_bytes"`           // of the kernels
	Planned int `json:"planned_bytes"`           // for the tensors, by agora plan
	Process int `json:"process_bytes,omitempty"` // of its memory, the most; 0: unknown

	FLOPs       FLOPs   `json:"flops_per_token"`
	TFLOPS      float64 `json:"tflops"` // of the median step
	BestTFLOPS  float64 `json:"best_tflops"`
	Peak        float64 `json:"peak_tflops,omitempty"` // given or measured; 0: unknown
	Utilization float64 `json:"utilization,omitempty"` // TFLOPS of Peak

	Counts  *vulkan.Counts `json:"counts,omitempty"`  // of a step, on a Vulkan device
	Kernels []KernelTime   `json:"kernels,omitempty"` // longest first
}

// short are the names of shapes that a benchmark's table has.
var short = map[string]string{"15m": "stories15m", "110m": "stories110m", "1.1b": "tinyllama-1.1b", "7b": "llama-2-7b"}

// ShapeNames are the names that ReadShape takes.
func ShapeNames() []string { return append([]string{"15m", "110m", "1.1b", "7b"}, llama.Shapes()...) }

// ReadShape gives the full name of a model's shape, and the shape.
func ReadShape(name string) (string, llama.Config, error) {
	if long, ok := short[strings.ToLower(name)]; ok {
		name = long
	}
	c, err := llama.ReadShape(name)
	return name, c, err
}

// MeasureStep makes a model with random weights and trains it, as agora train would.
// It refuses what does not fit into the device's memory before it has taken any.
func MeasureStep(ctx context.Context, o StepOptions) (r TrainingStep, err error) {
	shape, err := llama.ReadShape(o.Config.Model)
	if err != nil {
		return r, err
	}
	o.Config.Steps, o.Config.Schedule = o.WarmUp+o.Steps, "constant"
	open := device.Options{Threads: o.Threads, MemoryLimit: o.MemoryLimit, MatmulPrecision: o.MatmulPrecision, Notice: o.Notice}
	var profile bytes.Buffer
	if o.Kernels {
		open.Profile = &profile
	}
	b, err := device.OpenBackend(o.Device, open)
	if err != nil {
		return r, err
	}
	s := stepMeter{StepOptions: o, device: tensor.NewDevice(b), report: &r}
	if b, ok := b.(interface{ Counts() vulkan.Counts }); ok {
		s.counts = b.Counts
	}
	if b, ok := b.(interface{ CountChain() }); ok {
		b.CountChain()
	}
	if o.Kernels {
		s.clock = newClock(s.device, s.counts, &profile)
	}
	if why := s.Config.ChooseDType(s.device); why != "" && o.Notice != nil {
		o.Notice("dtype auto: " + why)
	}
	if err = s.plan(); err == nil {
		err = s.measure(ctx, shape)
	}
	if err = closeAfter(s.device, err); err == nil && o.Kernels {
		r.Kernels, err = s.clock.times(r.Steps)
	}
	return r, err
}

// stepMeter measures on an open device.
type stepMeter struct {
	StepOptions
	device *tensor.Device
	counts func() vulkan.Counts // nil: the device counts nothing
	clock  *clock               // nil without Kernels
	report *TrainingStep
}

// plan refuses what does not fit.
func (s *stepMeter) plan() error {
	p, err := train.NewPlan(s.Config,
		train.PlanOptions{Device: device.Options{Threads: s.Threads, MatmulPrecision: s.StepOptions.MatmulPrecision}, GPU: !s.device.KeepsScratch()})
	if err != nil {
		return err
	}
	s.report.Planned = p.Peak
	return p.Fits(train.RoomOn(s.device))
}

func (s *stepMeter) measure(ctx context.Context, shape llama.Config) error {
	r, cfg := s.report, s.Config
	begin := time.Now()
	t, err := s.trainer(shape)
	if err != nil {
		return err
	}
	r.Fill = ms(time.Since(begin))
	s.describe(t)
	batches := fullBatches(cfg, shape.Vocab)
	began := time.Now()
	first, err := t.Step(batches)
	if err != nil {
		return err
	}
	r.First, r.Losses[0] = ms(time.Since(began)), first.Loss
	for range s.WarmUp - 1 {
		if err := s.step(ctx, t, batches); err != nil {
			return err
		}
	}
	return s.timed(ctx, t, batches)
}

// timed makes the steps that count.
func (s *stepMeter) timed(ctx context.Context, t *train.Trainer, batches []data.Batch) error {
	r := s.report
	var before vulkan.Counts
	if s.counts != nil {
		before = s.counts()
	}
	if s.clock != nil {
		s.clock.start()
		defer s.clock.stop()
	}
	var times []float64
	begin, had := time.Now(), processTime()
	for len(times) < s.Steps && (len(times) == 0 || s.Seconds == 0 || time.Since(begin).Seconds() < s.Seconds) {
		began := time.Now()
		if err := s.step(ctx, t, batches); err != nil {
			return err
		}
		times = append(times, ms(time.Since(began)))
		if s.clock != nil {
			s.clock.pause()
		}
	}
	r.Steps = len(times)
	if s.counts != nil {
		n := s.counts().Since(before)
		n.Dispatches, n.Barriers, n.Writes, n.Reads = n.Dispatches/r.Steps, n.Barriers/r.Steps, n.Writes/r.Steps,
			n.Reads/r.Steps
		n.Submissions, n.Waits, n.Chain = n.Submissions/r.Steps, n.Waits/r.Steps, n.Chain/r.Steps
		r.Counts = &n
	} else {
		r.Processors = (processTime() - had).Seconds() / time.Since(begin).Seconds()
	}
	s.summarize(times)
	return nil
}

// summarize makes rates of the steps' times in ms, and looks at the memory.
func (s *stepMeter) summarize(times []float64) {
	r := s.report
	r.Fastest, r.Milliseconds = slices.Min(times), median(times)
	perSecond := func(ms float64) float64 { return float64(r.Tokens) / ms * 1e3 }
	r.TokensPerSecond, r.Best = perSecond(r.Milliseconds), perSecond(r.Fastest)
	r.TFLOPS, r.BestTFLOPS = r.TokensPerSecond*r.FLOPs.Total()/1e12, r.Best*r.FLOPs.Total()/1e12
	stats := s.device.Stats()
	r.Live, r.Taken, r.Scratch, r.Process = stats.Peak, stats.Taken, stats.Scratch, processPeak()
	peak := s.Peak
	if peak == 0 && s.counts == nil {
		peak = cpu.Peak(s.Threads)
	}
	if peak > 0 {
		r.Peak, r.Utilization = peak/1e12, r.TFLOPS*1e12/peak
	}
}

func (s *stepMeter) step(ctx context.Context, t *train.Trainer, batches []data.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	result, err := t.Step(batches)
	s.report.Losses[1] = result.Loss
	if result.Skipped {
		s.report.Skipped++
	}
	return err
}

// trainer is the model, ready to train.
func (s *stepMeter) trainer(shape llama.Config) (*train.Trainer, error) {
	storage, err := s.Config.Storage()
	if err != nil {
		return nil, err
	}
	m, err := randomModel(s.device, shape, storage)
	if err != nil {
		return nil, err
	}
	for _, p := range nn.Params(m) {
		s.report.Parameters += p.Value.Numel()
	}
	t, err := train.NewTrainer(m, s.Config)
	if err != nil {
		return nil, err
	}
	s.device.Trim() // of what filling took, so that the peak is that of training
	s.device.ResetPeak()
	return t, s.device.Flush()
}

// describe says what is measured.
func (s *stepMeter) describe(t *train.Trainer) {
	r, cfg := s.report, s.Config
	r.MatmulPrecision = device.MatmulPrecision(s.device)
	r.Device, r.Model, r.Method, r.DType = s.device.Name(), cfg.Model, string(cfg.Adapter.Method), cfg.DType.String()
	r.ComputeDType = t.Model.DType().String()
	r.Rows, r.Context, r.Accumulate, r.Checkpointing = cfg.BatchRows, cfg.MaxTokens, cfg.Accumulate, cfg.Checkpointing
	r.Tokens = r.Rows * r.Context * r.Accumulate
	r.Trained, r.FLOPs = t.Trainable.Numel(), CountFLOPs(t.Model, r.Context)
}

// fullBatches are a step's, of random words: no row is padded, and every token counts in the loss.
func fullBatches(cfg train.Config, vocabulary int) []data.Batch {
	r := random.NewStream(cfg.Seed, random.Test, 0, 0)
	batches := make([]data.Batch, cfg.Accumulate)
	for i := range batches {
		rows := make([]data.Sequence, cfg.BatchRows)
		for j := range rows {
			ids := make([]int32, cfg.MaxTokens+1)
			for k := range ids {
				ids[k] = int32(r.IntN(vocabulary))
			}
			rows[j] = data.NewSequence(nil, ids, cfg.MaxTokens)
		}
		batches[i] = data.Collate(rows)
	}
	return batches
}
