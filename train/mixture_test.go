package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/tensor"
)

func TestPartsAreReadAndWritten(t *testing.T) {
	for text, want := range map[string][]Part{
		"data: a.json":                Files("a.json"),
		"data: [a.json, 'b, c.json']": Files("a.json", "b, c.json"),
		"data: [{path: dir/rows.jsonl.gz, weight: 2}, {name: b, path: [x, 'y, z'], weight: 0.5, max-epochs: 3}]": {
			{Name: "rows", Paths: []string{"dir/rows.jsonl.gz"}, Weight: 2},
			{Name: "b", Paths: []string{"x", "y, z"}, Weight: 0.5, MaxEpochs: 3},
		},
		"data:\n  - task: boolq\n    path: sets\n  - name: 'maths: \"easy\"'\n    task: gsm8k\n    path: sets\n": {
			{Name: "boolq", Task: "boolq", Paths: []string{"sets"}},
			{Name: `maths: "easy"`, Task: "gsm8k", Paths: []string{"sets"}},
		},
	} {
		c := Defaults()
		if err := c.parse("", []byte(text)); err != nil || !reflect.DeepEqual(c.Data, want) {
			t.Errorf("%s: got %+v, %v; want %+v", text, c.Data, err, want)
			continue
		}
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := c.Write(path); err != nil {
			t.Fatal(err)
		}
		again, flags := Defaults(), Defaults()
		if err := again.Read(path); err != nil || !reflect.DeepEqual(again.Data, want) {
			t.Errorf("%s: written and read again %+v, %v", text, again.Data, err)
		}
		for _, s := range flags.Settings() {
			if s.Name != "data" {
				continue
			}
			for _, p := range want {
				if p.Name == "" && strings.Contains(p.Paths[0], ",") {
					p.Paths[0] = "b" // a comma parts files on the command line
				}
				if err := s.Set(p.String()); err != nil {
					t.Errorf("--data '%s': %v", p, err)
				}
			}
		}
		if want[0].Name != "" && !reflect.DeepEqual(flags.Data, want) {
			t.Errorf("%s: by flags %+v", text, flags.Data)
		}
	}
}

func TestPartsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"data: [{path: a, wait: 2}]":                                        `unknown field "wait": want name, task, path, weight or max-epochs`,
		"data: [{weight: 2}]":                                               "want a path, got none",
		"data: [{path: a, path: b}]":                                        "",
		"data: [{path: a, weight: heavy}]":                                  `weight: want a number, got "heavy"`,
		"data: [{path: {a: b}}]":                                            "path: want one value, got a mapping",
		"data: [a, {path: b}]":                                              "want tasks with names, or files alone",
		"data: [{task: bool, path: b}]":                                     `task "bool": want one of mmlu`,
		"data: [{path: x/a}, {path: y/a}]":                                  `want one task named "a", got two`,
		"data: [{path: a, weight: 2}]":                                      "want a weight with mixture weights alone, got 2 with mixture size",
		"mixture: weights\ndata: [{path: a, weight: 2}, {path: b}]":         "b: weight: want more than 0",
		"mixture: even\ndata: [{path: a}]":                                  "mixture",
		"mixture: temperature\nmixture-temperature: 0.5\ndata: [{path: a}]": "mixture-temperature",
		"data: [{path: a, max-epochs: -1}]":                                 "max-epochs: want 0 to",
	} {
		c := Defaults()
		c.Model, c.Out = "m", "o"
		err := c.parse("", []byte(text))
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// mixtureRun is a run of two tasks of which one is hard, one easy.
func mixtureRun(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	for name, row := range map[string]func(i int) (prompt, answer string){
		"easy": func(i int) (string, string) { return fmt.Sprint(i), "aaaa" },
		"hard": func(i int) (string, string) { return fmt.Sprint(i), fmt.Sprint(i*i*7919) + " " + fmt.Sprint(i*31) },
	} {
		var rows strings.Builder
		for i := range 40 {
			prompt, answer := row(i)
			fmt.Fprintf(&rows, `{"prompt": "%s %s", "completion": "%s"}`+"\n", name, prompt, answer)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".jsonl"), []byte(rows.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := Defaults()
	c.Model, c.MaxTokens, c.HeldOut, c.Seed = tinymodel.Write(t), 32, 5, 3
	c.Data = []Part{{Name: "easy", Paths: []string{filepath.Join(dir, "easy.jsonl")}, Weight: 1},
		{Name: "hard", Paths: []string{filepath.Join(dir, "hard.jsonl")}, Weight: 3}}
	c.Mixture = string(data.WeightExplicitly)
	c.Steps, c.EvalEvery, c.SaveEvery, c.LR, c.ScaleLR, c.Accumulate = 24, 6, 6, 3e-2, 10, 2
	c.Out = filepath.Join(t.TempDir(), "run")
	return c
}

// interruptedAfter runs and is interrupted after a step.
func interruptedAfter(t *testing.T, d *tensor.Device, c Config, step int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := Run(ctx, d, c, watcher{func(done int) {
		if done == step {
			cancel()
		}
	}}, Options{})
	if err != nil || s.Steps != step || !s.Interrupted {
		t.Fatalf("interrupted after step %d: %+v, %v", step, s, err)
	}
}

// The losses of the tasks are parts of the loss: weighted by their tokens they are it, in steps and in
// measurements. A run that is interrupted within a mixture ends with the same bits.
func TestMixtureRun(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	whole := mixtureRun(t)
	parts := whole
	parts.Out, parts.Loaders = filepath.Join(t.TempDir(), "run"), 3
	if _, err := Run(t.Context(), d, whole, watcher{}, Options{}); err != nil {
		t.Fatal(err)
	}
	interruptedAfter(t, d, parts, 13)
	other := parts
	other.Data = []Part{parts.Data[0], {Name: "hard", Paths: parts.Data[1].Paths, Weight: 2}}
	if _, err := Resume(t.Context(), d, other, watcher{}, Options{}); err == nil ||
		!strings.Contains(err.Error(), "want the mixture that the run began with") {
		t.Errorf("resumed with another weight: %v", err)
	}
	if _, err := Resume(t.Context(), d, parts, watcher{}, Options{}); err != nil {
		t.Fatal(err)
	}
	var records [2][]Record
	for i, c := range []Config{whole, parts} {
		if records[i], err = ReadMetrics(c.Out); err != nil {
			t.Fatal(err)
		}
	}
	same := func(name string) {
		a, err := os.ReadFile(filepath.Join(whole.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(parts.Out, name)); err != nil || string(a) != string(b) {
			t.Errorf("%s differs (%v)", name, err)
		}
	}
	same("adapter.safetensors")
	same("checkpoints/step-000018/optimizer.safetensors")
	rows := 0
	for i, r := range records[0] {
		if again := records[1][i]; !reflect.DeepEqual(r.Tasks, again.Tasks) || r.Step != again.Step {
			t.Errorf("step %d: %+v, resumed %+v", r.Step, r.Tasks, again.Tasks)
		}
		total := r.HeldOutLoss
		if r.Kind == KindStep {
			total, rows = r.Loss, rows+r.Tasks["easy"].Counted+r.Tasks["hard"].Counted
			if n := r.Tasks["easy"].Counted + r.Tasks["hard"].Counted; n != r.Counted {
				t.Errorf("step %d: %d tokens of tasks, want %d", r.Step, n, r.Counted)
			}
		}
		sum, n := 0.0, 0.0
		for _, l := range r.Tasks {
			sum, n = sum+l.Loss*float64(l.Counted), n+float64(l.Counted)
		}
		if math.Abs(sum/n-*total) > 1e-5 {
			t.Errorf("%s %d: tasks have a mean loss of %v, all %v", r.Kind, r.Step, sum/n, *total)
		}
	}
	last := records[0][len(records[0])-1]
	if easy, hard := last.Tasks["easy"].Loss, last.Tasks["hard"].Loss; last.Kind != KindMeasurement || easy > hard-0.5 {
		t.Errorf("held out at last: %+v; want the easy task learned", last.Tasks)
	}
}

// More steps than capped tasks have rows for are refused before the first, or where packing hides
// the number, named by the one that finds none.
func TestMixtureThatEnds(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, packed := range []bool{false, true} {
		c := mixtureRun(t)
		c.Pack = packed
		c.Data[0].MaxEpochs, c.Data[1].MaxEpochs = 1, 1
		_, err := Run(t.Context(), d, c, watcher{}, Options{})
		want := "--steps: want at most the 70 rows that max-epochs leaves to all tasks together, got 24 steps of 8 rows"
		if packed {
			want = "the mixture has no more rows after"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("packed %v: got %v, want %q", packed, err, want)
		}
	}
}

// The rows of a data set are found in the folder of all of them, and read in its form.
func TestPartOfADataSet(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "rte"), 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "rte", "train.jsonl")
	if err := os.WriteFile(file, []byte(`{"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"}`+
		"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "rows.jsonl")
	if err := os.WriteFile(plain, []byte(`{"prompt": "1", "completion": "2"}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, file} {
		c := Defaults()
		c.Data = []Part{{Name: "plain", Paths: []string{plain}}, {Name: "rte", Task: "rte", Paths: []string{path}}}
		read, err := c.ReadRows(t.Context())
		rows := read.Rows
		if err != nil || len(rows) != 2 || rows[0].Task != 0 || rows[1].Task != 1 || rows[1].Answer != " True" {
			t.Errorf("%s: %+v, %v", path, rows, err)
		}
		if files, err := c.Data[1].files(""); err != nil || !reflect.DeepEqual(files, []string{file}) {
			t.Errorf("%s: files %v, %v", path, files, err)
		}
	}
}
