package termplot

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func draw(t *testing.T, series []Series, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := Lines(&b, series, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPictures(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name   string
		series []Series
		o      Options
		want   string
	}{
		// a diagonal of 20×12 dots; the mark of a later series stands over the line
		{"a line and a mark", []Series{{Name: "line", X: []float64{0, 10}, Y: []float64{0, 3}},
			{Name: "mark", X: []float64{0}, Y: []float64{3}, Mark: '×'}},
			Options{Title: "title", XLabel: "step", Width: 10, Height: 3}, `
title
3 ┤×     ⢀⡠⠔⠊
2 ┤   ⢀⠤⠒⠁
0 ┤⡠⠔⠊⠁
  └┬────┬───┬
   0    5  10
      step
⠤⠤ line    × mark
`},
		{"two decades", []Series{{Y: []float64{100, 10, 1}, Mark: 'o'}}, Options{Width: 11, Height: 5, LogY: true}, `
100 ┤o
    │
 10 ┤     o
    │
  1 ┤          o
    └┬────┬────┬
     1    2    3
`},
		{"what cannot be drawn interrupts the line", []Series{{Y: []float64{1, 1, nan, 1, inf, 0, -1, 1, 1}}},
			Options{Width: 8, Height: 3, LogY: true}, `
  2 ┤
  1 ┤⠒⠂ ⠂  ⠐⠒
0.5 ┤
    └────┬───
         5
`},
		{"nothing", []Series{{Y: []float64{nan, -1}}, {}}, Options{LogY: true}, "\n(nothing to plot)\n"},
	} {
		if got := "\n" + draw(t, c.series, c.o); got != c.want {
			t.Errorf("%s: got%s\nwant%s", c.name, got, c.want)
		}
	}
}

func TestColorIsTheOnlyDifference(t *testing.T) {
	series := []Series{{Name: "a", Y: []float64{1, 5, 2}}, {Name: "b", Y: []float64{3, 3, 3}, Mark: '●'}}
	plain, colored := draw(t, series, Options{}), draw(t, series, Options{Color: true})
	if strings.Contains(plain, "\x1b") || !strings.Contains(colored, "\x1b[33m●\x1b[0m b") ||
		!strings.Contains(colored, "\x1b[36m⠤⠤\x1b[0m a") {
		t.Errorf("plain\n%s\ncolored\n%s", plain, colored)
	}
	if got := strings.NewReplacer("\x1b[0m", "", "\x1b[36m", "", "\x1b[33m", "").Replace(colored); got != plain {
		t.Errorf("without its escapes the colored plot is\n%s\nwant\n%s", got, plain)
	}
}

// Any numbers: every line stays within the frame, and there is an end.
func TestExtremes(t *testing.T) {
	big, small := math.MaxFloat64, math.SmallestNonzeroFloat64
	for _, y := range [][]float64{{big, -big}, {big}, {-big}, {small}, {small, big}, {0}, {-1, -1}, {1, 1 + 1e-15},
		{1e17, 1e17 + 16}} {
		for _, o := range []Options{{}, {LogY: true}, {Width: 1, Height: 1}} {
			o.Title = "extremes"
			got := draw(t, []Series{{X: y, Y: y}, {X: y, Y: y, Mark: 'o'}}, o)
			for line := range strings.Lines(got) {
				if n := len([]rune(line)); n > 64+30 {
					t.Errorf("%v %+v: a line of %d characters", y, o, n)
				}
			}
			if lines := strings.Count(got, "\n"); lines != 2 && lines != max(o.Height, 1)+3 && lines != 16+3 {
				t.Errorf("%v %+v: %d lines\n%s", y, o, lines, got)
			}
		}
	}
}

func TestTicksAreRoundNumbersWithin(t *testing.T) {
	for _, c := range []struct {
		a    axis
		n    int
		want string
	}{
		{axis{lo: 0, hi: 10}, 5, "0 2 4 6 8 10"},
		{axis{lo: 0.37, hi: 2.91}, 4, "1 2"},
		{axis{lo: -0.3, hi: 0.3}, 6, "-0.3 -0.2 -0.1 0 0.1 0.2 0.3"},
		{axis{lo: 1e-5, hi: 3e-4}, 3, "0.0001 0.0002 0.0003"},
		{axis{lo: 0.003, hi: 20, log: true}, 5, "0.01 0.1 1 10"},
		{axis{lo: 1e-9, hi: 1, log: true}, 4, "1e-09 1e-06 0.001 1"},
		{axis{lo: 2, hi: 8, log: true}, 3, "2 4 6 8"},
	} {
		var got []string
		for _, tick := range c.a.ticks(c.n) {
			got = append(got, c.a.label(tick))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%+v, about %d: got %s, want %s", c.a, c.n, s, c.want)
		}
	}
}

type full struct{}

var errFull = errors.New("no space")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrors(t *testing.T) {
	for _, series := range [][]Series{nil, {{Y: []float64{1}}}} {
		if err := Lines(full{}, series, Options{}); err != errFull {
			t.Errorf("%d series: got %v, want %v", len(series), err, errFull)
		}
	}
}
