package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/agora-ml/agora/train"
)

// progress shows a run: a bar on a terminal, a line every few seconds elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil where out is no terminal
	steps int
	start time.Time // of the first step
	shown time.Time
}

func newProgress(out io.Writer, steps int) *progress {
	p := &progress{out: out, steps: steps}
	if isTerminal(out) {
		p.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(out), progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(), progressbar.OptionSetRenderBlankState(false))
	}
	return p
}

// Say prints a line of its own.
func (p *progress) Say(line string) {
	if p.bar != nil {
		_ = p.bar.Clear() // cosmetic: a failed clear only leaves the old bar
	}
	fmt.Fprintln(p.out, line)
}

// Record shows a step or a measurement.
func (p *progress) Record(r train.Record) {
	if r.HeldOutLoss != nil {
		p.Say(fmt.Sprintf("step %d/%d  held-out loss %.4f", r.Step, p.steps, *r.HeldOutLoss))
		return
	}
	if p.start.IsZero() {
		p.start = time.Now()
	}
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("loss %.4f  %.0f tokens/s", *r.Loss, r.TokensPerSec))
		_ = p.bar.Set(r.Step) // cosmetic
		return
	}
	if time.Since(p.shown) < 5*time.Second && r.Step != p.steps {
		return
	}
	p.shown = time.Now()
	left := "?"
	if r.Step > 1 {
		perStep := time.Since(p.start) / time.Duration(r.Step-1)
		left = (perStep * time.Duration(p.steps-r.Step)).Round(time.Second).String()
	}
	fmt.Fprintf(p.out, "step %d/%d  loss %.4f  lr %.2e  %.0f tokens/s  %s left\n", r.Step, p.steps, *r.Loss, r.LR, r.TokensPerSec, left)
}

func (p *progress) close() {
	if p.bar != nil {
		_ = p.bar.Exit() // cosmetic
		fmt.Fprintln(p.out)
	}
}

func printSummary(w io.Writer, s train.Summary) error {
	if s.Interrupted {
		fmt.Fprintf(w, "interrupted after step %d; the adapter is saved as it was then\n", s.Steps)
	}
	if s.HeldOutBefore != nil && s.HeldOutAfter != nil {
		fmt.Fprintf(w, "held-out loss  %.4f before, %.4f after %d steps (%d rows)\n", *s.HeldOutBefore, *s.HeldOutAfter, s.Steps, s.HeldOutRows)
	}
	_, err := fmt.Fprintf(w, "adapter        %s (%d trained numbers, %.2f %% of the model)\n", s.Out, s.Trained, 100*float64(s.Trained)/float64(s.Parameters))
	return err
}
