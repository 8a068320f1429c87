package gemm

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
)

// A row's product in 16 bits has the bits of that in float32, rounded, by any number of threads, and nothing is written
// beside it.
func TestSgemmRow(t *testing.T) {
	everyKernel(t, func(t *testing.T, kn kernel) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, size := range [][2]int{{1, 1}, {37, 33}, {100, 64}, {vectorChunk + 7, 96}} {
			n, k := size[0], size[1]
			x := make([]float32, k)
			for i := range x {
				x[i] = r.Float32() - 0.5
			}
			for f := range formatBlocks + 1 {
				if f == formatPairs || f == formatBlocks && k%32 != 0 {
					continue
				}
				for _, trans := range []bool{true, false} {
					ld := n
					if trans {
						ld = k
					}
					if f == formatBlocks && ld%32 != 0 {
						continue
					}
					b := randomMatrix(r, f, n*k, ld)
					wide := make([]float32, n)
					for _, e := range engines(t, kn) {
						e.Sgemm(false, trans, 1, n, k, x, k, b, wide, n, false)
						for to, round := range map[format]func(float32) uint16{formatF16: half.ToF16, formatBF16: half.ToBF16} {
							memory := make([]uint16, n+2)
							y := Matrix{to, F16(memory[1:n+1], n).data, n, n}
							if !e.SgemmRow(trans, n, k, x, b, y) {
								t.Fatalf("%v, format %d: it was not computed", size, f)
							}
							want := []uint16{0}
							for _, v := range wide {
								want = append(want, round(v))
							}
							if !slices.Equal(memory, append(want, 0)) {
								t.Errorf("%v, format %d to %d, transposed %t: other numbers than Sgemm's, rounded", size, f, to, trans)
							}
						}
					}
				}
			}
		}
	})
}

// randomMatrix has n numbers about zero.
func randomMatrix(r *rand.Rand, f format, n, ld int) Matrix {
	values, halves := make([]float32, n), make([]uint16, n)
	for i := range values {
		values[i] = r.Float32() - 0.5
		halves[i] = half.ToF16(values[i])
		if f == formatBF16 {
			halves[i] = half.ToBF16(values[i])
		}
	}
	switch {
	case f == formatF32:
		return F32(values, ld)
	case f.inBlocks():
		return Blocks(BlockType(f.blocks()), f.blocks().Random(r.Uint32, n, 1), ld)
	}
	return Matrix{f, F16(halves, ld).data, n, ld}
}

// What is computed in integers is left to Sgemm, and nothing is written.
func TestSgemmRowInIntegers(t *testing.T) {
	if len(integerPaths) == 0 {
		t.Skip("no products in integers here")
	}
	e := New(1)
	defer e.Close()
	e.RoundRows = true
	y := []uint16{7, 7, 7}
	b := Blocks(Q8_0, quant.Q8_0.Random(rand.New(rand.NewPCG(1, 1)).Uint32, 3*32, 1), 32)
	if e.SgemmRow(true, 3, 32, make([]float32, 32), b, BF16(y, 3)) || !slices.Equal(y, []uint16{7, 7, 7}) {
		t.Errorf("computed %v", y)
	}
}
