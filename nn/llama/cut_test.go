//go:build linux || darwin

package llama

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/tensor"
)

// A file that loses its end while it is loaded is an error that names it, wherever its bytes
// are read: as they are, by a kernel's cast, or by the goroutines that quantize.
func TestLoadOfAFileCutShort(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := Config{
		ModelType: "llama", Vocab: 300, Hidden: 64, Intermediate: 64, Layers: 4, Heads: 2, KVHeads: 2, HeadDim: 32,
		MaxPositions: 64,
		NormEps:      1e-5, InitRange: 0.1, BOS: 1, EOS: []int32{2},
	}
	c.RoPE.Theta = 10000
	m, err := New(d, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"safetensors", "gguf"} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.Q8} {
			dir := t.TempDir()
			path, file := dir, filepath.Join(dir, "model.safetensors")
			save := func() error { return m.Save(dir) }
			if form == "gguf" {
				path = filepath.Join(dir, "model.gguf")
				file = path
				save = func() error { return m.SaveGGUF(path, GGUFOptions{DType: tensor.F32}) }
			}
			if err := save(); err != nil {
				t.Fatal(err)
			}
			cut := func(done, tensors int) {
				if done == 2 {
					if err := os.Truncate(file, 4096); err != nil {
						t.Error(err)
					}
				}
			}
			_, err := Load(t.Context(), d, path, LoadOptions{DType: dt, Progress: cut})
			if !errors.Is(err, mapped.ErrCutShort) || !strings.Contains(err.Error(), file+": the file was cut short") {
				t.Errorf("%s as %s: error %v", form, dt, err)
			}
			if err := save(); err != nil {
				t.Fatal(err)
			}
			again, err := Load(t.Context(), d, path, LoadOptions{DType: dt})
			if err != nil {
				t.Fatalf("%s as %s, whole again: %v", form, dt, err)
			}
			// What is loaded needs the file no more.
			if err := os.Truncate(file, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := again.Logits(Batch{Rows: 1, IDs: []int32{1, 2, 3}}).Tensor().Float32s(); err != nil {
				t.Errorf("%s as %s, after loading: %v", form, dt, err)
			}
		}
	}
}
