package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/train"
)

// What a model says with its weights in the file is what it says with them in memory.
func TestOffloadedModelSpeaks(t *testing.T) {
	if !mapped.Paged {
		t.Skip("files are read whole here")
	}
	model, text := tinymodel.Write(t), textFile(t, "abc abc")
	adapter := filepath.Join(t.TempDir(), "adapter")
	mustJSON[train.Summary](t, "train", "--device", testdevice.Name(), "--model", model, "--data", text, "--steps", "3",
		"--max-tokens", "32", "--held-out", "0", "--out", adapter)
	common := []string{"--device", testdevice.Name(), "--model", model, "--adapter", adapter}
	generate := append([]string{"generate", "--prompt", "abc", "--max-tokens", "20", "--ignore-eos", "--seed", "4"}, common...)
	a := mustJSON[generation](t, generate...)
	if b := mustJSON[generation](t, append(generate, "--offload", "weights")...); !slices.Equal(a.IDs, b.IDs) || len(a.IDs) < 20 {
		t.Errorf("from the file %v, from memory %v", b.IDs, a.IDs)
	}
	eval := append([]string{"eval", "--task", "perplexity", "--text", text}, common...)
	if a, b := mustJSON[evaluation](t, eval...), mustJSON[evaluation](t, append(eval, "--offload", "weights")...); a.NLL != b.NLL {
		t.Errorf("from the file %v nats, from memory %v", b.NLL, a.NLL)
	}
	if code, _, stderr := agora(t, append(eval, "--offload", "all")...); code != 1 ||
		!strings.Contains(stderr, `--offload "all": want none or weights`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// A run on a device that has no room for the model trains with it streamed, to the bits of one that has the room.
func TestOffloadOnASmallDevice(t *testing.T) {
	if testdevice.Name() == "cpu" {
		t.Skip("a device with memory of its own is wanted: AGORA_TEST_DEVICE=vulkan")
	}
	shape := tinymodel.Config()
	shape.Hidden, shape.Intermediate, shape.HeadDim, shape.Layers = 256, 768, 64, 10
	model := tinymodel.WriteLike(t, shape)
	file, err := os.Stat(filepath.Join(model, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	settings := append(hardRun(t), "--device", testdevice.Name(), "--steps", "3", "--eval-every", "0", "--save-every", "0",
		"--batch-rows", "1", "--accumulate", "1", "--modules", "1", "--rank", "2", "--gradient-checkpointing", "--model", model)
	whole, streamed := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "run")
	mustJSON[train.Summary](t, append(settings, "--out", whole)...)
	const limit = 20 << 20
	if file.Size() < limit*5/4 {
		t.Fatalf("a model of %d bytes", file.Size())
	}
	small := append(settings, "--memory-limit", "20MiB", "--out", streamed)
	if code, _, stderr := agora(t, small...); code != 1 || !strings.Contains(stderr, "offload: weights") {
		t.Errorf("with all weights on the device: exit code %d, %s", code, stderr)
	}
	s := mustJSON[train.Summary](t, append(small, "--offload", "weights")...)
	if s.PeakBytes > limit {
		t.Errorf("%d bytes of tensors on a device of %d", s.PeakBytes, limit)
	}
	a, b := runFiles(t, whole), runFiles(t, streamed)
	if a[multilora.TensorFile] != b[multilora.TensorFile] || a[multilora.TensorFile] == "" {
		t.Error("another adapter than with all weights on the device")
	}
}
