package llama

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/ops"
)

// Config is the architecture of a model: what Hugging Face's config.json says.
type Config struct {
	ModelType    string // the family: "llama", "mistral", "qwen2", …
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

	// Factors of the embedding, of what a block's two parts add, and of the logits; 0 = 1.
	EmbeddingScale, ResidualScale, LogitScale float32
	AttentionScale                            float32 // of every q · k; 0 = 1 / sqrt(HeadDim)
	// Bounds of attention's scores and of the logits, x becoming bound tanh(x / bound); 0 = none.
	AttentionSoftCap, LogitSoftCap float32

	QKVBias bool  // q_proj, k_proj and v_proj have a bias
	OBias   bool  // o_proj has one
	MLPBias bool  // gate_proj, up_proj and down_proj have one
	Tied    bool  // the head is the embedding
	Windows []int // positions that each layer sees, 0 = all; nil: all in every layer
	RoPE    ops.RoPEScaling

	LocalRoPE *ops.RoPEScaling // of the layers with a window; nil: RoPE
	NoRoPE    []bool           // layers without rotary positions; nil: none
	RotaryDim int              // elements of a head that rotary positions turn; 0 = all

	Mixture *Mixture // of experts, in place of the feed-forward parts; nil: none

	BOS int32   // begins a text; -1: none
	EOS []int32 // end a text

	// Merged are the digests of the adapters that were merged into the weights (see
	// multilora's Adapter.Digest).
	Merged []string

	packing *packing // how the folder's matrices are packed; nil: they are not

	source map[string]json.RawMessage // config.json as it was read: Save keeps what it does not know
	stored string                     // the type of the weights, as config.json spells it, where Save writes them
}

// ConfigFile is the name of the configuration in a model's folder.
const ConfigFile = "config.json"

// mergedField is that of Config.Merged in config.json. Other programs pass over it.
const mergedField = "agora_merged"

const generationFile = "generation_config.json"

// Bounds that no model comes near, so that a broken file costs nothing.
const (
	maxConfig = 16 << 20 // bytes of config.json
	maxLayers = 1 << 16
	maxMatrix = math.MaxInt32 // numbers: what kernels count with
)

