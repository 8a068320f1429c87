package gguf

import (
	"strconv"
	"strings"
)

// outer and inner are the names of the tensors of a LLaMA model, in GGUF and at
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
var blocks = [2]string{"blk.", "model.layers."}

// HFName is the Hugging Face name of a LLaMA model's tensor in a GGUF file; false if it
// has none, as rope_freqs.weight.
func HFName(name string) (string, bool) { return rename(name, 0, 1) }

// Name is the name in a GGUF file of a LLaMA model's tensor with this Hugging Face
// name; false if no such tensor belongs into a file. A LoRA adapter's A and B for a
// weight have its name and ".lora_a" or ".lora_b" behind.
func Name(hf string) (string, bool) { return rename(hf, 1, 0) }

func rename(name string, from, to int) (string, bool) {
	for _, n := range outer {
		if n[from] == name {
			return n[to], true
		}
	}
	rest, ok := strings.CutPrefix(name, blocks[from])
	number, part, dot := strings.Cut(rest, ".")
	if i, err := strconv.ParseUint(number, 10, 31); !ok || !dot || err != nil || strconv.FormatUint(i, 10) != number {
		return "", false
	}
	for _, n := range inner {
		if n[from] == part {
			return blocks[to] + number + "." + n[to], true
		}
	}
	return "", false
}
