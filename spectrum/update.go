// Package spectrum says what fine-tuning has changed in a model's weights, by the singular values
// and vectors of each layer's update ΔW: how they spread, how much the largest hold, and which
// directions two methods share (2106.09685, section 7.2; 2311.11501's analysis).
//
//	updates, err := spectrum.OfAdapter(adapter)
//	for _, u := range updates {
//		fmt.Println(u.Layer, u.EffectiveRank(), u.Energy(4))
//	}
package spectrum

import (
	"context"
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/internal/lowrank"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/nn/llama"
)

// LargestFull bounds the smaller side of the layers whose full update OfTuned decomposes: the time
// grows with its third power.
const LargestFull = 512

// Update is the change ΔW [Rows, Columns] of one linear layer's weight.
type Update struct {
	Layer         string
	Rows, Columns int
	// Singular are the singular values, descending: the smaller side many for a full update, and for
	// an adapter as many as its rank allows. All others are zero.
	Singular []float64

	svd lowrank.SVD
}

// OfAdapter decomposes the updates of an adapter's layers, in the model's order, through the small
// core of their factors: the time is that of the rank, not of the layer. Only layers that keep
// reports true for are looked at; nil: all.
func OfAdapter(ctx context.Context, a *multilora.Adapter, keep func(layer string) bool) ([]Update, error) {
	var updates []Update
	for _, layer := range a.Layers() {
		if keep != nil && !keep(layer) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, down, err := a.Factors(layer)
		if err != nil {
			return nil, err
		}
		s, err := lowrank.Product(dense(b), dense(down))
		if err != nil {
			return nil, fmt.Errorf("spectrum: layer %s: %w", layer, err)
		}
		updates = append(updates, Update{layer, b.Rows, down.Columns, s.S, s})
	}
	return updates, nil
}

// OfTuned decomposes what full fine-tuning has changed in the layers of a model's blocks, in the
// model's order. Layers whose smaller side is above LargestFull are left out and named. Only layers
// that keep reports true for are looked at; nil: all.
func OfTuned(
	ctx context.Context, base, tuned *llama.Model, keep func(layer string) bool,
) (updates []Update, tooLarge []string, err error) {
	before := map[string]*nn.Param{}
	for name, p := range nn.Params(base) {
		before[name] = p
	}
	for name, p := range nn.Params(tuned) {
		layer, ok := strings.CutSuffix(name, "_proj.weight")
		layer += "_proj"
		if !ok || keep != nil && !keep(layer) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		was := before[name]
		if was == nil || !was.Value.SameShape(p.Value) {
			return nil, nil, fmt.Errorf("spectrum: layer %s: want two models of one shape, got %s in one alone",
				layer, p.Value)
		}
		rows, columns := p.Value.Dim(0), p.Value.Dim(1)
		if min(rows, columns) > LargestFull {
			tooLarge = append(tooLarge, layer)
			continue
		}
		delta, err := difference(p, was)
		if err != nil {
			return nil, nil, err
		}
		s, err := lowrank.Dense(mat.NewDense(rows, columns, delta))
		if err != nil {
			return nil, nil, fmt.Errorf("spectrum: layer %s: %w", layer, err)
		}
		updates = append(updates, Update{layer, rows, columns, s.S, s})
	}
	return updates, tooLarge, nil
}

func difference(is, was *nn.Param) ([]float64, error) {
	x, err := is.Value.Float64s()
	if err != nil {
		return nil, err
	}
	y, err := was.Value.Float64s()
	for i, v := range y {
		x[i] -= v
	}
	return x, err
}

func dense(m multilora.Matrix) *mat.Dense { return mat.NewDense(m.Rows, m.Columns, m.Data) }

// Norm returns the Frobenius norm |ΔW|.
func (u Update) Norm() float64 {
	sum := 0.0
	for _, v := range u.Singular {
		sum += v * v
	}
	return math.Sqrt(sum)
}

// Energy returns the share of |ΔW|² that the k largest singular values hold; 0 of no change.
func (u Update) Energy(k int) float64 {
	all := u.Norm()
	if all == 0 {
		return 0
	}
	top := Update{Singular: u.Singular[:min(k, len(u.Singular))]}.Norm()
	return top * top / (all * all)
}

// EffectiveRank returns exp of the entropy of the singular values' shares: see
// multilora.EffectiveRank.
func (u Update) EffectiveRank() float64 { return multilora.EffectiveRank(u.Singular) }

// Similarity returns phi(i, j) for i of up to mostI and j of up to mostJ in [i-1][j-1]: how much of
// the space of one's first i singular vectors lies in that of the other's first j (2106.09685,
// equation 4, with the right singular vectors, which are directions of the layer's input):
//
//	phi(i, j) = |V_iᵀ V'_j|² / min(i, j)
//
// 1 is one space within the other, 0 none in common; of random spaces of n dimensions
// max(i, j) / n is expected. Vectors of singular values that are zero are not counted: rows and
// columns end with those that are not.
func Similarity(a, b Update, mostI, mostJ int) ([][]float64, error) {
	if a.Columns != b.Columns {
		return nil, fmt.Errorf("spectrum: layer %s: want two updates of as many inputs, got %d and %d",
			a.Layer, a.Columns, b.Columns)
	}
	mostI, mostJ = min(mostI, a.rank()), min(mostJ, b.rank())
	phi := make([][]float64, mostI)
	if mostI == 0 || mostJ == 0 {
		return phi, nil
	}
	var cross mat.Dense
	cross.Mul(a.svd.V.Slice(0, a.Columns, 0, mostI).T(), b.svd.V.Slice(0, b.Columns, 0, mostJ))
	above := make([]float64, mostJ) // the sums over the rows so far, of columns up to j
	for i := range phi {
		phi[i] = make([]float64, mostJ)
		row := 0.0
		for j := range mostJ {
			row += cross.At(i, j) * cross.At(i, j)
			above[j] += row
			phi[i][j] = above[j] / float64(min(i, j)+1)
		}
	}
	return phi, nil
}

// rank is how many singular values are not zero but for rounding.
func (u Update) rank() int {
	for i, v := range u.Singular {
		if v <= 1e-7*u.Singular[0] {
			return i
		}
	}
	return len(u.Singular)
}
