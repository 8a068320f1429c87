package compare

import (
	"fmt"
	"strings"
)

// Stage is how far a method is ahead after a number of steps.
type Stage struct {
	Steps int
	Ahead Difference
}

// Words says as much of a difference as the numbers allow: who is ahead and by how much only where
// the interval leaves out 0.
func Words(first, second string, m Measure, stages []Stage) string {
	var parts []string
	for _, s := range stages {
		parts = append(parts, s.words(m))
	}
	return fmt.Sprintf("%s and %s: %s.", first, second, strings.Join(parts, "; "))
}

func (s Stage) words(m Measure) string {
	d := s.Ahead
	at := fmt.Sprintf("after %d steps ", s.Steps)
	switch {
	case d.N < 2:
		return at + fmt.Sprintf("not told apart: want two seeds or more, got %d", d.N)
	case !d.Apart():
		return at + fmt.Sprintf("not told apart (%s, 95 %% %s to %s; the first is ahead on %d of %d seeds)",
			m.amount(d.Mean), m.number(d.Low), m.number(d.High), d.Up, d.N)
	case d.Mean > 0:
		return at + fmt.Sprintf("the first is ahead by %s (95 %% %s to %s, %d of %d seeds)",
			m.amount(d.Mean), m.number(d.Low), m.number(d.High), d.Up, d.N)
	}
	return at + fmt.Sprintf("the second is ahead by %s (95 %% %s to %s, %d of %d seeds)",
		m.amount(-d.Mean), m.number(-d.High), m.number(-d.Low), d.Down, d.N)
}

// amount is a difference with its unit.
func (m Measure) amount(v float64) string {
	if m == Loss {
		return m.number(v) + " nats a token"
	}
	return fmt.Sprintf("%s points of %s", m.number(v), m.what())
}

// number is a difference or a score in the measure's unit: percent, or nats.
func (m Measure) number(v float64) string {
	text := fmt.Sprintf("%.1f", 100*v)
	if m == Loss {
		text = fmt.Sprintf("%.3f", v)
	}
	if strings.Trim(text, "-0.") == "" { // no minus before a zero
		return strings.TrimPrefix(text, "-")
	}
	return strings.Replace(text, "-", "−", 1)
}

// what names what a measure counts.
func (m Measure) what() string {
	switch m {
	case Letters:
		return "letters in place"
	case Exact:
		return "right answers"
	}
	return "nats a token"
}
