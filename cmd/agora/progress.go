package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/train"
)

// progress shows a run: a bar on a terminal, a line every few seconds elsewhere.
type progress struct {
	out   io.Writer
	begun func()                   // is called before the first step
	bar   *progressbar.ProgressBar // nil before the first step, and where out is no terminal
	done  int                      // steps before this process
	steps int
	start time.Time // of the first step
	shown time.Time
}

func newProgress(out io.Writer, begun func()) *progress { return &progress{out: out, begun: begun} }

// Begin is told before the first step.
func (p *progress) Begin(done, steps int) {
	p.begun()
	p.done, p.steps, p.start = done, steps, time.Now()
	if isTerminal(p.out) {
		p.bar = progressbar.NewOptions(steps, progressbar.OptionSetWriter(ourOwn(p.out)),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(), progressbar.OptionSetRenderBlankState(false))
		_ = p.bar.Set(done) // cosmetic
	}
}

// Say prints a line of its own.
func (p *progress) Say(line string) {
	if p.bar != nil {
		_ = p.bar.Clear() // cosmetic: a failed clear only leaves the old bar
	}
	fmt.Fprintln(p.out, line)
}

// Record shows a step, a measurement or a change.
func (p *progress) Record(r train.Record) {
	if r.Kind == train.KindMeasurement {
		p.Say(fmt.Sprintf("step %d/%d%s%s", r.Step, p.steps, measurement(r.HeldOutLoss, r.Scores),
			preferred(r.Preference)))
		return
	}
	if r.Kind == train.KindChange { // what is not the same was said before
		for _, c := range r.Changed {
			p.Say(fmt.Sprintf("step %d/%d  %s was %g and is %g from now on", r.Step, p.steps, c.Setting, c.From, c.To))
		}
		return
	}
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("loss %.4f%s  %.0f tokens/s", *r.Loss, preferred(r.Preference), r.TokensPerSec))
		_ = p.bar.Set(r.Step) // cosmetic
		return
	}
	if time.Since(p.shown) < 5*time.Second && r.Step != p.steps {
		return
	}
	p.shown = time.Now()
	left := "?"
	if n := r.Step - p.done; n > 2 {
		perStep := time.Since(p.start) / time.Duration(n)
		left = (perStep * time.Duration(p.steps-r.Step)).Round(time.Second).String()
	}
	fmt.Fprintf(p.out, "step %d/%d  loss %.4f%s  lr %.2e  %.0f tokens/s  %s left\n", r.Step, p.steps, *r.Loss,
		preferred(r.Preference), r.LR, r.TokensPerSec, left)
}

// preferred says how well answers are told apart: "  accuracy 0.750  margin 0.1234".
func preferred(m *train.PreferenceMetrics) (text string) {
	if m == nil {
		return ""
	}
	text = fmt.Sprintf("  accuracy %.3f", m.Accuracy)
	if m.Margin != nil {
		text += fmt.Sprintf("  margin %.4f", *m.Margin)
	}
	return text
}

// measurement says what was measured: "  held-out loss 1.2345  rte 0.5500".
func measurement(loss *float64, scores map[string]float64) (text string) {
	if loss != nil {
		text = fmt.Sprintf("  held-out loss %.4f", *loss)
	}
	for _, task := range slices.Sorted(maps.Keys(scores)) {
		text += fmt.Sprintf("  %s %.4f", task, scores[task])
	}
	return text
}

func (p *progress) close() {
	if p.bar != nil {
		_ = p.bar.Exit() // cosmetic
		fmt.Fprintln(p.out)
	}
}

func printSummary(w io.Writer, cfg train.Config, s train.Summary) error {
	switch {
	case s.Interrupted:
		fmt.Fprintf(w, "interrupted after step %d; go on with: agora train --out %s --resume\n", s.Steps,
			printable.Name(s.Out))
	case s.EarlyStopped:
		fmt.Fprintf(w, "ended after step %d: nothing better by %s for %d measurements\n", s.Steps, cfg.BestBy,
			cfg.EarlyStop)
	}
	for _, d := range s.OtherBits {
		fmt.Fprintf(w, "other bits     from step %d on: %s was %s, then %s\n", d.Step, d.What, d.Want, d.Got)
	}
	if s.Skipped > 0 {
		fmt.Fprintf(w, "skipped        %d of %d steps, whose gradients did not fit f16\n", s.Skipped, s.Steps)
	}
	if s.HeldOutBefore != nil && s.HeldOutAfter != nil {
		fmt.Fprintf(w, "held-out loss  %.4f before, %.4f after %d steps (%d rows)\n", *s.HeldOutBefore,
			*s.HeldOutAfter, s.Steps, s.HeldOutRows)
	}
	if a, b := s.PreferenceBefore, s.PreferenceAfter; a != nil && b != nil {
		fmt.Fprintf(w, "accuracy       %.1f %% of held-out answers before, %.1f %% after\n", 100*a.Accuracy,
			100*b.Accuracy)
	}
	if s.Best != nil && s.Best.Step != s.Steps {
		fmt.Fprintf(w, "best           by %s after step %d:%s\n", cfg.BestBy, s.Best.Step,
			measurement(&s.Best.HeldOutLoss, s.Best.Scores))
	}
	what := "adapter"
	if cfg.Adapter.Method == train.MethodFull || cfg.FromScratch != "" {
		what = "model"
	}
	_, err := fmt.Fprintf(w, "%-14s %s (%d trained numbers, %.2f %% of the model)\n", what, printable.Name(s.Out),
		s.Trained, 100*float64(s.Trained)/float64(s.Parameters))
	return err
}
