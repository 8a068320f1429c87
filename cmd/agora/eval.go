package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/eval"
)

// evaluation is what eval --json prints.
type evaluation struct {
	Task string `json:"task"`
	eval.Perplexity
	Seconds float64 `json:"seconds"`
}

type evalFlags struct {
	modelFlags
	task   string
	text   string
	window int
	asJSON bool
}

func evalCommand() *cobra.Command {
	var f evalFlags
	c := &cobra.Command{
		Use:   "eval --task perplexity --model DIR [--adapter PATH] --text FILE",
		Short: "Measure how well a model does a task",
		Long: `Measure how well a model does a task.

perplexity: how well it predicts a text. The number is the mean negative log-likelihood
of a token in nats (nll) and e to that power. The text is read in windows of the model's
length, each starting with BOS.`,
		Example: "  agora eval --task perplexity --model models/llama --adapter my-adapter --text book.txt",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.task, "task", "", "what to measure: perplexity")
	c.Flags().StringVar(&f.text, "text", "", "file of text")
	c.Flags().IntVar(&f.window, "window", 0, "tokens of a window, BOS included; 0: the model's length")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	f.register(c)
	return c
}

func (f *evalFlags) run(c *cobra.Command) error {
	if err := need("task", f.task, "model", f.model, "text", f.text); err != nil {
		return err
	}
	if f.task != "perplexity" {
		return fmt.Errorf("--task %q: want perplexity", f.task)
	}
	if f.window < 0 {
		return fmt.Errorf("--window %d: want at least 0", f.window)
	}
	text, err := os.ReadFile(f.text)
	if err != nil {
		return fmt.Errorf("--text: %w", err)
	}
	tok, err := f.loadTokenizer()
	if err != nil {
		return err
	}
	b, err := f.open(c)
	if err != nil {
		return err
	}
	defer b.close()
	start, shown := time.Now(), time.Now()
	p, err := eval.MeasurePerplexity(c.Context(), b.Model, tok, string(text), f.window, func(done, windows int) {
		if time.Since(shown) > 5*time.Second {
			shown = time.Now()
			fmt.Fprintf(c.ErrOrStderr(), "window %d/%d\n", done, windows)
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w", f.text, err)
	}
	if f.asJSON {
		return printJSON(c.OutOrStdout(), evaluation{f.task, p, time.Since(start).Seconds()})
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "nll         %.5f nats a token\nperplexity  %.4f\ncounted     %d tokens in %d windows\n",
		p.NLL, p.Perplexity, p.Counted, p.Windows)
	return err
}
