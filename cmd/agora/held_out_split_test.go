package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// A data set as datasets' save_to_disk wrote it trains, and its validation split is what the loss is measured on.
func TestHeldOutSplit(t *testing.T) {
	model := tinymodel.Write(t)
	writeFiles(t, model, map[string]string{"chat_template.jinja": "{% for m in messages %}{{ m.role[0] }}: " +
		"{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a: {% endif %}"})
	const dict = "../../data/testdata/arrow/dict"
	const read = "the split train is read; passed over, of other splits: "
	argsOf := func(data string, more ...string) []string {
		return append([]string{"train", "--model", model, "--data", data, "--steps", "2", "--max-tokens", "64",
			"--ignore-fields", "thinking", "--out", filepath.Join(t.TempDir(), "run")}, more...)
	}
	args := func(more ...string) []string { return argsOf(dict, more...) }
	s := mustJSON[train.Summary](t, args("--held-out-split", "validation")...)
	if s.TrainRows != 3 || s.HeldOutRows != 2 || s.HeldOutBefore == nil || s.HeldOutAfter == nil || s.Data.Rows != 5 {
		t.Errorf("summary %+v", s)
	}
	if one := mustJSON[train.Summary](t, args("--held-out-split", "val", "--held-out", "1")...); one.HeldOutRows != 1 ||
		one.TrainRows != 3 {
		t.Errorf("summary %+v", one)
	}
	code, _, stderr := agora(t, args("--held-out-split", "test")...)
	if code != 0 || !strings.Contains(stderr, "; 1 held out of the split test\n") ||
		!strings.Contains(stderr, read+filepath.Join(dict, "validation\n")) {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
	code, _, stderr = agora(t, args("--held-out", "0")...)
	if code != 0 ||
		!strings.Contains(stderr, filepath.Join(dict, "test")+" (held-out-split takes held-out rows of one)\n") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
	task := func(name string) string { return "{name: " + name + ", path: " + dict + "}" }
	mixed := mustJSON[train.Summary](t, argsOf(task("a"), "--data", task("b"), "--held-out-split", "validation")...)
	if mixed.TrainRows != 6 || mixed.HeldOutRows != 4 {
		t.Errorf("a mixture: %+v", mixed)
	}
	for _, c := range []struct {
		data string
		args []string
		want string
	}{
		{dict, []string{"--held-out-split", "dev2"}, `held-out-split: want rows of the split "dev2" in ` + dict +
			", got train, validation, test"},
		{dict, []string{"--held-out-split", "test", "--held-out", "0"}, "--held-out-split: want held-out rows beside it"},
		{dict, []string{"--held-out-split", "train"}, "want another split to hold out than that to train on, got train"},
		{"{task: boolq, path: x}", []string{"--held-out-split", "test"}, "got the task boolq beside"},
		{dict + "/train", []string{"--held-out-split", "test"}, "got train"},
	} {
		if code, _, stderr := agora(t, argsOf(c.data, c.args...)...); code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, want %q:\n%s", c.args, code, c.want, stderr)
		}
	}
	p := mustJSON[preview](t, "data", "preview", "--model", model, "--data", dict, "--held-out-split", "validation",
		"--ignore-fields", "thinking")
	if p.Totals.HeldOut != 2 || p.Totals.Sequences != 5 || len(p.Rows) != 3 {
		t.Errorf("preview %+v", p.Totals)
	}
	plan := mustJSON[train.Plan](t, "plan", "--model", model, "--data", dict, "--held-out-split", "validation",
		"--max-tokens", "64")
	if plan.Trained == 0 {
		t.Errorf("plan %+v", plan)
	}
}
