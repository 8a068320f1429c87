package compare

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/optim"
	"github.com/agora-ml/agora/tasks"
	"github.com/agora-ml/agora/tensor"
)

// leastSeeds is how many seeds a rate is chosen by at least: one run's luck is larger than what
// rates differ by.
const leastSeeds = 3

// Validate returns an error for the first field that is invalid, or that would make the comparison unfair.
func (e *Experiment) Validate() error {
	for _, check := range []func() error{e.checkBase, e.checkTraining, e.checkSeeds, e.checkMethods, e.checkRows,
		e.checkPairs} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func bad(field, want string, got any) error {
	return fmt.Errorf("%s: want %s, got %v", field, want, got)
}

// least is a field and the least that it may be.
type least struct {
	field   string
	value   int
	atLeast int
}

func checkLeast(all ...least) error {
	for _, f := range all {
		if f.value < f.atLeast || f.value > 1<<30 {
			return bad(f.field, fmt.Sprintf("at least %d", f.atLeast), f.value)
		}
	}
	return nil
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

func (e *Experiment) checkBase() error {
	b := e.Base
	switch {
	case e.Name == "":
		return bad("name", "a name", "none")
	case (b.Generated == "") == (b.Model == ""):
		return bad("base", "either generated or model", fmt.Sprintf("%q and %q", b.Generated, b.Model))
	case b.Model != "":
		return e.checkModel()
	}
	if _, err := synthetic.Find(b.Generated); err != nil {
		return fmt.Errorf("base: generated: %w", err)
	}
	switch {
	case len(e.Tasks) > 0:
		return bad("tasks", "none: a generated base has its own", len(e.Tasks))
	case !positive(b.LR):
		return bad("base: lr", "a positive number", b.LR)
	case len(b.Seeds) == 0 || twice(b.Seeds):
		return bad("base: seeds", "different ones, at least 1", b.Seeds)
	case b.DType != "" || b.ComputeDType != "" || b.MaxTokens != 0:
		return bad("base", "no dtype, compute-dtype and max-tokens of a generated one", "them")
	}
	return checkLeast(least{"base: steps", b.Steps, 1}, least{"train: test-rows", e.Train.TestRows, 1})
}

func (e *Experiment) checkModel() error {
	b := e.Base
	if b.Steps != 0 || b.LR != 0 || len(b.Seeds) > 0 {
		return bad("base", "no steps, lr and seeds of a model that is there", "them")
	}
	for _, t := range [][2]string{{"base: dtype", b.DType}, {"base: compute-dtype", b.ComputeDType}} {
		dtype, err := tensor.ParseDType(orF32(t[1]))
		if err != nil {
			return fmt.Errorf("%s: %w", t[0], err)
		}
		if dtype == tensor.F16 { // its gradients want to be scaled
			return bad(t[0], "f32, bf16, q8, q4, q4_k or nf4", dtype)
		}
	}
	names := map[string]bool{}
	for i, t := range e.Tasks {
		at := fmt.Sprintf("tasks: number %d", i+1)
		_, unknown := tasks.Find(t.Known)
		switch {
		case t.Name == "" || names[t.Name]:
			return bad(at+": name", "a name of its own", fmt.Sprintf("%q", t.Name))
		case t.Known != "" && unknown != nil:
			return fmt.Errorf("%s: known: %w", at, unknown)
		case t.Known != "" && (t.Data == "" || t.Train != "" || t.Test != ""):
			return bad(at, "data, and neither train nor test, beside known", "others")
		case t.Known == "" && (t.Train == "" || t.Test == "" || t.Data != ""):
			return bad(at, "train and test, or known and data", "others")
		case t.Known != "" && e.Measure == Letters:
			return bad("measure", "exact or loss, as "+t.Name+" is not scored by letters", e.Measure)
		}
		names[t.Name] = true
	}
	return checkLeast(
		least{"base: max-tokens", b.MaxTokens, 2}, least{"tasks", len(e.Tasks), 1},
		least{"train: test-rows", e.Train.TestRows, 0},
	)
}

func orF32(dtype string) string {
	if dtype == "" {
		return "f32"
	}
	return dtype
}

func (e *Experiment) checkTraining() error {
	t := e.Train
	if err := checkLeast(
		least{"train: batch-rows", t.BatchRows, 1}, least{"train: micro-rows", t.MicroRows, 0},
		least{"train: warmup", t.Warmup, 0},
		least{"train: curve-every", t.CurveEvery, 1}, least{"train: validation-rows", t.ValidationRows, 1},
		least{"train: curve-rows", t.CurveRows, 0},
		least{"speed: rounds", e.Speed.Rounds, 0}, least{"speed: steps", e.Speed.Steps, 1},
	); err != nil {
		return err
	}
	switch {
	case len(t.Steps) == 0 || twice(t.Steps) || !slices.IsSorted(t.Steps) || t.Steps[0] <= t.Warmup ||
		t.Steps[len(t.Steps)-1] > 1<<30:
		return bad("train: steps", "ascending numbers, all above warmup", t.Steps)
	case t.CurveRows > 0 && !e.hasKnown():
		return bad("train: curve-rows", "none where no task is a known one, for others are scored on all rows", t.CurveRows)
	case t.TestRows > 0 && t.CurveRows > t.TestRows:
		return bad("train: curve-rows", fmt.Sprintf("at most %d, as test-rows says", t.TestRows), t.CurveRows)
	case !(t.ClipNorm >= 0) || math.IsInf(t.ClipNorm, 0):
		return bad("train: clip-norm", "at least 0", t.ClipNorm)
	case !slices.Contains(Measures(), e.Measure):
		return bad("measure", "letters, exact or loss", fmt.Sprintf("%q", e.Measure))
	}
	if _, err := optim.NewSchedule(t.Schedule, t.Warmup, t.Steps[0]); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	return nil
}

func (e *Experiment) checkSeeds() error {
	s := e.Seeds
	switch {
	case len(s.Tune) < leastSeeds || twice(s.Tune):
		want := "different ones, at least %d: one run's luck is larger than what rates differ by"
		return bad("seeds: tune", fmt.Sprintf(want, leastSeeds), s.Tune)
	case len(s.Score) < leastSeeds || twice(s.Score):
		return bad("seeds: score", fmt.Sprintf("different ones, at least %d", leastSeeds), s.Score)
	case s.Fewer < 2 || s.Fewer > len(s.Score):
		return bad("seeds: fewer", fmt.Sprintf("2 to %d", len(s.Score)), s.Fewer)
	case s.Rounds < 0 || s.Rounds > 16:
		return bad("seeds: rounds", "0 to 16", s.Rounds)
	}
	for _, seed := range s.Score {
		if slices.Contains(s.Tune, seed) {
			return bad("seeds", "none that is both tuned and scored on", seed)
		}
	}
	return nil
}

func (e *Experiment) checkMethods() error {
	if len(e.Methods) == 0 {
		return bad("methods", "at least one", "none")
	}
	names := map[string]bool{}
	for i, m := range e.Methods {
		at := fmt.Sprintf("methods: number %d", i+1)
		if m.Name == "" || names[m.Name] || strings.ContainsAny(m.Name, "\n\r\t") {
			return bad(at+": name", "a name of its own, on a line", fmt.Sprintf("%q", m.Name))
		}
		names[m.Name] = true
		if err := m.check(); err != nil {
			return fmt.Errorf("methods: %s: %w", m.Name, err)
		}
		for _, other := range e.Methods[:i] {
			if other.From == m.From && reflect.DeepEqual(other.bits(), m.bits()) {
				return bad("methods: "+m.Name, "another method than "+other.Name, "the same")
			}
		}
		if first := len(e.Methods[0].tries()); len(m.tries()) != first {
			want := "as many as %s has, %d: every method is to have the same number of tries"
			return bad("methods: "+m.Name+": lr or weights", fmt.Sprintf(want, e.Methods[0].Name, first), len(m.tries()))
		}
	}
	return nil
}

func (e *Experiment) checkPairs() error {
	for i, p := range e.Pairs {
		at := fmt.Sprintf("pairs: number %d", i+1)
		if len(p) != 2 || p[0] == p[1] {
			return bad(at, "two methods", p)
		}
		for _, name := range p {
			if _, ok := e.method(name); !ok {
				return bad(at, "names of methods", fmt.Sprintf("%q", name))
			}
		}
	}
	return nil
}

// twice reports whether a value stands in a list more than once.
func twice[T comparable](list []T) bool {
	seen := map[T]bool{}
	for _, v := range list {
		seen[v] = true
	}
	return len(seen) != len(list)
}
