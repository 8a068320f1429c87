package cpu

import (
	"bytes"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// A mirror in 16 bits is that of the plain loops, rounded: parts that are an A and a B with scalings or without, modules that end
// inside a chunk, and a last chunk that is not full.
func TestMirrorIn16Bits(t *testing.T) {
	b, err := Open(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	r := random.NewStream(5, 0, 0, 0)
	numbers := func(n int) *tensor.Tensor {
		v := make([]float32, n)
		for i := range v {
			v[i] = r.Float32() - 0.5
		}
		return d.FromFloat32s(tensor.F32, v, n)
	}
	const chunk, rank, columns, out = 64, 12, 4, 37
	partOf := []int32{0, 0, 0, 1, 1, 1, 1, 1, 1, 1}
	parts := []int32{
		0, 3, 150, 0, 0, 0, 0, // an A
		3 * chunk, 5, out * rank, rank, columns, out, 1,
	}
	where, whose := d.FromInt32s(parts, 2, 7), d.FromInt32s(partOf, len(partOf))
	from, to, scales := numbers(200), numbers(500), numbers(2)
	for _, perOutput := range []bool{false, true} {
		for _, s := range []*tensor.Tensor{nil, numbers(1 + out*rank/columns)} {
			k := kernels.LoRAMirror{N: len(partOf) * chunk, Chunk: chunk, Count: 2, PerOutput: perOutput}
			wide := d.New(tensor.F32, k.N)
			d.Run(k, wide, from, to, s, scales, where, whose)
			for _, dt := range []tensor.DType{tensor.F16, tensor.BF16} {
				got, want := d.New(dt, k.N), d.New(dt, k.N)
				d.Run(k, got, from, to, s, scales, where, whose)
				d.Run(kernels.Cast{N: k.N}, want, wide)
				x, err := got.RawBytes()
				if err != nil {
					t.Fatal(err)
				}
				if y, _ := want.RawBytes(); !bytes.Equal(x, y) {
					t.Errorf("%s, a scaling for each output %t, scalings %t: not the plain loops' numbers", dt, perOutput, s != nil)
				}
			}
		}
	}
}
