package curves

import "math"

// Smooth is the curve without its noise: at each point the value of a straight line fitted
// to its neighbors, near ones counting more (a local linear regression with a
// triangular kernel). Unlike a moving average it neither lags behind a falling loss nor
// bends at the ends.
func (c Curve) Smooth() Curve {
	n := len(c.Steps)
	reach := min(max(n/25, 4), 250) // points on each side
	s := Curve{Steps: c.Steps, Values: make([]float64, n)}
	for i := range n {
		from, to := max(0, i-reach), min(n-1, i+reach)
		span := float64(max(i-from, to-i) + 1)
		lowest, highest := math.Inf(1), math.Inf(-1)
		var sw, sx, sy, sxx, sxy float64 // sums over weights, x relative to the point, y
		for j := from; j <= to; j++ {
			w := 1 - math.Abs(float64(j-i))/span
			x, y := c.Steps[j]-c.Steps[i], c.Values[j]
			lowest, highest = min(lowest, y), max(highest, y)
			sw, sx, sy, sxx, sxy = sw+w, sx+w*x, sy+w*y, sxx+w*x*x, sxy+w*x*y
		}
		if d := sw*sxx - sx*sx; d > 1e-12*sw*sxx {
			// within the neighbors' range: a steep end is not drawn on beyond it
			s.Values[i] = min(max((sxx*sy-sx*sxy)/d, lowest), highest)
		} else { // one step only
			s.Values[i] = sy / sw
		}
	}
	return s
}
