package multilora

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// ofType is a tiny model of another family.
func ofType(t *testing.T, d *tensor.Device, modelType string) *llama.Model {
	t.Helper()
	m := tiny(t, d)
	m.Config.ModelType = modelType
	return m
}

// A GGUF adapter read back is equal: of LoRA the same bits, of MultiLoRA those of the
// folded adapter.
func TestGGUFRoundTrip(t *testing.T) {
	for _, modelType := range []string{"llama", "mistral", "qwen2"} {
		for name, cfg := range exported() {
			t.Run(modelType+" "+name, func(t *testing.T) {
				d := open(t, 2)
				m := ofType(t, d, modelType)
				base := logits(t, m, batch())
				a := attach(t, m, cfg)
				trained(t, m, 8)
				want := logits(t, m, batch())
				far(t, want, base)
				path := filepath.Join(t.TempDir(), "adapter.gguf")
				if err := a.SaveGGUF(path, m.Config); err != nil {
					t.Fatal(err)
				}
				back := ofType(t, d, modelType)
				b, err := LoadGGUF(back, path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				got := logits(t, back, batch())
				if e := distance(got, want); e > 1e-5 ||
					cfg.Method == MethodLoRA && len(cfg.Alphas) == 0 && !slices.Equal(got, want) {
					t.Errorf("read back the logits are off by %g", e)
				}
				if !slices.Equal(b.Layers(), a.Layers()) {
					t.Errorf("read back on %v, want %v", b.Layers(), a.Layers())
				}
				// What was read is written again as it is.
				again := filepath.Join(t.TempDir(), "again.gguf")
				if err := b.SaveGGUF(again, m.Config); err != nil {
					t.Fatal(err)
				}
				x, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				y, err := os.ReadFile(again)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(x, y) {
					t.Error("written again it has other bytes")
				}
			})
		}
	}
}

// The file as llama.cpp loads it: keys, names, shapes, and the rows of B for queries and
// keys interleaved in every head, as those of the weights they are added to.
func TestGGUFFormat(t *testing.T) {
	for _, modelType := range []string{"llama", "qwen2"} {
		d := open(t, 1)
		m := ofType(t, d, modelType)
		cfg := kinds()["scalar"]
		a := attach(t, m, cfg)
		trained(t, m, 3)
		path := filepath.Join(t.TempDir(), "adapter.gguf")
		if err := a.SaveGGUF(path, m.Config); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for key, want := range map[string]any{
			"general.type": "adapter", "general.architecture": modelType, "adapter.type": "lora",
			"adapter.lora.alpha": float32(cfg.TotalRank()),
		} {
			if v, _ := f.Value(key); v != want {
				t.Errorf("%s is %v, want %v", key, v, want)
			}
		}
		if n := len(f.Tensors()); n != 2*len(a.layers) {
			t.Errorf("%d tensors for %d layers", n, len(a.layers))
		}
		folded, err := a.Fold()
		if err != nil {
			t.Fatal(err)
		}
		for layer, name := range map[string]string{
			"model.layers.1.self_attn.q_proj": "blk.1.attn_q.weight",
			"model.layers.0.self_attn.k_proj": "blk.0.attn_k.weight",
			"model.layers.0.self_attn.v_proj": "blk.0.attn_v.weight",
			"model.layers.1.self_attn.o_proj": "blk.1.attn_output.weight",
			"model.layers.0.mlp.gate_proj":    "blk.0.ffn_gate.weight",
			"model.layers.0.mlp.up_proj":      "blk.0.ffn_up.weight",
			"model.layers.1.mlp.down_proj":    "blk.1.ffn_down.weight",
		} {
			l, err := folded.find(layer)
			if err != nil {
				t.Fatal(err)
			}
			lora, b := read(t, l.A.Value), read(t, l.B.Value)
			out, in, rank := l.B.Value.Dim(0), l.A.Value.Dim(1), l.A.Value.Dim(0)
			if modelType == "llama" && (strings.HasSuffix(layer, "q_proj") || strings.HasSuffix(layer, "k_proj")) {
				moved := make([]float32, len(b))
				const head = 8 // rows
				for row := range out {
					j, at := row%head/(head/2), row%head%(head/2)
					copy(moved[(row/head*head+2*at+j)*rank:], b[row*rank:(row+1)*rank])
				}
				b = moved
			}
			for part, want := range map[string]struct {
				shape []int
				data  []float32
			}{".lora_a": {[]int{rank, in}, lora}, ".lora_b": {[]int{out, rank}, b}} {
				x, err := f.Tensor(name + part)
				if err != nil {
					t.Fatal(err)
				}
				got, err := x.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				if x.Type != gguf.F32 || !slices.Equal(x.Shape, want.shape) || !slices.Equal(got, want.data) {
					t.Errorf("%s: %s %s %v is not that of %s, F32 %v", modelType, x.Name, x.Type, x.Shape, layer,
						want.shape)
				}
			}
		}
	}
}

// llama.cpp multiplies by alpha / rank, and by 1 if alpha is 0 or missing;
// tensors may be of 16 bits.
func TestGGUFOfOthers(t *testing.T) {
	d := open(t, 1)
	const q, k = "blk.0.attn_v.weight", "blk.1.ffn_down.weight"
	ones := func(n int) []float32 { return slices.Repeat([]float32{1}, n) }
	for _, c := range []struct {
		alpha any
		typ   gguf.Type
		want  float64 // ΔW's elements of a layer of rank 2
	}{{float32(6), gguf.F32, 6}, {float32(0), gguf.F16, 2}, {nil, gguf.BF16, 2}} {
		path := filepath.Join(t.TempDir(), "a.gguf")
		metadata := []gguf.KeyValue{{Key: "general.architecture", Value: "llama"},
			{Key: "general.type", Value: "adapter"}, {Key: "adapter.type", Value: "lora"},
			{Key: "general.name", Value: "x"}}
		if c.alpha != nil {
			metadata = append(metadata, gguf.KeyValue{Key: "adapter.lora.alpha", Value: c.alpha})
		}
		writeGGUF(t, path, c.typ, metadata, map[string][]int{q + ".lora_a": {2, 24}, q + ".lora_b": {8, 2},
			k + ".lora_a": {3, 40}, k + ".lora_b": {24, 3}}, ones)
		a, err := LoadGGUF(tiny(t, d), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		delta, err := a.Delta("model.layers.0.self_attn.v_proj")
		if err != nil {
			t.Fatal(err)
		}
		if got := delta.At(7, 23); got != c.want {
			t.Errorf("alpha %v in %s: ΔW is %g, want %g", c.alpha, c.typ, got, c.want)
		}
	}
}

func writeGGUF(t *testing.T, path string, typ gguf.Type, metadata []gguf.KeyValue, shapes map[string][]int,
	values func(n int) []float32) {
	t.Helper()
	var sources []gguf.Source
	for name, shape := range shapes {
		x, err := gguf.FromFloat32s(name, typ, shape, values(tensor.Numel(shape)))
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, x.Source())
	}
	if err := gguf.Write(path, metadata, sources...); err != nil {
		t.Fatal(err)
	}
}

// Whatever is wrong with a file is named, and the model stays as it was.
func TestLoadGGUFErrors(t *testing.T) {
	d := open(t, 1)
	const name = "blk.0.attn_q.weight"
	zeros := func(n int) []float32 { return make([]float32, n) }
	type keys map[string]any
	type shapes map[string][]int
	for what, c := range map[string]struct {
		keys   keys   // beside or in place of the good ones; nil: without it
		shapes shapes // in place of the good ones
		want   string
	}{
		"a model": {keys{"general.type": "model"}, nil, `key "general.type": want "adapter", got "model"`},
		"no type": {keys{"general.type": nil}, nil, `key "general.type": want a value of type string, got none`},
		"a control vector": {keys{"adapter.type": "control_vector"}, nil,
			`key "adapter.type": want "lora", got "control_vector"`},
		"for qwen2": {keys{"general.architecture": "qwen2"}, nil,
			`key "general.architecture": want "llama", got "qwen2"`},
		"alpha in words": {keys{"adapter.lora.alpha": "8"}, nil,
			`key "adapter.lora.alpha": want a number of type float32 or float64, got the string "8"`},
		"negative alpha": {keys{"adapter.lora.alpha": float32(-8)}, nil,
			`key "adapter.lora.alpha": want a number of at least 0, got -8`},
		"activated LoRA": {keys{"adapter.alora.invocation_tokens": []uint32{1}}, nil,
			`key "adapter.alora.invocation_tokens": want no such key`},
		"no tensors": {nil, shapes{}, "want the tensors of at least one layer, got none"},
		"only A":     {nil, shapes{name + ".lora_a": {2, 24}}, `tensor "` + name + `.lora_b": want the tensor, got none`},
		"only B":     {nil, shapes{name + ".lora_b": {24, 2}}, `tensor "` + name + `.lora_a": want the tensor, got none`},
		"transposed A": {nil, shapes{name + ".lora_a": {24, 2}, name + ".lora_b": {24, 2}},
			`tensor "` + name + `.lora_a": want shape [rank 24] beside this model's weight f32[24 24], got [24 2]`},
		"ranks differ": {nil, shapes{name + ".lora_a": {2, 24}, name + ".lora_b": {24, 3}},
			`tensor "` + name + `.lora_b": want shape [24 2] beside this model's weight f32[24 24], got [24 3]`},
		"three dimensions": {nil, shapes{name + ".lora_a": {2, 24, 1}, name + ".lora_b": {24, 2}},
			`tensor "` + name + `.lora_a": want shape [rank 24]`},
		"of a block more": {nil, shapes{"blk.2.attn_q.weight.lora_a": {2, 24}, "blk.2.attn_q.weight.lora_b": {24, 2}},
			`tensor "blk.2.attn_q.weight.lora_`},
		"of the head": {nil, shapes{"output.weight.lora_a": {2, 24}, "output.weight.lora_b": {24, 2}},
			`tensor "output.weight.lora_b": want shape [61 2]`},
		"of the embedding": {nil, shapes{"token_embd.weight.lora_a": {2, 61}, "token_embd.weight.lora_b": {24, 2}},
			`tensor "token_embd.weight.lora_a": want shape [61 rank] beside`},
		"a norm": {nil, shapes{name + ".lora_a": {2, 24}, name + ".lora_b": {24, 2}, "blk.0.attn_norm.weight": {24}},
			`tensor "blk.0.attn_norm.weight": want lora_a or lora_b`},
	} {
		t.Run(what, func(t *testing.T) {
			all := keys{"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora",
				"adapter.lora.alpha": float32(4)}
			for k, v := range c.keys {
				all[k] = v
			}
			var metadata []gguf.KeyValue
			for k, v := range all {
				if v != nil {
					metadata = append(metadata, gguf.KeyValue{Key: k, Value: v})
				}
			}
			tensors := c.shapes
			if tensors == nil {
				tensors = shapes{name + ".lora_a": {2, 24}, name + ".lora_b": {24, 2}}
			}
			path := filepath.Join(t.TempDir(), "bad.gguf")
			writeGGUF(t, path, gguf.F32, metadata, tensors, zeros)
			failsGGUF(t, d, path, c.want)
		})
	}
	t.Run("cut short", func(t *testing.T) {
		m := tiny(t, d)
		path := filepath.Join(t.TempDir(), "short.gguf")
		a := attach(t, m, kinds()["lora"])
		if err := a.SaveGGUF(path, m.Config); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(data[:len(data)-100]))
		failsGGUF(t, d, path, "tensor")
		binary.LittleEndian.PutUint64(data[8:], 1<<60) // tensors
		write(t, path, string(data))
		failsGGUF(t, d, path, "")
	})
}

