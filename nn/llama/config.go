package llama

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/ops"
)

// Config is the architecture of a model: what Hugging Face's config.json says.
type Config struct {
	ModelType    string // "llama", "mistral" or "qwen2"
	Vocab        int    // words
	Hidden       int    // width of the residual stream
	Intermediate int    // width inside the feed-forward blocks
	Layers       int    // blocks
	Heads        int    // query heads
	KVHeads      int    // key heads, a divisor of Heads
	HeadDim      int    // elements of a head, even
	MaxPositions int    // positions the model was made for

	NormEps   float32
	InitRange float32 // standard deviation of new weights

	QKVBias bool  // q_proj, k_proj and v_proj have a bias
	OBias   bool  // o_proj has one
	MLPBias bool  // gate_proj, up_proj and down_proj have one
	Tied    bool  // the head is the embedding
	Windows []int // positions that each layer sees, 0 = all; nil: all in every layer
	RoPE    ops.RoPEScaling

	BOS int32   // begins a text; -1: none
	EOS []int32 // end a text

	source map[string]json.RawMessage // config.json as it was read: Save keeps what it does not know
	stored string                     // the type of the weights, as config.json spells it, where Save writes them
}

// ConfigFile is the name of the configuration in a model's folder.
const ConfigFile = "config.json"

const generationFile = "generation_config.json"

// Bounds that no model comes near, so that a broken file costs nothing.
const (
	maxConfig = 16 << 20 // bytes of config.json
	maxLayers = 1 << 16
)

// ReadConfig reads dir/config.json, and what ends a text from generation_config.json
// if that is there, or the metadata of a GGUF file. Whatever would change the model and
// is not known here is an error.
func ReadConfig(dir string) (Config, error) {
	if isGGUF(dir) {
		c, file, err := openGGUF(dir)
		if err != nil {
			return c, err
		}
		return c, file.Close()
	}
	path := filepath.Join(dir, ConfigFile)
	text, err := readSmall(path)
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(path, text)
	if err != nil {
		return c, err
	}
	// Chat models end a turn with a token that only generation_config.json names.
	path = filepath.Join(dir, generationFile)
	switch text, err = readSmall(path); {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return c, err
	}
	f, err := parseFields(path, text)
	if err != nil {
		return c, err
	}
	if f.has("eos_token_id") {
		c.EOS = f.ids("eos_token_id")
	}
	return c, f.err
}

func readSmall(path string) ([]byte, error) {
	return regular.Read(path, maxConfig)
}

// ParseConfig reads the text of a config.json; path is for errors.
func ParseConfig(path string, text []byte) (Config, error) {
	f, err := parseFields(path, text)
	if err != nil {
		return Config{}, err
	}
	const most = math.MaxInt32
	c := Config{
		ModelType:    f.str("model_type", ""),
		Vocab:        f.size("vocab_size", 0, most),
		Hidden:       f.size("hidden_size", 0, most),
		Intermediate: f.size("intermediate_size", 0, most),
		Layers:       f.size("num_hidden_layers", 0, maxLayers),
		Heads:        f.size("num_attention_heads", 0, most),
		MaxPositions: f.size("max_position_embeddings", 0, most),
		NormEps:      float32(f.number("rms_norm_eps", 1e-6)),
		InitRange:    float32(f.number("initializer_range", 0.02)),
		Tied:         f.flag("tie_word_embeddings", false),
		BOS:          -1,
		source:       f.values,
	}
	c.HeadDim = f.size("head_dim", max(c.Hidden/c.Heads, 1), most)
	missing := 0 // must be there: older defaults differ from model to model
	switch c.ModelType {
	case "llama":
		c.QKVBias = f.flag("attention_bias", false)
		c.OBias = c.QKVBias
		c.MLPBias = f.flag("mlp_bias", false)
		missing = c.Heads
	case "mistral":
		c.Windows = f.windows(c.Layers, 0)
	case "qwen2":
		c.QKVBias = true
		if f.flag("use_sliding_window", false) {
			c.Windows = f.windows(c.Layers, f.count("max_window_layers", 28))
		}
	default:
		f.fail("model_type", `"llama", "mistral" or "qwen2"`, fmt.Sprintf("%q", c.ModelType))
	}
	c.KVHeads = f.size("num_key_value_heads", missing, most)
	only(f, "hidden_act", "silu")
	only(f, "partial_rotary_factor", 1.0)
	if f.has("quantization_config") {
		f.fail("quantization_config", "none: quantised checkpoints are not supported", short(f.values["quantization_config"]))
	}
	if ids := f.ids("bos_token_id"); len(ids) > 0 {
		c.BOS = ids[0]
	}
	c.EOS = f.ids("eos_token_id")
	c.RoPE = f.rope()
	if f.err == nil {
		f.err = c.check(path)
	}
	return c, f.err
}

