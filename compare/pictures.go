package compare

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/agora-ml/agora/multilora"
)

// figure is some panels with a heading.
type figure struct {
	Title  string
	Text   string
	Panels [][]template.HTML // SVG of our own, in rows
	Legend bool              // say which color is which method
}

// Sizes of panels.
const (
	panelWidth  = 330.0
	panelHeight = 220.0
	wide        = 680.0
	perRow      = 26.0 // height of a named row
)

func (r *Results) figures() []figure {
	return []figure{
		r.scorePicture(), r.pairPicture(), r.curvePicture(), r.ratePicture(), r.changePicture(), r.spectrumPicture(),
		r.speedPicture(),
	}
}

// color is the class of a method, the same in all pictures.
func (r *Results) color(method string) int {
	return slices.IndexFunc(r.Experiment.Methods, func(m Method) bool { return m.Name == method })
}

// scale is a measure in the pictures' unit: percent, or nats.
func (m Measure) scale(v float64) float64 {
	if m == Loss {
		return v
	}
	return 100 * v
}

func (m Measure) axis() string {
	if m == Loss {
		return m.what()
	}
	return m.what() + ", %"
}

// scorePicture has every seed as a dot, the mean as a large one, and its interval.
func (r *Results) scorePicture() figure {
	m := r.Experiment.Measure
	f := figure{
		Title: "Scores",
		Text: "A small dot is a seed's run (mean over tasks), the large one their mean, " +
			"the bar its 95 % interval (Student's t over seeds).",
	}
	for _, steps := range r.Experiment.Train.Steps {
		c := chart{title: after(steps), x: axis{label: m.axis()}, width: wide, rows: []string{}}
		for _, row := range r.Table {
			if row.Steps != steps {
				continue
			}
			at := float64(len(c.rows))
			c.rows = append(c.rows, row.Method)
			runs, _ := r.runs(row.Method, steps)
			values := collect(runs, func(t ScoredRun) float64 { return m.scale(Mean(t.Scores, m)) })
			mean := Paired(values, make([]float64, len(values)))
			c.marks = append(c.marks, intervalMarks(r.color(row.Method), at, mean, values)...)
		}
		c.height = marginTop + marginBottom + perRow*float64(len(c.rows))
		f.add(c)
	}
	return f
}

// add begins a row of panels.
func (f *figure) add(panels ...chart) {
	var row []template.HTML
	for _, c := range panels {
		row = append(row, template.HTML(c.svg()))
	}
	f.Panels = append(f.Panels, row)
}

// after is the title of what is measured then.
func after(steps int) string { return fmt.Sprintf("after %d steps", steps) }

// intervalMarks are a row of dots with their mean and its interval.
func intervalMarks(color int, at float64, d Difference, values []float64) []mark {
	below := slices.Repeat([]float64{at + 0.3}, len(values))
	marks := []mark{{color: color, x: values, y: below, dots: 2.2}}
	if d.N >= 2 {
		marks = append(marks, mark{color: color, x: []float64{d.Low}, x2: []float64{d.High}, y: []float64{at}})
	}
	if d.N > 0 {
		marks = append(marks, mark{color: color, x: []float64{d.Mean}, y: []float64{at}, dots: 4.5})
	}
	return marks
}

// pairPicture has the differences by seed.
func (r *Results) pairPicture() figure {
	m := r.Experiment.Measure
	f := figure{
		Title: "Differences by seed",
		Text: "Of two runs that began with the same base and read the same rows. " +
			"To the right of the line the method named first is better. A bar that crosses the line does not " +
			"tell the two apart.",
	}
	for _, steps := range r.Experiment.Train.Steps {
		c := chart{title: after(steps), width: wide, rows: []string{}, zero: true}
		c.x.label = "ahead, points of " + m.what()
		if m == Loss {
			c.x.label = "ahead, " + m.what()
		}
		for _, p := range r.Pairs {
			if p.Steps != steps {
				continue
			}
			at := float64(len(c.rows))
			c.rows = append(c.rows, p.First+" − "+p.Second)
			d := p.Advantage
			d.Mean, d.Low, d.High = m.scale(d.Mean), m.scale(d.Low), m.scale(d.High)
			c.marks = append(c.marks, intervalMarks(r.color(p.First), at, d, scaled(m, p.Seeds))...)
		}
		c.height = marginTop + marginBottom + perRow*float64(len(c.rows))
		if len(c.rows) > 0 {
			f.add(c)
		}
	}
	return f
}