// ReadConfig reads dir/config.json, and what ends a text from generation_config.json
// if that is there, or the metadata of a GGUF file. Whatever would change the model and
// is not known here is an error.
func ReadConfig(dir string) (Config, error) {
	if gguf.IsFile(dir) {
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
	c, err := parseConfig(path, text)
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

// parseConfig reads the text of a config.json; path is for errors.
func parseConfig(path string, text []byte) (Config, error) {
	f, err := parseFields(path, text)
	if err != nil {
		return Config{}, err
	}
	return f.config(path)
}

// config reads the fields of a config.json.
func (f *fields) config(path string) (Config, error) {
	const most = math.MaxInt32
	f = f.textPart()
	c := Config{ModelType: f.str("model_type", ""), BOS: -1, source: f.values}
	kind := familyOf(c.ModelType)
	if kind == nil {
		f.fail("model_type", oneOf(modelTypes()), fmt.Sprintf("%q", c.ModelType))
		f.packing()
		return c, f.err
	}
	missing := kind.missing
	c.Vocab = f.size("vocab_size", missing.vocab, most)
	c.Hidden = f.size("hidden_size", missing.hidden, most)
	c.Intermediate = f.size("intermediate_size", missing.intermediate, most)
	c.Layers = f.size("num_hidden_layers", missing.layers, maxLayers)
	c.Heads = f.size("num_attention_heads", missing.heads, most)
	c.MaxPositions = f.size("max_position_embeddings", missing.positions, most)
	c.KVHeads = f.sizeOrNull("num_key_value_heads", missing.kvHeads, c.Heads, most)
	c.HeadDim = f.sizeOrNull("head_dim", missing.headDim, max(c.Hidden/c.Heads, 1), most)
	c.NormEps = float32(f.number("rms_norm_eps", cmp.Or(missing.eps, 1e-6)))
	c.InitRange = float32(f.number("initializer_range", 0.02))
	c.Tied = f.flag("tie_word_embeddings", missing.tied)
	if kind.read != nil {
		kind.read(f, &c)
	}
	if kind.hiddenAct == "" {
		only(f, "hidden_act", silu)
	} else {
		only(f, "hidden_activation", kind.hiddenAct)
	}
	c.packing = f.packing()
	if ids := f.ids("bos_token_id"); len(ids) > 0 {
		c.BOS = ids[0]
	}
	c.EOS = f.ids("eos_token_id")
	if kind.rope == nil {
		c.RoPE = f.rope(cmp.Or(missing.theta, 10000), c.MaxPositions)
	} else {
		kind.rope(f, &c)
	}
	if !kind.partialRotary {
		f.wholeRotary()
	}
	f.get(mergedField, "a list of digests", &c.Merged)
	if f.err == nil {
		f.err = c.check(path)
	}
	return c, f.err
}

// check refuses sizes that do not fit each other, of a Config made by hand too.
func (c *Config) check(file string) error {
	fail := func(field, want string, got any) error {
		return &Error{File: file, Field: field, Want: want, Got: fmt.Sprint(got)}
	}
	for name, size := range map[string]int{
		"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Intermediate,
		"num_hidden_layers":   c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim,
		"max_position_embeddings": c.MaxPositions,
	} {
		if size < 1 || size > math.MaxInt32 {
			return fail(name, fmt.Sprintf("1 to %d", math.MaxInt32), size)
		}
	}
	for _, of := range []struct {
		name string
		rows int // of 62 bits at most
	}{
		{"vocab_size", c.Vocab},
		{"intermediate_size", c.Intermediate},
		{"num_attention_heads × head_dim", c.Heads * c.HeadDim},
	} {
		if of.rows > maxMatrix/c.Hidden {
			return fail(of.name+" × hidden_size", fmt.Sprintf("matrices of at most %d numbers", maxMatrix),
				fmt.Sprintf("%d × %d", of.rows, c.Hidden))
		}
	}
	if err := c.checkMixture(fail); err != nil {
		return err
	}
	switch kind := familyOf(c.ModelType); {
	case c.Heads%c.KVHeads != 0:
		return fail("num_key_value_heads", fmt.Sprintf("a divisor of the %d heads", c.Heads), c.KVHeads)
	case c.HeadDim%2 != 0:
		return fail("head_dim", "an even number", c.HeadDim)
	case c.RotaryDim < 0 || c.RotaryDim > c.HeadDim || c.RotaryDim%2 != 0:
		return fail("partial_rotary_factor", fmt.Sprintf("an even number of a head's %d elements", c.HeadDim),
			c.RotaryDim)
	case c.NoRoPE != nil && len(c.NoRoPE) != c.Layers:
		return fail("no_rope_layers", fmt.Sprintf("%d layers", c.Layers), len(c.NoRoPE))
	case !(c.AttentionSoftCap >= 0 && c.LogitSoftCap >= 0):
		return fail("logit_softcapping", "bounds above 0", fmt.Sprint(c.AttentionSoftCap, c.LogitSoftCap))
	case c.Windows != nil && len(c.Windows) != c.Layers:
		return fail("layer_types", fmt.Sprintf("%d layers", c.Layers), len(c.Windows))
	case kind == nil:
		return fail("model_type", oneOf(modelTypes()), fmt.Sprintf("%q", c.ModelType))
	case c.Windows != nil && !kind.windows:
		return fail("sliding_window", "none in a "+c.ModelType, c.Windows)
	case c.RoPE.Long != nil && (len(c.RoPE.Long.Short) != c.rotated()/2 || len(c.RoPE.Long.Long) != c.rotated()/2):
		return fail("short_factor, long_factor", fmt.Sprintf("%d numbers each", c.rotated()/2),
			fmt.Sprintf("%d and %d", len(c.RoPE.Long.Short), len(c.RoPE.Long.Long)))
	case !(c.NormEps >= 0 && c.NormEps < 1):
		return fail("rms_norm_eps", "0 to 1", c.NormEps)
	case !(c.InitRange >= 0 && c.InitRange < 1e9):
		return fail("initializer_range", "at least 0", c.InitRange)
	}
	return nil
}

// MarshalJSON writes config.json: the fields of Config over those that were read, the
// rotary settings in both spellings.
func (c Config) MarshalJSON() ([]byte, error) {
	kind, err := c.family()
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, value := range c.source {
		out[name] = value
	}
	set := map[string]any{
		"architectures": []string{kind.class}, "model_type": c.ModelType, "hidden_act": kind.activation(),
		"vocab_size": c.Vocab, "hidden_size": c.Hidden, "intermediate_size": c.Intermediate,
		"num_hidden_layers":   c.Layers,
		"num_attention_heads": c.Heads, "num_key_value_heads": c.KVHeads, "head_dim": c.HeadDim,
		"max_position_embeddings": c.MaxPositions, "rms_norm_eps": number(c.NormEps),
		"initializer_range":   number(c.InitRange),
		"tie_word_embeddings": c.Tied,
	}
	set["bos_token_id"], set["eos_token_id"] = orNull(c.BOS), c.EOS
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
	delete(out, mergedField)
	delete(out, "quantization_config") // what is saved is not packed
	if len(c.Merged) > 0 {
		set[mergedField] = c.Merged
	}
	setRoPE(set, c.RoPE)
	if kind.hiddenAct != "" {
		set["hidden_activation"] = kind.hiddenAct
	}
	for name, value := range set {
		out[name] = value
	}
	if kind.windows {
		delete(out, "layer_types")
	}
	if kind.write != nil {
		if err := kind.write(&c, out); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"rope_theta", "rope_parameters", "rope_scaling"} {
		out[name] = numbers(out[name])
	}
	return json.Marshal(out)
}

// numbers writes a float, and those of an object, as number does.
func numbers(value any) any {
	switch v := value.(type) {
	case float64:
		return number(v)
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	}
	return value
}

// number writes a number with the digits it needs, a whole one as 50.0: to transformers 50 is an integer, which it refuses
// for a float.
func number[F float32 | float64](f F) json.Number {
	digits := fmt.Sprint(f)
	if !strings.ContainsAny(digits, ".e") {
		digits += ".0"
	}
	return json.Number(digits)
}

func orNull(id int32) any {
	if id < 0 {
		return nil
	}
	return id
}

// EndBy puts a token before those that end a text, if it is not among them.
func (c *Config) EndBy(eos int32) {
	if !slices.Contains(c.EOS, eos) {
		c.EOS = append([]int32{eos}, c.EOS...)
	}
}
