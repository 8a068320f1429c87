package multilora

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/internal/lowrank"
	"github.com/agora-ml/agora/tensor"
)

// Matrix is a matrix of numbers on the host, row-major.
type Matrix struct {
	Rows, Columns int
	Data          []float64
}

// At returns the number of a row and a column.
func (m Matrix) At(row, column int) float64 { return m.Data[row*m.Columns+column] }

// Delta returns the change of a layer's weight, ΔW = scale Σ_i s_i B_i A_i, [out, in].
func (a *Adapter) Delta(layer string) (Matrix, error) {
	b, lora, err := a.factors(layer)
	if err != nil {
		return Matrix{}, err
	}
	var delta mat.Dense
	delta.Mul(b, lora)
	out, in := delta.Dims()
	return Matrix{out, in, delta.RawMatrix().Data}, nil
}

// SingularValues are the singular values of a layer's ΔW in descending order: as many as
// ΔW can have that are not zero, the smallest of out, in and n r.
// Where n r is the smallest, the work is that of a matrix of n r rows and columns.
func (a *Adapter) SingularValues(layer string) ([]float64, error) {
	b, lora, err := a.factors(layer)
	if err != nil {
		return nil, err
	}
	values, err := lowrank.ProductValues(b, lora)
	if err != nil {
		return nil, fmt.Errorf("multilora: layer %s: %w", layer, err)
	}
	return values, nil
}

// ScalingNorm is the Euclidean norm of all s of a layer.
type ScalingNorm struct {
	Layer string  `json:"layer"`
	Norm  float64 `json:"norm"`
}

// ScalingNorms are those of all layers, in the model's order; none of an adapter whose
// modules have no s. It reads from the device once, one number a layer.
func (a *Adapter) ScalingNorms() ([]ScalingNorm, error) {
	if !a.config.learnsScaling() {
		return nil, nil
	}
	d := a.device()
	scope := d.Scope()
	defer scope.Close()
	squares := d.New(tensor.F32, len(a.layers))
	for i, l := range a.layers {
		n := l.linear.S.Value.Numel()
		d.Run(kernels.SumSquares{N: n, Block: n}, squares.View(i, 1), l.linear.S.Value)
	}
	sums, err := squares.Float64s()
	if err != nil {
		return nil, err
	}
	norms := make([]ScalingNorm, len(a.layers))
	for i, l := range a.layers {
		norms[i] = ScalingNorm{l.name, math.Sqrt(sums[i])}
	}
	return norms, nil
}

// factors are scaled B [out, n r] and A [n r, in] of a layer, whose product is ΔW.
func (a *Adapter) factors(layer string) (b, lora *mat.Dense, err error) {
	l, err := a.find(layer)
	if err != nil {
		return nil, nil, err
	}
	if err := l.lowRankAlone(); err != nil {
		return nil, nil, err
	}
	scope := a.device().Scope()
	defer scope.Close()
	if b, err = dense(l.scaledB()); err != nil {
		return nil, nil, err
	}
	lora, err = dense(l.A.Value)
	return b, lora, err
}

func dense(x *tensor.Tensor) (*mat.Dense, error) {
	data, err := x.Float64s()
	if err != nil {
		return nil, err
	}
	return mat.NewDense(x.Dim(0), x.Dim(1), data), nil
}

// Factors returns the change of a layer's weight as a product of narrow matrices: B [out, n r] with
// scale and scalings in it, and A [n r, in].
func (a *Adapter) Factors(layer string) (b, lora Matrix, err error) {
	up, down, err := a.factors(layer)
	if err != nil {
		return Matrix{}, Matrix{}, err
	}
	out, rank := up.Dims()
	_, in := down.Dims()
	return Matrix{out, rank, up.RawMatrix().Data}, Matrix{rank, in, down.RawMatrix().Data}, nil
}
