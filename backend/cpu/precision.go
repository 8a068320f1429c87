package cpu

import (
	"fmt"

	"github.com/agora-ml/agora/backend/cpu/gemm"
)

// Precision is how products of float32 matrices are computed. The names are PyTorch's.
type Precision string

// The precisions.
const (
	// Highest multiplies float32.
	Highest Precision = "highest"
	// High takes each number of a product as the sum of two in bfloat16 and leaves out the product of the smaller ones, on
	// processors with AMX: a result is off by some 4e-6 of its norm, where Highest is by 4e-7 and TF32 by 3e-4. Products
	// of matrices with fewer than 32 rows or columns are as by Highest, and so is everything on other processors.
	High Precision = "high"
)

// ParsePrecision reads a name.
func ParsePrecision(name string) (Precision, error) {
	switch p := Precision(name); p {
	case Highest, High:
		return p, nil
	}
	return "", fmt.Errorf("want %s or %s, got %q", Highest, High, name)
}

// SplitsFactors makes the backend a tensor.Splitting.
func (b *backend) SplitsFactors() bool { return b.work.gemm.ByParts }

// SplitsFactors makes the backend that is measured a tensor.Splitting, as the CPU's is.
func (f *Footprint) SplitsFactors() bool { return f.MatmulPrecision.byParts() }

// byParts reports whether products are computed by parts of bfloat16: they are asked for, and there is a kernel.
func (p Precision) byParts() bool { return p == High && gemm.HasParts() }
