package llama

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
)

// The language model of a folder of several parts is read under either naming, and saved as a
// folder of its own.
func TestTextPart(t *testing.T) {
	d := open(t)
	m := create(t, d, smallest(t, "gemma3_text", nil))
	uneven(m)
	b := Batch{Rows: 1, IDs: text(1, 12, m.Config.Vocab)}
	want := logits(t, m, b)
	plain := t.TempDir()
	if err := m.Save(plain); err != nil {
		t.Fatal(err)
	}
	for prefix, kind := range map[string]string{"language_model.model.": "gemma3_text", "model.language_model.": ""} {
		dir := t.TempDir()
		asTextPart(t, plain, dir, prefix, kind)
		got := load(t, d, dir)
		if !slices.Equal(logits(t, got, b), want) {
			t.Errorf("%s: other logits", prefix)
		}
		alone := t.TempDir()
		if err := got.Save(alone); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(logits(t, load(t, d, alone), b), want) {
			t.Errorf("%s: other logits from the language model alone", prefix)
		}
	}
	for config, want := range map[string]string{
		`{"model_type": "gemma3"}`:                                                          "text_config: want the language model of a gemma3, got none",
		`{"model_type": "gemma3", "text_config": {"hidden_size": 0}}`:                       "text_config.hidden_size: want 1 to",
		`{"model_type": "mistral3", "text_config": {}, "quantization_config": {"bits": 4}}`: "text_config.quantization_config.quant_method: want",
		`{"model_type": "gemma3", "text_config": {"model_type": "gpt2"}}`:                   "text_config.model_type: want",
	} {
		if _, err := parseConfig("c", []byte(config)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
}

// asTextPart writes the language model in one folder as a part of another's, beside a tensor of another
// part, with this prefix of its names.
func asTextPart(t *testing.T, from, to, prefix, kind string) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(from, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]any{}
	if err := json.Unmarshal(config, &part); err != nil {
		t.Fatal(err)
	}
	if part["model_type"] = kind; kind == "" {
		delete(part, "model_type")
	}
	whole, err := json.Marshal(map[string]any{"model_type": "gemma3", "text_config": part, "vision_config": map[string]any{}})
	if err == nil {
		err = os.WriteFile(filepath.Join(to, ConfigFile), whole, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.OpenModel(from)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sources := []safetensors.Source{safetensors.FromFloat32s("vision_tower.x", []int{1}, []float32{1}).Source()}
	for _, name := range file.Names() {
		tensor, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		tensor.Name = strings.Replace(name, "model.", prefix, 1)
		sources = append(sources, tensor.Source())
	}
	if err := safetensors.WriteModel(to, safetensors.MaxShard, nil, sources...); err != nil {
		t.Fatal(err)
	}
}
