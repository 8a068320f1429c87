package compare

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/agora-ml/agora/internal/termplot"
)

// chart is one panel as inline SVG. Its colors are the page's: the classes c0, c1, … of methods, and
// ink, so that it can be read in light and in dark.
type chart struct {
	title  string
	x, y   axis
	marks  []mark
	rows   []string // names of a vertical axis that has no numbers: row i is at y = i, the first on top
	zero   bool     // draw the line where x is 0
	width  float64
	height float64
}

// mark is a line through points, dots on them, or horizontal bars from x to x2.
type mark struct {
	color  int // of a method
	x, y   []float64
	x2     []float64 // of bars
	line   bool
	dots   float64 // radius; 0: none
	faint  bool
	dashed bool
}

// axis is the span of one direction.
type axis struct {
	label  string
	log    bool
	lo, hi float64
	set    bool
	fixed  []float64 // ticks; nil: round numbers
}

// include widens an axis to hold a value that it can show.
func (a *axis) include(values ...float64) {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || a.log && v <= 0 {
			continue
		}
		if !a.set {
			a.lo, a.hi, a.set = v, v, true
		}
		a.lo, a.hi = min(a.lo, v), max(a.hi, v)
	}
}

// room leaves a margin at both ends.
func (a *axis) room(share float64) {
	switch {
	case !a.set:
		a.lo, a.hi, a.set = 0, 1, true
		if a.log {
			a.lo = 0.1
		}
	case a.log:
		f := math.Pow(a.hi/a.lo, share) * 1.02
		a.lo, a.hi = a.lo/f, a.hi*f
	default:
		d := (a.hi - a.lo) * share
		if d == 0 {
			d = max(math.Abs(a.lo)/10, 1e-3)
		}
		a.lo, a.hi = a.lo-d, a.hi+d
	}
}

// at is where v lies between 0 and 1; false: it cannot be shown.
func (a axis) at(v float64) (float64, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) || a.log && v <= 0 {
		return 0, false
	}
	if a.log {
		return math.Log(v/a.lo) / math.Log(a.hi/a.lo), true
	}
	return (v - a.lo) / (a.hi - a.lo), true
}

func (a axis) ticks(n int) (ticks []float64) {
	all := a.fixed
	switch {
	case all != nil:
	case !a.log:
		all = termplot.Ticks(a.lo, a.hi, n)
	default:
		steps := []float64{1, 2, 5}
		if a.hi > 50*a.lo {
			steps = steps[:1]
		}
		for e := math.Floor(math.Log10(a.lo)); e <= math.Ceil(math.Log10(a.hi)); e++ {
			for _, k := range steps {
				all = append(all, k*math.Pow(10, e))
			}
		}
	}
	const apart = 0.07 // of the axis: labels must not touch
	last := -1.0
	for _, v := range all {
		if p, ok := a.at(v); ok && p > -1e-9 && p < 1+1e-9 && p-last >= apart {
			ticks = append(ticks, v)
			last = p
		}
	}
	return ticks
}

// Margins of a panel around what is drawn.
const (
	marginTop    = 22.0
	marginBottom = 36.0
	marginRight  = 12.0
	marginLeft   = 50.0
	perLetter    = 6.2 // width of a letter of a row's name
)

// svg draws the panel.
func (c chart) svg() string {
	for _, m := range c.marks {
		c.x.include(m.x...)
		c.x.include(m.x2...)
		c.y.include(m.y...)
	}
	if c.zero {
		c.x.include(0)
	}
	c.x.room(0.04)
	left := marginLeft
	if c.rows != nil {
		c.y.lo, c.y.hi = -0.6, float64(len(c.rows))-0.4
		longest := 0
		for _, r := range c.rows {
			longest = max(longest, len([]rune(r)))
		}
		left = 14 + perLetter*float64(longest)
	} else {
		c.y.room(0.05)
	}
	p := pen{chart: &c, left: left, w: c.width - left - marginRight, h: c.height - marginTop - marginBottom}
	p.frame()
	for _, m := range c.marks {
		p.draw(m)
	}
	return fmt.Sprintf(`<svg class="chart" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">%s</svg>`,
		c.width, c.height, c.width, c.height, html.EscapeString(c.title), p.String())
}

