package cpu

import (
	"bytes"
	"testing"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/random"
	"github.com/agora-ml/agora/tensor"
)

// A product some rows at a time has the bits of the whole one, whatever the types. Where rows are rounded, products with quantized
// weights are widened before (runPieces); most others are halfMatmul's, which has no pieces.
func TestProductsInPieces(t *testing.T) {
	defer func(old int) { pieceBytes = old }(pieceBytes)
	options := []Options{{Threads: 2}, {Threads: 2, RoundActivations: true}}
	if High.byParts() {
		options = append(options, Options{Threads: 2, MatmulPrecision: High})
	}
	for _, o := range options {
		testPieces(t, o)
	}
	pieceBytes = 1
	for rows := 2; rows < 50000; rows++ { // none is left among few that are summed in another order
		n := rowsOfPiece(kernels.Matmul{M: rows, N: 9, K: 9}, tensor.BF16, tensor.BF16)
		if left := rows % max(1, n); n < 1 || n > rows || n < rows && left == 1 {
			t.Fatalf("%d rows in pieces of %d", rows, n)
		}
	}
}

func testPieces(t *testing.T, o Options) {
	t.Helper()
	for _, m := range []kernels.Matmul{
		{Batch: 1, M: 300, N: 64, K: 256, TransB: true}, {Batch: 1, M: 257, N: 256, K: 64},
		{Batch: 2, M: 385, N: 64, K: 64, TransB: true, Acc: true},
		{Batch: 1, M: 300, N: 64, K: 256, TransB: true, BiasRows: 300}, {Batch: 2, M: 257, N: 64, K: 64, BiasRows: 514, Acc: true},
	} {
		for _, weight := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.Q8, tensor.Q4_K} {
			for _, dt := range []tensor.DType{tensor.F16, tensor.BF16} {
				for _, result := range []tensor.DType{dt, tensor.F32} {
					if weight.IsQuantized() && m.Batch > 1 || o.RoundActivations && !weight.IsQuantized() {
						continue
					}
					pieceBytes = 1
					got := product(t, o, m, result, dt, weight)
					pieceBytes = 1 << 30
					if !bytes.Equal(got, product(t, o, m, result, dt, weight)) {
						t.Errorf("%+v, rounded %t, %q, %s = %s × %s: other bits in pieces", m, o.RoundActivations, o.MatmulPrecision, result, dt, weight)
					}
				}
			}
		}
	}
}

// product is the bytes of a result of random operands.
func product(t *testing.T, o Options, m kernels.Matmul, result, dt, weight tensor.DType) []byte {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	d := tensor.NewDevice(b)
	defer d.Close()
	r := random.NewStream(3, 0, 0, 0)
	numbers := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = r.Float32() - 0.5
		}
		return v
	}
	rows, columns := m.K, m.N
	if m.TransB {
		rows, columns = m.N, m.K
	}
	w := d.FromFloat32s(tensor.F32, numbers(m.Batch*rows*columns), m.Batch*rows, columns)
	if weight.IsQuantized() {
		kind := quant.Type(weight - tensor.Q8)
		w = d.FromBytes(weight, kind.Random(r.Uint32, w.Numel(), 0.5), w.Shape()...)
	} else if weight != tensor.F32 {
		w = d.FromFloat32s(weight, numbers(m.Batch*rows*columns), m.Batch*rows, columns)
	}
	c := d.FromFloat32s(result, numbers(m.Batch*m.M*m.N), m.Batch*m.M, m.N)
	var residual *tensor.Tensor
	if m.BiasRows > 0 {
		residual = d.FromFloat32s(result, numbers(m.BiasRows*m.N), m.BiasRows, m.N)
	}
	d.Run(m, c, d.FromFloat32s(dt, numbers(m.Batch*m.M*m.K), m.Batch*m.M, m.K), w, residual)
	data, err := c.RawBytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
