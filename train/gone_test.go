package train

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
)

// shortRun is a run of a tiny model on a few rows.
func shortRun(t *testing.T) Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("abc ", 4)), 0o666); err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Model, cfg.Data, cfg.MaxTokens, cfg.HeldOut = tinymodel.Write(t), Files(file), 32, 0
	cfg.Out = filepath.Join(t.TempDir(), "run")
	return cfg
}

// A run whose folder goes away, or moves, or is another, ends with its next record.
func TestFolderGone(t *testing.T) {
	if os.PathSeparator == '\\' {
		t.Skip("Windows keeps folders with open files")
	}
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, remove := range map[string]func(out string) error{
		"removed": os.RemoveAll,
		"moved":   func(out string) error { return os.Rename(out, out+" elsewhere") },
		"metrics replaced": func(out string) error {
			return errors.Join(os.Remove(filepath.Join(out, MetricsFile)),
				os.WriteFile(filepath.Join(out, MetricsFile), nil, 0o666))
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := shortRun(t)
			cfg.Steps, cfg.SaveEvery = 1000, 0
			last := 0
			_, err := Run(t.Context(), d, cfg, watcher{func(step int) {
				if last = step; step == 3 {
					if err := remove(cfg.Out); err != nil {
						t.Error(err)
					}
				}
			}}, Options{})

			want := "--out: want the run's folder to stay while it goes on, got " + filepath.Join(cfg.Out, MetricsFile)
			if err == nil || !strings.Contains(err.Error(), want) || last > 4 {
				t.Errorf("after step %d: %v, want %q after step 4", last, err, want)
			}
			if name != "metrics replaced" {
				if _, err := os.Stat(cfg.Out); !os.IsNotExist(err) {
					t.Errorf("the folder is there again: %v", err)
				}
			}
		})
	}
}

// What is not finite in a checkpoint is found, and named.
func TestNotFinite(t *testing.T) {
	tr := newTiny(t, 1, 0)
	if name, err := tr.notFinite(); name != "" || err != nil {
		t.Fatalf("at the start: %q, %v", name, err)
	}
	for i, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for name, x := range tr.Optimizer.State() {
			values, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			good := values[0]
			values[0] = float32(bad)
			x.SetFloat32s(values)
			if got, err := tr.notFinite(); got != "the optimizer's "+name || err != nil {
				t.Errorf("%v in %s: got %q, %v", bad, name, got, err)
			}
			values[0] = good
			x.SetFloat32s(values)
		}
		for name, p := range tr.Trainable.Params() {
			values, err := p.Value.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			good := values[i]
			values[i] = float32(bad)
			p.Value.SetFloat32s(values)
			if got, err := tr.notFinite(); got != name || err != nil {
				t.Errorf("%v in %s: got %q, %v", bad, name, got, err)
			}
			values[i] = good
			p.Value.SetFloat32s(values)
		}
	}
}

// A run whose weights have overflowed while its gradient was finite promises no checkpoint.
func TestDivergedBeforeItShows(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := shortRun(t)
	cfg.LR, cfg.ClipNorm, cfg.Steps, cfg.WarmupSteps, cfg.SaveEvery = 3e38, 0, 20, 0, 0
	cfg.WeightDecay = 1e6
	_, err = Run(t.Context(), d, cfg, watcher{}, Options{})
	if err == nil || strings.Contains(err.Error(), "goes on from there") ||
		!strings.Contains(err.Error(), "was not finite before that step, of which no checkpoint is made") {
		t.Errorf("got %v", err)
	}
	if steps, err := (checkpoints{filepath.Join(cfg.Out, CheckpointsFolder)}).steps(); len(steps) > 0 || err != nil {
		t.Errorf("checkpoints of steps %v, %v", steps, err)
	}
}
