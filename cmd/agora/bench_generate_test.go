package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/backend/cpu"
	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/testdevice"
)

// Where AGORA_TEST_DEVICE names a Vulkan device, it is what is measured.
func TestBenchGenerate(t *testing.T) {
	args := []string{"bench", "generate", "--device", testdevice.Name(), "--threads", "1", "--shape", smallShape(t)}
	r := mustJSON[bench.Generation](t, append(args, "--dtype", "bf16", "--prompt", "5", "--tokens", "4", "--rows", "2",
		"--rounds", "2")...)
	const blocks = 2 * (2*32*32 + 2*16*32 + 3*64*32 + 2*32)
	if r.Parameters != blocks+2*96*32+32 || r.DType != "bf16" || r.ComputeDType != "bf16" || r.Rows != 2 {
		t.Errorf("measured %+v", r)
	}
	if norms := 2*2*32 + 32; r.Weights != 2*(blocks+96*32+32) && r.Weights != 2*(blocks+96*32+32)+2*norms {
		t.Errorf("%d bytes of weights for each token, want those of the blocks and the head", r.Weights)
	}
	if r.First <= 0 || r.BestFirst > r.First || r.Rate <= 0 || r.Best < r.Rate || r.PromptRate <= 0 {
		t.Errorf("speed %+v", r)
	}
	if want := r.Rate / 2 * float64(r.Weights) / 1e9; math.Abs(r.Bandwidth/want-1) > 1e-9 {
		t.Errorf("%v GB/s, want %v", r.Bandwidth, want)
	}
	var text strings.Builder
	printGeneration(&text, r)
	for _, part := range []string{"2 at once, 5 tokens, then 4", "first token", "GB/s", "bf16"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
	rounded := mustJSON[bench.Generation](t, append(args, "--dtype", "q8", "--prompt", "5", "--tokens", "4",
		"--rounds", "1", "--round-activations")...)
	if want := testdevice.Name() == "cpu" && cpu.Describe().Integers != ""; rounded.Rounded != want || r.Rounded {
		t.Errorf("rounded: %t and %t, want %t where it is asked for", r.Rounded, rounded.Rounded, want)
	}
	timed := mustJSON[bench.Generation](t, append(args, "--prompt", "5", "--tokens", "4", "--rounds", "1", "--kernels")...)
	for unit, list := range map[string][]bench.KernelTime{"prompt": timed.PromptKernels, "token": timed.TokenKernels} {
		i := slices.IndexFunc(list, func(k bench.KernelTime) bool { return strings.HasPrefix(k.Name, "attention") })
		if i < 0 || math.Round(list[i].Calls) != 2 || list[i].Milliseconds <= 0 { // one of each block
			t.Errorf("kernels of a %s: %+v, want attention twice", unit, list)
		}
		text.Reset()
		printGeneration(&text, timed)
		if !strings.Contains(text.String(), "ms a "+unit) {
			t.Errorf("no kernels of a %s in\n%s", unit, text.String())
		}
	}
	adapted := mustJSON[bench.Generation](t, append(args, "--prompt", "5", "--tokens", "4", "--rounds", "1",
		"--method", "multilora", "--rank", "2")...)
	// Three modules of rank 2 beside q, k, v, o, gate, up and down of both blocks.
	const modules = 2 * 6 * (4*32 + 2*(32+16) + 3*(32+64))
	if adapted.Method != "multilora" || adapted.Modules != 3 || adapted.Rank != 2 || adapted.Parameters != r.Parameters+modules+2*7*3 {
		t.Errorf("with an adapter measured %+v, want %d parameters more", adapted, modules+2*7*3)
	}
	for _, c := range [][]string{
		{"--method", "none"}, {"--rank", "4"}, {"--method", "lora", "--modules", "2"},
		{"--prompt", "0"}, {"--tokens", "1"}, {"--rows", "-1"}, {"--rounds", "0"}, {"--dtype", "q3"},
		{"--prompt", "13"}, {"--shape", "huge"}, {"--device", "cuda"},
	} {
		code, _, stderr := agora(t, append(append(args[:len(args):len(args)], "--prompt", "4", "--tokens", "4"), c...)...)
		if code != 1 || !strings.Contains(stderr, c[0][2:]) {
			t.Errorf("%v: exit code %d, said %q", c, code, stderr)
		}
	}
}
