package curves

import (
	"fmt"
	"image/color"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/agora-ml/agora/internal/termplot"
)

const (
	pictureWidth = 12 * vg.Inch
	rowHeight    = 3.1 * vg.Inch
	columns      = 3
	dpi          = 150 // of a PNG
	sans         = font.Variant("Sans")
)

// palette is Okabe and Ito's: told apart by colour-blind readers, too.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	{0x00, 0x9e, 0x73, 0xff}, // green
	{0xcc, 0x79, 0xa7, 0xff}, // purple
	{0xe6, 0x9f, 0x00, 0xff}, // orange
	{0x56, 0xb4, 0xe9, 0xff}, // sky blue
}

var (
	ink  = color.Gray{0x33}
	rule = color.Gray{0xe4}
)

// Format is the format of a picture with this name: png, svg or pdf.
func Format(name string) (string, error) {
	format := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	switch format {
	case "png", "svg", "pdf":
		return format, nil
	}
	return "", fmt.Errorf("%s: want a name that ends in .png, .svg or .pdf", name)
}

// Draw writes a picture in that format: a panel for each curve that a run has, and a legend.
func Draw(w io.Writer, runs []Run, format string) error {
	var panels []*plot.Plot
	for _, k := range panelKinds(runs) {
		p, err := panel(runs, k)
		if err != nil {
			return err
		}
		if p != nil {
			panels = append(panels, p)
		}
	}
	rows := (len(panels) + 1 + columns - 1) / columns // one for the legend
	canvas, err := newCanvas(format, pictureWidth, vg.Length(rows)*rowHeight)
	if err != nil {
		return err
	}
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
	}
	for i, p := range panels {
		grid[i/columns][i%columns] = p
	}
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	const margin, gap = 14, 20 // points
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin, PadX: gap, PadY: gap}
	places := plot.Align(grid, tiles, page)
	for i, p := range panels {
		p.Draw(places[i/columns][i%columns])
	}
	last := len(panels)
	l := legend(runs)
	l.Draw(draw.Crop(tiles.At(page, last%columns, last/columns), 40, 0, 0, -24))
	_, err = canvas.WriteTo(w)
	return err
}

type canvasWriter interface {
	vg.CanvasSizer
	io.WriterTo
}

func newCanvas(format string, w, h vg.Length) (canvasWriter, error) {
	switch format {
	case "png":
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))}, nil
	case "svg":
		return vgsvg.New(w, h), nil
	case "pdf":
		return vgpdf.New(w, h), nil
	}
	return nil, fmt.Errorf("curves: want a format of png, svg or pdf, got %q", format)
}

// panelKinds are the curves that have a panel: those of any run, and one of each task.
func panelKinds(runs []Run) []kind {
	tasks, scores := map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		maps.Copy(tasks, r.tasks)
		maps.Copy(scores, r.scores)
	}
	all := slices.Clone(kinds)
	for _, task := range slices.Sorted(maps.Keys(tasks)) {
		all = append(all, taskKinds(task)[0])
	}
	for _, task := range slices.Sorted(maps.Keys(scores)) {
		all = append(all, scoreKind(task))
	}
	return all
}

// panel draws one curve of all runs; nil if none has it.
func panel(runs []Run, k kind) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = k.title
	if k.unit != "" {
		p.Title.Text += " (" + k.unit + ")"
	}
	style(p)
	any := false
	for i, r := range runs {
		c := r.Curve(k.name)
		if len(c.Steps) == 0 {
			continue
		}
		any = true
		var err error
		switch {
		case k.heldOut != "":
			err = addLoss(p, i, c, r.Curve(k.heldOut))
		case k.name == HeldOutLoss || strings.HasPrefix(k.name, "scores."):
			err = addMarked(p, i, c)
		case k.name == GradNorm || k.name == TokensPerSec:
			err = addNoisy(p, i, c)
		default:
			err = addLine(p, c, lineStyle(i))
		}
		if err != nil {
			return nil, err
		}
	}
	if !any {
		return nil, nil
	}
	p.X.Min = 0
	if k.name == LR || k.name == TokensPerSec {
		p.Y.Min = 0
	}
	if k.name == GradNorm && p.Y.Min > 0 && p.Y.Max > 50*p.Y.Min {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
		return p, nil
	}
	room := (p.Y.Max - p.Y.Min) / 20
	p.Y.Max += room
	if p.Y.Min != 0 {
		p.Y.Min -= room
	}
	return p, nil
}

