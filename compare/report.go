package compare

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"path/filepath"
	"strings"

	"github.com/agora-ml/agora/internal/atomicfile"
)

// What Save writes.
const (
	ResultsFile = "results.json"
	ReportFile  = "report.html"
)

//go:embed report.html.tmpl
var pageText string

// Save writes results.json and report.html into a folder, over what is there.
func (r *Results) Save(dir string) error {
	return errors.Join(
		writeJSON(filepath.Join(dir, ResultsFile), r),
		atomicfile.WriteFile(filepath.Join(dir, ReportFile), r.Report),
	)
}

// Report writes a page that needs nothing beside it, readable in light and in dark.
func (r *Results) Report(w io.Writer) error {
	m := r.Experiment.Measure
	page, err := template.New("report").Funcs(template.FuncMap{
		"percent": func(s Summary) string { return fmt.Sprintf("%.1f ± %.1f", 100*s.Mean, 100*s.SD) },
		"nats":    func(s Summary) string { return fmt.Sprintf("%.3f ± %.3f", s.Mean, s.SD) },
		"value": func(t TaskSummary) string {
			s := t.value(m)
			if m == Loss {
				return fmt.Sprintf("%.3f ± %.3f", s.Mean, s.SD)
			}
			return fmt.Sprintf("%.0f ± %.0f", 100*s.Mean, 100*s.SD)
		},
		"number": m.number,
		"agree":  agree,
		"share":  func(v float64) string { return fmt.Sprintf("%.1f", 100*v) },
		"mean":   func(scores []TaskScore, m string) float64 { return Mean(scores, Measure(m)) },
		"ms":     func(s float64) string { return fmt.Sprintf("%.1f", 1000*s) },
		"mib":    func(n int) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, r.page())
}

// agree is how many seeds have the sign of the mean.
func agree(d Difference) string {
	if d.Mean < 0 {
		return fmt.Sprintf("%d of %d", d.Down, d.N)
	}
	return fmt.Sprintf("%d of %d", d.Up, d.N)
}

// page is what the template shows.
type page struct {
	R        *Results
	E        *Experiment
	Colors   []int // of each method, of the page's
	Letters  bool  // tasks are scored by letters, too
	What     string
	Caution  string
	Protocol []string
	Tasks    []string
	Tables   []table
	Before   TaskSummary
	Figures  []figure
	Legend   template.HTML
}

// table is what is said of a number of steps.
type table struct {
	Steps int
	Rows  []Row
	Pairs []Pair
}

func (r *Results) page() page {
	e := &r.Experiment
	p := page{
		R: r, E: e, What: e.Measure.axis(), Caution: r.caution(), Protocol: e.protocol(),
		Tasks: r.tasks(), Figures: r.figures(), Legend: r.legend(),
	}
	for i := range e.Methods {
		p.Colors = append(p.Colors, i%colors)
	}
	for _, b := range r.Bases {
		for _, t := range b.New {
			p.Letters = p.Letters || t.Letters > 0
		}
	}
	for _, run := range r.Runs {
		p.Letters = p.Letters || Mean(run.Scores, Letters) > 0
	}
	for _, steps := range e.Train.Steps {
		t := table{Steps: steps}
		for _, row := range r.Table {
			if row.Steps == steps {
				t.Rows = append(t.Rows, row)
			}
		}
		for _, pair := range r.Pairs {
			if pair.Steps == steps {
				t.Pairs = append(t.Pairs, pair)
			}
		}
		p.Tables = append(p.Tables, t)
	}
	p.Before = r.before()
	return p
}

// before is what the bases do untrained.
func (r *Results) before() (s TaskSummary) {
	for m, to := range map[Measure]*Summary{Loss: &s.Loss, Exact: &s.Exact, Letters: &s.Letters} {
		var values []float64
		for _, b := range r.Bases {
			values = append(values, Mean(b.New, m))
		}
		*to = Summarize(values)
	}
	return s
}

// caution says what an interval of one pair does not say of many.
func (r *Results) caution() string {
	n := len(r.Pairs)
	if n < 2 {
		return ""
	}
	return fmt.Sprintf("“Not told apart” is said where the 95 %% interval holds 0: it is no proof that two "+
		"methods are equal. "+
		"There are %d differences here; were all methods equal, about %.1f of them would be found apart by chance. "+
		"The experiment was made for the first pair; the last column of the tables of differences is adjusted "+
		"for all pairs after as many steps.", n, 0.05*float64(n))
}

// notes are what a reader must know before believing the rest.
func (r *Results) notes() (all []string) {
	for _, steps := range r.Experiment.Train.Steps {
		var edges []string
		for _, rate := range r.Rates {
			if rate.Steps == steps && rate.Edge {
				edges = append(edges, fmt.Sprintf("%s (%g)", rate.Method, rate.LR))
			}
		}
		if len(edges) > 0 {
			all = append(all, fmt.Sprintf("After %d steps the best rate is the first or the last that was "+
				"tried: %s. A better one may lie beyond, and these scores may be too low.",
				steps, strings.Join(edges, ", ")))
		}
	}
	for _, row := range r.Table {
		if row.Diverged > 0 {
			all = append(all, fmt.Sprintf("%s after %d steps: %d runs diverged and are not in the means.",
				row.Method, row.Steps, row.Diverged))
		}
	}
	switch n := len(r.Bases); {
	case n == 1:
		all = append(all, "All seeds begin with the same model: the intervals say nothing of another one.")
	case n < len(r.Experiment.Seeds.Score):
		all = append(all, fmt.Sprintf("%d seeds share %d bases, and the intervals take them for independent: "+
			"where a difference depends on the base, they are too narrow.",
			len(r.Experiment.Seeds.Score), n))
	}
	for _, b := range r.Bases {
		if b.Own.Task != "" && b.Own.Exact < 0.99 {
			all = append(all, fmt.Sprintf("The base of seed %d does %.1f %% of its own tasks: below 99 %%.",
				b.Spec.Seed, 100*b.Own.Exact))
		}
	}
	return all
}

// protocol says how the numbers came about.
func (e *Experiment) protocol() []string {
	t, s := e.Train, e.Seeds
	schedule := fmt.Sprintf("Each number of steps (%s) is a run of its own, whose rate rises for %d steps and "+
		"then falls to 0 (%s), and every method has a rate of its own for each.",
		join(t.Steps), t.Warmup, t.Schedule)
	if t.Schedule == "constant" {
		schedule = fmt.Sprintf("The rate rises for %d steps and then stays; every method has a rate of its own "+
			"for each number of steps (%s).", t.Warmup, join(t.Steps))
	}
	lines := []string{
		schedule,
		fmt.Sprintf("Rates are those of the lowest mean loss on %d validation rows a task over the seeds %s, "+
			"which are not scored. "+
			"Every method was tried at as many: %d%s.", t.ValidationRows, join(s.Tune), len(e.Methods[0].LR),
			e.rounds()),
		fmt.Sprintf("Then new seeds: %s%s. A seed decides the base, the rows and their order, and the adapter's "+
			"start, for all methods alike.", join(s.Score), e.fewer()),
		fmt.Sprintf("AdamW (0.9, 0.999), no weight decay, %d rows a step from all tasks in turn, gradients "+
			"clipped at %g.", t.BatchRows, t.ClipNorm),
		"Intervals are Student's over seeds. Rows of a test are no repetitions of a run, and make no interval.",
	}
	lines = append(lines, e.fromAdapters()...)
	if e.Base.Generated != "" {
		lines = append(lines, fmt.Sprintf("Scored on %d rows a task, whose questions no run has read, in no "+
			"task. %d bases, each trained from scratch for %d steps.", t.TestRows, len(e.Base.Seeds), e.Base.Steps))
	}
	return lines
}

// fromAdapters says how adapters of single tasks were made and used.
func (e *Experiment) fromAdapters() (lines []string) {
	for _, m := range e.Methods {
		var steps []int
		for _, n := range e.Train.Steps {
			steps = append(steps, e.aloneSteps(m, n))
		}
		switch {
		case m.Alone > 0:
			lines = append(lines, fmt.Sprintf("%s: %d adapters, each of which has read one task alone, for %s steps "+
				"(%g times as many rows of it as the other methods have read), and is scored on that.",
				m.Name, len(e.taskNames()), join(steps), m.Alone))
		case m.Method == merged:
			lines = append(lines, fmt.Sprintf("%s: the adapters of “%s” made one (%s), without training. In place "+
				"of a rate it has the weight of every adapter.", m.Name, m.From, m.Merge))
		case m.Method == scales:
			lines = append(lines, fmt.Sprintf("%s: the adapters of “%s”, and then so many steps as all methods "+
				"for their scalings alone.", m.Name, m.From))
		}
	}
	return lines
}

// rounds says when there were more tries.
func (e *Experiment) rounds() string {
	if e.Seeds.Rounds == 0 {
		return ""
	}
	return fmt.Sprintf(", and one more each time that the best rate of some method was the first or the last of "+
		"its grid, %d times at most", e.Seeds.Rounds)
}

// fewer says who has how many seeds.
func (e *Experiment) fewer() string {
	var deciding []string
	for _, m := range e.Methods {
		if m.Deciding {
			deciding = append(deciding, m.Name)
		}
	}
	switch {
	case len(deciding) == len(e.Methods) || e.Seeds.Fewer == len(e.Seeds.Score):
		return ""
	case len(deciding) == 0:
		return fmt.Sprintf(", the first %d of them", e.Seeds.Fewer)
	}
	return fmt.Sprintf(" for the methods that decide (%s), the first %d of them for the "+
		"others", strings.Join(deciding, "; "), e.Seeds.Fewer)
}

func join[T any](list []T) string {
	var all []string
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return strings.Join(all, ", ")
}
