// Package spectra draws the spectra of fine-tuning's updates: how their singular values spread, how
// they fall, and which directions a run shares with full tuning.
package spectra

import (
	"image/color"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/agora-ml/agora/internal/picture"
	"github.com/agora-ml/agora/spectrum"
)

// Run is what one run has changed.
type Run struct {
	Name    string
	Updates []spectrum.Update
}

// Likeness is phi(i, j) of a run's i and the full update's j first directions, a mean over layers.
type Likeness struct {
	Run, Full string
	Kind      string // k_proj
	Phi       [][]float64
}

const (
	width     = 12 * vg.Inch
	rowHeight = 3.2 * vg.Inch
	columns   = 3
	head      = 24 // points
	margin    = 14
	gap       = 22
	smallest  = 1e-7 // of the largest: f32 knows no smaller singular value
)

// Draw writes one picture: for each kind of layer a row with the spread and fall of the singular
// values and their energy, and then one with the likenesses, each a heat map.
func Draw(w io.Writer, runs []Run, kinds []string, alike []Likeness, format string) error {
	var grid [][]*plot.Plot
	for _, kind := range kinds {
		row := make([]*plot.Plot, 0, columns)
		for _, panel := range []func([]Run, string) (*plot.Plot, error){spread, fall, energy} {
			p, err := panel(runs, kind)
			if err != nil {
				return err
			}
			row = append(row, p)
		}
		grid = append(grid, row)
	}
	for _, kind := range kinds {
		grid = append(grid, heatRows(alike, kind)...)
	}
	page, write, err := newPage(format, len(grid))
	if err != nil {
		return err
	}
	rest := legend(draw.Crop(page, 3*margin, -margin, 0, -margin), runs, len(alike) > 0)
	rest.Min, rest.Max.X = page.Min, page.Max.X
	tiles := draw.Tiles{
		Rows: len(grid), Cols: columns, PadX: gap, PadY: gap,
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin,
	}
	for i, row := range plot.Align(grid, tiles, rest) {
		for k, place := range row {
			if p := grid[i][k]; p != nil {
				p.Draw(place)
			}
		}
	}
	return write(w)
}

// heatRows are the maps of a kind of layer, the rows filled up with none.
func heatRows(alike []Likeness, kind string) (rows [][]*plot.Plot) {
	n := 0
	for _, l := range alike {
		if l.Kind != kind {
			continue
		}
		if n%columns == 0 {
			rows = append(rows, make([]*plot.Plot, columns))
		}
		rows[n/columns][n%columns] = heat(l)
		n++
	}
	return rows
}

// newPage makes a white page of so many rows, and what writes it.
func newPage(format string, rows int) (draw.Canvas, func(io.Writer) error, error) {
	canvas, err := picture.NewCanvas(format, width, vg.Length(rows)*rowHeight+head)
	if err != nil {
		return draw.Canvas{}, nil, err
	}
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	return page, func(w io.Writer) error { _, err := canvas.WriteTo(w); return err }, nil
}

// legend writes the runs side by side at the head of the page, and the colors of the maps, and
// gives what is left below.
func legend(page draw.Canvas, runs []Run, maps bool) draw.Canvas {
	const sample, space, lineHeight = 22, 24, 18 // points
	style := plot.NewLegend().TextStyle
	style.Font.Variant, style.Font.Size, style.Color = picture.Sans, 10, picture.Ink
	style.YAlign = draw.YCenter
	x, y := page.Min.X, page.Max.Y-lineHeight/2
	room := func(w vg.Length) {
		if x > page.Min.X && x+w > page.Max.X {
			x, y = page.Min.X, y-lineHeight
		}
	}
	for i, r := range runs {
		name := picture.Shorten(r.Name)
		w := sample + 6 + style.Width(name)
		room(w)
		page.StrokeLine2(line(i), x, y, x+sample, y)
		page.FillText(style, vg.Point{X: x + sample + 6, Y: y}, name)
		x += w + space
	}
	if maps {
		const bar, shade = 64, 2 // points
		room(bar + 3*space)
		for _, text := range []string{"φ: 0", "1"} {
			page.FillText(style, vg.Point{X: x, Y: y}, text)
			x += style.Width(text) + 6
			if text == "1" {
				break
			}
			for _, c := range shades(bar / shade).Colors() {
				page.SetColor(c)
				page.Fill(vg.Rectangle{Min: vg.Point{X: x, Y: y - 4}, Max: vg.Point{X: x + shade, Y: y + 4}}.Path())
				x += shade
			}
			x += 6
		}
	}
	page.Max.Y = y - lineHeight/2
	return page
}

func line(run int) draw.LineStyle {
	s := draw.LineStyle{Color: picture.Palette[run%len(picture.Palette)], Width: 1.4}
	if run >= len(picture.Palette) {
		s.Dashes = []vg.Length{4, 2}
	}
	return s
}

// ofKind are a run's updates of layers whose last part is kind.
func (r Run) ofKind(kind string) []spectrum.Update {
	return slices.DeleteFunc(slices.Clone(r.Updates), func(u spectrum.Update) bool {
		return !strings.HasSuffix(u.Layer, kind) || len(u.Singular) == 0 || u.Singular[0] == 0
	})
}

func newPanel(kind, title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text = kind + ": " + title
	picture.Style(p)
	p.X.Label.Text, p.Y.Label.Text = x, y
	return p
}

