package llama

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
)

// Any bytes are a GGUF file with a model's configuration or an error; what is one is written
// as metadata that say the same.
func FuzzGGUFConfig(f *testing.F) {
	path := filepath.Join(f.TempDir(), "m.gguf")
	written := func(t testing.TB, metadata []gguf.KeyValue, tensors []gguf.Tensor) []byte {
		var sources []gguf.Source
		for _, t := range tensors {
			sources = append(sources, t.Source())
		}
		if err := gguf.Write(path, metadata, sources...); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type object = map[string]any
	for _, changes := range []object{
		nil, {"model_type": "mistral", "sliding_window": 9},
		{"model_type": "mistral", "sliding_window": json.RawMessage("null")}, {"model_type": "qwen2"},
		{"rope_scaling": object{"type": "linear", "factor": 4.0}},
		{"rope_parameters": object{"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
			"original_max_position_embeddings": 32, "rope_type": "llama3", "rope_theta": 500.0}},
	} {
		c, err := parseConfig("config.json", with(f, changes))
		if err != nil {
			f.Fatal(err)
		}
		metadata, tensors, err := c.ggufMetadata()
		if err != nil {
			f.Fatal(err)
		}
		metadata = append(metadata, gguf.KeyValue{Key: "tokenizer.ggml.bos_token_id", Value: uint32(1)},
			gguf.KeyValue{Key: ggufEOS, Value: uint32(2)},
			gguf.KeyValue{Key: "tokenizer.ggml.eot_token_id", Value: int64(3)})
		f.Add(written(f, metadata, tensors))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := gguf.Parse("m.gguf", content)
		if err != nil {
			return
		}
		text, err := ggufConfigJSON(file)
		if err != nil {
			return
		}
		c, err := parseConfig("m.gguf", text)
		if err != nil || c.Layers > 64 {
			return
		}
		if _, err := json.Marshal(c); err != nil {
			t.Fatalf("%s was read but cannot be written: %v", text, err)
		}
		metadata, tensors, err := c.ggufMetadata()
		if err != nil {
			return // as a head_dim that nobody has
		}
		again, err := gguf.Parse("again.gguf", written(t, metadata, tensors))
		if err != nil {
			t.Fatal(err)
		}
		text2, err := ggufConfigJSON(again)
		if err != nil {
			t.Fatalf("%s was written as metadata that do not read: %v", text, err)
		}
		d, err := parseConfig("again.gguf", text2)
		if err != nil {
			t.Fatalf("%s was written as metadata that read as %s: %v", text, text2, err)
		}
		// Which tensors there are says the rest, and the ends stand in the tokenizer's keys.
		for _, x := range []*Config{&c, &d} {
			x.source, x.Tied, x.QKVBias, x.OBias, x.MLPBias, x.BOS, x.EOS = nil, false, false, false, false, 0, nil
		}
		if !reflect.DeepEqual(c, d) {
			t.Fatalf("got  %+v\nwant %+v", d, c)
		}
	})
}
