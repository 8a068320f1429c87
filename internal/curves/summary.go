package curves

// Point is a value at a step.
type Point struct {
	Step  int     `json:"step"`
	Value float64 `json:"value"`
}

// Range is a curve in short.
type Range struct {
	Points int   `json:"points"`
	First  Point `json:"first"`
	Last   Point `json:"last"`
	Min    Point `json:"min"` // the first of several
	Max    Point `json:"max"`
}

// Summary is a run in short: its curves by their names in metrics.jsonl.
type Summary struct {
	Name   string           `json:"name"`
	Path   string           `json:"path"`
	Curves map[string]Range `json:"curves"`
}

// Summary sums the run up.
func (r Run) Summary() Summary {
	s := Summary{Name: r.Name, Path: r.Path, Curves: map[string]Range{}}
	for name, c := range r.curves {
		s.Curves[name] = c.Range()
	}
	return s
}

// Range is the curve in short; it has at least one point.
func (c Curve) Range() Range {
	point := func(i int) Point { return Point{int(c.Steps[i]), c.Values[i]} }
	r := Range{Points: len(c.Steps), First: point(0), Last: point(len(c.Steps) - 1), Min: point(0), Max: point(0)}
	for i, v := range c.Values {
		if v < r.Min.Value {
			r.Min = point(i)
		}
		if v > r.Max.Value {
			r.Max = point(i)
		}
	}
	return r
}
