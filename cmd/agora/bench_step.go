package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/train"
)

// benchTokens are those of a step that nobody has asked for another.
const benchTokens, benchContext = 2048, 512

func benchStepCommand() *cobra.Command {
	var settings settingFlags
	var o bench.StepOptions
	var memoryLimit memorySize
	var peak float64 // TFLOP/s
	var asJSON bool
	var beside besideFlags
	var precision matmulPrecision
	c := &cobra.Command{
		Use:   "step",
		Short: "Measure how fast a model of some shape trains on a device",
		Long: `Makes a model with random weights, so that no file is needed, trains it with random words by
the code of agora train, and tells tokens/s, memory, and the model's floating-point operations.

--shape is ` + strings.Join(bench.ShapeNames(), ", ") + `,
a config.json or a model's folder. All tokens count in the loss. Where nothing else is
said, a step has 2048 tokens in rows of 512, or of as many as the model takes.`,
		Example: "  agora bench step --shape 110m --dtype bf16 --kernels\n" +
			"  agora bench step --shape 7b --dtype bf16 --rank 32 --gradient-checkpointing --peak 989",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Config, err = benchConfig(c, &settings); err != nil {
				return err
			}
			if beside.asked(c) {
				task, err := stepTask(o)
				if err != nil {
					return err
				}
				return beside.run(c, task, asJSON, "tokens_per_s", "best_tokens_per_s")
			}
			o.MemoryLimit, o.Peak, o.MatmulPrecision = int(memoryLimit), peak*1e12, precision.Precision
			o.Notice = func(line string) { fmt.Fprintln(c.ErrOrStderr(), line) }
			r, err := bench.MeasureStep(c.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			printStep(c.OutOrStdout(), r)
			return nil
		},
	}
	c.Flags().String("shape", "15m", "the model: a name, a config.json or a folder")
	settings.register(c, train.ForSpeed)
	c.Flags().StringVar(&o.Device, "device", "auto", "what to measure: "+device.Names)
	c.Flags().IntVar(&o.Threads, "threads", 0, "threads of the CPU; 0 means all")
	c.Flags().Var(&memoryLimit, "memory-limit", memoryLimitUsage)
	precision.register(c)
	c.Flags().IntVar(&o.WarmUp, "warm-up", 3, "steps before those that count")
	c.Flags().IntVar(&o.Steps, "steps", 10, "steps that count, of which the median does")
	c.Flags().Float64Var(&o.Seconds, "seconds", 0,
		"begin no further step after so many seconds of those that count; 0: no end")
	c.Flags().Float64Var(&peak, "peak", 0, "TFLOP/s that the device could do, to tell its share; 0: measured on the "+
		"CPU, unknown elsewhere")
	c.Flags().BoolVar(&o.Kernels, "kernels", false, "tell the time of every kernel; taking it costs some time itself")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	beside.register(c, "'python3 tools/beside/torch_step.py'")
	return c
}

// trainingTask is a training step as another program is told of it.
type trainingTask struct {
	Shape         llama.Config `json:"shape"` // as a config.json
	Method        string       `json:"method"`
	Modules       int          `json:"modules"`
	Rank          int          `json:"rank"` // of each
	Targets       []string     `json:"targets"`
	DType         string       `json:"dtype"`
	ComputeDType  string       `json:"compute_dtype"`
	Rows          int          `json:"rows"`   // of a micro-batch
	Tokens        int          `json:"tokens"` // of a row
	Accumulate    int          `json:"accumulate"`
	Checkpointing bool         `json:"gradient_checkpointing"`
	Threads       int          `json:"threads"`
	WarmUp        int          `json:"warm_up"`
	Steps         int          `json:"steps"`
}

func stepTask(o bench.StepOptions) (trainingTask, error) {
	c := &o.Config
	c.Resolve()
	shape, err := llama.ReadShape(c.Model)
	if err != nil {
		return trainingTask{}, err
	}
	return trainingTask{
		Shape: shape, Method: string(c.Adapter.Method), Modules: c.Adapter.Modules, Rank: c.Adapter.Rank,
		Targets: c.Adapter.Targets, DType: c.DType.String(), ComputeDType: cmp.Or(c.ComputeDType, c.DType.String()), Rows: c.BatchRows,
		Tokens: c.MaxTokens, Accumulate: c.Accumulate, Checkpointing: c.Checkpointing,
		Threads: cmp.Or(o.Threads, runtime.NumCPU()), WarmUp: o.WarmUp, Steps: o.Steps,
	}, nil
}

