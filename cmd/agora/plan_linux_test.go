package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/realdata"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
	"github.com/agora-ml/agora/train"
)

// BenchmarkPlan compares what agora plan says with the largest tensor memory and the
// largest resident memory of an agora train of its own process, in per cent: the table
// "Memory" of docs/benchmarks.md.
//
//	AGORA_DATA=… go test ./cmd/agora -run '^$' -bench Plan -benchtime 1x -v
func BenchmarkPlan(b *testing.B) {
	root := realdata.Folder(b)
	data := func(path string) string { return filepath.Join(root, filepath.FromSlash(path)) }
	big, program := saveModel(b, nil), filepath.Join(b.TempDir(), "agora")
	experts := saveModel(b, func(c *llama.Config) {
		c.ModelType, c.Mixture = "qwen3_moe", &llama.Mixture{Experts: 16, Chosen: 4, Intermediate: 256, SumsToOne: true}
	})
	if text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	stories := []string{"--model", data("models/stories260K-hf"), "--data", data("alpaca/alpaca_data.json.gz")}
	baby := []string{"--model", data("models/babyllama-tok105-hf"), "--data",
		data("text/tinystories_lowercase_part.txt.gz"), "--max-tokens", "256"}
	text := []string{
		"--model", big, "--tokenizer", data("tokenizer/llama2"), "--data", data("text/tinyshakespeare.txt"),
		"--max-tokens", "256", "--batch-rows", "8", "--rank", "32",
	}
	mixture := append([]string{"--model", experts}, text[2:]...)
	for _, c := range []struct {
		name     string
		settings []string
	}{
		{"stories260K", append(stories, "--batch-rows", "16", "--accumulate", "2")},
		{"babyllama-bf16", append(baby, "--batch-rows", "32", "--dtype", "bf16", "--method", "lora", "--dropout",
			"0.05")},
		{"15m", text},
		{"15m-checkpointing", append(text, "--gradient-checkpointing")},
		{"15m-q8", append(text, "--dtype", "q8")},
		{"15m-full", append(text, "--method", "full")},
		{"mixture", mixture},
		{"mixture-experts", append(mixture, "--targets", "v_proj,gate_proj,down_proj", "--rank", "4")},
		{"mixture-checkpointing", append(mixture, "--targets", "v_proj,gate_proj,down_proj", "--rank", "4",
			"--gradient-checkpointing", "--dtype", "q8")},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				measurePlan(b, program, c.settings)
			}
		})
	}
}

// saveModel saves a model of the shape of llama2.c's with 15 million parameters, with a change.
func saveModel(b *testing.B, change func(*llama.Config)) string {
	d, err := device.Open("cpu")
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	c := llama.Config{
		ModelType: "llama", Vocab: 32000, Hidden: 288, Intermediate: 768, Layers: 6, Heads: 6, KVHeads: 6,
		HeadDim: 48, MaxPositions: 256,
		NormEps: 1e-5, InitRange: 0.02, RoPE: ops.RoPEScaling{Theta: 10000}, Tied: true, BOS: 1, EOS: []int32{2},
	}
	if change != nil {
		change(&c)
	}
	m, err := llama.New(d, c, 1)
	if err != nil {
		b.Fatal(err)
	}
	folder := filepath.Join(b.TempDir(), "15m")
	if err := m.Save(folder); err != nil {
		b.Fatal(err)
	}
	return folder
}

// measurePlan has the program itself make the run: this test's own takes tens of MiB more.
func measurePlan(b *testing.B, program string, settings []string) {
	code, stdout, stderr := agoraContext(b.Context(),
		append([]string{"plan", "--device", "cpu", "--json"}, settings...)...)
	var plan planReport
	if err := json.Unmarshal([]byte(stdout), &plan); code != 0 || err != nil {
		b.Fatalf("exit code %d, %v\n%s", code, err, stderr)
	}
	out := filepath.Join(b.TempDir(), "run")
	run := exec.Command(program, append([]string{"train", "--device", "cpu", "--steps", "3", "--held-out", "32",
		"--out", out}, settings...)...)
	if text, err := run.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	text, err := os.ReadFile(filepath.Join(out, train.SummaryFile))
	var summary train.Summary
	if err == nil {
		err = json.Unmarshal(text, &summary)
	}
	if err != nil {
		b.Fatal(err)
	}
	resident := int(run.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) << 10
	for _, v := range []struct {
		name          string
		planned, seen int
	}{{"tensors", plan.Peak, summary.PeakBytes}, {"process", plan.Process, resident}} {
		const mib = 1 << 20
		b.Logf("%s: planned %.1f MiB, measured %.1f", v.name, float64(v.planned)/mib, float64(v.seen)/mib)
		b.ReportMetric(100*float64(v.planned)/float64(v.seen)-100, v.name+"-%")
	}
	b.ReportMetric(0, "ns/op")
}
