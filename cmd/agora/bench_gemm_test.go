package main

import (
	"math"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/testdevice"
)

func TestBenchGEMM(t *testing.T) {
	r := mustJSON[bench.GEMM](t, "bench", "gemm", "--device", testdevice.Name(), "--threads", "1", "--sizes",
		"64,3x96x32",
		"--dtype", "f32,bf16,q8", "--rounds", "2", "--round", "1ms", "--peak", "2", "--bandwidth", "100")
	if len(r.Products) != 2*(3+3+2) || r.Peak != 2 {
		t.Fatalf("measured %+v", r)
	}
	for _, p := range r.Products {
		flops := 2 * float64(p.M*p.N*p.K)
		if p.Calls < 1 || p.Milliseconds <= 0 || math.Abs(p.TFLOPS*p.Milliseconds*1e9/flops-1) > 1e-9 ||
			p.Best < p.TFLOPS || !p.Right() || p.Deviation == 0 {
			t.Errorf("%+v", p)
		}
		bytes := map[string]float64{"f32": 4, "bf16": 2, "q8": 34.0 / 32}[p.DType] * float64(p.K*p.N)
		if others := float64(p.M * (p.K + p.N)); p.DType == "bf16" {
			bytes += 2 * others
		} else {
			bytes += 4 * others
		}
		if math.Abs(p.GBs*p.Milliseconds*1e6/bytes-1) > 1e-9 || math.Abs(p.Utilization*2/p.TFLOPS-1) > 1e-9 ||
			math.Abs(p.OfBandwidth*100/p.GBs-1) > 1e-9 {
			t.Errorf("%v GB/s, %v of the peak: %+v", p.GBs, p.Utilization, p)
		}
	}
	if last := r.Products[len(r.Products)-1]; last.DType != "q8" || last.Layout != "NT" || last.M != 3 ||
		last.N != 96 || last.K != 32 {
		t.Errorf("the last product is %+v", last)
	}
	code, stdout, stderr := agora(t, "bench", "gemm", "--device", "cpu", "--sizes", "32", "--layouts", "TN",
		"--rounds", "1", "--round", "0s", "--peak", "1")
	if code != 0 || !strings.Contains(stdout, "f32  TN 32 x 32 x 32  ") || strings.Contains(stdout, "f32  N") ||
		!strings.Contains(stdout, "device: cpu") {
		t.Errorf("exit code %d, printed\n%s%s", code, stdout, stderr)
	}
}

// On a Vulkan device, every form of the kernel is measured and named.
func TestBenchGEMMForms(t *testing.T) {
	if testdevice.Name() == "cpu" {
		t.Skip("the CPU has one form")
	}
	args := []string{"bench", "gemm", "--device", testdevice.Name(), "--sizes", "32", "--dtype", "f16", "--rounds",
		"1", "--round", "0s"}
	r := mustJSON[bench.GEMM](t, append(args, "--form", "matmul=64:32x32x16", "--form", "matmul=128:64x64x16",
		"--form", "matmul=64:1024x1024x512")...)
	if len(r.Products) != 7 {
		t.Fatalf("measured %+v", r.Products)
	}
	for i, p := range r.Products[:6] {
		if want := []string{"matmul 64:32x32x16", "matmul 128:64x64x16"}[i/3]; p.Form.String() != want ||
			!p.Right() || p.Problem != "" {
			t.Errorf("%s: %+v, want %s", p.Form, p, want)
		}
	}
	if p := r.Products[6]; !strings.Contains(p.Problem, "bytes of shared memory") || p.TFLOPS != 0 {
		t.Errorf("a tile that is too large: %+v", p)
	}
	few := mustJSON[bench.GEMM](t, append(args, "--sizes", "8x40x32,9x40x32", "--form", "matmul_gemv=64:8x4x512")...)
	if len(few.Products) != 1 || few.Products[0].M != 8 || few.Products[0].Layout != "NT" ||
		few.Products[0].Problem != "" || !few.Products[0].Right() {
		t.Errorf("of eight and nine rows in three layouts, a shader for few rows measured %+v", few.Products)
	}
	var text strings.Builder
	r.Products[0].TFLOPS, r.Products[3].TFLOPS, r.Products[3].Deviation = 1, 2, 3
	printFastest(&text, r.Products)
	if !strings.Contains(text.String(), "fastest: f16  NN 32 x 32 x 32, matmul 64:32x32x16, 1 TFLOP/s\n") ||
		strings.Count(text.String(), "\n") != 3 {
		t.Errorf("of a right form and a faster one that is wrong:\n%s", text.String())
	}
}

func TestBenchGEMMRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		`--sizes: want N or MxNxK of whole numbers from 1 to 32768, got "0"`: {"--sizes", "0"},
		`got "64x64x99999"`:                                        {"--sizes", "32,64x64x99999"},
		`--sizes: want N or MxNxK, got "4x"`:                       {"--sizes", "4x"},
		"--sizes: want at least one":                               {"--sizes", ""},
		"--layouts: want at least one":                             {"--layouts", ""},
		`--layouts: want NN, NT, TN, got "TT"`:                     {"--layouts", "NT,TT"},
		`--dtype "i32": want one of`:                               {"--dtype", "f32,i32"},
		"--rounds: want at least 1, got 0":                         {"--rounds", "0"},
		"--round: want at least 0s, got -1s":                       {"--round", "-1s"},
		"--bandwidth: want at least 0, got NaN":                    {"--bandwidth", "NaN"},
		"--peak: want at least 0, got -1":                          {"--peak", "-1"},
		`device "cuda"`:                                            {"--device", "cuda"},
		"rows of b have 33 numbers: want whole blocks of 32 in q4": {"--dtype", "q4", "--sizes", "2x33x32"},
		"out of memory":                                            {"--memory-limit", "1", "--sizes", "1024"},
	} {
		code, _, stderr := agora(t, append([]string{"bench", "gemm", "--device", "cpu", "--peak", "1"}, args...)...)
		if code != 1 || !strings.Contains(stderr, want) || strings.Contains(stderr, "internal") {
			t.Errorf("%v: exit code %d, want %q, said %q", args, code, want, stderr)
		}
	}
}
