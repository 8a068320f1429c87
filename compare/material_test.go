package compare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/data"
	"github.com/agora-ml/agora/internal/tinymodel"
)

// own is an experiment on files: a task of rows and a data set that eval knows.
func own(t *testing.T, change func(name string, lines []string) []string) Experiment {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, n int, line func(i int) string) string {
		var lines []string
		for i := range n {
			lines = append(lines, line(i))
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(change(name, lines), "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	row := func(from int) func(i int) string {
		return func(i int) string { return fmt.Sprintf(`{"prompt": "%d:", "completion": "%d"}`, from+i, (from+i)%10) }
	}
	question := func(i int) string {
		return fmt.Sprintf(`{"question": "is %d even", "passage": "%d", "label": %v}`, i, i, i%2 == 0)
	}
	write("boolq/train.jsonl", 8, question)
	write("boolq/val.jsonl", 4, func(i int) string { return question(100 + i) })
	e := Defaults()
	e.Name, e.Measure = "own", Exact
	e.Base = Base{Model: tinymodel.Write(t), MaxTokens: 128}
	e.Tasks = []TaskFiles{
		{Name: "digits", Train: write("train.jsonl", 20, row(0)), Test: write("test.jsonl", 5, row(100))},
		{Name: "yes or no", Known: "boolq", Data: dir},
	}
	e.Train = Training{Steps: []int{3}, Schedule: "constant", Warmup: 1, BatchRows: 4, MicroRows: 2, ClipNorm: 1,
		CurveEvery: 2, ValidationRows: 3}
	e.Seeds = Seeds{Tune: []uint64{11, 12, 13}, Score: []uint64{1, 2, 3}, Fewer: 2}
	e.Methods = []Method{
		{Name: "full", Method: "full", LR: []float64{1e-3}, Deciding: true},
		{Name: "MultiLoRA", Method: "multilora", Modules: 2, Rank: 2, LR: []float64{1e-3}},
	}
	e.Pairs = [][]string{{"MultiLoRA", "full"}}
	e.Speed.Rounds = 0
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	return e
}

func same(_ string, lines []string) []string { return lines }

func TestRunOnFiles(t *testing.T) {
	e := own(t, same)
	r, err := Run(t.Context(), e, filepath.Join(t.TempDir(), "out"), options(1))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Bases) != 1 || len(r.Bases[0].New) != 2 || r.Bases[0].Parameters == 0 {
		t.Errorf("bases %+v", r.Bases)
	}
	for _, run := range r.Runs {
		digits, known := run.Scores[0], run.Scores[1]
		if digits.Task != "digits" || digits.Loss <= 0 || known.Task != "yes or no" || known.Loss <= 0 ||
			known.Letters != 0 {
			t.Errorf("scores %+v", run.Scores)
		}
		if p := run.Curve[0]; p.Step != 2 || p.Exact != 0 {
			t.Errorf("%+v: a data set is scored after the last step alone", p)
		}
	}
	checkOwnReport(t, r)
}

// With curve-rows a data set is scored at every measurement, on that many of its test rows.
func TestCurveRows(t *testing.T) {
	e := own(t, same)
	e.Tasks, e.Methods, e.Pairs = e.Tasks[1:], e.Methods[:1], nil
	e.Train.CurveRows = 1
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	r, err := Run(t.Context(), e, out, options(1))
	if err != nil {
		t.Fatal(err)
	}
	apart := false
	for _, run := range r.Runs {
		for _, p := range run.Curve {
			if p.Exact != 0 && p.Exact != 1 {
				t.Errorf("%+v: want the score of one row", p)
			}
		}
		last, all := run.Curve[len(run.Curve)-1], run.Scores[0].Exact
		if four := 4 * all; four != float64(int(four)) {
			t.Errorf("the score %v is not one of four rows", all)
		}
		apart = apart || last.Exact != all
	}
	if !apart {
		t.Error("no run has another score on all rows than on the first: the test says nothing")
	}
	e.Train.CurveRows = 2 // tries that chose rates are not made again
	if p, err := MakePlan(t.Context(), e, out, options(1)); err != nil || p.Missing.Tuning != 0 || p.Missing.Scored == 0 {
		t.Errorf("plan %+v, %v", p, err)
	}
}

func checkOwnReport(t *testing.T, r *Results) {
	t.Helper()
	var page strings.Builder
	if err := r.Report(&page); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "letters, %") ||
		!strings.Contains(page.String(), "The rate rises for 1 steps and then stays") {
		t.Error("the report has letters, or does not say that the rate is constant")
	}
}

func TestMaterialRefusesWhatIsLearnt(t *testing.T) {
	e := own(t, func(name string, lines []string) []string {
		if name == "test.jsonl" {
			lines[3] = `{"prompt": "7:", "completion": "7"}`
		}
		return lines
	})
	_, err := e.read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "task digits:") ||
		!strings.Contains(err.Error(), "want no test row that is learned") {
		t.Errorf("got error %v", err)
	}
	e = own(t, same)
	e.Train.ValidationRows = 8
	if _, err = e.read(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "task yes or no: want rows to train on beside 8 for validation, got 0 and 8") {
		t.Errorf("got error %v", err)
	}
}

// Tasks come in turn, and each row of a task once before any comes again.
func TestInTurn(t *testing.T) {
	byTask := [][]data.Sequence{make([]data.Sequence, 5), make([]data.Sequence, 3)}
	for task := range byTask {
		for i := range byTask[task] {
			byTask[task][i] = data.Sequence{Task: task, IDs: []int32{int32(i)}}
		}
	}
	next, again := inTurn(byTask, 1), inTurn(byTask, 1)
	seen := [2]map[int32]int{{}, {}}
	for i := range 60 {
		s := next()
		if s.Task != i%2 {
			t.Fatalf("draw %d is of task %d", i, s.Task)
		}
		if o := again(); o.Task != s.Task || o.IDs[0] != s.IDs[0] {
			t.Fatalf("draw %d of the same seed differs", i)
		}
		seen[s.Task][s.IDs[0]]++
		if n := len(byTask[s.Task]); (i/2+1)%n == 0 && len(seen[s.Task]) != n {
			t.Fatalf("after %d draws of task %d: %v", i/2+1, s.Task, seen[s.Task])
		}
	}
	for task, rows := range seen {
		for row, n := range rows {
			if n != 30/len(byTask[task]) {
				t.Errorf("row %d of task %d came %d times", row, task, n)
			}
		}
	}
}

func TestInPlace(t *testing.T) {
	for _, c := range []struct {
		want, got  string
		right, all int
	}{
		{"abcd", "abcd", 4, 4}, {"abcd", "bcda", 0, 4}, {"abcd", "ab", 2, 4}, {"abcd", "abcdabcd", 4, 4},
		{"äb", "äx", 1, 2}, {"ab", "", 0, 2},
	} {
		if right, all := inPlace(c.want, c.got); right != c.right || all != c.all {
			t.Errorf("%q for %q: %d of %d, want %d of %d", c.got, c.want, right, all, c.right, c.all)
		}
	}
}
