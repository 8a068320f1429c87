package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

func benchGenerateCommand() *cobra.Command {
	var o bench.GenerateOptions
	var memoryLimit memorySize
	var shape, dtype, computeDType, method string
	var targets []string
	var asJSON bool
	var beside besideFlags
	var precision matmulPrecision
	c := &cobra.Command{
		Use:   "generate",
		Short: "Measure how fast a model of some shape reads a prompt and writes on",
		Long: `Makes a model with random weights, so that no file is needed, has it continue prompts of random
words by the code of agora generate, and tells the time until the first token, tokens/s after it, and how many
bytes of weights a second that is. --method puts an adapter of random numbers beside the linear layers, as
agora generate --adapter does a trained one; bytes are then those of its modules as well.

--shape is ` + strings.Join(bench.ShapeNames(), ", ") + `,
a config.json or a model's folder.`,
		Example: "  agora bench generate --shape 110m --dtype bf16\n" +
			"  agora bench generate --shape 1.1b --dtype q4 --prompt 512 --rows 8\n" +
			"  agora bench generate --shape 110m --dtype q8 --method multilora --rank 8",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Model, _, err = bench.ReadShape(shape); err != nil {
				return fmt.Errorf("--shape: %w", err)
			}
			if o.Storage.DType, err = tensor.ParseDType(dtype); err != nil {
				return fmt.Errorf("--dtype: %w", err)
			}
			if computeDType != "" {
				if o.Storage.ComputeDType, err = tensor.ParseDType(computeDType); err != nil {
					return fmt.Errorf("--compute-dtype: %w", err)
				}
			}
			if method != "" {
				cfg := train.Defaults()
				a := &cfg.Adapter
				a.Method, a.Rank, a.Modules = multilora.Method(method), o.Adapter.Rank, o.Adapter.Modules
				a.Targets = targets
				cfg.Resolve()
				o.Adapter = *a
			} else if slices.ContainsFunc([]string{"rank", "modules", "targets"}, c.Flags().Changed) {
				return errors.New("--rank, --modules and --targets: want --method with them, which says what adapter")
			}
			if beside.asked(c) {
				if method != "" {
					return errors.New("--method: want none with --beside, which compares models without adapters")
				}
				task, err := generationTaskOf(o)
				if err != nil {
					return err
				}
				return beside.run(c, task, asJSON, "tokens_per_s", "prompt_tokens_per_s")
			}
			o.MemoryLimit, o.MatmulPrecision = int(memoryLimit), precision.Precision
			o.Notice = func(line string) { fmt.Fprintln(c.ErrOrStderr(), line) }
			r, err := bench.MeasureGenerate(c.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			printGeneration(c.OutOrStdout(), r)
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&shape, "shape", "15m", "the model: a name, a config.json or a folder")
	fl.StringVar(&dtype, "dtype", "f32", "storage of weights: f32, bf16, f16, q8, q4, q4_k or nf4")
	fl.StringVar(&computeDType, "compute-dtype", "", "storage of activations with dtype q8, q4, q4_k or nf4 (default f32)")
	fl.IntVar(&o.Prompt, "prompt", 64, "tokens of a prompt")
	fl.IntVar(&o.Tokens, "tokens", 64, "tokens that follow it")
	fl.StringVar(&method, "method", "", "adapter beside the layers: multilora, lora, rslora or dora (default: none)")
	fl.IntVar(&o.Adapter.Modules, "modules", 0, "parallel modules of MultiLoRA; 0: 3, or 1 for LoRA")
	fl.IntVar(&o.Adapter.Rank, "rank", 8, "rank of each module")
	fl.StringSliceVar(&targets, "targets", []string{multilora.AllLinear}, "linear layers that get modules, by name, such as q_proj,v_proj")
	fl.IntVar(&o.Rows, "rows", 1, "prompts at once")
	fl.IntVar(&o.Rounds, "rounds", 5, "measurements, of which the median counts, and the best")
	fl.BoolVar(&o.Kernels, "kernels", false, "tell the time of every kernel of the last round; taking it costs some time itself")
	fl.StringVar(&o.Device, "device", "auto", "what to measure: "+device.Names)
	fl.BoolVar(&o.RoundActivations, "round-activations", false, roundUsage)
	precision.register(c)
	fl.IntVar(&o.Threads, "threads", 0, "threads of the CPU; 0 means all")
	fl.Var(&memoryLimit, "memory-limit", memoryLimitUsage)
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	beside.register(c, "'python3 tools/beside/llamacpp.py'")
	return c
}

// generationTask is a generation as another program is told of it.
type generationTask struct {
	Shape   llama.Config `json:"shape"` // as a config.json
	DType   string       `json:"dtype"`
	Prompt  int          `json:"prompt"` // tokens
	Tokens  int          `json:"tokens"` // that follow
	Rows    int          `json:"rows"`
	Rounds  int          `json:"rounds"`
	Threads int          `json:"threads"`
}

func generationTaskOf(o bench.GenerateOptions) (generationTask, error) {
	shape, err := llama.ReadShape(o.Model)
	return generationTask{shape, o.Storage.DType.String(), o.Prompt, o.Tokens, o.Rows, o.Rounds,
		cmp.Or(o.Threads, runtime.NumCPU())}, err
}

func printGeneration(w io.Writer, r bench.Generation) {
	line := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%-12s "+format+"\n", append([]any{name}, values...)...)
	}
	line("device", "%s%s", printable.Name(r.Device), ofPrecision(r.MatmulPrecision))
	rounded := ""
	if r.Rounded {
		rounded = ", rounded to 8 bits"
	}
	line("model", "%s, %s, activations in %s%s: %d parameters", printable.Name(r.Model), r.DType, r.ComputeDType, rounded,
		r.Parameters)
	if r.Method != "" {
		line("adapter", "%s, %d of rank %d on %s", r.Method, r.Modules, r.Rank, printable.Name(strings.Join(r.Targets, ", ")))
	}
	line("texts", "%d at once, %d tokens, then %d", r.Rows, r.Prompt, r.Tokens)
	line("first token", "%.1f ms median, %.1f best of %d rounds: %.1f tokens/s of the prompts, %.1f best", r.First,
		r.BestFirst, r.Rounds, r.PromptRate, r.BestPrompt)
	line("tokens/s", "%.1f median, %.1f best", r.Rate, r.Best)
	line("weights", "%.1f MiB for each token: %.2f GB/s", float64(r.Weights)/(1<<20), r.Bandwidth)
	line("tensors", "%.1f MiB at most, %.1f MiB of the kernels' scratch", float64(r.PeakBytes)/(1<<20),
		float64(r.ScratchBytes)/(1<<20))
	printKernels(w, "prompt", r.PromptKernels)
	printKernels(w, "token", r.TokenKernels)
}