func scaled(m Measure, values []float64) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = m.scale(v)
	}
	return all
}

// curvePicture has a panel for each method, with every seed.
func (r *Results) curvePicture() figure {
	m := r.Experiment.Measure
	f := figure{
		Title: "Every seed on its way",
		Text: "A thin line is a seed's run, the thick one their mean; panels of one number of steps have the " +
			"same axes.",
	}
	value := func(p Point) float64 {
		switch m {
		case Letters:
			return 100 * p.Letters
		case Exact:
			return 100 * p.Exact
		}
		return p.Validation
	}
	switch rows, ok := r.Experiment.Train.scoredOnTheWay(r.Experiment.hasKnown()); {
	case m == Exact && !ok: // scored after the last step only
		m, value = Loss, func(p Point) float64 { return p.Validation }
		f.Text += " The loss is that of the validation rows."
	case m == Exact && rows != r.Experiment.Train.TestRows:
		f.Text += fmt.Sprintf(" Every point is of the first %d test rows of a data set, the table of all.", rows)
	}
	for _, steps := range r.Experiment.Train.Steps {
		y := axis{label: m.axis()}
		r.eachRun(steps, func(run ScoredRun) {
			for _, p := range run.Curve {
				y.include(value(p))
			}
		})
		var panels []chart
		for _, method := range r.Experiment.Methods {
			c := chart{
				title: fmt.Sprintf("%s, %d steps", method.Name, steps),
				x:     axis{label: "step", set: true, hi: float64(steps)}, y: y,
				width: panelWidth, height: panelHeight,
			}
			runs, _ := r.runs(method.Name, steps)
			for _, run := range runs {
				line := mark{color: r.color(method.Name), line: true, faint: true}
				for _, p := range r.curve(run, m) {
					line.x, line.y = append(line.x, float64(p.Step)), append(line.y, value(p))
				}
				c.marks = append(c.marks, line)
			}
			c.marks = append(c.marks, r.meanCurve(method.Name, steps, m, value))
			panels = append(panels, c)
		}
		f.add(panels...)
	}
	return f
}

func (r *Results) eachRun(steps int, do func(ScoredRun)) {
	for _, run := range r.Runs {
		if run.Trial.Steps == steps {
			do(run)
		}
	}
}

// curve is a run's, by letters or right answers from what its base did on, if that was measured on the same rows.
func (r *Results) curve(run ScoredRun, m Measure) []Point {
	if m != Letters && m != Exact || r.Experiment.Train.CurveRows > 0 {
		return run.Curve
	}
	for _, b := range r.Bases {
		if b.Spec.Seed == run.Trial.Base.Seed {
			return append([]Point{{Letters: Mean(b.New, Letters), Exact: Mean(b.New, Exact)}}, run.Curve...)
		}
	}
	return run.Curve
}

// meanCurve is the mean of a method's runs that did not diverge.
func (r *Results) meanCurve(method string, steps int, m Measure, value func(Point) float64) mark {
	line := mark{color: r.color(method), line: true, dashed: r.color(method) >= colors}
	runs, _ := r.runs(method, steps)
	if len(runs) == 0 {
		return line
	}
	for i, p := range r.curve(runs[0], m) {
		sum := 0.0
		for _, run := range runs {
			sum += value(r.curve(run, m)[i])
		}
		line.x, line.y = append(line.x, float64(p.Step)), append(line.y, sum/float64(len(runs)))
	}
	return line
}

