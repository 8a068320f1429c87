package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/internal/toy"
)

func demoCommand() *cobra.Command {
	cfg := toy.Defaults()
	var dev deviceFlags
	var out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Train a small LLaMA on toy tasks and adapt it to new ones; needs nothing on disk",
		Long: `Train a small LLaMA from scratch on simple tasks on strings of letters, then teach it
new ones by LoRA and by MultiLoRA of the same total rank, each at three learning rates.
Prints how many letters are right before and after, and how the weights have changed.
It needs nothing on disk and takes about a minute on two cores.

--out leaves behind what was made, to try the other commands on: model (a Hugging Face
folder), data/train.jsonl and data/test.jsonl, and the adapters lora and multilora.`,
		Example: "  agora demo --out toy\n" +
			"  agora generate --model toy/model --adapter toy/multilora --prompt \"" + toy.Prompt + "\" --greedy",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out != "" {
				if err := checkOutFolder(out); err != nil {
					return err
				}
			}
			d, err := dev.open()
			if err != nil {
				return err
			}
			defer d.Close()
			p := &demoProgress{out: c.ErrOrStderr()}
			result, err := toy.Run(c.Context(), d, cfg, p)
			p.close()
			if err != nil {
				return err
			}
			if out != "" {
				if err := result.Save(out); err != nil {
					return fmt.Errorf("--out: %w", err)
				}
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), result.Report)
			}
			return printDemo(c.OutOrStdout(), result.Report, out)
		},
	}
	c.Flags().IntVar(&cfg.Steps, "steps", cfg.Steps,
		"training steps of the base model, and of each adapter at each rate")
	c.Flags().Uint64Var(&cfg.Seed, "seed", 0, "of everything random")
	c.Flags().StringVar(&out, "out", "", "new folder for the model, its data and its adapters")
	c.Flags().BoolVar(&asJSON, "json", false, "print everything measured as JSON")
	dev.register(c)
	return c
}

// demoProgress shows lines, and on a terminal a bar below them.
type demoProgress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func (p *demoProgress) Say(line string) {
	if p.bar != nil {
		_ = p.bar.Clear() // cosmetic
	}
	fmt.Fprintln(p.out, line)
}

func (p *demoProgress) Step(done, of int) {
	if !isTerminal(p.out) {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(of, progressbar.OptionSetWriter(ourOwn(p.out)),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetRenderBlankState(false), progressbar.OptionClearOnFinish())
	}
	_ = p.bar.Set(done) // cosmetic
}

func (p *demoProgress) close() {
	if p.bar != nil {
		_ = p.bar.Clear() // cosmetic
	}
}

// tryNext says what the folder of --out is good for.
func tryNext(w io.Writer, out string) error {
	in := func(name string) string { return printable.Name(filepath.Join(out, filepath.FromSlash(name))) }
	_, err := fmt.Fprintf(w, "\nwritten to %s; try:\n"+
		"  agora generate --model %s --adapter %s --prompt \"%s\" --greedy\n"+
		"  agora train --model %s --data %s --max-tokens 32 --batch-rows 30 --lr 1e-2 --out %s\n",
		printable.Name(out), in(toy.ModelFolder), in(toy.MultiLoRAFolder), toy.Prompt,
		in(toy.ModelFolder), in(toy.TrainFile), in("my-adapter"))
	return err
}
