package toy

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/synthetic"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/tokenizer"
)

// silent is a Progress that keeps what it is told.
type silent struct {
	lines    []string
	done, of int
}

func (s *silent) Say(line string)   { s.lines = append(s.lines, line) }
func (s *silent) Step(done, of int) { s.done, s.of = done, of }

func open(t *testing.T, threads int) *tensor.Device { return testdevice.CPU(t, threads) }

// tiny is an experiment of a second.
func tiny() Config {
	c := Defaults()
	c.Steps, c.BatchRows, c.TestRows = 15, 10, 8
	return c
}

func TestTaskAnswers(t *testing.T) {
	for _, c := range []struct{ task, asked, want string }{
		{"copy", "dabbch", "dabbch"},
		{"next letter", "dabbch", "ebccda"},
		{"rotate", "dabbch", "bbchda"},
		{"reverse", "dabbch", "hcbbad"},
		{"sort", "dabbch", "abbcdh"},
		{"cipher", "dabbch", "edggcf"},
		{"swap halves", "dabbch", "bchdab"},
		{"reversed next", "dabbch", "adccbe"},
	} {
		all := slices.Concat(BaseTasks, NewTasks)
		i := slices.IndexFunc(all, func(t Task) bool { return t.Name == c.task })
		if i < 0 {
			t.Fatalf("no task %s", c.task)
		}
		asked := []byte(c.asked)
		if got := string(all[i].Answer(asked)); got != c.want || string(asked) != c.asked {
			t.Errorf("%s of %s: got %s, want %s; the letters asked are now %s", c.task, c.asked, got, c.want, asked)
		}
	}
}

// Copying, which the base model knows, must not pass for a new task; a letter of the
// answer to a random row is right by chance, or little more often.
func TestNewTasksAreNew(t *testing.T) {
	for _, n := range NewTasks {
		for _, b := range BaseTasks {
			var want, got []string
			for _, r := range n.testRows(1, 2000) {
				asked := r.Prompt[2 : 2+length]
				want, got = append(want, r.Completion), append(got, string(b.Answer([]byte(asked))))
			}
			if s := Score(want, got); s > 0.3 {
				t.Errorf("%s answers %s to %.2f", b.Name, n.Name, s)
			}
		}
	}
}

func TestRowsHoldTasksInEqualParts(t *testing.T) {
	all := rows(NewTasks, 3*len(NewTasks), stream(1, forAdapters))
	marks := map[string]int{}
	for _, r := range all {
		mark, asked, ok := strings.Cut(strings.TrimSuffix(r.Prompt, "="), " ")
		marks[mark]++
		if !ok || len(asked) != length || len(r.Completion) != length ||
			strings.Trim(asked+r.Completion, "abcdefgh") != "" {
			t.Errorf("row %+v", r)
		}
	}
	for _, task := range NewTasks {
		if n := marks[string(task.Mark)]; n != 3 {
			t.Errorf("%s has %d of 15 rows, want 3", task.Name, n)
		}
	}
}

func TestScore(t *testing.T) {
	want := []string{"abcd", "efgh"}
	for _, c := range []struct {
		got  []string
		want float64
	}{
		{[]string{"abcd", "efgh"}, 1},
		{[]string{"abcd", "hgfe"}, 0.5},
		{[]string{"", "ef"}, 0.25},      // what is missing is wrong
		{[]string{"abcdabcd", ""}, 0.5}, // what is too much does not count
		{[]string{"bcda", "xe"}, 0},     // right letters in wrong places
		{[]string{"a", "e"}, 0.25},
	} {
		if got := Score(want, c.got); got != c.want {
			t.Errorf("%q: got %v, want %v", c.got, got, c.want)
		}
	}
}

