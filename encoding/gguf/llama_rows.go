package gguf

import (
	"fmt"
	"strings"
)

// Rotary embeddings turn pairs of a head's elements. Hugging Face pairs element j with
// j + d/2, d being the head's length; llama.cpp, in files of architecture llama, pairs
// 2j with 2j + 1. The rows of the query and key weights, which make these elements,
// are therefore stored in another order, and so are their biases and the rows of a
// LoRA adapter's B. The columns are not touched: a row moves with all its blocks.

// RotaryHeads is the number of heads whose rows a GGUF file of this architecture stores
// interleaved in the tensor of this name: heads for queries, kvHeads for keys, 0 for
// every other tensor and architecture.
func RotaryHeads(architecture, name string, heads, kvHeads int) int {
	if architecture != "llama" {
		return 0
	}
	name, b := strings.CutSuffix(name, ".lora_b")
	hf, _ := HFName(name)
	switch {
	case strings.HasSuffix(hf, ".q_proj.weight"), !b && strings.HasSuffix(hf, ".q_proj.bias"):
		return heads
	case strings.HasSuffix(hf, ".k_proj.weight"), !b && strings.HasSuffix(hf, ".k_proj.bias"):
		return kvHeads
	}
	return 0
}

// Interleave copies the rows of src, equally long and in the order of Hugging Face, to
// dst in the order of GGUF: in every head, row j·d/2 + t becomes row 2t + j, j = 0 or 1.
func Interleave(dst, src []byte, rows, heads int) error {
	return permute(dst, src, rows, heads, func(half, i int) int { return i%half*2 + i/half })
}

// Deinterleave is the inverse of Interleave: row 2t + j becomes row j·d/2 + t.
func Deinterleave(dst, src []byte, rows, heads int) error {
	return permute(dst, src, rows, heads, func(half, i int) int { return i%2*half + i/2 })
}

// permute puts row i of each head of src, of twice half rows, at row to(half, i) of dst.
func permute(dst, src []byte, rows, heads int, to func(half, i int) int) error {
	switch {
	case rows < 1 || heads < 1 || rows%heads != 0 || rows/heads%2 != 0:
		return &Error{Want: "rows that are an even number of times the heads", Got: fmt.Sprintf("%d rows, %d heads", rows, heads)}
	case len(src)%rows != 0 || len(dst) != len(src):
		return &Error{Want: fmt.Sprintf("two tensors of equal size, of %d equal rows", rows), Got: fmt.Sprintf("%d and %d bytes", len(dst), len(src))}
	}
	row, d := len(src)/rows, rows/heads
	for h := range heads {
		for i := range d {
			copy(dst[(h*d+to(d/2, i))*row:][:row], src[(h*d+i)*row:])
		}
	}
	return nil
}