// windows reads sliding_window and, where it is there, layer_types, which says what
// layers have the window; else those from the given layer on have it.
func (f *fields) windows(layers, from int) []int {
	if !f.has("sliding_window") {
		return nil
	}
	window := f.size("sliding_window", 0, math.MaxInt32)
	out := make([]int, layers)
	var types []string
	if f.get("layer_types", "a list of texts", &types) && len(types) != layers {
		f.fail("layer_types", fmt.Sprintf("%d layers", layers), fmt.Sprint(len(types)))
		return nil
	}
	for i := range out {
		switch {
		case types == nil && i >= from || types != nil && types[i] == "sliding_attention":
			out[i] = window
		case types != nil && types[i] != "full_attention":
			f.fail("layer_types", `"full_attention" or "sliding_attention"`, fmt.Sprintf("%q", types[i]))
		}
	}
	return out
}

// check refuses sizes that do not fit each other, of a Config made by hand too.
func (c *Config) check(file string) error {
	fail := func(field, want string, got any) error {
		return &Error{File: file, Field: field, Want: want, Got: fmt.Sprint(got)}
	}
	for name, size := range map[string]int{
		"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Intermediate, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim, "max_position_embeddings": c.MaxPositions,
	} {
		if size < 1 || size > math.MaxInt32 {
			return fail(name, fmt.Sprintf("1 to %d", math.MaxInt32), size)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fail("num_key_value_heads", fmt.Sprintf("a divisor of the %d heads", c.Heads), c.KVHeads)
	case c.HeadDim%2 != 0:
		return fail("head_dim", "an even number", c.HeadDim)
	case c.Windows != nil && len(c.Windows) != c.Layers:
		return fail("layer_types", fmt.Sprintf("%d layers", c.Layers), len(c.Windows))
	case architectures[c.ModelType] == "":
		return fail("model_type", `"llama", "mistral" or "qwen2"`, fmt.Sprintf("%q", c.ModelType))
	case !(c.NormEps >= 0 && c.NormEps < 1):
		return fail("rms_norm_eps", "0 to 1", c.NormEps)
	case !(c.InitRange >= 0 && c.InitRange < 1e9):
		return fail("initializer_range", "at least 0", c.InitRange)
	}
	return nil
}

// window is what layer i sees.
func (c *Config) window(i int) int {
	if c.Windows == nil {
		return 0
	}
	return c.Windows[i]
}

// MarshalJSON writes config.json: the fields of Config over those that were read, the
// rotary settings in both spellings.
func (c Config) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for name, value := range c.source {
		out[name] = value
	}
	set := map[string]any{
		"architectures": []string{architectures[c.ModelType]}, "model_type": c.ModelType, "hidden_act": "silu",
		"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Intermediate, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim,
		"max_position_embeddings": c.MaxPositions, "rms_norm_eps": number(c.NormEps), "initializer_range": number(c.InitRange),
		"tie_word_embeddings": c.Tied,
	}
	if c.ModelType == "llama" {
		set["attention_bias"], set["mlp_bias"] = c.QKVBias, c.MLPBias
	}
	set["bos_token_id"], set["eos_token_id"] = orNull(c.BOS), c.EOS
	switch {
	case c.Windows == nil && c.ModelType == "mistral": // elsewhere a missing one means 4096
		set["sliding_window"] = nil
	case c.Windows != nil && c.source == nil:
		set["sliding_window"] = c.Windows[len(c.Windows)-1]
	}
	if c.stored != "" {
		_, older := c.source["torch_dtype"]
		_, newer := c.source["dtype"]
		if newer {
			set["dtype"] = c.stored
		}
		if older || !newer {
			set["torch_dtype"] = c.stored
		}
	}
	setRoPE(set, c.RoPE)
	for name, value := range set {
		out[name] = value
	}
	return json.Marshal(out)
}

var architectures = map[string]string{"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}

// number writes a float32 with the digits it needs.
func number(f float32) json.Number { return json.Number(fmt.Sprint(f)) }

func orNull(id int32) any {
	if id < 0 {
		return nil
	}
	return id
}