func TestRun(t *testing.T) {
	p := &silent{}
	r, err := Run(t.Context(), open(t, 2), tiny(), p)
	if err != nil {
		t.Fatal(err)
	}
	report := r.Report
	if p.done != 7*15 || p.of != p.done || len(p.lines) != 2+6 {
		t.Errorf("%d of %d steps, lines %q", p.done, p.of, p.lines)
	}
	if len(report.BaseScores) != len(BaseTasks) || len(report.Scores) != len(NewTasks) ||
		report.Parameters < 50_000 || report.Seconds <= 0 {
		t.Errorf("report %+v", report)
	}
	for _, s := range report.Scores {
		for _, score := range []float64{s.Chance, s.Base, s.LoRA, s.MultiLoRA} {
			if !(score >= 0 && score <= 1) {
				t.Errorf("%+v", s)
			}
		}
	}
	if len(report.Methods) != 2 || report.Methods[0].Modules*report.Methods[0].Rank != report.Methods[1].Modules*report.Methods[1].Rank {
		t.Fatalf("methods %+v: want two of the same total rank", report.Methods)
	}
	for _, m := range report.Methods {
		checkMethod(t, m)
	}
	if !reflect.DeepEqual(r.MultiLoRA.Layers(), r.LoRA.Layers()) ||
		r.MultiLoRA.Config().Method != multilora.MethodMultiLoRA {
		t.Error("the adapters of the result are not those of the methods")
	}

	again, err := Run(t.Context(), open(t, 1), tiny(), &silent{})
	if err != nil {
		t.Fatal(err)
	}
	report.Seconds, again.Report.Seconds = 0, 0
	if !reflect.DeepEqual(report, again.Report) {
		t.Errorf("one thread gives\n%+v, two\n%+v", again.Report, report)
	}
	checkSaved(t, r)
}

func checkMethod(t *testing.T, m MethodReport) {
	t.Helper()
	best := slices.MinFunc(m.Rates, func(a, b RateReport) int {
		return int(math.Copysign(1, a.ValidationLoss-b.ValidationLoss))
	})
	if len(m.Rates) != 3 || m.Rate != best.Rate || m.ValidationLoss != best.ValidationLoss {
		t.Errorf("%s: rate %v with loss %v of %v", m.Method, m.Rate, m.ValidationLoss, m.Rates)
	}
	if len(m.Layers) != 14 || len(m.Spectrum) != 12 || m.Spectrum[0] != 1 ||
		!slices.IsSortedFunc(m.Spectrum, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) {
		t.Errorf("%s: %d layers, spectrum %v", m.Method, len(m.Layers), m.Spectrum)
	}
	mean := 0.0
	for _, l := range m.Layers {
		mean += l.EffectiveRank / 14
	}
	if math.Abs(mean-m.EffectiveRank) > 1e-9 || mean < 1 || mean > 12 {
		t.Errorf("%s: effective rank %v, mean of the layers %v", m.Method, m.EffectiveRank, mean)
	}
}

// What Save leaves must load, and hold the very numbers that were scored.
func checkSaved(t *testing.T, r *Result) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "toy")
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(dir); err == nil {
		t.Error("a folder that holds something was taken")
	}
	tok, err := tokenizer.Load(filepath.Join(dir, ModelFolder))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.EOS(); !ok || id != synthetic.EOS {
		t.Errorf("the saved tokenizer ends texts with %d, %v", id, ok)
	}
	m, err := llama.Load(t.Context(), open(t, 1), filepath.Join(dir, ModelFolder), llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x := experiment{Config: tiny(), device: m.Device(), tok: tok, model: m}
	base, err := x.score(t.Context(), NewTasks)
	if err != nil {
		t.Fatal(err)
	}
	a, err := multilora.Load(m, filepath.Join(dir, MultiLoRAFolder), multilora.Options{})
	if err != nil {
		t.Fatal(err)
	}
	multi, err := x.score(t.Context(), NewTasks)
	if err != nil {
		t.Fatal(err)
	}
	a.Detach()
	if _, err := multilora.Load(m, filepath.Join(dir, LoRAFolder), multilora.Options{}); err != nil {
		t.Fatal(err)
	}
	lora, err := x.score(t.Context(), NewTasks)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range r.Report.Scores {
		if got := (TaskScore{s.Task, Chance, base[i].Score, lora[i].Score, multi[i].Score}); got != s {
			t.Errorf("the saved model and adapters score %+v, want %+v", got, s)
		}
	}
	for name, want := range map[string]int{TrainFile: savedRows, TestFile: len(NewTasks) * tiny().TestRows} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n != want || !strings.HasPrefix(string(text), `{"prompt":"R `) {
			t.Errorf("%s has %d rows, want %d: %.60q", name, n, want, text)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, open(t, 1), tiny(), &silent{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, rate := range Defaults().Rates {
		if of := rate * Defaults().ScaleLR; of < 0.01 || of > 0.05 {
			t.Errorf("the scalings' rate is %g, want 0.01 to 0.05", of)
		}
	}
	c := tiny()
	c.Rates = nil
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "rates: want at least 1, got 0") {
		t.Errorf("got error %v", err)
	}
}
