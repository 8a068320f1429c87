package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/train"
)

// agora runs the program as a user would.
func agora(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return agoraContext(context.Background(), args...)
}

func agoraContext(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

// mustJSON runs a command that must succeed and print JSON.
func mustJSON[T any](t *testing.T, args ...string) T {
	t.Helper()
	code, stdout, stderr := agora(t, append(args, "--json")...)
	var v T
	if code != 0 {
		t.Fatalf("agora %v: exit code %d\n%s", args, code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatalf("agora %v: %v in\n%s", args, err, stdout)
	}
	return v
}

// realModel is the small trained model of AGORA_DATA, and Alpaca's rows.
func realModel(t *testing.T) (model, alpaca string) {
	t.Helper()
	dir := realdata.Folder(t)
	return filepath.Join(dir, "models", "stories260K-hf"), filepath.Join(dir, "alpaca", "alpaca_data.json.gz")
}

// someRows is a small file of rows, so that tests need not read all of Alpaca.
func someRows(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	var text strings.Builder
	for _, w := range []string{"cat", "dog", "bird", "fish", "cow", "hen", "ant", "bee", "owl", "fox", "pig", "rat"} {
		text.WriteString(`{"instruction": "Say ` + w + `.", "input": "", "output": "The ` + w + ` is happy."}` + "\n")
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDoctor(t *testing.T) {
	r := mustJSON[report](t, "doctor")
	if r.CPU.Threads < 1 || r.CPU.GEMM == "" || r.Go == "" || r.Vulkan.Auto == "" ||
		len(r.Vulkan.Devices) == 0 == (r.Vulkan.Problem == "") {
		t.Errorf("doctor found %+v", r)
	}
	code, stdout, _ := agora(t, "doctor")
	if code != 0 || !strings.Contains(stdout, "matrix kernel") {
		t.Errorf("exit code %d, printed\n%s", code, stdout)
	}
}

func TestTrainThenGenerate(t *testing.T) {
	model, _ := realModel(t)
	rows := someRows(t)
	out := filepath.Join(t.TempDir(), "adapter")
	s := mustJSON[train.Summary](t, "train", "--model", model, "--data", rows, "--out", out,
		"--steps", "40", "--lr", "1e-2", "--held-out", "2", "--eval-every", "20")
	if s.Steps != 40 || s.Interrupted || s.TrainRows != 10 || s.HeldOutRows != 2 {
		t.Errorf("summary %+v", s)
	}
	if s.HeldOutBefore == nil || s.HeldOutAfter == nil || *s.HeldOutAfter > *s.HeldOutBefore-1 {
		t.Errorf("held-out loss %v before, %v after: want at least 1 nat less", s.HeldOutBefore, s.HeldOutAfter)
	}
	lines, err := os.ReadFile(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	steps, measured := 0, []int{}
	for line := range strings.Lines(string(lines)) {
		var r train.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		switch {
		case r.HeldOutLoss != nil:
			measured = append(measured, r.Step)
		case r.Loss != nil && r.Counted > 0 && r.Tokens >= r.Counted:
			steps++
		default:
			t.Errorf("line %s", line)
		}
	}
	if steps != 40 || !slices.Equal(measured, []int{0, 20, 40}) {
		t.Errorf("metrics have %d steps and measurements at %v", steps, measured)
	}
	g := mustJSON[generation](t, "generate", "--model", model, "--adapter", out, "--instruction", "Say cow.",
		"--greedy", "--max-tokens", "40")
	if !strings.Contains(g.Text, "### Instruction:\nSay cow.\n\n### Response: The cow is happy.") {
		t.Errorf("the adapter answers %q", g.Text)
	}
	_, stdout, _ := agora(t, "generate", "--model", model, "--adapter", out, "--instruction", "Say cow.", "--greedy",
		"--max-tokens", "40")
	if !strings.HasSuffix(strings.TrimSpace(g.Text), strings.TrimSpace(stdout)) ||
		strings.Contains(stdout, "Instruction") {
		t.Errorf("streamed %q, want only the answer of %q", stdout, g.Text)
	}
}

// Twenty steps, with any number of threads, write the same adapter, bit for bit.
func TestThreadsDoNotChangeTheAdapter(t *testing.T) {
	model, _ := realModel(t)
	rows := someRows(t)
	var want []byte
	for _, threads := range []string{"1", "2", "5"} {
		out := filepath.Join(t.TempDir(), "adapter")
		mustJSON[train.Summary](t, "train", "--model", model, "--data", rows, "--out", out, "--threads", threads,
			"--steps", "20", "--lr", "1e-3", "--held-out", "0", "--dropout", "0.05")
		got, err := os.ReadFile(filepath.Join(out, "adapter.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("--threads %s: other bits than with 1", threads)
		}
	}
}

func TestGenerateIsTheReference(t *testing.T) {
	model, _ := realModel(t)
	var want []struct {
		Prompt string  `json:"prompt"`
		IDs    []int32 `json:"ids"`
		Text   string  `json:"text"`
	}
	text, err := os.ReadFile(filepath.Join(model, "greedy.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		g := mustJSON[generation](t, "generate", "--model", model, "--prompt", w.Prompt, "--greedy", "--ignore-eos",
			"--max-tokens", "200")
		if n := min(len(w.IDs), len(g.IDs)); n < 190 || !slices.Equal(g.IDs[:n], w.IDs[:n]) {
			t.Errorf("%q: %d ids that differ from the reference's %d", w.Prompt, len(g.IDs), len(w.IDs))
		}
	}
}

func TestInterruptSaves(t *testing.T) {
	model, _ := realModel(t)
	out := filepath.Join(t.TempDir(), "adapter")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ctx = watched{ctx, filepath.Join(out, train.MetricsFile), recorded(1), cancel}
	code, stdout, stderr := agoraContext(ctx, "train", "--model", model, "--data", someRows(t), "--out", out,
		"--steps", "1000000", "--held-out", "0", "--json")
	var s train.Summary
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != exitInterrupted {
		t.Fatalf("exit code %d, %v\n%s", code, err, stderr)
	}
	if !s.Interrupted || s.Steps != 1 {
		t.Errorf("summary %+v, want a run interrupted after its first step", s)
	}
	mustJSON[generation](t, "generate", "--model", model, "--adapter", out, "--prompt", "One day", "--max-tokens", "3")
}

// An interrupted start must leave everything as it was.
func TestInterruptBeforeTheFirstStep(t *testing.T) {
	model, _ := realModel(t)
	out := filepath.Join(t.TempDir(), "adapter")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code, _, stderr := agoraContext(ctx, "train", "--model", model, "--data", someRows(t), "--out", out, "--held-out",
		"2")
	if code != exitInterrupted || !strings.Contains(stderr, "interrupted before the first step") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("--out: %v, want no folder", err)
	}
	if code, _, stderr = agoraContext(ctx, "demo"); code != exitInterrupted ||
		stderr != "agora: interrupted\n" && !strings.HasSuffix(stderr, "\nagora: interrupted\n") {
		t.Errorf("demo: exit code %d, %s", code, stderr)
	}
}

// An adapter that is there already is not overwritten, and gets no other run's metrics.
func TestTrainKeepsAnEarlierAdapter(t *testing.T) {
	model, _ := realModel(t)
	out := t.TempDir()
	for _, name := range []string{"adapter.json", "metrics.jsonl"} {
		if err := os.WriteFile(filepath.Join(out, name), []byte("earlier"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, _, stderr := agora(t, "train", "--model", model, "--data", someRows(t), "--out", out, "--held-out", "2",
		"--steps", "1")
	if code != 1 || !strings.Contains(stderr, "holds adapter.json") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	for _, name := range []string{"adapter.json", "metrics.jsonl"} {
		if text, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(text) != "earlier" {
			t.Errorf("%s is now %q, %v", name, text, err)
		}
	}
}

func TestErrors(t *testing.T) {
	model, _ := realModel(t)
	rows := someRows(t)
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`[{"instruction": "a", "output": "b"}, {"instruction": 3}]`),
		0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "never")
	trainWith := func(flags ...string) []string {
		return append([]string{"train", "--model", model, "--data", rows, "--out", out, "--held-out", "2"}, flags...)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"train"}, "--model: want a folder or file, got none"},
		{[]string{"dance"}, `unknown command "dance"`},
		{trainWith("--steps", "0"), "--steps: want at least 1, got 0"},
		{trainWith("--steps", "5", "--warmup-steps", "6"), "--warmup-steps: want at most the 5 steps, got 6"},
		{trainWith("--lr", "-1"), "--lr: want a finite number of at least 0, got -1"},
		{trainWith("--rank", "0"), "--rank: want at least 1, got 0"},
		{trainWith("--method", "vera"), `want multilora, lora, rslora, dora or full, got "vera"`},
		{trainWith("--schedule", "step"), `got "step"`},
		{trainWith("--dtype", "int8"), `want auto, f32, bf16, f16, q8, q4, q4_k or nf4, got "int8"`},
		{trainWith("--targets", "nothing_proj"), "nothing_proj"},
		{trainWith("--device", "cuda:0"), `device "cuda:0"`},
		{trainWith("--max-tokens", "513"), "at most the 512 positions of the model, got 513"},
		{trainWith("--held-out", "12"), "fewer than the data's 12 sequences with a counted token within 512 tokens, got 12"},
		{trainWith("--data", bad), "row 2 (line 1)"},
		{trainWith("--data", filepath.Join(t.TempDir(), "none.json")), "none.json"},
		{trainWith("--model", t.TempDir()), "--model: open "},
		{trainWith("--memory-limit", "1"), "of memory, 1.0 MiB is available"},
		{[]string{"generate", "--model", model}, "either --prompt or --instruction"},
		{[]string{"generate", "--model", model, "--prompt", "a", "--max-tokens", "0"}, "--max-tokens 0"},
		{[]string{"generate", "--model", model, "--prompt", "a", "--adapter", model}, "adapter"},
		{[]string{"generate", "--model", model, "--prompt", strings.Repeat("word ", 600)}, "the model's 512 positions"},
	} {
		code, _, stderr := agora(t, c.args...)
		if code != 1 || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "goroutine") {
			t.Errorf("agora %v: exit code %d, want 1 and %q in\n%s", c.args, code, c.want, stderr)
		}
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("a failed run left %s behind (%v)", out, err)
	}
}
