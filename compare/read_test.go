package compare

import (
	"strings"
	"testing"

	"github.com/agora-ml/agora/multilora"
)

const small = `name: test
base: {generated: ciphers, steps: 20, lr: 3e-3, seeds: [1, 2]}
train: {steps: [30], warmup: 2}
seeds: {tune: [11, 12, 13], score: [1, 2, 3]}
methods:
  - {name: LoRA, method: lora, rank: 4, lr: [1e-3, 0.002]}
  - {name: MultiLoRA, method: multilora, modules: 2, rank: 2, scale-lr: 10, lr: [1e-3, 2e-3], deciding: true}
pairs:
  - [MultiLoRA, LoRA]
`

func TestRead(t *testing.T) {
	e, err := parse("x.yaml", []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if e.Train.BatchRows != 32 || e.Train.Schedule != "cosine" || e.Seeds.Fewer != 3 || e.Measure != Letters {
		t.Errorf("what is missing is not as in Defaults: %+v", e)
	}
	if e.Base.LR != 3e-3 || e.Methods[0].LR[0] != 1e-3 || e.Methods[1].ScaleLR != 10 || e.Train.Warmup != 2 ||
		!e.Methods[1].Deciding {
		t.Errorf("got %+v", e)
	}
}

// Each line replaces one of small's, and the error must say what is wrong.
func TestReadErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"name: test", "nmae: test", `x.yaml:1: unknown field "nmae"`},
		{"name: test", "name: test\nname: again", "x.yaml:2: "},
		{"warmup: 2", "warmup: two", "x.yaml:3: "},
		{"warmup: 2", "warmup: 30", "x.yaml: train: steps: want ascending numbers, all above warmup, got [30]"},
		{"generated: ciphers", "generated: rhymes", `base: generated: family "rhymes": want one of ciphers, sums`},
		{"generated: ciphers", "model: x", "base: want no steps, lr and seeds of a model that is there"},
		{"tune: [11, 12, 13]", "tune: [11, 12]", "seeds: tune: want different ones, at least 3"},
		{"tune: [11, 12, 13]", "tune: [11, 12, 12]", "seeds: tune: want different ones, at least 3"},
		{"tune: [11, 12, 13]", "tune: [11, 12, 3]", "seeds: want none that is both tuned and scored on, got 3"},
		{"[1e-3, 0.002]", "[1e-3]", "methods: MultiLoRA: lr or weights: want as many as LoRA has, 1: every method is to have the same number of tries, got 2"},
		{"[1e-3, 0.002]", "[0.002, 1e-3]", "methods: LoRA: lr: want ascending positive numbers"},
		{"[1e-3, 0.002]", "[1e-3, .nan]", "methods: LoRA: lr: want ascending positive numbers"},
		{"method: lora", "method: dora", `methods: LoRA: method: want full, lora, rslora, multilora, gain, merged, scales, got "dora"`},
		{"method: lora", "method: lora, scale-lr: 3",
			"methods: LoRA: scale-lr: want a positive number, of a method that has such parameters"},
		{"method: lora", "method: lora, alone: 1",
			"methods: LoRA: alone: want more than 2 steps of warmup a task, got 2"},
		{"method: lora", "method: lora, alone: -1", "alone: want a positive number, of a method with an adapter, got -1"},
		{"method: lora", "method: lora, from: MultiLoRA", "method lora: want no from, merge and density"},
		{"method: lora", "method: lora, weights: [1]", "methods: LoRA: method lora: want lr alone to try"},
		{"method: lora, rank: 4", "method: scales, from: MultiLoRA",
			`methods: LoRA: from: want the name of a method with alone, got "MultiLoRA"`},
		{"method: lora, rank: 4", "method: scales, rank: 4, from: MultiLoRA", "method scales: want no merge, density and rank"},
		{"method: lora, rank: 4", "method: scales, alpha: 4, from: MultiLoRA", "method scales: want no modules, alpha"},
		{"method: lora, rank: 4", "method: scales, scaling: loud, from: MultiLoRA", "scaling: want one of [scalar per-output]"},
		{"method: lora", "method: merged", "methods: LoRA: method merged: want weights alone to try"},
		{"method: lora, rank: 4, lr", "method: merged, merge: glue, from: MultiLoRA, weights", `merge: want one of [cat svd`},
		{"method: lora, rank: 4, lr", "method: merged, merge: cat, density: 2, from: MultiLoRA, weights", "density: want above 0"},
		{"method: lora", "method: full", "methods: LoRA: method full: want no modules, rank"},
		{"rank: 4", "rank: 0", "methods: LoRA: multilora: field rank"},
		{"name: LoRA", "name: MultiLoRA", `methods: number 2: name: want a name of its own, on a line, got "MultiLoRA"`},
		{"methods:", "methods:\n  - {name: again, method: lora, rank: 4, lr: [1e-3, 4e-3]}",
			"methods: LoRA: want another method than again, got the same"},
		{"[MultiLoRA, LoRA]", "[MultiLoRA, Lora]", `pairs: number 1: want names of methods, got "Lora"`},
		{"[MultiLoRA, LoRA]", "[MultiLoRA]", "pairs: number 1: want two methods"},
		{"name: test", "name: &a test", "x.yaml:1: want plain values, got anchor"},
		{"name: test", "measure: luck\nname: test", `measure: want letters, exact or loss, got "luck"`},
		{"name: test", "name: test\ntasks: [{name: a}]", "tasks: want none: a generated base has its own"},
		{"name: test", "name: test\n---\nname: b", "x.yaml:1: want one document"},
		{"score: [1, 2, 3]", "score: [1, 2, 3], fewer: 4", "seeds: fewer: want 2 to 3, got 4"},
		{"score: [1, 2, 3]", "score: [1, 2, -3]", "x.yaml:4: "},
	} {
		_, err := parse("x.yaml", []byte(strings.Replace(small, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %s", c.new, err, c.want)
		}
	}
}

func TestReadFilesTasks(t *testing.T) {
	const model = `name: test
base: {model: m, max-tokens: 64}
train: {steps: [30], warmup: 2}
seeds: {tune: [11, 12, 13], score: [1, 2, 3]}
measure: exact
tasks: [TASK]
methods: [{name: LoRA, method: lora, rank: 4, lr: [1e-3]}]
`
	for task, want := range map[string]string{
		"{name: a, train: t, test: u}":                "",
		"{name: a, known: boolq, data: d}":            "",
		"{name: a, known: chess, data: d}":            `tasks: number 1: known: task "chess"`,
		"{name: a, known: boolq}":                     "want data, and neither train nor test, beside known",
		"{name: a, train: t}":                         "want train and test, or known and data",
		"{train: t, test: u}":                         "name: want a name of its own",
		"{name: a, train: t, test: u, weight: heavy}": "unknown field",
	} {
		_, err := parse("x.yaml", []byte(strings.Replace(model, "TASK", task, 1)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got error %v, want %s", task, err, want)
		}
	}
	for task, want := range map[string]string{
		"{name: a, known: boolq, data: d}": "curve-rows: want at most 8, as test-rows says, got 9",
		"{name: a, train: t, test: u}":     "curve-rows: want none where no task is a known one",
	} {
		text := strings.Replace(strings.Replace(model, "TASK", task, 1), "warmup: 2", "warmup: 2, test-rows: 8, curve-rows: 9", 1)
		if _, err := parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %s", task, err, want)
		}
	}
	text := strings.Replace(strings.Replace(model, "TASK", "{name: a, known: boolq, data: d}", 1), "exact", "letters",
		1)
	if _, err := parse("x.yaml", []byte(text)); err == nil ||
		!strings.Contains(err.Error(), "measure: want exact or loss, as a is not scored by letters") {
		t.Errorf("got error %v", err)
	}
}

// What is built in must be there and fair, and an adapter's total rank must be that of every other.
func TestScales(t *testing.T) {
	for _, name := range Scales() {
		e, err := Scale(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range e.Methods {
			if r := m.totalRank(); m.Method != "full" && m.Merge != multilora.CombineCat && m.Method != scales && r != 12 {
				t.Errorf("%s: %s has the total rank %d", name, m.Name, r)
			}
			if m.ScaleLR > 1 && m.LR[len(m.LR)-1]*m.ScaleLR > 0.05 {
				t.Errorf("%s: %s begins with lr × scale-lr %g, above 0.05", name, m.Name, m.LR[len(m.LR)-1]*m.ScaleLR)
			}
		}
		if name != "small" && len(e.Seeds.Score) != 8 {
			t.Errorf("%s: %d seeds", name, len(e.Seeds.Score))
		}
	}
	if _, err := Scale("huge"); err == nil || err.Error() != `scale "huge": want one of small, default, full, full-sums` {
		t.Errorf("got error %v", err)
	}
}

func TestExampleIsAnExperiment(t *testing.T) {
	e, err := Read("../examples/compare-7b.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if e.Methods[0].totalRank() != 96 || e.Methods[1].totalRank() != 96 {
		t.Errorf("total ranks %d and %d, want 96", e.Methods[0].totalRank(), e.Methods[1].totalRank())
	}
}

// What the example has in common with the built-in experiment is not made again in its folder.
func TestSingleTasksBeginWithTheDefault(t *testing.T) {
	e, err := Read("../examples/compare-single-tasks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	built, err := Scale("default")
	if err != nil {
		t.Fatal(err)
	}
	s := store{"x"}
	for _, name := range []string{"LoRA", "MultiLoRA 3×4"} {
		a, _ := e.method(name)
		b, _ := built.method(name)
		if got, want := s.trial(e.trial(a, 1e-3, nil, 1200, 0, 1, true)), s.trial(built.trial(b, 1e-3, nil, 1200, 0, 1, true)); got != want {
			t.Errorf("%s: a run is %s, in the built-in experiment %s", name, got, want)
		}
	}
}
