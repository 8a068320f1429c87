package llama

import "fmt"

// Rotary embeddings turn pairs of a head's elements. Hugging Face pairs element j with
// j + d/2, d being the head's length; llama.cpp, in files of architecture llama, pairs
// 2j with 2j + 1. The rows of the query and key weights, which make these elements,
// are therefore stored in another order, and so are their biases and the rows of a
// LoRA adapter's B. The columns are not touched: a row moves with all its blocks.

// Interleave returns the rows of data, equally long and in the order of Hugging Face, in the
// order of GGUF: in every head of d rows, row j·d/2 + t becomes row 2t + j, j = 0 or 1.
func Interleave[T any](data []T, rows, heads int) ([]T, error) {
	return permute(data, rows, heads, func(half, i int) int { return i%half*2 + i/half })
}

// Deinterleave is the inverse of Interleave: row 2t + j becomes row j·d/2 + t.
func Deinterleave[T any](data []T, rows, heads int) ([]T, error) {
	return permute(data, rows, heads, func(half, i int) int { return i%2*half + i/2 })
}

// permute puts row i of each head of twice half rows at row to(half, i).
func permute[T any](data []T, rows, heads int, to func(half, i int) int) ([]T, error) {
	switch {
	case rows < 1 || heads < 1 || rows%heads != 0 || rows/heads%2 != 0:
		return nil, fmt.Errorf("want rows that are an even number of times the heads, got %d rows, %d heads", rows,
			heads)
	case len(data)%rows != 0:
		return nil, fmt.Errorf("want %d equal rows, got %d elements", rows, len(data))
	}
	moved := make([]T, len(data))
	row, d := len(data)/rows, rows/heads
	for h := range heads {
		for i := range d {
			copy(moved[(h*d+to(d/2, i))*row:][:row], data[(h*d+i)*row:])
		}
	}
	return moved, nil
}