// colors is how many the page has; a method beyond them has a dashed line.
const colors = 8

// ratePicture has the loss against the rate that each method was tried at.
func (r *Results) ratePicture() figure {
	f := figure{
		Title: "How rates were chosen", Legend: true,
		Text: "Loss on the validation rows, of seeds that are not scored: a dot a run, the line their mean. " +
			"Runs that diverged are left out.",
	}
	var panels []chart
	for _, steps := range r.Experiment.Train.Steps {
		c := chart{
			title: after(steps),
			x:     axis{label: "learning rate", log: true, fixed: r.Experiment.grid()}, y: axis{label: Loss.axis()},
			width: 1.5 * panelWidth, height: 1.3 * panelHeight,
		}
		for _, rate := range r.Rates {
			if m, _ := r.Experiment.method(rate.Method); rate.Steps != steps || m.Method == merged {
				continue
			}
			color := r.color(rate.Method)
			line := mark{color: color, line: true, dashed: color >= colors}
			for _, t := range rate.Tries {
				line.x, line.y = append(line.x, t.LR), append(line.y, t.mean())
				rates := slices.Repeat([]float64{t.LR}, len(t.Losses))
				c.marks = append(c.marks, mark{color: color, x: rates, y: t.Losses, dots: 1.8, faint: true})
			}
			c.marks = append(c.marks, line)
		}
		panels = append(panels, c)
	}
	f.add(panels...)
	return f
}

// grid is the rates that the methods' lists name.
func (e *Experiment) grid() (rates []float64) {
	for _, m := range e.Methods {
		rates = append(rates, m.LR...)
	}
	slices.Sort(rates)
	return slices.Compact(rates)
}

// changePicture has s and |ΔW|/|W| over the steps of the longest runs.
func (r *Results) changePicture() figure {
	steps := slices.Max(r.Experiment.Train.Steps)
	f := figure{
		Title: "What becomes of the weights", Legend: true,
		Text: fmt.Sprintf("Means over layers and seeds, of the runs of %d steps.", steps),
	}
	var panels []chart
	for _, k := range []struct {
		title, label string
		value        func(Point) float64
		log          bool
	}{
		{"size of the change", "|ΔW| / |W|", func(p Point) float64 { return p.Relative }, false},
		{"size of the scalings s", "root mean square", func(p Point) float64 { return p.Scaling }, false},
		{"effective rank of the change", "singular values that count", func(p Point) float64 { return p.Rank }, true},
	} {
		c := chart{
			title: k.title,
			x:     axis{label: "step", set: true, hi: float64(steps)}, y: axis{label: k.label, log: k.log},
			width: panelWidth, height: panelHeight,
		}
		for _, m := range r.Experiment.Methods {
			line := r.meanCurve(m.Name, steps, "", k.value)
			if slices.Max(append(line.y, 0)) > 0 { // a method without scalings has none to show
				c.marks = append(c.marks, line)
			}
		}
		panels = append(panels, c)
	}
	f.add(panels...)
	return f
}

// spectrumPicture has the singular values of ΔW.
func (r *Results) spectrumPicture() figure {
	f := figure{
		Title: "Spectra of the change", Legend: true,
		Text: "Singular values of ΔW after the last step, each layer's largest being 1, means over layers and " +
			"seeds. Where a random start contributes most of ΔW (column “start” of the table) an even spectrum " +
			"says nothing of what was learned.",
	}
	var panels []chart
	for _, steps := range r.Experiment.Train.Steps {
		c := chart{
			title: after(steps),
			x:     axis{label: "singular value, by size"}, y: axis{label: "relative to the largest", log: true},
			width: 1.5 * panelWidth, height: 1.3 * panelHeight,
		}
		for _, row := range r.Table {
			if row.Steps != steps {
				continue
			}
			color := r.color(row.Method)
			line := mark{color: color, line: true, dots: 2, dashed: color >= colors}
			for i, v := range row.Spectrum {
				line.x, line.y = append(line.x, float64(i+1)), append(line.y, v)
			}
			c.marks = append(c.marks, line)
		}
		panels = append(panels, c)
	}
	f.add(panels...)
	return f
}

