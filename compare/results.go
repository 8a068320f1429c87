package compare

import (
	"encoding/json"
	"math"
	"slices"
)

// Results is all that an experiment has found.
type Results struct {
	Experiment Experiment   `json:"experiment"`
	Bases      []BaseResult `json:"bases"`
	Rates      []Rate       `json:"rates"`
	Runs       []ScoredRun  `json:"runs"`
	Table      []Row        `json:"table"`
	Pairs      []Pair       `json:"pairs"`
	Findings   []string     `json:"findings"` // one sentence for each of Experiment.Pairs
	Notes      []string     `json:"notes"`    // what a reader must know before believing the rest
	Speed      []SpeedRow   `json:"speed,omitempty"`
	Versions   []string     `json:"versions"` // of Agora that made the runs
}

// Rate is the learning rate that a method was given for a number of steps, and why.
type Rate struct {
	Method string  `json:"method"`
	Steps  int     `json:"steps"`
	LR     float64 `json:"lr"`
	Tries  []Try   `json:"tries"`
	Edge   bool    `json:"edge"` // the best was the first or the last: a better one may lie beyond
}

// MarshalJSON writes null for a run that diverged.
func (t Try) MarshalJSON() ([]byte, error) {
	losses := make([]*float64, len(t.Losses))
	for i, l := range t.Losses {
		if !math.IsInf(l, 0) {
			losses[i] = &l
		}
	}
	return json.Marshal(struct {
		LR     float64    `json:"lr"`
		Losses []*float64 `json:"losses"`
	}{t.LR, losses})
}

func rateOf(method string, steps int, g grid) Rate {
	return Rate{method, steps, g[g.best()].LR, g, g.atEdge()}
}

// rates are those that were chosen for a number of steps.
func (r *Results) rates(steps int) rates {
	chosen := rates{}
	for _, t := range r.Rates {
		if t.Steps == steps {
			chosen[t.Method] = t.LR
		}
	}
	return chosen
}

// ScoredRun is a run whose scores count.
type ScoredRun struct {
	Method string `json:"name"`
	TrialResult
}

// Row is a method after a number of steps, over its seeds.
type Row struct {
	Method   string        `json:"method"`
	Steps    int           `json:"steps"`
	LR       float64       `json:"lr"`
	Trained  int           `json:"trained"`
	Seeds    []uint64      `json:"seeds"`
	Diverged int           `json:"diverged"` // of them; they are not in the means
	Mean     TaskSummary   `json:"mean"`     // over tasks, each counting as much
	Tasks    []TaskSummary `json:"tasks"`
	Relative Summary       `json:"relative"` // see Change
	Scaling  Summary       `json:"scaling"`
	Random   Summary       `json:"random"`
	Rank     Summary       `json:"effective_rank"`
	Spectrum []float64     `json:"spectrum,omitempty"` // mean over seeds
}

// TaskSummary is a task's scores over seeds.
type TaskSummary struct {
	Task    string  `json:"task"`
	Loss    Summary `json:"loss"`
	Exact   Summary `json:"exact"`
	Letters Summary `json:"letters"`
}

func (s TaskSummary) value(m Measure) Summary {
	return asked(m, s.Letters, s.Exact, s.Loss)
}

// Pair is how far one method is ahead of another after a number of steps: positive where the first
// is better, by the experiment's measure.
type Pair struct {
	First     string       `json:"first"`
	Second    string       `json:"second"`
	Steps     int          `json:"steps"`
	Advantage Difference   `json:"advantage"`
	Seeds     []float64    `json:"seeds"` // the differences that Advantage is the mean of
	Holm      float64      `json:"holm"`  // Advantage.P, adjusted for all pairs after as many steps
	Tasks     []Difference `json:"tasks"`
	Exact     Difference   `json:"exact"`
	Loss      Difference   `json:"loss"`
}

// runs are those of a method after a number of steps that ended well.
func (r *Results) runs(method string, steps int) (ended []ScoredRun, diverged int) {
	for _, t := range r.Runs {
		if t.Method == method && t.Trial.Steps == steps {
			if t.Diverged {
				diverged++
				continue
			}
			ended = append(ended, t)
		}
	}
	return ended, diverged
}

