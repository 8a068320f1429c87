// Package picture is what Agora's pictures share: colors, type, axes and file formats.
package picture

import (
	"fmt"
	"image/color"
	"io"
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
	DPI  = 150 // of a PNG
	Sans = font.Variant("Sans")
)

// Palette is Okabe and Ito's: told apart by color-blind readers, too.
var Palette = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	{0x00, 0x9e, 0x73, 0xff}, // green
	{0xcc, 0x79, 0xa7, 0xff}, // purple
	{0xe6, 0x9f, 0x00, 0xff}, // orange
	{0x56, 0xb4, 0xe9, 0xff}, // sky blue
}

var (
	Ink  = color.Gray{0x33}
	Rule = color.Gray{0xe4}
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

// Canvas is a page that can be written.
type Canvas interface {
	vg.CanvasSizer
	io.WriterTo
}

// NewCanvas makes an empty page of a format that Format gave.
func NewCanvas(format string, w, h vg.Length) (Canvas, error) {
	switch format {
	case "png":
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(DPI))}, nil
	case "svg":
		return vgsvg.New(w, h), nil
	case "pdf":
		return vgpdf.New(w, h), nil
	}
	return nil, fmt.Errorf("picture: want a format of png, svg or pdf, got %q", format)
}

// Style gives a plot the looks that all have, and a grid of horizontal lines.
func Style(p *plot.Plot) {
	p.BackgroundColor = nil
	p.Title.Padding = 6
	p.Title.TextStyle.Font = font.Font{Typeface: p.Title.TextStyle.Font.Typeface, Variant: Sans, Size: 11}
	p.Title.TextStyle.Color = Ink
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle = draw.LineStyle{Color: Ink, Width: 0.6}
		axis.Tick.LineStyle = axis.LineStyle
		axis.Tick.Length = 3
		axis.Tick.Label.Font.Variant, axis.Tick.Label.Font.Size = Sans, 8.5
		axis.Tick.Label.Color = Ink
		axis.Label.TextStyle.Font.Variant, axis.Label.TextStyle.Font.Size = Sans, 8.5
		axis.Label.TextStyle.Color = Ink
		axis.Padding = 4
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(Ticks), plot.TickerFunc(ticksBelowTop)
	lines := plotter.NewGrid()
	lines.Vertical.Color = nil
	lines.Horizontal = draw.LineStyle{Color: Rule, Width: 0.6}
	p.Add(lines)
}

// Ticks are round numbers, each with its label.
func Ticks(lo, hi float64) []plot.Tick {
	var t []plot.Tick
	for _, v := range termplot.Ticks(lo, hi, 6) {
		t = append(t, plot.Tick{Value: v, Label: termplot.Label(v, lo, hi)})
	}
	return t
}

// ticksBelowTop leaves the top free: a label there would push up the panel's title.
func ticksBelowTop(lo, hi float64) []plot.Tick {
	return slices.DeleteFunc(Ticks(lo, hi), func(t plot.Tick) bool { return t.Value > hi-(hi-lo)/40 })
}

// LogTicks are 1, 2 and 5 times powers of ten, the powers alone where they are many.
func LogTicks(lo, hi float64) (t []plot.Tick) {
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

// Shorten keeps the end of a long name, where runs differ.
func Shorten(name string) string {
	const most = 40
	if r := []rune(name); len(r) > most {
		return "…" + string(r[len(r)-most+1:])
	}
	return name
}