// pen writes a panel's SVG.
type pen struct {
	strings.Builder
	chart      *chart
	left, w, h float64
}

func (p *pen) px(v float64) (float64, bool) {
	at, ok := p.chart.x.at(v)
	return p.left + at*p.w, ok
}

func (p *pen) py(v float64) (float64, bool) {
	at, ok := p.chart.y.at(v)
	if p.chart.rows != nil { // downwards
		return marginTop + at*p.h, ok
	}
	return marginTop + (1-at)*p.h, ok
}

func (p *pen) frame() {
	c := p.chart
	fmt.Fprintf(p, `<text class="title" x="%.1f" y="14">%s</text>`, p.left, html.EscapeString(c.title))
	bottom := marginTop + p.h
	for _, v := range c.x.ticks(5) {
		x, _ := p.px(v)
		fmt.Fprintf(p, `<path class="grid" d="M%.1f %.1fV%.1f"/><text class="tick" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`,
			x, marginTop, bottom, x, bottom+13, label(v, c.x))
	}
	if c.rows != nil {
		for i, name := range c.rows {
			y, _ := p.py(float64(i))
			fmt.Fprintf(p, `<text class="tick" text-anchor="end" x="%.1f" y="%.1f">%s</text>`, p.left-6, y+4,
				html.EscapeString(name))
		}
	} else {
		for _, v := range c.y.ticks(5) {
			y, _ := p.py(v)
			fmt.Fprintf(p, `<path class="grid" d="M%.1f %.1fH%.1f"/><text class="tick" text-anchor="end" x="%.1f" y="%.1f">%s</text>`,
				p.left, y, p.left+p.w, p.left-5, y+4, label(v, c.y))
		}
		fmt.Fprintf(p, `<text class="axis" transform="translate(11 %.1f) rotate(-90)" text-anchor="middle">%s</text>`,
			marginTop+p.h/2, html.EscapeString(c.y.label))
	}
	fmt.Fprintf(p, `<text class="axis" text-anchor="middle" x="%.1f" y="%.1f">%s</text>`, p.left+p.w/2,
		bottom+28, html.EscapeString(c.x.label))
	if x, ok := p.px(0); ok && c.zero {
		fmt.Fprintf(p, `<path class="zero" d="M%.1f %.1fV%.1f"/>`, x, marginTop, bottom)
	}
}

func label(v float64, a axis) string {
	return strings.Replace(termplot.Label(v, a.lo, a.hi), "-", "−", 1)
}

func (p *pen) draw(m mark) {
	class := fmt.Sprintf("c%d", m.color)
	if m.faint {
		class += " faint"
	}
	if m.dashed {
		class += " dashed"
	}
	var path strings.Builder
	move := true
	for i := range m.x {
		x, okX := p.px(m.x[i])
		y, okY := p.py(m.y[i])
		if !okX || !okY {
			move = true
			continue
		}
		if m.x2 != nil {
			if x2, ok := p.px(m.x2[i]); ok {
				fmt.Fprintf(&path, "M%.1f %.1fH%.1f", x, y, x2)
			}
			continue
		}
		if m.line {
			fmt.Fprintf(&path, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[move], x, y)
			move = false
		}
		if m.dots > 0 {
			fmt.Fprintf(p, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="%g"/>`, class, x, y, m.dots)
		}
	}
	if path.Len() > 0 {
		if m.x2 != nil {
			class += " bar"
		}
		fmt.Fprintf(p, `<path class="line %s" d="%s"/>`, class, path.String())
	}
}
