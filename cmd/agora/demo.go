package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// demoReport is what the demo finds.
type demoReport struct {
	BaseSteps  int         `json:"base_steps"`
	AdaptSteps int         `json:"adapt_steps"`
	Parameters int         `json:"parameters"`
	Scores     []taskScore `json:"scores"`
	Seconds    float64     `json:"seconds"`
}

// taskScore is the share of rows answered exactly, by the base model and each adapter.
type taskScore struct {
	Task      string  `json:"task"`
	Base      float64 `json:"base"`
	LoRA      float64 `json:"lora"`
	MultiLoRA float64 `json:"multilora"`
}

const (
	demoRows = 32 // of a batch
	demoTest = 64 // rows a task is scored on
)

func demoCommand() *cobra.Command {
	var dev deviceFlags
	var steps int
	var seed uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Train a small LLaMA on toy tasks and adapt it to new ones; needs nothing on disk",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if steps < 1 {
				return fmt.Errorf("--steps %d: want at least 1", steps)
			}
			d, err := dev.open()
			if err != nil {
				return err
			}
			defer d.Close()
			demo := demo{device: d, seed: seed, steps: steps, say: func(format string, args ...any) {
				fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...)
			}}
			report, err := demo.run(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), report)
			}
			fmt.Fprintf(c.OutOrStdout(), "\nanswers that are exactly right, of %d a task\n\n%-14s  %8s  %8s  %9s\n", demoTest, "task", "base", "LoRA", "MultiLoRA")
			for _, s := range report.Scores {
				fmt.Fprintf(c.OutOrStdout(), "%-14s  %6.0f %%  %6.0f %%  %7.0f %%\n", s.Task, 100*s.Base, 100*s.LoRA, 100*s.MultiLoRA)
			}
			return nil
		},
	}
	c.Flags().IntVar(&steps, "steps", 400, "training steps of the base model, and of each adapter")
	c.Flags().Uint64Var(&seed, "seed", 0, "of everything random")
	c.Flags().BoolVar(&asJSON, "json", false, "print the scores as JSON")
	dev.register(c)
	return c
}

type demo struct {
	device *tensor.Device
	seed   uint64
	steps  int
	say    func(format string, args ...any)
}

func (d demo) run(ctx context.Context) (demoReport, error) {
	start := time.Now()
	m, err := llama.New(d.device, llama.Config{
		ModelType: "llama", Vocab: demoVocabulary, Hidden: 64, Intermediate: 172, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16,
		MaxPositions: 32, NormEps: 1e-5, InitRange: 0.1, Tied: true,
		RoPE: ops.RoPEScaling{Theta: 10000}, BOS: demoBOS, EOS: []int32{demoEOS},
	}, d.seed)
	if err != nil {
		return demoReport{}, err
	}
	d.say("training a LLaMA from scratch on %s", names(baseTasks))
	if err := d.train(ctx, m, baseTasks, 3e-3); err != nil {
		return demoReport{}, err
	}
	tasks := append(slices.Clone(baseTasks), newTasks...)
	scores := map[string][]float64{}
	if scores["base"], err = d.score(ctx, m, tasks); err != nil {
		return demoReport{}, err
	}
	for _, cfg := range []multilora.Config{
		{Method: multilora.MethodLoRA, Modules: 1, Rank: 24, Alpha: 24, Scaling: multilora.ScalingScalar, Targets: []string{multilora.AllLinear}},
		{Method: multilora.MethodMultiLoRA, Modules: 3, Rank: 8, Alpha: 8, Scaling: multilora.ScalingScalar, Targets: []string{multilora.AllLinear}},
	} {
		adapter, err := multilora.Attach(m, cfg, d.seed)
		if err != nil {
			return demoReport{}, err
		}
		d.say("adapting it by %s, %d × rank %d, to %s", cfg.Method, cfg.Modules, cfg.Rank, names(newTasks))
		if err := d.train(ctx, m, newTasks, 1e-2); err != nil {
			return demoReport{}, err
		}
		if scores[string(cfg.Method)], err = d.score(ctx, m, tasks); err != nil {
			return demoReport{}, err
		}
		adapter.Detach()
	}
	report := demoReport{BaseSteps: d.steps, AdaptSteps: d.steps}
	for _, p := range nn.Params(m) {
		report.Parameters += p.Value.Numel()
	}
	for i, t := range tasks {
		report.Scores = append(report.Scores, taskScore{t.name, scores["base"][i], scores["lora"][i], scores["multilora"][i]})
	}
	report.Seconds = time.Since(start).Seconds()
	return report, nil
}

// train makes steps on batches that hold every task in equal parts.
func (d demo) train(ctx context.Context, m *llama.Model, tasks []task, lr float64) error {
	params, err := optim.Gather(d.device, m)
	if err != nil {
		return err
	}
	adam, err := optim.New(params, optim.AdamW{Betas: [2]float32{0.9, 0.99}, Eps: 1e-8})
	if err != nil {
		return err
	}
	t := train.Trainer{
		Device: d.device, Model: m, Trainable: params, Optimizer: adam,
		Schedule: optim.Cosine(min(20, d.steps), d.steps), LR: lr, ClipNorm: 1, Seed: d.seed,
	}
	r := random.NewStream(d.seed, random.Order, 0, 0)
	for step := 1; step <= d.steps; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := make([]data.Sequence, demoRows)
		for i := range rows {
			prompt, answer := tasks[i%len(tasks)].row(r)
			rows[i] = data.NewSequence(prompt, answer, m.Config.MaxPositions)
		}
		result, err := t.Step([]data.Batch{data.Collate(rows)})
		if err != nil {
			return err
		}
		if step%100 == 0 || step == d.steps {
			d.say("  step %4d  loss %.4f", step, result.Loss)
		}
	}
	return nil
}

// score is the share of fresh rows of each task that the model answers exactly.
func (d demo) score(ctx context.Context, m *llama.Model, tasks []task) ([]float64, error) {
	var scores []float64
	for i, t := range tasks {
		r := random.NewStream(d.seed, random.Test, uint32(i), 0)
		var prompts, answers [][]int32
		for range demoTest {
			prompt, answer := t.row(r)
			prompts, answers = append(prompts, prompt), append(answers, answer)
		}
		got := make([][]int32, demoTest)
		for next, err := range m.GenerateBatch(ctx, prompts, llama.GenerateOptions{MaxTokens: demoLength + 1, StopIDs: m.Config.EOS}) {
			if err != nil {
				return nil, err
			}
			for row, id := range next {
				if id >= 0 {
					got[row] = append(got[row], id)
				}
			}
		}
		right := 0
		for row := range got {
			if slices.Equal(got[row], answers[row]) {
				right++
			}
		}
		scores = append(scores, float64(right)/demoTest)
	}
	return scores, nil
}

func names(tasks []task) string {
	s := tasks[0].name
	for _, t := range tasks[1:] {
		s += ", " + t.name
	}
	return s
}
