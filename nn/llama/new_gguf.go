package llama

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/normals"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// NewGGUF writes a model with random weights as one GGUF file, a tensor at a time, so that it may be larger than the
// memory: something to measure with. Matrices are normal with deviation Config.InitRange, but of numbers that come
// again after a million; norms are one, biases zero. A model that is to learn from scratch is made by New. It ends with
// ctx's error when ctx ends, and leaves no file then.
func NewGGUF(ctx context.Context, path string, c Config, o GGUFOptions, seed uint64) error {
	tensor.NotNil("llama.NewGGUF", "a context", ctx)
	if err := c.check("config"); err != nil {
		return err
	}
	m, shapes := build(nil, c)
	values := &normalValues{values: normals.Values(c.InitRange, seed), stored: map[tensor.DType][]byte{}}
	var tensors []ggufTensor
	for name, p := range nn.Params(m) {
		shape := shapes[p]
		write := func(w io.Writer, dt tensor.DType, _ int, _ float32) error { // in any order of rows as random
			return values.write(ctx, w, dt, tensor.Numel(shape))
		}
		if len(shape) == 1 {
			write = func(w io.Writer, dt tensor.DType, _ int, offset float32) error {
				value := 1 - familyOf(c.ModelType).normOffset + offset
				if strings.HasSuffix(name, ".bias") {
					value = 0
				}
				data, err := gguf.Append(nil, ggufTypes[dt], slices.Repeat([]float32{value}, shape[0]))
				if err == nil {
					_, err = w.Write(data)
				}
				return err
			}
		}
		tensors = append(tensors, ggufTensor{name, shape, write})
	}
	return c.saveGGUF(path, o, tensors)
}

// normalValues are what matrices of any size are filled with, one behind the other.
type normalValues struct {
	values []float32
	stored map[tensor.DType][]byte // values as a type stores them
	next   int
}

// write puts out the next n numbers in the type dt.
func (v *normalValues) write(ctx context.Context, w io.Writer, dt tensor.DType, n int) error {
	stored, ok := v.stored[dt]
	if !ok {
		var err error
		if stored, err = gguf.Append(nil, ggufTypes[dt], v.values); err != nil {
			return fmt.Errorf("llama: random weights in %s: %w", dt, err)
		}
		v.stored[dt] = stored
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := min(n, normals.Len-v.next)
		if _, err := w.Write(stored[dt.Bytes(v.next):dt.Bytes(v.next+k)]); err != nil {
			return err
		}
		n, v.next = n-k, (v.next+k)%normals.Len
	}
	v.next = normals.Next(v.next)
	return nil
}
