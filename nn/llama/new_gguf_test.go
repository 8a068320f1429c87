package llama

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// A file of random weights is a model that loads: matrices of the configuration's deviation that differ from each other
// and from row to row, norms that multiply by one, biases of zero.
func TestNewGGUF(t *testing.T) {
	d := open(t)
	wide := map[string]any{"hidden_size": 256, "intermediate_size": 512, "vocab_size": 640, "moe_intermediate_size": 64}
	for _, kind := range []string{"llama", "qwen2", "gemma3_text", "mixtral"} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.Q8, tensor.Q4, tensor.Q4_K} {
			c := smallest(t, kind, wide)
			path := filepath.Join(t.TempDir(), "random.gguf")
			if err := NewGGUF(t.Context(), path, c, GGUFOptions{DType: dt}, 3); err != nil {
				t.Fatalf("%s in %s: %v", kind, dt, err)
			}
			var before []float32
			for name, p := range nn.Params(loadAs(t, d, path, dt)) {
				values, err := p.Value.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				if p.Value.Rank() == 1 {
					want := 1 - familyOf(kind).normOffset
					if strings.HasSuffix(name, ".bias") {
						want = 0
					}
					if values[0] != want || values[len(values)-1] != want {
						t.Errorf("%s in %s: %s begins with %v, want %v", kind, dt, name, values[0], want)
					}
					continue
				}
				sum := 0.0
				for _, x := range values {
					sum += float64(x) * float64(x)
				}
				if got := math.Sqrt(sum / float64(len(values))); math.Abs(got/float64(c.InitRange)-1) > 0.1 {
					t.Errorf("%s in %s: %s has the deviation %v, want %v", kind, dt, name, got, c.InitRange)
				}
				first, second := values[:32], values[p.Value.Dim(1):][:32]
				if slices.Equal(first, second) || slices.Equal(first, before) {
					t.Errorf("%s in %s: %s begins as its second row, or as the matrix before", kind, dt, name)
				}
				before = first
			}
		}
	}
}

// A file depends on the seed alone, and none is left of one that is given up.
func TestNewGGUFIsTheSameAgain(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, seed uint64) []byte {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := NewGGUF(t.Context(), path, small("llama"), GGUFOptions{}, seed); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	a, b := write("a", 1), write("b", 2)
	if !bytes.Equal(a, write("again", 1)) || bytes.Equal(a, b) {
		t.Error("want the same bytes of the same seed alone")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	gone := filepath.Join(dir, "gone")
	if err := NewGGUF(ended, gone, small("llama"), GGUFOptions{}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("there is a file that was given up")
	}
	if err := NewGGUF(t.Context(), gone, small("llama"), GGUFOptions{DType: tensor.NF4}, 1); err == nil ||
		!strings.Contains(err.Error(), "want f32, f16, bf16, q8, q4 or q4_k") {
		t.Errorf("in nf4: %v", err)
	}
}
