package llama

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/fileerror"
)

const architectureKey = "general.architecture"

// mergedKey has the digests of the adapters that were merged into the weights (mergedField in
// config.json): Agora's own key, which other programs pass over.
const mergedKey = "agora.merged"

// maxHeadDim is a bound that no model comes near, so that a broken file costs nothing.
const maxHeadDim = 1 << 16

// ggufConfigJSON returns the config.json, as Hugging Face has it, of the model in a file. A key
// of the architecture that is not known here, and so might change the model, is an error.
func ggufConfigJSON(f *gguf.File) ([]byte, error) {
	architecture, err := gguf.Get[string](f, architectureKey)
	if err != nil {
		return nil, err
	}
	if known := architectures(); !slices.Contains(known, architecture) {
		return nil, &gguf.Error{
			File: f.Path(), Key: architectureKey, Want: oneOf(known), Got: fileerror.Quote(architecture),
		}
	}
	if v, ok := f.Value("general.type"); ok && v != "model" {
		return nil, &gguf.Error{File: f.Path(), Key: "general.type", Want: `"model"`, Got: gguf.Describe(v)}
	}
	if v, ok := f.Value("split.count"); ok {
		if n, err := f.Int("split.count"); err != nil || n > 1 {
			return nil, &gguf.Error{
				File: f.Path(), Key: "split.count", Want: "a model in one file", Got: gguf.Describe(v),
			}
		}
	}
	k := &ggufKeys{file: f, prefix: architecture + ".", known: map[string]bool{}}
	k.partialRotary = slices.ContainsFunc(families, func(f *family) bool {
		return f.gguf.architecture == architecture && f.partialRotary
	})
	config := k.common()
	kind := familyInGGUF(architecture, k)
	config["model_type"], config["architectures"] = kind.modelType, []string{kind.class}
	if !kind.mixture {
		k.must("expert_count", 0)
		k.must("expert_used_count", 0)
	}
	if kind.gguf.read != nil {
		kind.gguf.read(k, config)
	}
	if merged, ok := f.Value(mergedKey); ok {
		config[mergedField] = merged
	}
	if err := k.check(); err != nil {
		return nil, err
	}
	return json.Marshal(config)
}

// architectures are llama.cpp's names for the families, each once.
func architectures() (names []string) {
	for _, f := range families {
		names = append(names, f.gguf.architecture)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// familyInGGUF returns the family of a file of a known architecture.
func familyInGGUF(architecture string, k *ggufKeys) (found *family) {
	for _, f := range families {
		switch form := f.gguf; {
		case form.architecture != architecture:
		case form.is != nil && form.is(k):
			return f
		case form.is == nil:
			found = f
		}
	}
	return found
}

// common is the fields that all families have.
func (k *ggufKeys) common() map[string]any {
	heads := k.int("attention.head_count", nil)
	hidden := k.int("embedding_length", nil)
	headDim := k.int("attention.key_length", ptr(hidden/max(heads, 1)))
	k.must("attention.value_length", headDim)
	rotated := headDim
	if k.partialRotary {
		rotated = k.int("rope.dimension_count", ptr(headDim))
	} else {
		k.must("rope.dimension_count", headDim)
	}
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
		"vocab_size":              k.int("vocab_size", ptr(vocabulary(k.file))),
		"tie_word_embeddings":     !k.file.Has("output.weight"),
		"bos_token_id":            specialIDs(k.file, "bos"),
		"eos_token_id":            specialIDs(k.file, "eos", "eot"),
		"pad_token_id":            specialIDs(k.file, "padding"), // nil, too: transformers has ids beyond small vocabularies for some
	}
	setRoPE(config, k.rope(rotated))
	if rotated != headDim {
		config["partial_rotary_factor"] = float64(rotated) / float64(max(headDim, 1))
	}
	return config
}

// vocabulary is the number of words where no key says it.
func vocabulary(f *gguf.File) int {
	if t, err := f.Tensor("token_embd.weight"); err == nil && len(t.Shape) == 2 {
		return t.Shape[0]
	}
	v, _ := f.Value("tokenizer.ggml.tokens")
	tokens, _ := v.([]string)
	return len(tokens)
}

// specialIDs are the ids of special tokens, nil for none: one, or a list of several.
func specialIDs(f *gguf.File, names ...string) any {
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

// ggufMetadata is what a GGUF file says of a model of this configuration: its metadata and,
// where LLaMA 3's rule stretches the rotary embeddings, the tensor rope_freqs.weight. The
// special tokens belong to the tokenizer's keys, which are not among them.
func (c *Config) ggufMetadata() ([]gguf.KeyValue, []gguf.Tensor, error) {
	if err := c.check(""); err != nil {
		return nil, nil, err
	}
	if c.HeadDim > maxHeadDim {
		return nil, nil, &Error{
			Field: "head_dim", Want: fmt.Sprintf("at most %d", maxHeadDim), Got: fmt.Sprint(c.HeadDim),
		}
	}
	form := familyOf(c.ModelType).gguf
	p := form.architecture + "."
	out := []gguf.KeyValue{
		{Key: architectureKey, Value: form.architecture},
		{Key: "general.type", Value: "model"},
		{Key: p + "vocab_size", Value: uint32(c.Vocab)},
		{Key: p + "context_length", Value: uint32(c.MaxPositions)},
		{Key: p + "embedding_length", Value: uint32(c.Hidden)},
		{Key: p + "block_count", Value: uint32(c.Layers)},
		{Key: p + "feed_forward_length", Value: uint32(c.Intermediate)},
		{Key: p + "attention.head_count", Value: uint32(c.Heads)},
		{Key: p + "attention.head_count_kv", Value: uint32(c.KVHeads)},
		{Key: p + "attention.key_length", Value: uint32(c.HeadDim)},
		{Key: p + "attention.value_length", Value: uint32(c.HeadDim)},
		{Key: p + "attention.layer_norm_rms_epsilon", Value: c.NormEps},
		{Key: p + "rope.dimension_count", Value: uint32(c.rotated())},
	}
	if form.write != nil {
		own, err := form.write(c, p)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, own...)
	}
	if len(c.Merged) > 0 {
		out = append(out, gguf.KeyValue{Key: mergedKey, Value: c.Merged})
	}
	if y := c.RoPE.YaRN; y != nil && y.QueryBeta != 0 && !form.yarnBetas {
		return nil, nil, &Error{
			Field: "rope_parameters.llama_4_scaling_beta", Want: "0: GGUF has it for no " + c.ModelType,
			Got: fmt.Sprint(y.QueryBeta),
		}
	}
	rope, factors, err := ropeMetadata(p, c.RoPE, c.rotated())
	return append(out, rope...), factors, err
}
