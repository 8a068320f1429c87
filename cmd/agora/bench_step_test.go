package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/testdevice"
)

// smallShape is a config.json of a tiny model.
func smallShape(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	text := `{"model_type": "llama", "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16}`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Where AGORA_TEST_DEVICE names a Vulkan device, it is what is measured.
func TestBenchStep(t *testing.T) {
	args := []string{"bench", "step", "--device", testdevice.Name(), "--threads", "1", "--shape", smallShape(t),
		"--steps", "2", "--warm-up", "1"}
	r := mustJSON[bench.TrainingStep](t, append(args, "--rank", "4", "--batch-rows", "2", "--accumulate", "2",
		"--peak", "0.5", "--kernels")...)
	// 2 blocks with q and o of 32 x 32, k and v of 16 x 32, three of 64 x 32 and two norms;
	// embedding and head of 96 x 32; a norm.
	const linear = 2 * (2*32*32 + 2*16*32 + 3*64*32)
	const adapters = 2 * 12 * (2*(32+32) + 2*(32+16) + 3*(32+64))
	if r.Parameters != linear+2*2*32+2*96*32+32 || r.Trained != adapters+2*7*3 || r.Tokens != 2*2*16 ||
		r.Context != 16 || r.Steps != 2 {
		t.Errorf("measured %+v", r)
	}
	if want := float64(2 * (linear + 96*32 + adapters)); r.FLOPs.Forward != want {
		t.Errorf("%v operations forward, want %v", r.FLOPs.Forward, want)
	}
	if perfect := math.Log(96); math.Abs(r.Losses[0]-perfect) > 0.1 || r.Losses[1] > r.Losses[0]+0.01 {
		t.Errorf("losses %v, want some %.2f of a model that knows nothing", r.Losses, perfect)
	}
	if r.TokensPerSecond <= 0 || r.Best < r.TokensPerSecond || r.Fastest > r.Milliseconds || r.Fill <= 0 ||
		r.First <= 0 {
		t.Errorf("speed %+v", r)
	}
	if rate := r.TokensPerSecond * r.FLOPs.Total() / 1e12; math.Abs(r.TFLOPS/rate-1) > 1e-9 || r.Peak != 0.5 ||
		math.Abs(r.Utilization/(rate/0.5)-1) > 1e-9 {
		t.Errorf("%v TFLOP/s, %v of %v, want %v", r.TFLOPS, r.Utilization, r.Peak, rate)
	}
	if r.Live <= 0 || r.Taken < r.Live || math.Abs(float64(r.Planned)/float64(r.Live)-1) > 0.2 {
		t.Errorf("memory %d, with the pool %d, planned %d", r.Live, r.Taken, r.Planned)
	}
	calls, share, products, square := map[string]float64{}, 0.0, 0.0, false
	for _, k := range r.Kernels {
		calls[k.Name] = k.Calls
		share += k.Share
		for _, s := range k.Shapes {
			products += s.Calls
			square = square || strings.HasPrefix(s.Name, "NT 32 x 32 x 32 f32*f32 to f32")
		}
	}
	norms := 2.0 * (2*2 + 1)
	if r.Device == "cpu" { // those of blocks are made again, but for the first, which nothing that trains is before
		norms += 2 * (2*2 - 1)
	}
	if calls["rms_norm"] != norms || calls["adamw"] < 1 || products < 7*2*2*2 || !square ||
		math.Abs(share-1) > 1e-9 {
		t.Errorf("kernels %+v", r.Kernels)
	}
	if r.Device != "cpu" && (r.Counts == nil || r.Counts.Dispatches < 100 || calls["barrier"] == 0) {
		t.Errorf("counts %+v, kernels %+v", r.Counts, r.Kernels)
	}
	var text strings.Builder
	printStep(&text, r)
	for _, want := range []string{"a step       64 tokens: 2 × 2 rows of 16", "tokens/s", "utilization", "rms_norm",
		" f32*f32 to f32 "} { // of the shapes only those that took longest
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

// Other storage types and methods, one step of each.
func TestBenchStepOfEveryType(t *testing.T) {
	shape := smallShape(t)
	for _, change := range [][]string{
		{"--dtype", "bf16"}, {"--dtype", "f16", "--gradient-checkpointing"}, {"--dtype", "q8", "--method", "lora"},
		{"--dtype", "q4"}, {"--method", "full"},
		{"--dtype", "q4", "--compute-dtype", "f16"}, {"--dtype", "q8", "--compute-dtype", "bf16"},
	} {
		args := []string{"bench", "step", "--device", testdevice.Name(), "--shape", shape, "--steps", "1",
			"--warm-up", "1", "--batch-rows", "1", "--peak", "1"}
		r := mustJSON[bench.TrainingStep](t, append(args, change...)...)
		if math.Abs(r.Losses[0]-math.Log(96)) > 0.1 || r.Kernels != nil ||
			change[0] == "--dtype" && r.DType != change[1] || r.Checkpointing != (len(change) == 3) {
			t.Errorf("%v: %+v", change, r)
		}
		compute := r.DType // of the activations
		if strings.HasPrefix(r.DType, "q") {
			compute = "f32"
		}
		if len(change) == 4 && change[2] == "--compute-dtype" {
			compute = change[3]
			var text strings.Builder
			if printStep(&text, r); !strings.Contains(text.String(),
				r.DType+", activations in "+compute+", multilora") {
				t.Errorf("%v: no activations' type in\n%s", change, text.String())
			}
		}
		if r.ComputeDType != compute {
			t.Errorf("%v: activations in %s, want %s", change, r.ComputeDType, compute)
		}
	}
}

func TestBenchStepRefuses(t *testing.T) {
	shape := smallShape(t)
	for want, args := range map[string][]string{
		`--shape: want a model's folder`:        {"--shape", "nowhere"},
		`"nowhere"`:                             {"--shape", "nowhere"},
		"--steps: want at least 1, got 0":       {"--steps", "0"},
		"--warm-up: want at least 1, got 0":     {"--warm-up", "0"},
		"--seconds: want at least 0, got -1":    {"--seconds", "-1"},
		"--peak: want at least 0, got NaN":      {"--peak", "NaN"},
		"--method: want ":                       {"--method", "magic"},
		"--max-tokens: want at most the 16 pos": {"--max-tokens", "17"},
		"--batch-rows: want at least 1, got 0":  {"--batch-rows", "0"},
		"--dtype: want f32, bf16 or f16 with":   {"--dtype", "q8", "--method", "full"},
		"--accumulate: want at least 1, got 0":  {"--accumulate", "0"},
		`device "cuda"`:                         {"--device", "cuda"},
		"the run needs ":                        {"--device", "cpu", "--memory-limit", "1", "--batch-rows", "16"},
		"unknown flag: --context":               {"--context", "5"},
	} {
		code, _, stderr := agora(t, append([]string{"bench", "step", "--device", "cpu", "--shape", shape}, args...)...)
		if code != 1 || !strings.Contains(stderr, want) || strings.Contains(stderr, "internal") {
			t.Errorf("%v: exit code %d, want %q, said %q", args, code, want, stderr)
		}
	}
}
