package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/eval"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// taskData is a folder with rows of every task but mmlu.
func taskData(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"boolq/val.jsonl": `{"question":"is it","passage":"it is","label":true}` + "\n" +
			`{"question":"was it","passage":"it is","label":false}` + "\n",
		"rte/val.jsonl":              `{"premise":"a b.","hypothesis":"a.","label":"entailment"}` + "\n",
		"wic/dev.jsonl":              `{"sentence1":"a b","sentence2":"b c","start1":2,"end1":3,"label":true}` + "\n",
		"multirc/val.jsonl":          `{"passage":{"text":"a","questions":[{"question":"b","idx":0,"answers":[{"text":"c","label":1,"idx":0}]}]}}` + "\n",
		"gsm8k/test.jsonl":           `{"question":"1?","answer":"#### 1"}` + "\n",
		"gsm8k/train.jsonl":          `{"question":"2?","answer":"#### 2"}` + "\n",
		"mmlu/test/anatomy_test.csv": "q,1,2,3,4,B\n",
		"mmlu/dev/anatomy_dev.csv":   "r,1,2,3,4,A\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestEvalTasks(t *testing.T) {
	model, root := tinymodel.Write(t), taskData(t)
	rows := filepath.Join(root, "rows.jsonl")
	if err := os.WriteFile(rows, []byte(strings.Repeat(`{"prompt":"a","completion":" b"}`+"\n", 3)),
		0o666); err != nil {
		t.Fatal(err)
	}
	adapter := filepath.Join(t.TempDir(), "adapter")
	mustJSON[train.Summary](t, "train", "--model", model, "--data", rows, "--out", adapter, "--steps", "5", "--lr",
		"1e-2", "--held-out", "0", "--max-tokens", "32")
	examples := filepath.Join(t.TempDir(), "examples.jsonl")
	args := []string{"eval", "--model", model, "--tasks", "all", "--task-data", root, "--adapters", "base," + adapter,
		"--shots", "1", "--examples", examples}
	got := mustJSON[[]measured](t, args...)
	if len(got) != 2 || got[0].Adapter != "base" || got[1].Adapter != adapter {
		t.Fatalf("%+v", got)
	}
	var names []string
	differ := false
	for i, r := range got[0].Tasks {
		names = append(names, r.Task)
		nll := func(r eval.Report) eval.Score {
			return r.Scores[slices.IndexFunc(r.Scores, func(s eval.Score) bool { return s.Name == "nll" })]
		}
		differ = differ || nll(r) != nll(got[1].Tasks[i])
	}
	if !slices.Equal(names, []string{"mmlu", "boolq", "multirc", "rte", "wic", "gsm8k"}) || !differ {
		t.Errorf("tasks %q; the adapter changes something: %v", names, differ)
	}
	alone := mustJSON[[]measured](t, "eval", "--model", model, "--adapter", adapter, "--tasks", "boolq",
		"--task-data", "boolq="+filepath.Join(root, "boolq/val.jsonl"))
	alone[0].Tasks[0].Seconds, got[1].Tasks[1].Seconds = 0, 0
	if a, b := asText(alone[0].Tasks[0]), asText(got[1].Tasks[1]); a != b {
		t.Errorf("by --adapter %s\nby --adapters %s", a, b)
	}

	// An interrupted run goes on: here behind half of a line.
	whole, err := os.ReadFile(examples)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	if len(lines) != 1+2*7+1 { // the head, 7 examples of two subjects, and the end
		t.Fatalf("%d lines", len(lines))
	}
	if err := os.WriteFile(examples, []byte(strings.Join(lines[:6], "")+lines[6][:10]), 0o666); err != nil {
		t.Fatal(err)
	}
	again := mustJSON[[]measured](t, append(args, "--resume")...)
	for i := range again {
		for k := range again[i].Tasks {
			again[i].Tasks[k].Seconds, got[i].Tasks[k].Seconds = 0, 0
		}
	}
	if asText(again) != asText(got) {
		t.Errorf("resumed %s\nwant %s", asText(again), asText(got))
	}
	if now, _ := os.ReadFile(examples); string(now) != string(whole) {
		t.Errorf("the examples' file differs from that of one run:\n%s\n%s", now, whole)
	}

	code, out, _ := agora(t, "eval", "--model", model, "--tasks", "boolq", "--task-data", root)
	if code != 0 || !strings.Contains(out, "boolq  accuracy") || !strings.Contains(out, "majority  0.5000") {
		t.Errorf("code %d\n%s", code, out)
	}
}

