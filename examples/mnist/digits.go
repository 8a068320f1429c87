package main

import (
	"math"
	"math/rand/v2"

	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/tensor"
)

// digits are images of one size with what they show.
type digits struct {
	height, width int
	pixels        []float32 // [n, height, width], from 0 to 1
	labels        []int32
}

// batch is the chosen images, [len, 1, height, width], and their labels.
func (s digits) batch(d *tensor.Device, chosen []int) (x, labels *autograd.Var) {
	size := s.height * s.width
	var pixels []float32
	var names []int32
	for _, i := range chosen {
		pixels, names = append(pixels, s.pixels[i*size:(i+1)*size]...), append(names, s.labels[i])
	}
	return autograd.Const(d.FromFloat32s(tensor.F32, pixels, len(chosen), 1, s.height, s.width)),
		autograd.Const(d.FromInt32s(names, len(chosen)))
}

// glyphs are the digits in five columns of seven rows.
var glyphs = [10][7]string{
	{" ### ", "#   #", "#   #", "#   #", "#   #", "#   #", " ### "},
	{"  #  ", " ##  ", "  #  ", "  #  ", "  #  ", "  #  ", " ### "},
	{" ### ", "#   #", "    #", "   # ", "  #  ", " #   ", "#####"},
	{" ### ", "#   #", "    #", "  ## ", "    #", "#   #", " ### "},
	{"   # ", "  ## ", " # # ", "#  # ", "#####", "   # ", "   # "},
	{"#####", "#    ", "#### ", "    #", "    #", "#   #", " ### "},
	{"  ## ", " #   ", "#    ", "#### ", "#   #", "#   #", " ### "},
	{"#####", "    #", "   # ", "  #  ", "  #  ", " #   ", " #   "},
	{" ### ", "#   #", "#   #", " ### ", "#   #", "#   #", " ### "},
	{" ### ", "#   #", "#   #", " ####", "    #", "   # ", " ##  "},
}

// ink is how dark a glyph is at a point, between its cells as much as is near.
func ink(digit int, column, row float64) float64 {
	cell := func(c, r int) float64 {
		if c >= 0 && c < 5 && r >= 0 && r < 7 && glyphs[digit][r][c] == '#' {
			return 1
		}
		return 0
	}
	c, r := math.Floor(column), math.Floor(row)
	x, y := column-c, row-r
	i, j := int(c), int(r)
	return (1-x)*(1-y)*cell(i, j) + x*(1-y)*cell(i+1, j) + (1-x)*y*cell(i, j+1) + x*y*cell(i+1, j+1)
}

// draw makes n digits of 28 x 28: turned, slanted, moved, larger or smaller, thicker or thinner,
// with noise.
func draw(r *rand.Rand, n int) digits {
	const size = 28
	s := digits{height: size, width: size}
	between := func(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }
	for range n {
		digit := r.IntN(10)
		angle, slant, scale := between(-0.25, 0.25), between(-0.3, 0.3), between(2.2, 3.2)
		left, top, strength := between(-3, 3), between(-3, 3), between(1, 2)
		sin, cos := math.Sincos(angle)
		for y := range size {
			for x := range size {
				dx, dy := (float64(x)-size/2-left)/scale, (float64(y)-size/2-top)/scale
				column, row := cos*dx+sin*dy, cos*dy-sin*dx
				v := strength*ink(digit, column+slant*row+2, row+3) + between(-0.15, 0.15)
				s.pixels = append(s.pixels, float32(min(max(v, 0), 1)))
			}
		}
		s.labels = append(s.labels, int32(digit))
	}
	return s
}
