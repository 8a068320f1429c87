// Package ggufblocks makes GGUF files for tests, whose tensors are blocks that this module reads and does not make.
package ggufblocks

import (
	"math/rand/v2"
	"slices"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/quant"
)

// Types are all types of a file in blocks, by their kind.
var Types = [...]gguf.Type{quant.Q8_0: gguf.Q8_0, quant.Q4_0: gguf.Q4_0, quant.Q4_1: gguf.Q4_1,
	quant.Q5_0: gguf.Q5_0, quant.Q5_1: gguf.Q5_1, quant.IQ4_NL: gguf.IQ4_NL, quant.Q4_K: gguf.Q4_K,
	quant.Q5_K: gguf.Q5_K, quant.Q6_K: gguf.Q6_K}

// Rewrite writes a file again with random blocks, of numbers up to most, for its matrices; kind chooses theirs.
func Rewrite(from, to string, most float32, kind func(name string) quant.Type) error {
	f, err := gguf.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(7, 8))
	var sources []gguf.Source
	for _, t := range f.Tensors() {
		if len(t.Shape) > 1 {
			k := kind(t.Name)
			t = gguf.Tensor{Name: t.Name, Type: Types[k], Shape: t.Shape, Data: k.Random(r.Uint32, t.Len(), most)}
		}
		sources = append(sources, t.Source())
	}
	metadata := slices.DeleteFunc(f.Metadata(), func(kv gguf.KeyValue) bool { return kv.Key == "general.alignment" })
	return gguf.Write(to, metadata, sources...)
}

// Q4_K_M chooses the kinds of llama-quantize's Q4_K_M: Q6_K for the head, the embedding and a part of the
// values and of what goes down, Q4_K for the others.
func Q4_K_M(name string) quant.Type {
	switch name {
	case "token_embd.weight", "output.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight":
		return quant.Q6_K
	}
	return quant.Q4_K
}
