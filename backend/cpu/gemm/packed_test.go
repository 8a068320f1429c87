package gemm

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/agora-ml/agora/backend/cpu/internal/pageend"
)

// Products with packed operands are right, for parts of them too.
func TestPacked(t *testing.T) {
	needPairs(t)
	everyPacked(t)
}

func TestTileModelPacked(t *testing.T) {
	UseTileModel(t)
	everyPacked(t)
}

func everyPacked(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	random := func(n int) []uint16 {
		x := pageend.Of[uint16](t, n)
		for i := range x {
			x[i] = bf16(float32(r.NormFloat64()))
		}
		return x
	}
	var w Workspace
	for _, c := range []struct {
		m, n, k int // of the packed operand
		trans   bool
	}{
		{33, 128, 64, true}, {5, 70, 36, true}, {1, 3, 8, true}, {64, 17, 32, true},
		{33, 64, 128, false}, {5, 40, 37, false}, {1, 3, 1, false}, {40, 96, 66, false}, {7, 33, 31, false},
	} {
		rows, cols := c.k, c.n
		if c.trans {
			rows, cols = cols, rows
		}
		ldb := roundUp(cols, 4) + 4*r.IntN(3)
		b := random((rows-1)*ldb + cols)
		lda := roundUp(c.k, Whole)
		a := pageend.Of[uint16](t, c.m*lda)
		for i := range c.m {
			copy(a[i*lda:], random(c.k))
		}
		memory := pageend.Of[float32](t, PackedWords(c.k, c.n))
		for i := range memory {
			memory[i] = float32(math.NaN())
		}
		packed := w.Pack(memory, c.trans, c.k, c.n, BF16(b, ldb))
		for _, part := range [][2]int{{c.n, lda}, {(c.n + 1) / 2, Whole}} {
			n, k, ldc := part[0], part[1], part[0]+1
			got := pageend.Of[float32](t, c.m*ldc)
			for _, acc := range []bool{false, true} {
				w.Times(c.m, n, k, a, lda, &packed, got, ldc, acc)
			}
			for i := range c.m {
				for j := range n {
					sum, of := 0.0, 0.0
					for l := range min(k, c.k) {
						at := l*ldb + j
						if c.trans {
							at = j*ldb + l
						}
						p := 2 * float64(wide(a[i*lda+l])) * float64(wide(b[at]))
						sum, of = sum+p, of+math.Abs(p)
					}
					if off := math.Abs(float64(got[i*ldc+j]) - sum); !(off <= 1e-6*of) {
						t.Fatalf("%+v, %d columns, %d rows: element %d, %d is %v, want %v", c, n, k, i, j, got[i*ldc+j], sum)
					}
				}
				if got[i*ldc+n] != 0 {
					t.Fatalf("%+v, %d columns: row %d is written beyond them", c, n, i)
				}
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	if !HasBF16() {
		UseTileModel(t)
	}
	var w Workspace
	for _, c := range [][3]int{{2, 1, 4}, {32, 64, 64}, {34, 37, 40}, {64, 80, 96}, {6, 50, 50}} {
		rows, cols, ld := c[0], c[1], c[2]
		narrow, narrowT := pageend.Of[uint16](t, rows*ld), pageend.Of[uint16](t, rows*cols)
		long, longT := pageend.Of[float32](t, rows*ld), pageend.Of[float32](t, rows*cols)
		for i := range narrow {
			narrow[i], long[i] = uint16(i), float32(i)
		}
		w.TransposeBF16(narrowT, narrow, ld, rows, cols)
		w.TransposeF32(longT, long, ld, rows, cols)
		for i := range rows {
			for j := range cols {
				if int(narrowT[j*rows+i]) != i*ld+j || int(longT[j*rows+i]) != i*ld+j {
					t.Fatalf("%v: element %d, %d is %d and %v", c, j, i, narrowT[j*rows+i], longT[j*rows+i])
				}
			}
		}
	}
}
