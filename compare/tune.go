package compare

import (
	"math"
	"slices"
	"strconv"
)

// Try is a method at one rate.
type Try struct {
	LR     float64   `json:"lr"`     // of merged: the weight
	Losses []float64 `json:"losses"` // on validation rows, of every seed for tuning; null: diverged
}

// grid is what a method was tried at for one number of steps, rates ascending.
type grid []Try

// mean is infinite where a run has diverged.
func (t Try) mean() float64 { return Summarize(t.Losses).Mean }

// best is the try of the lowest mean over the seeds, the smallest rate of equal ones.
func (g grid) best() int {
	best := 0
	for i, t := range g {
		if t.mean() < g[best].mean() {
			best = i
		}
	}
	return best
}

// atEdge reports whether the best rate is the first or the last of several: then a better one may
// lie beyond.
func (g grid) atEdge() bool {
	b := g.best()
	return len(g) > 1 && (b == 0 || b == len(g)-1)
}

// more is the rate of another try: one beyond the edge that the best lies at, else one between the
// best and the better one of its neighbors.
func (g grid) more() float64 {
	b, last := g.best(), len(g)-1
	switch {
	case last == 0:
		return rounded(g[0].LR / 2)
	case b == 0:
		return rounded(g[0].LR * g[0].LR / g[1].LR)
	case b == last:
		return rounded(g[last].LR * g[last].LR / g[last-1].LR)
	}
	beside := b + 1
	if g[b-1].mean() < g[b+1].mean() {
		beside = b - 1
	}
	return rounded(math.Sqrt(g[b].LR * g[beside].LR))
}

// rounded has three digits, as a person would write a rate.
func rounded(rate float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(rate, 'g', 3, 64), 64)
	if err != nil {
		return rate
	}
	return r
}

// with adds a try in its place.
func (g grid) with(t Try) grid {
	at, _ := slices.BinarySearchFunc(g, t.LR, func(t Try, lr float64) int {
		switch {
		case t.LR < lr:
			return -1
		case t.LR > lr:
			return 1
		}
		return 0
	})
	return slices.Insert(slices.Clone(g), at, t)
}

// phases are the numbers of the methods that need no other row, and of those that do.
func (e *Experiment) phases() (all [2][]int) {
	for i, m := range e.Methods {
		k := 0
		if m.From != "" {
			k = 1
		}
		all[k] = append(all[k], i)
	}
	return all
}

// tuned finds every method's grid for a number of steps. Methods that begin with another row's
// adapters come after the others, with as many tries. losses makes trials.
func (e *Experiment) tuned(steps int, losses func([]Trial) ([]float64, error)) ([]grid, error) {
	grids, chosen := make([]grid, len(e.Methods)), rates{}
	least, most := 0, e.Seeds.Rounds
	for _, phase := range e.phases() {
		methods := pick(e.Methods, phase)
		if len(methods) == 0 {
			continue
		}
		found, err := tune(methods, least, most, func(todo []tryOf) ([][]float64, error) {
			var trials []Trial
			for _, t := range todo {
				for k, seed := range e.Seeds.Tune {
					trials = append(trials, e.trial(methods[t.method], t.lr, chosen, steps, k, seed, false))
				}
			}
			made, err := losses(trials)
			if err != nil {
				return nil, err
			}
			return slices.Collect(slices.Chunk(made, len(e.Seeds.Tune))), nil
		})
		if err != nil {
			return nil, err
		}
		for k, i := range phase {
			grids[i], chosen[methods[k].Name] = found[k], found[k][found[k].best()].LR
		}
		least = len(found[0]) - len(methods[0].tries())
		most = least
	}
	return grids, nil
}

// tune tries every method at its rates. While the best rate of one of them is the first or the last, all
// get another try, for at least and at most so many rounds. run gives the losses of all seeds of each pair
// of a method's number and a rate.
func tune(methods []Method, least, most int, run func([]tryOf) ([][]float64, error)) ([]grid, error) {
	grids := make([]grid, len(methods))
	var todo []tryOf
	for i, m := range methods {
		for _, lr := range m.tries() {
			todo = append(todo, tryOf{i, lr})
		}
	}
	for round := 0; ; round++ {
		losses, err := run(todo)
		if err != nil {
			return nil, err
		}
		for k, t := range todo {
			grids[t.method] = grids[t.method].with(Try{t.lr, losses[k]})
		}
		if round == most || round >= least && !slices.ContainsFunc(grids, grid.atEdge) {
			return grids, nil
		}
		todo = todo[:0:0]
		for i := range methods {
			todo = append(todo, tryOf{i, grids[i].more()})
		}
	}
}

// tryOf is a method, by its number, at a rate.
type tryOf struct {
	method int
	lr     float64
}
