// Package termplot draws curves with the characters of a terminal.
package termplot

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Series is one curve: points (X[i], Y[i]), joined in their order if Mark is 0. Points that
// are not finite, or not positive on a logarithmic axis, are left out and interrupt the line.
type Series struct {
	Name string
	X    []float64 // nil: 1, 2, 3…
	Y    []float64
	Mark rune // drawn at each point, such as '●' or '×'; 0: a line of braille dots
}

// Options are the outer form. The zero value is 64×16 characters, linear, without color.
type Options struct {
	Title, XLabel string
	Width, Height int  // of the plotted area, in characters
	LogY          bool // logarithmic vertical axis
	Color         bool // ANSI colors: for terminals that have them
}

// Braille characters are U+2800 plus eight bits, one for each dot of two columns and four rows.
const (
	braille  = 0x2800
	cellCols = 2
	cellRows = 4
)

var dotBit = [cellRows][cellCols]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

var colors = []int{36, 33, 35, 32, 34, 31} // ANSI: cyan, yellow, magenta, green, blue, red

// Lines draws the series in one frame, with axes and a legend of those that have a name
// and points. Nothing to draw is said in words.
func Lines(w io.Writer, series []Series, o Options) error {
	if o.Width <= 0 {
		o.Width = 64
	}
	if o.Height <= 0 {
		o.Height = 16
	}
	var b strings.Builder
	if o.Title != "" {
		fmt.Fprintln(&b, o.Title)
	}
	x, y, ok := axes(series, o)
	if !ok {
		fmt.Fprintln(&b, "(nothing to plot)")
		_, err := io.WriteString(w, b.String())
		return err
	}
	c := newCanvas(o.Width, o.Height)
	for i, s := range series {
		c.draw(s, i, x, y)
	}
	frame(&b, c, x, y, o)
	legend(&b, series, o)
	_, err := io.WriteString(w, b.String())
	return err
}

// axes spans the points that can be drawn; ok is false without any.
func axes(series []Series, o Options) (x, y axis, ok bool) {
	x, y = axis{lo: math.Inf(1), hi: math.Inf(-1)}, axis{lo: math.Inf(1), hi: math.Inf(-1), log: o.LogY}
	for _, s := range series {
		for i := range s.Y {
			px, py := s.point(i)
			if x.takes(px) && y.takes(py) {
				x.lo, x.hi = min(x.lo, px), max(x.hi, px)
				y.lo, y.hi = min(y.lo, py), max(y.hi, py)
				ok = true
			}
		}
	}
	x.widen()
	y.widen()
	return x, y, ok
}

func (s Series) point(i int) (x, y float64) {
	if s.X == nil {
		return float64(i + 1), s.Y[i]
	}
	return s.X[i], s.Y[i]
}

// canvas is a grid of characters.
type canvas struct {
	width, height int
	cells         [][]cell // row, from the top, and column
}

type cell struct {
	char   rune
	series int
}

func newCanvas(width, height int) *canvas {
	c := &canvas{width: width, height: height, cells: make([][]cell, height)}
	for i := range c.cells {
		c.cells[i] = make([]cell, width)
	}
	return c
}

func (c *canvas) draw(s Series, series int, x, y axis) {
	pen := false
	var fromX, fromY int
	for i := range s.Y {
		px, py := s.point(i)
		if !x.takes(px) || !y.takes(py) {
			pen = false
			continue
		}
		if s.Mark != 0 {
			c.cells[c.height-1-y.place(py, c.height)][x.place(px, c.width)] = cell{s.Mark, series}
			continue
		}
		dotX, dotY := x.place(px, c.width*cellCols), c.height*cellRows-1-y.place(py, c.height*cellRows)
		if !pen {
			fromX, fromY = dotX, dotY
		}
		steps := max(abs(dotX-fromX), abs(dotY-fromY), 1)
		for k := range steps + 1 {
			c.dot(fromX+divRound(k*(dotX-fromX), steps), fromY+divRound(k*(dotY-fromY), steps), series)
		}
		fromX, fromY, pen = dotX, dotY, true
	}
}

// dot sets one dot of a braille character; marks stay.
func (c *canvas) dot(x, y, series int) {
	at := &c.cells[y/cellRows][x/cellCols]
	if at.char == 0 || at.char >= braille && at.char < braille+256 {
		at.char |= braille | dotBit[y%cellRows][x%cellCols]
		at.series = series
	}
}

// frame writes the canvas with its axes.
func frame(b *strings.Builder, c *canvas, x, y axis, o Options) {
	labels := make([]string, c.height)
	wide := 0
	for _, t := range y.ticks(max(3, c.height/3)) {
		label := y.label(t)
		labels[c.height-1-y.place(t, c.height)] = label
		wide = max(wide, utf8.RuneCountInString(label))
	}
	for row, cells := range c.cells {
		side := "│"
		if labels[row] != "" {
			side = "┤"
		}
		line := fmt.Sprintf("%*s %s", wide, labels[row], side)
		for _, cell := range cells {
			if cell.char == 0 {
				line += " "
			} else {
				line += paint(string(cell.char), cell.series, o)
			}
		}
		fmt.Fprintln(b, strings.TrimRight(line, " "))
	}
	rule := []rune(strings.Repeat("─", c.width))
	under := []rune(strings.Repeat(" ", c.width+wide))
	end := 0 // of the label before
	for _, t := range x.ticks(max(2, c.width/12)) {
		at, label := x.place(t, c.width), []rune(x.label(t))
		from := min(max(at-len(label)/2, 0), max(len(under)-len(label), 0))
		if from < end || from+len(label) > len(under) {
			continue
		}
		rule[at] = '┬'
		copy(under[from:], label)
		end = from + len(label) + 2
	}
	fmt.Fprintf(b, "%*s └%s\n", wide, "", string(rule))
	fmt.Fprintf(b, "%*s  %s\n", wide, "", strings.TrimRight(string(under), " "))
	if o.XLabel != "" {
		fmt.Fprintf(b, "%*s  %*s\n", wide, "", (c.width+utf8.RuneCountInString(o.XLabel))/2, o.XLabel)
	}
}

func legend(b *strings.Builder, series []Series, o Options) {
	var names []string
	for i, s := range series {
		if s.Name == "" || len(s.Y) == 0 {
			continue
		}
		mark := string(s.Mark)
		if s.Mark == 0 {
			mark = "⠤⠤"
		}
		names = append(names, paint(mark, i, o)+" "+s.Name)
	}
	if len(names) > 0 {
		fmt.Fprintln(b, strings.Join(names, "    "))
	}
}

func paint(s string, series int, o Options) string {
	if !o.Color {
		return s
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colors[series%len(colors)], s)
}

func abs(n int) int { return max(n, -n) }

// divRound divides by a positive number, to the nearest integer.
func divRound(a, b int) int {
	if a < 0 {
		return -((-a + b/2) / b)
	}
	return (a + b/2) / b
}