func failsGGUF(t *testing.T, d *tensor.Device, path, want string) {
	t.Helper()
	m := tiny(t, d)
	if _, err := LoadGGUF(m, path, Options{}); err == nil || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("got error %v, want it to name %s and say %q", err, path, want)
	}
	untouched(t, m)
}

func TestSaveGGUFErrors(t *testing.T) {
	d := open(t, 1)
	m := tiny(t, d)
	a := attach(t, m, kinds()["lora"])
	path := filepath.Join(t.TempDir(), "a.gguf")
	c := m.Config
	c.ModelType = "gpt2"
	if err := a.SaveGGUF(path, c); err == nil || !strings.Contains(err.Error(),
		path+`: llama: model_type: want "gemma2", `) || !strings.Contains(err.Error(), `got "gpt2"`) {
		t.Errorf("error %v", err)
	}
	c = m.Config
	c.Heads = 5 // does not divide the 24 rows
	if err := a.SaveGGUF(path, c); err == nil || !strings.Contains(err.Error(), "q_proj") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after errors there is a file: %v", err)
	}
}

// Of a model whose head is its embedding llama.cpp would adapt the one and not the other.
func TestGGUFOfATiedEmbedding(t *testing.T) {
	d := open(t, 1)
	untied := tiny(t, d)
	cfg := kinds()["lora"]
	cfg.Targets = []string{"q_proj", "embed_tokens"}
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := attach(t, untied, cfg).SaveGGUF(path, untied.Config); err != nil {
		t.Fatal(err)
	}
	shape := tiny(t, d).Config
	shape.Tied = true
	m, err := llama.New(d, shape, 7)
	if err != nil {
		t.Fatal(err)
	}
	const want = `tensor "token_embd.weight.lora_a": want none beside the embedding of a model whose head it is`
	if _, err := LoadGGUF(m, path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	err = attach(t, m, cfg).SaveGGUF(path, m.Config)
	if err == nil || !strings.Contains(err.Error(), "model.embed_tokens is the head as well") {
		t.Errorf("error %v", err)
	}
}
