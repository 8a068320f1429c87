package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
	"github.com/agora-ml/agora/train"
)

// A quantized file stays as it lies unless somebody asks for another type, is told so, and trains to the bits of its
// weights in f32; a run whose record says f32 goes on in f32.
func TestQuantizedModelsStayAsTheyLie(t *testing.T) {
	folder := tinymodel.Write(t)
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.Load(t.Context(), d, folder, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "model.gguf")
	if err := m.SaveGGUF(file, llama.GGUFOptions{DType: tensor.Q8}); err != nil {
		t.Fatal(err)
	}
	settings := append(hardRun(t), "--model", file, "--tokenizer", folder, "--device", "cpu")
	run := func(name string, flags ...string) (out, said string) {
		out = filepath.Join(t.TempDir(), name)
		code, stdout, stderr := agora(t, append(append(settings, "--out", out), flags...)...)
		if code != 0 {
			t.Fatalf("%v: exit code %d\n%s", flags, code, stderr)
		}
		return out, stdout + stderr
	}
	stored, said := run("stored")
	wide, saidWide := run("wide", "--dtype", "f32")
	const told = "over weights in q8, f32\n"
	if !strings.Contains(said, told) || strings.Contains(saidWide, told) {
		t.Errorf("told\n%s\nand in f32\n%s", said, saidWide)
	}
	config := func(out string) string { return runFiles(t, out)[train.ConfigFile] }
	if !strings.Contains(config(stored), "\ndtype: auto\n") || !strings.Contains(config(wide), "\ndtype: f32\n") {
		t.Errorf("recorded\n%s\nand in f32\n%s", config(stored), config(wide))
	}
	if a, b := runFiles(t, stored), runFiles(t, wide); a[multilora.TensorFile] != b[multilora.TensorFile] ||
		a[multilora.TensorFile] == "" {
		t.Error("another adapter than over the weights in f32")
	}
	parts := filepath.Join(t.TempDir(), "parts")
	stop(t, process(append(settings, "--out", parts, "--dtype", "f32")...), parts, 11, os.Interrupt, exitInterrupted)
	if text, err := process("train", "--out", parts, "--resume", "--device", "cpu").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	sameRuns(t, wide, parts)

	use := []string{"generate", "--model", file, "--tokenizer", folder, "--adapter", stored, "--prompt", "1:", "--greedy",
		"--max-tokens", "9", "--device", "cpu"}
	code, text, stderr := agora(t, use...)
	if code != 0 || !strings.Contains(stderr, "weights as the model has them: q8 f32 (--dtype f32 widens them)") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	code, same, stderr := agora(t, append(use, "--dtype", "f32")...)
	if code != 0 || strings.Contains(stderr, "weights as") || text != same || text == "" {
		t.Errorf("exit code %d, wrote %q, as stored %q\n%s", code, same, text, stderr)
	}
}