// finish makes the table, the pairs and the findings of the runs.
func (r *Results) finish() {
	e := &r.Experiment
	r.Table, r.Pairs, r.Findings, r.Versions = nil, nil, nil, nil
	for _, run := range r.Runs {
		if !slices.Contains(r.Versions, run.Version) {
			r.Versions = append(r.Versions, run.Version)
		}
	}
	for _, steps := range e.Train.Steps {
		for _, m := range e.Methods {
			r.Table = append(r.Table, r.row(m.Name, steps))
		}
		from := len(r.Pairs)
		var p []float64
		for _, names := range e.Pairs {
			pair := r.pair(names[0], names[1], steps)
			r.Pairs, p = append(r.Pairs, pair), append(p, pair.Advantage.P)
		}
		for i, adjusted := range Holm(p) {
			r.Pairs[from+i].Holm = adjusted
		}
	}
	for _, names := range e.Pairs {
		var stages []Stage
		for _, p := range r.Pairs {
			if p.First == names[0] && p.Second == names[1] {
				stages = append(stages, Stage{p.Steps, p.Advantage})
			}
		}
		r.Findings = append(r.Findings, Words(names[0], names[1], e.Measure, stages))
	}
	r.Notes = r.notes()
}

func (r *Results) row(method string, steps int) Row {
	runs, diverged := r.runs(method, steps)
	row := Row{Method: method, Steps: steps, LR: r.rates(steps)[method], Diverged: diverged}
	over := func(value func(ScoredRun) float64) Summary { return Summarize(collect(runs, value)) }
	for _, run := range runs {
		row.Seeds, row.Trained = append(row.Seeds, run.Trial.Seed), run.Trained
		if row.Spectrum == nil {
			row.Spectrum = make([]float64, len(run.Change.Spectrum))
		}
		for i, v := range run.Change.Spectrum {
			row.Spectrum[i] += v / float64(len(runs))
		}
	}
	row.Relative = over(func(t ScoredRun) float64 { return t.Change.Relative })
	row.Scaling = over(func(t ScoredRun) float64 { return t.Change.Scaling })
	row.Random = over(func(t ScoredRun) float64 { return t.Change.Random })
	row.Rank = over(func(t ScoredRun) float64 { return t.Change.Rank })
	summary := func(task string, value func(ScoredRun, Measure) float64) TaskSummary {
		of := func(m Measure) Summary { return over(func(t ScoredRun) float64 { return value(t, m) }) }
		return TaskSummary{task, of(Loss), of(Exact), of(Letters)}
	}
	row.Mean = summary("mean", func(t ScoredRun, m Measure) float64 { return Mean(t.Scores, m) })
	for i, name := range r.tasks() {
		own := func(t ScoredRun, m Measure) float64 { return t.Scores[i].value(m) }
		row.Tasks = append(row.Tasks, summary(name, own))
	}
	return row
}

func collect(runs []ScoredRun, value func(ScoredRun) float64) (all []float64) {
	for _, t := range runs {
		all = append(all, value(t))
	}
	return all
}

// tasks are their names.
func (r *Results) tasks() (names []string) {
	for _, t := range r.Bases[0].New {
		names = append(names, t.Task)
	}
	return names
}

// pair compares the seeds that both methods have and neither diverged on.
func (r *Results) pair(first, second string, steps int) Pair {
	a, _ := r.runs(first, steps)
	b, _ := r.runs(second, steps)
	var both [2][]ScoredRun
	for _, run := range a {
		if i := slices.IndexFunc(b, func(o ScoredRun) bool { return o.Trial.Seed == run.Trial.Seed }); i >= 0 {
			both[0], both[1] = append(both[0], run), append(both[1], b[i])
		}
	}
	ahead := func(m Measure, value func(ScoredRun) float64) Difference {
		x, y := collect(both[0], value), collect(both[1], value)
		if m == Loss { // less is better
			x, y = y, x
		}
		return Paired(x, y)
	}
	mean := func(m Measure) Difference {
		return ahead(m, func(t ScoredRun) float64 { return Mean(t.Scores, m) })
	}
	m := r.Experiment.Measure
	own := func(t ScoredRun) float64 { return Mean(t.Scores, m) }
	p := Pair{First: first, Second: second, Steps: steps, Advantage: mean(m), Exact: mean(Exact), Loss: mean(Loss)}
	for i, a := range collect(both[0], own) {
		d := a - own(both[1][i])
		if m == Loss {
			d = -d
		}
		p.Seeds = append(p.Seeds, d)
	}
	for i := range r.tasks() {
		p.Tasks = append(p.Tasks, ahead(m, func(t ScoredRun) float64 { return t.Scores[i].value(m) }))
	}
	return p
}
