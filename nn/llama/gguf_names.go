package llama

import (
	"slices"
	"strconv"
	"strings"
)

// GGUFLayout is how llama.cpp keeps the tensors of a model in a GGUF file: by what names, and
// in what order of rows (see Interleave).
type GGUFLayout struct {
	Architecture string // the key general.architecture

	form           *ggufForm
	heads, kvHeads int
	offset         float32 // of the weights of norms
}

// GGUFLayout returns the layout of a model of this configuration. An unknown family is an error.
func (c *Config) GGUFLayout() (GGUFLayout, error) {
	f, err := c.family()
	if err != nil {
		return GGUFLayout{}, err
	}
	l := GGUFLayout{f.gguf.architecture, &f.gguf, c.Heads, c.KVHeads, 0}
	if f.gguf.shiftedNorms {
		l.offset = f.normOffset
	}
	return l, nil
}

// normOffset is what a file's tensor has more than the one with this Hugging Face name: Gemma's
// norms are stored as what they multiply by.
func (l GGUFLayout) normOffset(hf string) float32 {
	if !strings.HasSuffix(hf, "norm.weight") {
		return 0
	}
	return l.offset
}

// Stack returns the name in a GGUF file of the tensor that has the one with this Hugging Face name, of an expert, as one
// of several, and the expert's number; false if it is not of an expert.
func (l GGUFLayout) Stack(hf string) (name string, expert int, ok bool) {
	block, part, ok := cutBlock(hf, blockPrefixes[1])
	if !ok {
		return "", 0, false
	}
	for _, n := range l.form.experts {
		before, behind, _ := strings.Cut(n[1], "*")
		number, begins := strings.CutPrefix(part, before)
		number, ends := strings.CutSuffix(number, behind)
		if e, ok := plainNumber(number); begins && ends && ok {
			return blockPrefixes[0] + block + "." + n[0], e, true
		}
	}
	return "", 0, false
}

// unstack returns the Hugging Face name, with * for an expert's number, of a tensor in a GGUF file that has all experts.
func (l GGUFLayout) unstack(name string) (string, bool) {
	block, part, ok := cutBlock(name, blockPrefixes[0])
	for _, n := range l.form.experts {
		if ok && n[0] == part {
			return blockPrefixes[1] + block + "." + n[1], true
		}
	}
	return "", false
}

// cutBlock cuts the name of a block's tensor into the block's number and the rest.
func cutBlock(name, prefix string) (number, part string, ok bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	number, part, dot := strings.Cut(rest, ".")
	_, plain := plainNumber(number)
	return number, part, ok && dot && plain
}

// plainNumber is a number as names have it.
func plainNumber(s string) (int, bool) {
	i, err := strconv.ParseUint(s, 10, 31)
	return int(i), err == nil && strconv.FormatUint(i, 10) == s
}

// outer and inner are the names of the tensors that all families have, in GGUF and at
// Hugging Face: those of the whole model, and the parts of a block's.
var outer = [][2]string{
	{"token_embd.weight", "model.embed_tokens.weight"},
	{"output_norm.weight", "model.norm.weight"},
	{"output.weight", "lm_head.weight"},
}

var inner = [][2]string{
	{"attn_norm.weight", "input_layernorm.weight"},
	{"attn_q.weight", "self_attn.q_proj.weight"}, {"attn_q.bias", "self_attn.q_proj.bias"},
	{"attn_k.weight", "self_attn.k_proj.weight"}, {"attn_k.bias", "self_attn.k_proj.bias"},
	{"attn_v.weight", "self_attn.v_proj.weight"}, {"attn_v.bias", "self_attn.v_proj.bias"},
	{"attn_output.weight", "self_attn.o_proj.weight"}, {"attn_output.bias", "self_attn.o_proj.bias"},
	{"ffn_norm.weight", "post_attention_layernorm.weight"},
	{"ffn_gate.weight", "mlp.gate_proj.weight"}, {"ffn_gate.bias", "mlp.gate_proj.bias"},
	{"ffn_up.weight", "mlp.up_proj.weight"}, {"ffn_up.bias", "mlp.up_proj.bias"},
	{"ffn_down.weight", "mlp.down_proj.weight"}, {"ffn_down.bias", "mlp.down_proj.bias"},
}

// The prefixes of a block's tensors; a number and a dot follow.
var blockPrefixes = [2]string{"blk.", "model.layers."}

// HFName returns the Hugging Face name of a tensor in a GGUF file; false if it has none, as
// rope_freqs.weight, or several, as one of all experts.
func (l GGUFLayout) HFName(name string) (string, bool) {
	if hf, ok := l.rename(name, 0, 1); ok {
		return hf, true
	}
	return l.ofOneExpert(name)
}

// ofOneExpert returns the Hugging Face name of a tensor of one expert, blk.0.ffn_gate.3.weight, as files of before
// April 2024 have them where later ones have blk.0.ffn_gate_exps.weight (https://github.com/ggml-org/llama.cpp/pull/6387).
func (l GGUFLayout) ofOneExpert(name string) (string, bool) {
	block, part, ok := cutBlock(name, blockPrefixes[0])
	if !ok {
		return "", false
	}
	for _, n := range l.form.experts {
		kind := strings.TrimSuffix(n[0], "_exps.weight")
		number, begins := strings.CutPrefix(part, kind+".")
		number, ends := strings.CutSuffix(number, ".weight")
		if _, ok := plainNumber(number); begins && ends && ok {
			return blockPrefixes[1] + block + "." + strings.Replace(n[1], "*", number, 1), true
		}
	}
	return "", false
}

// Name returns the name in a GGUF file of the tensor with this Hugging Face name; false if no
// such tensor belongs into a file. A LoRA adapter's A and B for a weight have its name and
// ".lora_a" or ".lora_b" behind.
func (l GGUFLayout) Name(hf string) (string, bool) { return l.rename(hf, 1, 0) }

func (l GGUFLayout) rename(name string, from, to int) (string, bool) {
	for _, n := range outer {
		if n[from] == name {
			return n[to], true
		}
	}
	number, part, ok := cutBlock(name, blockPrefixes[from])
	if !ok {
		return "", false
	}
	for _, n := range slices.Concat(l.form.tensors, inner) {
		if n[from] == part {
			return blockPrefixes[to] + number + "." + n[to], true
		}
	}
	return "", false
}

// Heads returns how many heads have interleaved rows in the tensor with this Hugging Face
// name, 0 if its rows are in Hugging Face's order. The B of a LoRA adapter has the rows of
// the weight that it is added to.
func (l GGUFLayout) Heads(hf string) int {
	if !l.form.interleaved {
		return 0
	}
	layer := strings.TrimSuffix(strings.TrimSuffix(hf, ".weight"), ".bias")
	switch {
	case layer == hf:
		return 0
	case strings.HasSuffix(layer, ".q_proj"):
		return l.heads
	case strings.HasSuffix(layer, ".k_proj"):
		return l.kvHeads
	}
	return 0
}
