package compare

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Summary is a sample's mean and standard deviation.
type Summary struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	SD   float64 `json:"sd"` // of the sample, with n - 1; 0 of one value
}

// Summarize gives mean and standard deviation of values; the mean of none is 0.
func Summarize(values []float64) Summary {
	switch len(values) {
	case 0:
		return Summary{}
	case 1:
		return Summary{N: 1, Mean: values[0]}
	}
	mean, sd := stat.MeanStdDev(values, nil)
	return Summary{len(values), mean, sd}
}

// Difference is what one method is ahead of another, paired by seed: both runs of a pair began
// with the same base and read the same rows.
type Difference struct {
	Summary
	// Low and High bound the 95 % interval of Student's t for the mean over all seeds; equal where
	// there are fewer than two seeds, which tell nothing of it.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	P    float64 `json:"p"`    // two-sided, of the hypothesis that the mean is 0; 1 with fewer than two seeds
	Up   int     `json:"up"`   // seeds above 0
	Down int     `json:"down"` // seeds below 0
}

// Level is the confidence of every interval.
const Level = 0.95

// Paired compares a[i] with b[i], which belong to one seed, for all i. It is the seeds that vary;
// rows of a test are no repetitions of a run, and never make an interval.
func Paired(a, b []float64) Difference {
	diffs := make([]float64, min(len(a), len(b)))
	d := Difference{P: 1}
	for i := range diffs {
		diffs[i] = a[i] - b[i]
		if diffs[i] > 0 {
			d.Up++
		}
		if diffs[i] < 0 {
			d.Down++
		}
	}
	d.Summary = Summarize(diffs)
	d.Low, d.High = d.Mean, d.Mean
	if d.N < 2 {
		return d
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(d.N - 1)}
	se := d.SD / math.Sqrt(float64(d.N))
	half := se * t.Quantile((1+Level)/2)
	d.Low, d.High = d.Mean-half, d.Mean+half
	switch {
	case se > 0:
		d.P = 2 * t.CDF(-math.Abs(d.Mean)/se)
	case d.Mean != 0:
		d.P = 0
	}
	return d
}

// Apart reports whether the interval leaves out 0.
func (d Difference) Apart() bool { return d.N >= 2 && (d.Low > 0 || d.High < 0) }

// Holm gives the p-values of a family of comparisons, adjusted so that all that are below 5 % may be
// believed together: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	adjusted := make([]float64, len(p))
	most := 0.0
	for k, i := range order {
		most = max(most, min(1, float64(len(p)-k)*p[i]))
		adjusted[i] = most
	}
	return adjusted
}
