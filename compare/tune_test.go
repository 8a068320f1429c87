package compare

import (
	"math"
	"slices"
	"testing"
)

// bowl is a loss that is lowest at a rate.
func bowl(lowest float64) func(lr float64) float64 {
	return func(lr float64) float64 { return math.Abs(math.Log2(lr / lowest)) }
}

func tuned(t *testing.T, rounds int, rates []float64, losses ...func(lr float64) float64) (grids []grid, calls int) {
	t.Helper()
	methods := make([]Method, len(losses))
	for i := range methods {
		methods[i].LR = rates
	}
	grids, err := tune(methods, 0, rounds, func(todo []tryOf) ([][]float64, error) {
		calls++
		var all [][]float64
		for _, k := range todo {
			l := losses[k.method](k.lr)
			all = append(all, []float64{l - 0.1, l, l + 0.1})
		}
		return all, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return grids, calls
}

func ratesOf(g grid) (rates []float64) {
	for _, t := range g {
		rates = append(rates, t.LR)
	}
	return rates
}

func TestTuneEndsInside(t *testing.T) {
	grids, calls := tuned(t, 3, []float64{1, 2, 4}, bowl(2), bowl(2.2))
	if calls != 1 || grids[0].best() != 1 || grids[0].atEdge() || len(grids[1]) != 3 {
		t.Errorf("%d rounds, grids %v", calls, grids)
	}
}

// The first method's best rate lies two steps below its grid, the second's inside: both get as many tries.
func TestTuneGoesBeyondTheEdge(t *testing.T) {
	grids, calls := tuned(t, 3, []float64{1, 2, 4}, bowl(0.5), bowl(2.4))
	if want := []float64{0.25, 0.5, 1, 2, 4}; calls != 3 || !slices.Equal(ratesOf(grids[0]), want) {
		t.Errorf("%d rounds, rates %v, want %v", calls, ratesOf(grids[0]), want)
	}
	if g := grids[0]; g[g.best()].LR != 0.5 || g.atEdge() {
		t.Errorf("best rate %v of %v", g[g.best()].LR, g)
	}
	if want := []float64{1, 2, 2.38, 2.83, 4}; !slices.Equal(ratesOf(grids[1]), want) {
		t.Errorf("rates %v, want %v: between the best and its better neighbor", ratesOf(grids[1]), want)
	}
}

func TestTuneGivesUpAtTheEdge(t *testing.T) {
	grids, calls := tuned(t, 1, []float64{1, 2}, bowl(64))
	if calls != 2 || !slices.Equal(ratesOf(grids[0]), []float64{1, 2, 4}) || !grids[0].atEdge() {
		t.Errorf("%d rounds, %v", calls, grids[0])
	}
}

// A run that diverged makes its rate the worst, however good the others are.
func TestTuneAvoidsDivergence(t *testing.T) {
	g := grid{{1, []float64{3, 3, 3}}, {2, []float64{2, 2, 2}}, {4, []float64{0, 0, math.Inf(1)}}}
	if g.best() != 1 || g.atEdge() {
		t.Errorf("best is %d", g.best())
	}
	if all := (grid{{1, []float64{math.Inf(1)}}, {2, []float64{math.Inf(1)}}}); all.more() != 0.5 {
		t.Errorf("where all diverge the next rate is %v, want a lower one", all.more())
	}
}