func style(p *plot.Plot) {
	p.BackgroundColor = nil
	p.Title.Padding = 6
	p.Title.TextStyle.Font = font.Font{Typeface: p.Title.TextStyle.Font.Typeface, Variant: sans, Size: 11}
	p.Title.TextStyle.Color = ink
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle = draw.LineStyle{Color: ink, Width: 0.6}
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = 3
		axis.Tick.Label.Font.Variant, axis.Tick.Label.Font.Size = sans, 8.5
		axis.Tick.Label.Color = ink
		axis.Label.TextStyle.Font.Variant, axis.Label.TextStyle.Font.Size = sans, 8.5
		axis.Label.TextStyle.Color = ink
		axis.Padding = 4
	}
	p.X.Label.Text = "step"
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticksBelowTop)
	lines := plotter.NewGrid()
	lines.Vertical.Color = nil
	lines.Horizontal = draw.LineStyle{Color: rule, Width: 0.6}
	p.Add(lines)
}

// ticks are round numbers, each with its label.
func ticks(lo, hi float64) []plot.Tick {
	var t []plot.Tick
	for _, v := range termplot.Ticks(lo, hi, 6) {
		t = append(t, plot.Tick{Value: v, Label: termplot.Label(v, lo, hi)})
	}
	return t
}

// ticksBelowTop leaves the top free: a label there would push up the panel's title.
func ticksBelowTop(lo, hi float64) []plot.Tick {
	return slices.DeleteFunc(ticks(lo, hi), func(t plot.Tick) bool { return t.Value > hi-(hi-lo)/40 })
}

// logTicks are 1, 2 and 5 times powers of ten, the powers alone where they are many.
func logTicks(lo, hi float64) (t []plot.Tick) {
	steps := []float64{1, 2, 5}
	if hi > 1e3*lo {
		steps = steps[:1]
	}
	for e := math.Floor(math.Log10(lo)); e <= math.Log10(hi); e++ {
		for _, k := range steps {
			if v := k * math.Pow(10, e); v >= lo && v <= hi {
				t = append(t, plot.Tick{Value: v, Label: termplot.Label(v, lo, hi)})
			}
		}
	}
	return t
}

func lineStyle(run int) draw.LineStyle {
	s := draw.LineStyle{Color: palette[run%len(palette)], Width: lineWidth}
	if run >= len(palette) {
		s.Dashes = []vg.Length{4, 2}
	}
	return s
}

func (c Curve) Len() int                { return len(c.Steps) }
func (c Curve) XY(i int) (x, y float64) { return c.Steps[i], c.Values[i] }

func addLine(p *plot.Plot, c Curve, s draw.LineStyle) error {
	line, err := plotter.NewLine(c)
	if err != nil {
		return err
	}
	line.LineStyle = s
	p.Add(line)
	return nil
}

// addNoisy draws every step faintly and the smoothed curve over it.
func addNoisy(p *plot.Plot, run int, c Curve) error {
	faint := lineStyle(run)
	faint.Width, faint.Color = faintWidth, translucent(run)
	if err := addLine(p, c, faint); err != nil {
		return err
	}
	return addLine(p, c.Smooth(), lineStyle(run))
}

func translucent(run int) color.Color {
	c := palette[run%len(palette)]
	c.A = 0x48
	return c
}

// addMarked draws the points, joined.
func addMarked(p *plot.Plot, run int, c Curve) error {
	if err := addLine(p, c, lineStyle(run)); err != nil {
		return err
	}
	return addPoints(p, run, c)
}

func addPoints(p *plot.Plot, run int, c Curve) error {
	points, err := plotter.NewScatter(c)
	if err != nil {
		return err
	}
	points.GlyphStyle = draw.GlyphStyle{Color: palette[run%len(palette)], Radius: dotRadius, Shape: draw.CircleGlyph{}}
	p.Add(dots{points})
	return nil
}

// dots may reach over the frame by their radius: with room for them, panels would not align.
type dots struct{ points *plotter.Scatter }

func (d dots) Plot(c draw.Canvas, p *plot.Plot)            { d.points.Plot(c, p) }
func (d dots) DataRange() (xmin, xmax, ymin, ymax float64) { return d.points.DataRange() }

// addLoss draws the held-out loss beside the training loss.
func addLoss(p *plot.Plot, run int, c, heldOut Curve) error {
	if err := addNoisy(p, run, c); err != nil || heldOut.Len() == 0 {
		return err
	}
	return addPoints(p, run, heldOut)
}
