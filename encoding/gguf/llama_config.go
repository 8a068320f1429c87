package gguf

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/internal/strictjson"
)

const architectureKey = "general.architecture"

// RopeFactorsName is the tensor that holds what LLaMA 3's rule divides each rotary
// frequency by. ConfigJSON reads it; it has no name at Hugging Face.
const RopeFactorsName = "rope_freqs.weight"

// Digests of the adapters that were merged into the weights: Agora's own key, which other
// programs pass over, and what it is called in config.json.
const (
	mergedKey   = "agora.merged"
	mergedField = "agora_merged"
)

// maxHeadDim is a bound that no model comes near, so that a broken file costs nothing.
const maxHeadDim = 1 << 16

// ConfigJSON is the config.json, as Hugging Face has it, of the LLaMA, Mistral or Qwen2
// model in the file. A key of the architecture that is not known here, and so might
// change the model, is an error.
//
// llama.cpp has no name of its own for Mistral: a llama with a sliding window is one.
func ConfigJSON(f *File) ([]byte, error) {
	architecture, err := Get[string](f, architectureKey)
	if err != nil {
		return nil, err
	}
	if architecture != "llama" && architecture != "qwen2" {
		return nil, &Error{File: f.path, Key: architectureKey, Want: `"llama" or "qwen2"`, Got: fileerror.Quote(architecture)}
	}
	if v, ok := f.values["general.type"]; ok && v != "model" {
		return nil, &Error{File: f.path, Key: "general.type", Want: `"model"`, Got: describe(v)}
	}
	if v, ok := f.values["split.count"]; ok {
		if n, err := f.Int("split.count"); err != nil || n > 1 {
			return nil, &Error{File: f.path, Key: "split.count", Want: "a model in one file", Got: describe(v)}
		}
	}
	k := &keys{file: f, prefix: architecture + ".", known: map[string]bool{}}
	heads := k.int("attention.head_count", nil)
	hidden := k.int("embedding_length", nil)
	headDim := k.int("attention.key_length", ptr(hidden/max(heads, 1)))
	k.must("attention.value_length", headDim)
	k.must("rope.dimension_count", headDim)
	k.must("expert_count", 0)
	k.must("expert_used_count", 0)
	k.ignore("tensor_data_layout", "rope.scaling.finetuned")
	config := map[string]any{
		"num_attention_heads":     heads,
		"num_key_value_heads":     k.int("attention.head_count_kv", ptr(heads)),
		"hidden_size":             hidden,
		"head_dim":                headDim,
		"hidden_act":              "silu",
		"intermediate_size":       k.int("feed_forward_length", nil),
		"num_hidden_layers":       k.int("block_count", nil),
		"max_position_embeddings": k.int("context_length", nil),
		"rms_norm_eps":            k.float("attention.layer_norm_rms_epsilon", nil),
		"rope_theta":              k.float("rope.freq_base", ptr(10000.0)),
		"vocab_size":              k.int("vocab_size", ptr(f.vocabulary())),
		"tie_word_embeddings":     !f.Has("output.weight"),
		"bos_token_id":            f.tokenIDs("bos"),
		"eos_token_id":            f.tokenIDs("eos", "eot"),
	}
	kind, class := architecture, "Qwen2ForCausalLM"
	if architecture == "llama" {
		class = "LlamaForCausalLM"
		config["attention_bias"] = f.Has("blk.0.attn_q.bias")
		config["mlp_bias"] = f.Has("blk.0.ffn_gate.bias")
		if window := k.int("attention.sliding_window", ptr(0)); window > 0 {
			kind, class = "mistral", "MistralForCausalLM"
			config["sliding_window"] = window
		}
	}
	config["model_type"], config["architectures"] = kind, []string{class}
	config["rope_scaling"] = k.ropeScaling(headDim)
	if merged, ok := f.values[mergedKey]; ok {
		config[mergedField] = merged
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	return json.Marshal(config)
}

// vocabulary is the number of words where no key says it.
func (f *File) vocabulary() int {
	if t, err := f.Tensor("token_embd.weight"); err == nil && len(t.Shape) == 2 {
		return t.Shape[0]
	}
	tokens, _ := f.values["tokenizer.ggml.tokens"].([]string)
	return len(tokens)
}

// tokenIDs are the ids of special tokens, nil for none: one, or a list of several.
func (f *File) tokenIDs(names ...string) any {
	var ids []int
	for _, name := range names {
		if id, err := f.Int("tokenizer.ggml." + name + "_token_id"); err == nil && (len(ids) == 0 || id != ids[0]) {
			ids = append(ids, id)
		}
	}
	switch len(ids) {
	case 0:
		return nil
	case 1:
		return ids[0]
	}
	return ids
}

// keys reads an architecture's keys, keeps the first error and remembers what it knows.
type keys struct {
	file   *File
	prefix string
	known  map[string]bool
	err    error
}

func ptr[T any](v T) *T { return &v }

// int is an integer from 0 on; missing, if not nil, is what it is where the key is not.
func (k *keys) int(name string, missing *int) int {
	v, err := read(k, name, missing, k.file.Int)
	if err == nil && v < 0 {
		err = &Error{File: k.file.path, Key: k.prefix + name, Want: "an integer from 0 on", Got: strconv.Itoa(v)}
	}
	k.fail(err)
	return v
}

// float is a number, with the few digits that tell its float32 from all others.
func (k *keys) float(name string, missing *float64) json.Number {
	v, err := read(k, name, missing, k.file.Float)
	if err == nil && (v != v || v-v != 0) {
		err = &Error{File: k.file.path, Key: k.prefix + name, Want: "a finite number", Got: fmt.Sprint(v)}
	}
	k.fail(err)
	return json.Number(strconv.FormatFloat(v, 'g', -1, 32))
}

func read[T any](k *keys, name string, missing *T, get func(string) (T, error)) (T, error) {
	k.known[name] = true
	if _, ok := k.file.values[k.prefix+name]; !ok && missing != nil {
		return *missing, nil
	}
	return get(k.prefix + name)
}

// must refuses any other value of a key that may be missing.
func (k *keys) must(name string, want int) {
	if got := k.int(name, &want); got != want {
		k.fail(&Error{File: k.file.path, Key: k.prefix + name, Want: strconv.Itoa(want), Got: strconv.Itoa(got)})
	}
}

func (k *keys) ignore(names ...string) {
	for _, name := range names {
		k.known[name] = true
	}
}

func (k *keys) fail(err error) {
	if k.err == nil {
		k.err = err
	}
}

// check is the first error, or the first key of the architecture that nothing has read.
func (k *keys) check() error {
	for _, m := range k.file.metadata {
		if name, ok := strings.CutPrefix(m.Key, k.prefix); ok && !k.known[name] {
			k.fail(&Error{File: k.file.path, Key: m.Key, Want: "no such key, which might change the model", Got: describe(m.Value)})
		}
	}
	return k.err
}

// LlamaMetadata is what a GGUF file says of a LLaMA, Mistral or Qwen2 model with this
// config.json: its metadata and, where LLaMA 3's rule stretches the rotary embeddings,
// the tensor rope_freqs.weight. The special tokens belong to the tokenizer's keys,
// which are not among them.
func LlamaMetadata(configJSON []byte) ([]KeyValue, []Tensor, error) {
	var c struct {
		ModelType    string   `json:"model_type"`
		Vocab        uint32   `json:"vocab_size"`
		Hidden       uint32   `json:"hidden_size"`
		Intermediate uint32   `json:"intermediate_size"`
		Layers       uint32   `json:"num_hidden_layers"`
		Heads        uint32   `json:"num_attention_heads"`
		KVHeads      uint32   `json:"num_key_value_heads"`
		HeadDim      uint32   `json:"head_dim"`
		Positions    uint32   `json:"max_position_embeddings"`
		NormEps      float32  `json:"rms_norm_eps"`
		Window       uint32   `json:"sliding_window"`
		UseWindow    bool     `json:"use_sliding_window"` // of qwen2
		Merged       []string `json:"agora_merged"`
		ropeSettings
	}
	c.NormEps = 1e-6
	var kind struct {
		ModelType string `json:"model_type"`
	}
	err := strictjson.Unmarshal(configJSON, &kind)
	switch kind.ModelType { // as nn/llama has it, what is absent is the family's; null is not absent
	case "llama":
		c.Positions = 2048
	case "mistral":
		c.KVHeads, c.Positions, c.Window = 8, 4096*32, 4096
	case "qwen2":
		c.KVHeads, c.Positions = 32, 32768
	}
	if err == nil {
		err = strictjson.Unmarshal(configJSON, &c)
	}
	if err != nil {
		return nil, nil, &Error{Want: "a config.json", Got: err.Error()}
	}
	architecture := c.ModelType
	switch {
	case c.ModelType == "mistral":
		architecture = "llama"
	case c.ModelType != "llama" && c.ModelType != "qwen2":
		return nil, nil, &Error{Key: "model_type", Want: `"llama", "mistral" or "qwen2"`, Got: fileerror.Quote(c.ModelType)}
	case c.UseWindow:
		return nil, nil, &Error{Key: "use_sliding_window", Want: "false: GGUF has no sliding window for qwen2", Got: "true"}
	}
	for name, v := range map[string]uint32{"num_attention_heads": c.Heads, "hidden_size": c.Hidden} {
		if v == 0 {
			return nil, nil, &Error{Key: name, Want: "a number above 0", Got: "0 or none"}
		}
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	if c.HeadDim > maxHeadDim {
		return nil, nil, &Error{Key: "head_dim", Want: fmt.Sprintf("at most %d", maxHeadDim), Got: fmt.Sprint(c.HeadDim)}
	}
	p := architecture + "."
	out := []KeyValue{
		{architectureKey, architecture},
		{"general.type", "model"},
		{p + "vocab_size", c.Vocab},
		{p + "context_length", c.Positions},
		{p + "embedding_length", c.Hidden},
		{p + "block_count", c.Layers},
		{p + "feed_forward_length", c.Intermediate},
		{p + "attention.head_count", c.Heads},
		{p + "attention.head_count_kv", c.KVHeads},
		{p + "attention.key_length", c.HeadDim},
		{p + "attention.value_length", c.HeadDim},
		{p + "attention.layer_norm_rms_epsilon", c.NormEps},
		{p + "rope.dimension_count", c.HeadDim},
	}
	if c.ModelType == "mistral" && c.Window > 0 {
		out = append(out, KeyValue{p + "attention.sliding_window", c.Window})
	}
	if len(c.Merged) > 0 {
		out = append(out, KeyValue{mergedKey, c.Merged})
	}
	rope, factors, err := c.metadata(p, int(c.HeadDim))
	return append(out, rope...), factors, err
}