// benchConfig is a run's settings, with a model's shape and with rows that it takes.
func benchConfig(c *cobra.Command, settings *settingFlags) (cfg train.Config, err error) {
	if cfg, err = settings.config(c, nil, false); err != nil {
		return cfg, err
	}
	name, err := c.Flags().GetString("shape")
	if err != nil {
		return cfg, err
	}
	var shape llama.Config
	if cfg.Model, shape, err = bench.ReadShape(name); err != nil {
		return cfg, fmt.Errorf("--shape: %w", err)
	}
	if !c.Flags().Changed("max-tokens") {
		cfg.MaxTokens = min(benchContext, shape.MaxPositions)
	}
	if !c.Flags().Changed("batch-rows") {
		cfg.BatchRows = max(1, benchTokens/max(1, cfg.MaxTokens)/max(1, cfg.Accumulate))
	}
	return cfg, nil
}

func printStep(w io.Writer, r bench.TrainingStep) {
	line := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%-12s "+format+"\n", append([]any{name}, values...)...)
	}
	mib := func(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
	line("device", "%s%s", printable.Name(r.Device), ofPrecision(r.MatmulPrecision))
	stored, with := r.DType, ""
	if r.ComputeDType != r.DType {
		stored += ", activations in " + r.ComputeDType
	}
	if r.Checkpointing {
		with = ", gradient checkpointing"
	}
	line("model", "%s, %s, %s%s: %d parameters, %d trained", printable.Name(r.Model), stored, r.Method, with,
		r.Parameters, r.Trained)
	line("a step", "%d tokens: %d × %d rows of %d", r.Tokens, r.Accumulate, r.Rows, r.Context)
	line("start", "%.0f ms to fill the weights, %.0f ms for the first step", r.Fill, r.First)
	line("ms", "%.1f median, %.1f best of %d steps", r.Milliseconds, r.Fastest, r.Steps)
	line("tokens/s", "%.1f median, %.1f best", r.TokensPerSecond, r.Best)
	if r.Processors > 0 {
		line("processors", "%.2f on average in these steps", r.Processors)
	}
	line("loss", "%.4f in the first step, %.4f in the last", r.Losses[0], r.Losses[1])
	if r.Skipped > 0 {
		line("skipped", "%d steps, whose gradients did not fit f16", r.Skipped)
	}
	line("tensors", "%s at most, %s with the pool; %s planned", mib(r.Live), mib(r.Taken), mib(r.Planned))
	if r.Scratch > 0 {
		line("scratch", "%s of the kernels", mib(r.Scratch))
	}
	if r.Process > 0 {
		line("process", "%s at most", mib(r.Process))
	}
	f := r.FLOPs
	line("model FLOPs", "%.4g a token: forward %.4g, backward %.4g, attention %.4g", f.Total(), f.Forward, f.Backward,
		f.Attention)
	line("TFLOP/s", "%.4g median, %.4g best", r.TFLOPS, r.BestTFLOPS)
	if r.Peak > 0 {
		line("utilization", "%.1f %% of %.4g TFLOP/s", 100*r.Utilization, r.Peak)
	}
	if n := r.Counts; n != nil {
		line("asks for", "%d dispatches, %d barriers (longest chain: %d commands), %d uploads, %d reads; %d submissions, "+
			"%d waits a step", n.Dispatches, n.Barriers, n.Chain, n.Writes, n.Reads, n.Submissions, n.Waits)
	}
	printKernels(w, "step", r.Kernels)
}

// printKernels prints a table, of a step or another unit, if kernels have been timed.
func printKernels(w io.Writer, unit string, list []bench.KernelTime) {
	if len(list) > 0 {
		fmt.Fprintf(w, "\n%-52s %10s %8s %8s %10s\n", "kernel", "ms a "+unit, "share", "calls", "TFLOP/s")
	}
	for _, k := range list {
		printKernel(w, "", k)
		for _, shape := range k.Shapes[:min(len(k.Shapes), 16)] {
			printKernel(w, "  ", shape)
		}
	}
}

func printKernel(w io.Writer, indent string, k bench.KernelTime) {
	rate := ""
	if k.TFLOPS > 0 {
		rate = fmt.Sprintf("%.4g", k.TFLOPS)
	}
	fmt.Fprintf(w, "%-52s %10.3f %6.1f %% %8.4g %10s\n", indent+k.Name, k.Milliseconds, 100*k.Share, k.Calls, rate)
}
