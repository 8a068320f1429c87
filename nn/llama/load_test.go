package llama

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/tensor"
)

// Every way in which the weights can disagree with the configuration is an error that
// names the file, the tensor, what was wanted and what came; nothing is allocated.
func TestLoadRefuses(t *testing.T) {
	d := open(t)
	const key, head, embedding = "model.layers.1.self_attn.k_proj.weight", "lm_head.weight", "model.embed_tokens.weight"
	type tensors = map[string]safetensors.Tensor
	for name, c := range map[string]struct {
		config map[string]any
		change func(all tensors)
		want   string // "" if it must load
	}{
		"as it is": {nil, func(tensors) {}, ""},
		"old frequencies": {nil, func(all tensors) {
			all["model.layers.0.self_attn.rotary_emb.inv_freq"] = safetensors.FromFloat32s("", []int{8},
				make([]float32, 8))
		}, ""},
		"missing": {nil, func(all tensors) { delete(all, key) },
			"tensor " + key + ": want shape [32 64], got no such tensor"},
		"unexpected": {nil, func(all tensors) {
			all["model.layers.1.self_attn.k_proj.bias"] = safetensors.FromFloat32s("", []int{32}, make([]float32, 32))
		}, "tensor model.layers.1.self_attn.k_proj.bias: want no such tensor"},
		"wrong shape": {nil, func(all tensors) { all[key] = all["model.layers.1.self_attn.q_proj.weight"] },
			"tensor " + key + ": want shape [32 64], got [64 64]"},
		"wrong type": {nil, func(all tensors) {
			x := all[key]
			x.DType, x.Shape = safetensors.I32, slices.Clone(x.Shape)
			all[key] = x
		}, "tensor " + key + ": want F32, F16, BF16 or F64, got I32"},
		"more layers than tensors": {map[string]any{"num_hidden_layers": 60000}, func(tensors) {},
			"want the tensors of 60000 layers, got 21 tensors"},
		"one layer more": {map[string]any{"num_hidden_layers": 3}, func(tensors) {},
			"tensor model.layers.2.input_layernorm.weight: want shape [64], got no such tensor"},
		"one layer less": {map[string]any{"num_hidden_layers": 1}, func(tensors) {},
			"tensor model.layers.1.input_layernorm.weight: want no such tensor in a llama of this configuration, got one"},
		"a head that is not tied": {map[string]any{"tie_word_embeddings": true}, func(tensors) {},
			"tensor " + head + ": want no such tensor"},
		"a tied head": {map[string]any{"tie_word_embeddings": true}, func(all tensors) { delete(all, head) }, ""},
		"a tied head, twice": {map[string]any{"tie_word_embeddings": true},
			func(all tensors) { all[head] = all[embedding] }, ""},
		"huge sizes": {map[string]any{"hidden_size": 1 << 30, "vocab_size": 1 << 30}, func(tensors) {},
			"vocab_size × hidden_size: want matrices of at most 2147483647 numbers, got 1073741824 × 1073741824"},
	} {
		all := golden.Tensors(t, filepath.Join(golden.Folder(t), "llama-gqa"))
		c.change(all)
		dir := t.TempDir()
		golden.WriteTensors(t, filepath.Join(dir, safetensors.ModelFile), nil, all)
		if err := os.WriteFile(filepath.Join(dir, ConfigFile), with(t, c.config), 0o666); err != nil {
			t.Fatal(err)
		}

		before := d.Stats().Live
		_, err := Load(t.Context(), d, dir, LoadOptions{})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), dir)):
			t.Errorf("%s: error %v, want one with the file and %q", name, err, c.want)
		case c.want != "" && d.Stats().Live != before:
			t.Errorf("%s: %d bytes allocated before the error", name, d.Stats().Live-before)
		}
	}
	if _, err := Load(t.Context(), d, t.TempDir(), LoadOptions{}); err == nil ||
		!strings.Contains(err.Error(), ConfigFile) {
		t.Errorf("an empty folder: error %v, want one that names %s", err, ConfigFile)
	}
	if _, err := Load(t.Context(), d, ".", LoadOptions{DType: tensor.I32}); err == nil ||
		!strings.Contains(err.Error(), "i32") {
		t.Errorf("i32: error %v, want one that names it", err)
	}
}

// Loading tells of each tensor.
func TestLoadProgress(t *testing.T) {
	var told []int
	m, err := Load(t.Context(), open(t), filepath.Join(golden.Folder(t), "llama-gqa"),
		LoadOptions{Progress: func(done, tensors int) {
			if told = append(told, done); done != len(told) || tensors != 21 {
				t.Errorf("told %d of %d tensors, the %d. time", done, tensors, len(told))
			}
		}})
	if err != nil || len(told) != 21 || m.Embedding == nil {
		t.Errorf("told %v, error %v", told, err)
	}
}

// Loading holds one copy of the weights.
func TestLoadPeak(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := open(t)
		m, err := Load(t.Context(), d, filepath.Join(golden.Folder(t), "llama-gqa"), LoadOptions{DType: dt})
		if err != nil {
			t.Fatal(err)
		}
		largest := m.Embedding.Weight.Value.Numel() * 4
		if s := d.Stats(); s.Peak > s.Live+largest+1024 {
			t.Errorf("%s: peak of %d bytes for %d of weights, the largest tensor being %d", dt, s.Peak, s.Live, largest)
		}
	}
}

// Load ends when its context does, between tensors and within one.
func TestLoadEndsWithContext(t *testing.T) {
	d := open(t)
	dir := filepath.Join(golden.Folder(t), "llama-gqa")
	ctx, cancel := context.WithCancel(t.Context())
	loaded := 0
	_, err := Load(ctx, d, dir, LoadOptions{Progress: func(done, _ int) {
		if loaded = done; done == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || loaded != 2 {
		t.Errorf("error %v after %d tensors", err, loaded)
	}
	if _, err := Check(ctx, dir); err != nil {
		t.Errorf("Check, which reads no values: error %v", err)
	}
	within := &endsAt{Context: t.Context(), left: 3}
	if err := readIn(within, make([]byte, 9<<20)); !errors.Is(err, context.Canceled) || within.left != 0 {
		t.Errorf("within a tensor: error %v, %d looks left", err, within.left)
	}
	if err := readIn(t.Context(), make([]byte, 3<<20)); err != nil {
		t.Error(err)
	}
}

// endsAt is a context that ends after so many looks.
type endsAt struct {
	context.Context
	left int
}

func (e *endsAt) Err() error {
	if e.left == 0 {
		return context.Canceled
	}
	e.left--
	return nil
}