// speedPicture has the time and the memory of a step.
func (r *Results) speedPicture() figure {
	f := figure{Title: "What a step costs"}
	if len(r.Speed) == 0 {
		return f
	}
	f.Text = fmt.Sprintf("Measured in turns, %d rounds of %d steps, one run at a time: the time of a step in "+
		"those of %s's step in the same round, with its 95 %% interval over rounds; the most memory that "+
		"tensors took.",
		r.Experiment.Speed.Rounds, r.Experiment.Speed.Steps, r.Speed[0].Method)
	times := chart{title: "time of a step", x: axis{label: "times " + r.Speed[0].Method + "'s"}, width: wide}
	memory := chart{title: "memory of tensors", x: axis{label: "MiB"}, width: wide}
	for i, s := range r.Speed {
		at := float64(i)
		times.rows, memory.rows = append(times.rows, s.Method), append(memory.rows, s.Method)
		times.marks = append(times.marks, intervalMarks(r.color(s.Method), at, s.Ratio, nil)...)
		mib := float64(s.Peak) / (1 << 20)
		dot := mark{color: r.color(s.Method), x: []float64{mib}, y: []float64{at}, dots: 4.5}
		memory.marks = append(memory.marks, dot)
	}
	for _, c := range []chart{times, memory} {
		c.height = marginTop + marginBottom + perRow*float64(len(c.rows))
		f.add(c)
	}
	if panels := r.byModules(); panels != nil {
		f.Text += " Below against the number of modules, their total rank being the same."
		f.add(panels...)
	}
	return f
}

// byModules has the time and the memory of a step against MultiLoRA's number of modules, of the rows that
// differ from the first of them in nothing else; nil: there are fewer than three.
func (r *Results) byModules() []chart {
	first, color := Method{}, 0
	var line, memory mark
	for _, s := range r.Speed {
		m, _ := r.Experiment.method(s.Method)
		if m.Method != string(multilora.MethodMultiLoRA) {
			continue
		}
		if first.Method == "" {
			first, color = m, r.color(m.Name)
		}
		if m.totalRank() != first.totalRank() || m.Scaling != first.Scaling || m.ScaleLR != first.ScaleLR {
			continue
		}
		n := float64(max(m.Modules, 1))
		line.x, line.y = append(line.x, n), append(line.y, s.Ratio.Mean)
		memory.x, memory.y = append(memory.x, n), append(memory.y, float64(s.Peak)/(1<<20))
	}
	if len(line.x) < 3 || !slices.IsSorted(line.x) {
		return nil
	}
	var panels []chart
	for _, k := range []struct {
		title, label string
		mark         mark
	}{{"time of a step", "times " + r.Speed[0].Method + "'s", line}, {"memory of tensors", "MiB", memory}} {
		k.mark.color, k.mark.line, k.mark.dots = color, true, 3
		c := chart{
			title: k.title, x: axis{label: "modules", fixed: k.mark.x}, y: axis{label: k.label},
			width: panelWidth, height: panelHeight, marks: []mark{k.mark},
		}
		c.y.include(0)
		panels = append(panels, c)
	}
	return panels
}

// legend names the colors.
func (r *Results) legend() template.HTML {
	var b strings.Builder
	for i, m := range r.Experiment.Methods {
		dashed := ""
		if i >= colors {
			dashed = " dashed"
		}
		fmt.Fprintf(&b, `<span class="key"><svg width="22" height="10"><path class="line c%d%s" d="M1 5H21"/></svg>%s</span>`,
			i, dashed, template.HTMLEscapeString(m.Name))
	}
	return template.HTML(b.String())
}