func asText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestEvalTasksErrors(t *testing.T) {
	model, root := tinymodel.Write(t), taskData(t)
	taken := filepath.Join(root, "taken")
	if err := os.WriteFile(taken, []byte(`{"format":"another"}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"--tasks boolq", "--task-data is missing"},
		{"--tasks boolq --task-data none", "--task-data: task boolq: none/boolq: want val.jsonl, validation.jsonl"},
		{"--tasks boolq --task-data rte={}/rte/val.jsonl",
			"--task-data: want a folder, or boolq=PATH, for the task boolq, got neither"},
		{"--tasks boolq --task-data x={}", `task "x": want one of mmlu`},
		{"--tasks boolq,boolq --task-data {}", "--tasks: want each task once, got boolq again"},
		{"--tasks all,boolq --task-data {}", "--tasks: want all alone, got others with it"},
		{"--tasks boolq --task-data boolq={}/rte/val.jsonl",
			"rte/val.jsonl:1: field label: want true or false, got a string"},
		{"--tasks boolq --task-data {} --shots 1", "task boolq: want 0 to 0 solved examples before a question, got 1"},
		{"--tasks boolq --task-data {} --limit -1", "--limit -1: want at least 0"},
		{"--tasks boolq --task-data {} --batch-tokens 0", "--batch-tokens 0: want 1 to"},
		{"--tasks boolq --task-data {} --resume", "--resume: want the --examples to go on with, got none"},
		{"--tasks boolq --task-data {} --examples {}/taken",
			"want the name of a new file (or --resume to go on with it), got one that is there"},
		{"--tasks boolq --task-data {} --examples {}/taken --resume",
			`want the examples of this model and these data, {"format":"agora-eval-examples"`},
		{"--tasks boolq --task-data {} --adapter a --adapters b", "want --adapter or --adapters, got both"},
		{"--tasks boolq --task boolq", "--task is --tasks: want one of them, got both"},
		{"--logits --tasks boolq", "--logits: want it without --tasks, got both"},
		{"", "--tasks is missing"},
	} {
		args := append([]string{"eval", "--model", model}, strings.Fields(strings.ReplaceAll(c.args, "{}", root))...)
		if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: code %d\ngot  %s\nwant %s", c.args, code, stderr, c.want)
		}
	}
}

func TestEvalLogits(t *testing.T) {
	model := tinymodel.Write(t)
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	got := mustJSON[struct {
		IDs    []int32
		Logits [][]float32
	}](t, "eval", "--logits", "--model", model, "--text", file)
	if len(got.IDs) < 3 || len(got.Logits) != len(got.IDs) || len(got.Logits[0]) != tinymodel.Config().Vocab {
		t.Errorf("%d ids, %d logits", len(got.IDs), len(got.Logits))
	}
	code, _, stderr := agora(t, "eval", "--logits", "--model", model, "--text", file, "--window", "2")
	if want := "first 2 tokens of"; code != 0 || !strings.Contains(stderr, want) {
		t.Errorf("code %d, want %q in %q", code, want, stderr)
	}
	code, _, stderr = agora(t, "eval", "--logits", "--model", model, "--text", file, "--window", "100000")
	if want := "--window 100000: want at most the model's"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("code %d, want %q in %q", code, want, stderr)
	}
	weights := filepath.Join(model, "model.safetensors")
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		data[len(data)-1-i] = 0xff // the last weight is not a number
	}
	if err := os.WriteFile(weights, data, 0o666); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := agora(t, "eval", "--logits", "--model", model, "--text", file)
	if want := "behind token 0 of the text is NaN"; code != 1 || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("code %d, want %q in %q, and nothing else: %q", code, want, stderr, stdout)
	}
}
