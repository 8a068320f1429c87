package curves

import (
	"github.com/agora-ml/agora/internal/picture"

	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// legend names the runs by color, and says what is faint, a line and a dot.
func legend(runs []Run) plot.Legend {
	l := plot.NewLegend()
	l.Top, l.Left = true, true
	l.ThumbnailWidth, l.Padding = 22, 5
	l.TextStyle.Font.Variant, l.TextStyle.Font.Size = picture.Sans, 9
	l.TextStyle.Color = picture.Ink
	heldOut := false
	for i, r := range runs {
		l.Add(picture.Shorten(r.Name), &plotter.Line{LineStyle: lineStyle(i)})
		heldOut = heldOut || r.Curve(HeldOutLoss).Len() > 0
	}
	gray := color.Gray{0x77}
	l.Add("")
	l.Add("each step", &plotter.Line{LineStyle: draw.LineStyle{Color: color.Gray{0xc8}, Width: faintWidth}})
	l.Add("smoothed", &plotter.Line{LineStyle: draw.LineStyle{Color: gray, Width: lineWidth}})
	if heldOut {
		dot := draw.GlyphStyle{Color: gray, Radius: dotRadius, Shape: draw.CircleGlyph{}}
		l.Add("held-out loss", &plotter.Scatter{GlyphStyle: dot})
	}
	return l
}

// Widths and radii of what is drawn.
const (
	lineWidth  = vg.Length(1.4)
	faintWidth = vg.Length(0.7)
	dotRadius  = vg.Length(2.2)
)
