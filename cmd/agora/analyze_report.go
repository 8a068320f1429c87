package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/agora-ml/agora/internal/printable"
	"github.com/agora-ml/agora/internal/spectra"
	"github.com/agora-ml/agora/spectrum"
	"github.com/agora-ml/agora/train"
)

// compare computes the similarities of adapters with full updates.
func (a *analysis) compare(directions int) error {
	for _, full := range a.Runs {
		if full.Method != string(train.MethodFull) {
			continue
		}
		for _, r := range a.Runs {
			if r.Path == full.Path {
				continue
			}
			for _, u := range r.updates {
				i := slices.IndexFunc(full.updates, func(v spectrum.Update) bool { return v.Layer == u.Layer })
				if i < 0 {
					continue
				}
				phi, err := spectrum.Similarity(u, full.updates[i], directions, directions)
				if err != nil {
					return err
				}
				if len(phi) > 0 {
					a.Similarities = append(a.Similarities, similarity{r.Name, full.Name, u.Layer, phi})
				}
			}
		}
	}
	return nil
}

// kinds are the last parts of the layers' names, keys and values first.
func (a *analysis) kinds() (kinds []string) {
	for _, r := range a.Runs {
		for _, l := range r.Layers {
			if k := kindOf(l.Layer); !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	slices.SortStableFunc(kinds, func(x, y string) int { return cmp.Compare(place(x), place(y)) })
	return kinds
}

// draw draws at most two kinds of layers, for which a picture has room.
func (a *analysis) draw(w io.Writer, format string) error {
	kinds := a.kinds()
	kinds = kinds[:min(2, len(kinds))]
	var runs []spectra.Run
	for _, r := range a.Runs {
		runs = append(runs, spectra.Run{Name: r.Name, Updates: r.updates})
	}
	return spectra.Draw(w, runs, kinds, a.likenesses(kinds), format)
}

// likenesses are the means of phi over the layers of each kind, over the directions that all have.
func (a *analysis) likenesses(kinds []string) (all []spectra.Likeness) {
	for _, kind := range kinds {
		counts := []int{}
		first := len(all)
		for _, s := range a.Similarities {
			if kindOf(s.Layer) != kind {
				continue
			}
			i := slices.IndexFunc(all[first:], func(l spectra.Likeness) bool {
				return l.Run == s.Run && l.Full == s.Full
			})
			if i < 0 {
				i = len(all) - first
				all, counts = append(all, spectra.Likeness{Run: s.Run, Full: s.Full, Kind: kind}), append(counts, 0)
			}
			all[first+i].Phi = sumOf(all[first+i].Phi, s.Phi)
			counts[i]++
		}
		for i, n := range counts {
			for _, row := range all[first+i].Phi {
				for j := range row {
					row[j] /= float64(n)
				}
			}
		}
	}
	return all
}

// sumOf adds b to a, cut to what both have; a is nil at first.
func sumOf(a, b [][]float64) [][]float64 {
	if a == nil {
		a = make([][]float64, len(b))
		for i := range a {
			a[i] = make([]float64, len(b[i]))
		}
	}
	a = a[:min(len(a), len(b))]
	for i := range a {
		a[i] = a[i][:min(len(a[i]), len(b[i]))]
		for j := range a[i] {
			a[i][j] += b[i][j]
		}
	}
	return a
}

// print writes the means over layers as a table.
func (a *analysis) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "run\tlayers\tn\t|ΔW|/|W|\teffective rank\ttop 1\ttop 4\ttop 16\tstart\tφ(8,8)")
	for _, kind := range a.kinds() {
		for _, r := range a.Runs {
			mean, n := r.mean(kind)
			if n == 0 {
				continue
			}
			share := func(v float64) string {
				if math.IsNaN(v) {
					return "-"
				}
				return fmt.Sprintf("%.1f %%", 100*v)
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%.2g\t%.1f\t%s\t%s\t%s\t%s\t%s\n",
				printable.Name(r.Name), kind, n, mean.Relative, mean.EffectiveRank,
				share(mean.Energy[1]), share(mean.Energy[4]), share(mean.Energy[16]),
				share(*mean.StartShare), a.likeness(r.Name, kind))
		}
	}
	for _, r := range a.Runs {
		if n := len(r.TooLarge); n > 0 {
			fmt.Fprintf(t, "%s: %d layers are too large for a full decomposition, the first %s\n",
				printable.Name(r.Name), n, r.TooLarge[0])
		}
	}
	return t.Flush()
}

// mean is that over the layers of a kind; NaN is what none of them knows.
func (r analyzedRun) mean(kind string) (m analyzedLayer, n int) {
	m.Energy = map[int]float64{}
	start, starts := 0.0, 0.0
	for i, l := range r.Layers {
		if kindOf(l.Layer) != kind {
			continue
		}
		n++
		m.Relative, m.EffectiveRank = m.Relative+l.Relative, m.EffectiveRank+l.EffectiveRank
		for _, k := range []int{1, 4, 16} {
			m.Energy[k] += spectrum.Update{Singular: r.Layers[i].Singular}.Energy(k)
		}
		if l.StartShare != nil {
			start, starts = start+*l.StartShare, starts+1
		}
	}
	count := float64(n)
	m.Relative, m.EffectiveRank = m.Relative/count, m.EffectiveRank/count
	for k := range m.Energy {
		m.Energy[k] /= count
	}
	start /= starts // 0 / 0 is NaN
	m.StartShare = &start
	return m, n
}

// likeness is the mean of phi(8, 8) of a run with the first full update, or of what there is below.
func (a *analysis) likeness(run, kind string) string {
	sum, n := 0.0, 0.0
	for _, s := range a.Similarities {
		if s.Run == run && kindOf(s.Layer) == kind && s.Full == a.Similarities[0].Full {
			row := s.Phi[min(8, len(s.Phi))-1]
			sum, n = sum+row[min(8, len(row))-1], n+1
		}
	}
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", sum/n)
}
