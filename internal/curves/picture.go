package curves

import (
	"image/color"
	"io"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/agora-ml/agora/internal/picture"
)

const (
	pictureWidth = 12 * vg.Inch
	rowHeight    = 3.1 * vg.Inch
	columns      = 3
)

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
	canvas, err := picture.NewCanvas(format, pictureWidth, vg.Length(rows)*rowHeight)
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
	tiles := draw.Tiles{
		Rows: rows, Cols: columns, PadX: gap, PadY: gap,
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin,
	}
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

// panelKinds are the curves that have a panel: those of any run, of preference training, and one of each task.
func panelKinds(runs []Run) []kind {
	tasks, scores := map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		maps.Copy(tasks, r.tasks)
		maps.Copy(scores, r.scores)
	}
	all := slices.Clone(kinds)
	for _, k := range preferenceKinds() {
		if k.heldOut != "" {
			all = append(all, k)
		}
	}
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
	if k.unit == natsAToken {
		k.unit = lossUnit(runs)
	}
	if k.unit != "" {
		p.Title.Text += " (" + k.unit + ")"
	}
	picture.Style(p)
	p.X.Label.Text = "step"
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
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(picture.LogTicks)
		return p, nil
	}
	room := (p.Y.Max - p.Y.Min) / 20
	p.Y.Max += room
	if p.Y.Min != 0 {
		p.Y.Min -= room
	}
	return p, nil
}

func lineStyle(run int) draw.LineStyle {
	s := draw.LineStyle{Color: picture.Palette[run%len(picture.Palette)], Width: lineWidth}
	if run >= len(picture.Palette) {
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
	c := picture.Palette[run%len(picture.Palette)]
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
	points.GlyphStyle = draw.GlyphStyle{
		Color: picture.Palette[run%len(picture.Palette)], Radius: dotRadius, Shape: draw.CircleGlyph{},
	}
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
