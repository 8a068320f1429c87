package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

func trainCommand() *cobra.Command {
	cfg := train.Defaults()
	var dev deviceFlags
	var targets, dtype string
	var asJSON bool
	c := &cobra.Command{
		Use:   "train --model DIR --data FILE --out DIR",
		Short: "Fine-tune a model with MultiLoRA or LoRA",
		Long: `Fine-tune a LLaMA model on instruction/input/output rows (Alpaca's form, JSON or
JSONL, plain or .gz). The loss is on the answers. The adapter and metrics.jsonl go to
--out, which must not hold an adapter yet. Ctrl-C saves the adapter and exits.`,
		Example: "  agora train --model models/llama --data alpaca_data.json --out my-adapter\n" +
			"  agora generate --model models/llama --adapter my-adapter --instruction \"Name three colours.\"",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if cfg.DType, err = tensor.ParseDType(dtype); err != nil {
				return fmt.Errorf("--dtype: %w", err)
			}
			cfg.Adapter.Targets = strings.Split(targets, ",")
			if !c.Flags().Changed("alpha") {
				cfg.Adapter.Alpha = float64(cfg.Adapter.Rank)
			}
			if cfg.Adapter.Method != multilora.MethodMultiLoRA && !c.Flags().Changed("modules") {
				cfg.Adapter.Modules = 1
			}
			if !c.Flags().Changed("warmup-steps") {
				cfg.WarmupSteps = min(cfg.WarmupSteps, cfg.Steps/2)
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			d, err := dev.open()
			if err != nil {
				return err
			}
			defer d.Close()
			progress := newProgress(c.ErrOrStderr(), cfg.Steps)
			summary, err := train.Run(c.Context(), d, cfg, progress)
			progress.close()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), summary)
			}
			return printSummary(c.OutOrStdout(), summary)
		},
	}
	f := c.Flags()
	f.StringVar(&cfg.Model, "model", "", "base model: a folder (config.json, model.safetensors, tokenizer), or a GGUF file")
	f.StringVar(&cfg.Data, "data", "", "rows to train on: JSON or JSONL with instruction, input, output; may be .gz")
	f.StringVar(&cfg.Out, "out", "", "folder for the adapter and metrics.jsonl")
	f.StringVar((*string)(&cfg.Adapter.Method), "method", string(cfg.Adapter.Method), "multilora, lora or rslora")
	f.IntVar(&cfg.Adapter.Modules, "modules", cfg.Adapter.Modules, "parallel modules of MultiLoRA")
	f.IntVar(&cfg.Adapter.Rank, "rank", cfg.Adapter.Rank, "rank of each module")
	f.Float64Var(&cfg.Adapter.Alpha, "alpha", 0, "scale alpha/rank of the modules' sum (default: the rank)")
	f.StringVar((*string)(&cfg.Adapter.Scaling), "scaling", string(cfg.Adapter.Scaling), "learnable scale of a module: scalar or per-output")
	f.StringVar(&targets, "targets", strings.Join(cfg.Adapter.Targets, ","), "layers to adapt: names or patterns, comma-separated, or all-linear")
	f.Float64Var(&cfg.Adapter.Dropout, "dropout", cfg.Adapter.Dropout, "dropout before A")
	f.IntVar(&cfg.Steps, "steps", cfg.Steps, "optimizer steps")
	f.IntVar(&cfg.BatchRows, "batch-rows", cfg.BatchRows, "rows of a micro-batch")
	f.IntVar(&cfg.Accumulate, "accumulate", cfg.Accumulate, "micro-batches of a step")
	f.IntVar(&cfg.MaxTokens, "max-tokens", cfg.MaxTokens, "longer rows are cut")
	f.Float64Var(&cfg.LR, "lr", cfg.LR, "peak learning rate")
	f.Float64Var(&cfg.ScaleLR, "scale-lr", cfg.ScaleLR, "factor on the learning rate of the modules' scales")
	f.Float64Var(&cfg.WeightDecay, "weight-decay", cfg.WeightDecay, "AdamW's weight decay of A and B")
	f.StringVar(&cfg.Schedule, "schedule", cfg.Schedule, "constant, linear or cosine")
	f.IntVar(&cfg.WarmupSteps, "warmup-steps", cfg.WarmupSteps, "steps until the peak learning rate; half of --steps if that is less")
	f.Float64Var(&cfg.ClipNorm, "clip-norm", cfg.ClipNorm, "largest norm of the gradient; 0: no clipping")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "of initial values, order of rows and dropout")
	f.IntVar(&cfg.HeldOut, "held-out", cfg.HeldOut, "rows kept out of training to measure the loss on")
	f.IntVar(&cfg.EvalEvery, "eval-every", cfg.EvalEvery, "steps between measurements; 0: before and after only")
	f.StringVar(&dtype, "dtype", cfg.DType.String(), "storage of frozen weights and activations: f32, bf16 or f16; of weights alone: q8 or q4")
	f.BoolVar(&cfg.Checkpoint, "checkpoint", cfg.Checkpoint, "recompute blocks on the way back: less memory, a third more time")
	f.BoolVar(&asJSON, "json", false, "print the summary as JSON")
	dev.register(c)
	return c
}
