package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
)

// watcher calls f after each record of a step.
type watcher struct{ f func(step int) }

func (watcher) Say(string)     {}
func (watcher) Begin(int, int) {}
func (w watcher) Record(r Record) {
	if r.Loss != nil && w.f != nil {
		w.f(r.Step)
	}
}

// An interruption falls between a step and the measurement and checkpoint that are due
// after it: both are made when the run goes on, and all files are those of one that was
// never interrupted.
func TestInterruptedBeforeAMeasurement(t *testing.T) {
	var rows strings.Builder
	for i := range 30 {
		fmt.Fprintf(&rows, `{"prompt": "%d", "completion": "%d"}`+"\n", i, i*i)
	}
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := Defaults()
	cfg.Model, cfg.Data, cfg.MaxTokens, cfg.HeldOut = tinymodel.Write(t), Files(file), 32, 5
	cfg.Steps, cfg.EvalEvery, cfg.SaveEvery, cfg.LR = 16, 5, 5, 1e-2

	whole, parts := cfg, cfg
	whole.Out, parts.Out = filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	if _, err := Run(t.Context(), d, whole, watcher{}, Options{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Run(ctx, d, parts, watcher{func(step int) {
		if step == 10 {
			cancel()
		}
	}}, Options{})
	if err != nil || !s.Interrupted || s.Steps != 10 || s.HeldOutAfter != nil {
		t.Fatalf("interrupted after step 10: %+v, %v", s, err)
	}
	// A process has gone on, measured, and was killed before the checkpoint knew of it.
	f, err := os.OpenFile(filepath.Join(parts.Out, MetricsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"kind":"measurement","step":10,"held_out_loss":1}` + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = Resume(t.Context(), d, parts, watcher{}, Options{}); err != nil || s.Interrupted || s.Steps != 16 {
		t.Fatalf("resumed: %+v, %v", s, err)
	}
	for _, name := range []string{"adapter.safetensors", "checkpoints/step-000010/state.json",
		"checkpoints/step-000010/optimizer.safetensors", "checkpoints/step-000015/state.json"} {
		a, err := os.ReadFile(filepath.Join(whole.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(parts.Out, name)); err != nil || string(a) != string(b) {
			t.Errorf("%s differs (%v):\n%s\n%s", name, err, a, b)
		}
	}
	measured := func(dir string) (steps []int) {
		records, err := ReadMetrics(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.HeldOutLoss != nil {
				steps = append(steps, r.Step)
			}
		}
		return steps
	}
	if a, b := measured(whole.Out), measured(parts.Out); fmt.Sprint(a) != "[0 5 10 15 16]" ||
		fmt.Sprint(b) != fmt.Sprint(a) {
		t.Errorf("measured after %v and %v", a, b)
	}
}

// What a run has no use for is refused before the model is read; an interruption does not
// wait for the data.
func TestDataThatCannotTrain(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := Defaults()
	cfg.Model = tinymodel.Write(t)
	run := func(ctx context.Context, rows string) error {
		file := filepath.Join(t.TempDir(), "rows.jsonl")
		if err := os.WriteFile(file, []byte(rows), 0o666); err != nil {
			t.Fatal(err)
		}
		cfg := cfg
		cfg.Data, cfg.Out, cfg.Steps = Files(file), filepath.Join(t.TempDir(), "run"), 1
		_, err := Run(ctx, d, cfg, watcher{}, Options{})
		if _, stat := os.Stat(cfg.Out); stat == nil {
			t.Error("a refused run has left a folder")
		}
		return err
	}
	const row = `{"prompt": "a", "completion": "b"}` + "\n"
	cfg.HeldOut, cfg.MaxTokens = 3, 32
	if err := run(t.Context(), strings.Repeat(row, 9)); err == nil ||
		!strings.Contains(err.Error(), "--held-out: want rows that are not all alike") {
		t.Errorf("9 equal rows: %v", err)
	}
	if err := run(t.Context(), strings.Repeat(row, 3)); err == nil ||
		!strings.Contains(err.Error(), "--held-out: want fewer than the data's 3 sequences") {
		t.Errorf("3 rows: %v", err)
	}
	cfg.HeldOut, cfg.MaxTokens = 0, 2
	if err := run(t.Context(), `{"prompt": "abc abc abc abc", "completion": "b"}`); err == nil ||
		!strings.Contains(err.Error(), "--data: want a row with a counted token within 2 tokens (max-tokens), got none of 1") {
		t.Errorf("a prompt of more than max-tokens: %v", err)
	}
	if err := run(t.Context(), "[]"); err == nil || !strings.Contains(err.Error(), "--data: want rows, got none in ") {
		t.Errorf("no rows: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, row); err == nil || !strings.Contains(err.Error(), "interrupted before the first step") {
		t.Errorf("interrupted: %v", err)
	}
	fast := beforehand(t.Context(), func() error { return context.Canceled })
	slow := beforehand(ctx, func() error { return io.ErrUnexpectedEOF })
	if fast != context.Canceled || !errors.Is(slow, context.Canceled) {
		t.Errorf("errors before the first step: %v; interrupted, %v", fast, slow)
	}
}