// spread is the histogram of all layers' singular values by their logarithm.
func spread(runs []Run, kind string) (*plot.Plot, error) {
	const bin = 0.125 // of a power of ten
	p := newPanel(kind, "singular values", "singular value (without zeros)", "values a layer")
	for i, r := range runs {
		counts := map[int]float64{}
		lo, hi := math.MaxInt, math.MinInt
		updates := r.ofKind(kind)
		for _, u := range updates {
			for _, v := range u.Singular {
				if v > smallest*u.Singular[0] {
					k := int(math.Floor(math.Log10(v) / bin))
					counts[k] += 1 / float64(len(updates))
					lo, hi = min(lo, k), max(hi, k)
				}
			}
		}
		if len(counts) == 0 {
			continue
		}
		steps := plotter.XYs{{X: math.Pow(10, float64(lo)*bin)}}
		for k := lo; k <= hi; k++ {
			left, right := math.Pow(10, float64(k)*bin), math.Pow(10, float64(k+1)*bin)
			steps = append(steps, plotter.XY{X: left, Y: counts[k]}, plotter.XY{X: right, Y: counts[k]})
		}
		steps = append(steps, plotter.XY{X: math.Pow(10, float64(hi+1)*bin)})
		l, err := plotter.NewLine(steps)
		if err != nil {
			return nil, err
		}
		l.LineStyle = line(i)
		fill := picture.Palette[i%len(picture.Palette)]
		fill.A = 0x30
		l.FillColor = fill
		p.Add(l)
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(picture.LogTicks)
	p.Y.Min = 0
	p.Y.Max *= 1.05
	return p, nil
}

// fall is each run's singular values in their order, the largest of a layer being 1: the mean over
// layers of the logarithm.
func fall(runs []Run, kind string) (*plot.Plot, error) {
	p := newPanel(kind, "relative to the largest", "singular value number", "")
	err := curve(p, runs, kind, func(u spectrum.Update, k int) float64 {
		return math.Log10(u.Singular[k-1] / u.Singular[0])
	}, func(mean float64) float64 { return math.Pow(10, mean) })
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(picture.LogTicks)
	p.Y.Max = 1.2
	return p, err
}

// energy is the share of |ΔW|² in the largest singular values, a mean over layers.
func energy(runs []Run, kind string) (*plot.Plot, error) {
	p := newPanel(kind, "share of |ΔW|² in the largest", "largest singular values counted", "")
	err := curve(p, runs, kind, spectrum.Update.Energy, func(mean float64) float64 { return mean })
	p.Y.Min, p.Y.Max = 0, 1.05
	return p, err
}

// curve draws a mean over layers against a number of singular values.
func curve(
	p *plot.Plot, runs []Run, kind string, of func(spectrum.Update, int) float64, from func(float64) float64,
) error {
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(picture.LogTicks)
	for i, r := range runs {
		updates := r.ofKind(kind)
		most := 0
		for _, u := range updates {
			n := 0
			for n < len(u.Singular) && u.Singular[n] > smallest*u.Singular[0] {
				n++
			}
			if most == 0 || n < most {
				most = n
			}
		}
		var points plotter.XYs
		for k := 1; k <= most; k++ {
			sum := 0.0
			for _, u := range updates {
				sum += of(u, k)
			}
			points = append(points, plotter.XY{X: float64(k), Y: from(sum / float64(len(updates)))})
		}
		if len(points) == 0 {
			continue
		}
		l, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		l.LineStyle = line(i)
		p.Add(l)
		if len(points) <= 16 {
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return err
			}
			dots.GlyphStyle = draw.GlyphStyle{Color: line(i).Color, Radius: 1.8, Shape: draw.CircleGlyph{}}
			p.Add(dots)
		}
	}
	return nil
}

// heat is phi as a map.
func heat(l Likeness) *plot.Plot {
	run, full := picture.Shorten(l.Run), picture.Shorten(l.Full)
	p := newPanel(l.Kind, "φ(i, j) of "+run, "j, directions of "+full, "i, of the run")
	h := plotter.NewHeatMap(cells(l.Phi), shades(64))
	h.Min, h.Max = 0, 1
	p.Add(h)
	p.X.Min, p.Y.Min = 0.5, 0.5
	p.X.Max, p.Y.Max = float64(len(l.Phi[0]))+0.5, float64(len(l.Phi))+0.5
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(whole), plot.TickerFunc(whole)
	return p
}

// whole are the ticks at whole numbers.
func whole(lo, hi float64) []plot.Tick {
	return slices.DeleteFunc(picture.Ticks(lo, hi), func(t plot.Tick) bool { return t.Value != math.Round(t.Value) })
}

type cells [][]float64

func (c cells) Dims() (columns, rows int) { return len(c[0]), len(c) }
func (c cells) Z(column, row int) float64 { return c[row][column] }
func (c cells) X(column int) float64      { return float64(column + 1) }
func (c cells) Y(row int) float64         { return float64(row + 1) }

// shades go from white to dark blue.
type shades int

func (s shades) Colors() []color.Color {
	all := make([]color.Color, s)
	for i := range all {
		t := float64(i) / float64(s-1)
		mix := func(to float64) uint8 { return uint8(math.Round(255 + (to-255)*t)) }
		all[i] = color.NRGBA{mix(0), mix(52), mix(96), 255}
	}
	return all
}

var _ palette.Palette = shades(0)
