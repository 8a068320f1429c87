// Package lowrank decomposes matrices of low rank, in float64. That of a product b a of narrow
// factors, as LoRA's update is, goes through its small core: with b = Q_b R_b and aᵀ = Q_a R_a,
// the singular values are those of R_b R_aᵀ, which is as small as the rank.
package lowrank

import (
	"cmp"
	"errors"
	"math"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/agora-ml/agora/random"
)

// SVD is the thin singular value decomposition U diag(S) Vᵀ of a matrix [m, n].
type SVD struct {
	U *mat.Dense // [m, k], its columns orthonormal
	S []float64  // [k], descending
	V *mat.Dense // [n, k], its columns orthonormal
}

var (
	errNotConverged = errors.New("the singular values do not converge")
	errNotFinite    = errors.New("want finite numbers, got others")
)

// finite is an error if any number of a matrix is not finite: LAPACK would panic or never end.
func finite(m mat.Matrix) error {
	if v := mat.Norm(m, 1); math.IsNaN(v) || math.IsInf(v, 0) {
		return errNotFinite
	}
	return nil
}

// Dense decomposes a matrix as a whole.
func Dense(m mat.Matrix) (SVD, error) {
	if err := finite(m); err != nil {
		return SVD{}, err
	}
	var f mat.SVD
	if !f.Factorize(m, mat.SVDThin) {
		return SVD{}, errNotConverged
	}
	s := SVD{U: &mat.Dense{}, V: &mat.Dense{}, S: f.Values(nil)}
	f.UTo(s.U)
	f.VTo(s.V)
	return s, nil
}

// Product decomposes b a, b being [m, r] and a [r, n].
func Product(b, a mat.Matrix) (SVD, error) {
	m, r := b.Dims()
	_, n := a.Dims()
	if r >= min(m, n) {
		var product mat.Dense
		product.Mul(b, a)
		return Dense(&product)
	}
	if err := cmp.Or(finite(b), finite(a)); err != nil {
		return SVD{}, err
	}
	qb, rb := thinQR(b)
	qa, ra := thinQR(a.T())
	var core mat.Dense
	core.Mul(rb, ra.T())
	s, err := Dense(&core)
	if err != nil {
		return SVD{}, err
	}
	var u, v mat.Dense
	u.Mul(qb, s.U)
	v.Mul(qa, s.V)
	return SVD{&u, s.S, &v}, nil
}

// ProductValues returns the singular values of b a alone: the smallest of m, n and r many.
func ProductValues(b, a mat.Matrix) ([]float64, error) {
	m, r := b.Dims()
	_, n := a.Dims()
	var core mat.Dense
	if err := cmp.Or(finite(b), finite(a)); err != nil {
		return nil, err
	}
	if r < min(m, n) {
		core.Mul(triangle(b), triangle(a.T()).T())
	} else {
		core.Mul(b, a)
	}
	return Values(&core)
}

// Values returns the singular values of a matrix, descending.
func Values(m mat.Matrix) ([]float64, error) {
	if err := finite(m); err != nil {
		return nil, err
	}
	var f mat.SVD
	if !f.Factorize(m, mat.SVDNone) {
		return nil, errNotConverged
	}
	return f.Values(nil), nil
}

// Largest returns the largest singular values of a matrix and their vectors, rank many, by
// iterating on a random subspace (N. Halko, P. Martinsson, J. Tropp, "Finding structure with
// randomness", 0909.4061, algorithm 4.4): much faster than Dense, and exact where the values
// behind them are far smaller. The same seed gives the same bits.
func Largest(m mat.Matrix, rank int, seed uint64) (SVD, error) {
	if err := finite(m); err != nil {
		return SVD{}, err
	}
	const more, rounds = 8, 8 // directions beyond rank, and how often the matrix acts on them
	rows, columns := m.Dims()
	k := min(rank+more, rows, columns)
	start := mat.NewDense(columns, k, nil)
	draw := random.NewStream(seed, random.Combine, 0, 0)
	start.Apply(func(_, _ int, _ float64) float64 { return draw.Normal() }, start)
	y := start
	var q *mat.Dense
	for range rounds {
		left := &mat.Dense{}
		left.Mul(m, y)
		q, _ = thinQR(left)
		right := &mat.Dense{}
		right.Mul(m.T(), q)
		y, _ = thinQR(right)
	}
	var small, u mat.Dense
	small.Mul(q.T(), m)
	s, err := Dense(&small)
	if err != nil {
		return SVD{}, err
	}
	u.Mul(q, s.U)
	return SVD{&u, s.S, s.V}.Cut(rank), nil
}

// Cut keeps the largest singular values, rank many.
func (s SVD) Cut(rank int) SVD {
	if rank >= len(s.S) {
		return s
	}
	m, _ := s.U.Dims()
	n, _ := s.V.Dims()
	return SVD{mat.DenseCopyOf(s.U.Slice(0, m, 0, rank)), s.S[:rank], mat.DenseCopyOf(s.V.Slice(0, n, 0, rank))}
}

// Factors returns b [m, k] and a [k, n] of equal norm whose product is the matrix.
func (s SVD) Factors() (b, a *mat.Dense) {
	root := func(_, k int, v float64) float64 { return v * math.Sqrt(s.S[k]) }
	b, a = mat.DenseCopyOf(s.U), mat.DenseCopyOf(s.V)
	b.Apply(root, b)
	a.Apply(root, a)
	return b, mat.DenseCopyOf(a.T())
}

// thinQR returns the Q [m, n] and R [n, n] of a matrix with at least as many rows as columns.
func thinQR(x mat.Matrix) (q, r *mat.Dense) {
	q = mat.DenseCopyOf(x)
	_, n := q.Dims()
	raw, tau := q.RawMatrix(), make([]float64, n)
	work := func(f func(work []float64, size int)) {
		size := make([]float64, 1)
		f(size, -1)
		f(make([]float64, int(size[0])), int(size[0]))
	}
	work(func(w []float64, size int) { lapack64.Geqrf(raw, tau, w, size) })
	r = upper(raw, n)
	work(func(w []float64, size int) { lapack64.Orgqr(raw, tau, w, size) })
	return q, r
}

// triangle is the R of thinQR alone.
func triangle(x mat.Matrix) *mat.Dense {
	var qr mat.QR
	qr.Factorize(x)
	var r mat.Dense
	qr.RTo(&r)
	_, n := x.Dims()
	return mat.DenseCopyOf(r.Slice(0, n, 0, n))
}

func upper(x blas64.General, n int) *mat.Dense {
	r := mat.NewDense(n, n, nil)
	for i := range n {
		copy(r.RawRowView(i)[i:], x.Data[i*x.Stride+i:i*x.Stride+n])
	}
	return r
}
