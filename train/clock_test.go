package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/tfevents"
	"github.com/agora-ml/agora/internal/tinymodel"
)

// smallRun is a run of 12 steps on a tiny model.
func smallRun(t *testing.T) Config {
	t.Helper()
	var rows strings.Builder
	for i := range 30 {
		fmt.Fprintf(&rows, `{"prompt": "%d", "completion": "%d"}`+"\n", i, i*i)
	}
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(file, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Model, cfg.Data, cfg.MaxTokens, cfg.HeldOut, cfg.Out = tinymodel.Write(t), Files(file), 32, 5,
		filepath.Join(t.TempDir(), "run")
	cfg.Steps, cfg.EvalEvery, cfg.SaveEvery, cfg.LR = 12, 4, 3, 1e-2
	return cfg
}

// A clock that is set back, in a step, between two of them or between two parts of a run,
// changes no number of the run. Seconds never fall, and every reader takes the files.
func TestClockSetBack(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	noon := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	clocks := map[string]func(call int) time.Time{
		"even": func(call int) time.Time { return noon.Add(time.Duration(call) * time.Millisecond) },
		"an hour": func(call int) time.Time {
			return noon.Add(time.Duration(call%20)*time.Millisecond - time.Hour*time.Duration(call/20))
		},
		"each call":  func(call int) time.Time { return noon.Add(-time.Duration(call) * time.Second) },
		"stopped":    func(int) time.Time { return noon },
		"before '70": func(call int) time.Time { return time.Unix(-1000, 0).Add(-time.Duration(call) * time.Second) },
	}
	var want []Record
	var files map[string]string
	for _, name := range []string{"even", "an hour", "each call", "stopped", "before '70"} {
		cfg := smallRun(t)
		calls := 0
		o := Options{Clock: func() time.Time { calls++; return clocks[name](calls) }}
		ctx, interrupt := context.WithCancel(t.Context())
		if s, err := Run(ctx, d, cfg, watcher{func(step int) {
			if step == 7 {
				interrupt()
			}
		}}, o); err != nil || !s.Interrupted || s.Seconds < 0 {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		calls += 1000
		if s, err := Resume(t.Context(), d, cfg, watcher{}, o); err != nil || s.Steps != 12 || s.Seconds < 0 {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		records, err := ReadMetrics(cfg.Out)
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			r := &records[i]
			if i > 0 && r.Seconds < records[i-1].Seconds && r.Step != 8 { // from there on a process of its own
				t.Errorf("%s: %v seconds after step %d, and %v before", name, r.Seconds, r.Step, records[i-1].Seconds)
			}
			if r.Seconds < 0 || r.TokensPerSec < 0 || r.Kind == KindStep && !(r.TokensPerSec > 0) {
				t.Errorf("%s: %+v", name, *r)
			}
			r.Seconds, r.Time, r.TokensPerSec, r.PeakBytes = 0, 0, 0, 0
		}
		got := map[string]string{}
		for _, file := range []string{"adapter.safetensors", "checkpoints/step-000012/optimizer.safetensors"} {
			text, err := os.ReadFile(filepath.Join(cfg.Out, file))
			if err != nil {
				t.Fatal(err)
			}
			got[file] = string(text)
		}
		if want == nil {
			want, files = records, got
		}
		if !reflect.DeepEqual(records, want) || !reflect.DeepEqual(got, files) {
			t.Errorf("%s: other numbers than with an even clock", name)
		}
		if steps := eventSteps(t, cfg.Out); !slices.Equal(steps, eventsOf(records)) {
			t.Errorf("%s: TensorBoard sees the steps %v, want %v", name, steps, eventsOf(records))
		}
	}
}

func eventsOf(records []Record) (steps []int64) {
	for _, r := range records {
		steps = append(steps, int64(r.Step))
	}
	return steps
}

// eventSteps are the steps of a run's one event file.
func eventSteps(t *testing.T, run string) (steps []int64) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(run, TensorBoardFolder, "*"))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	f, err := os.Open(list[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for e, err := range tfevents.Read(f) {
		if err != nil {
			t.Fatal(err)
		}
		if e.FileVersion == "" {
			steps = append(steps, e.Step)
		}
	}
	return steps
}

// An interruption does not wait until large files are read, and is not taken for a damage.
func TestInterruptedWhileChecking(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := smallRun(t)
	ctx, interrupt := context.WithCancel(t.Context())
	if _, err := Run(ctx, d, cfg, watcher{func(step int) {
		if step == 7 {
			interrupt()
		}
	}}, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(ctx, d, cfg, watcher{}, Options{AllowOtherBits: true}); err == nil ||
		!strings.Contains(err.Error(), "interrupted before the first step") {
		t.Errorf("got %v", err)
	}
	if s, err := Resume(t.Context(), d, cfg, watcher{}, Options{}); err != nil || s.OtherBits != nil {
		t.Errorf("got %+v, %v", s, err)
	}
}
