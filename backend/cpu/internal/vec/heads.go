package vec

import "fmt"

// A HeadShape is that of keys or values of a cache, [Rows, Heads, Dim], and of a query's heads, [Heads, Group, Dim], of which
// Group share each head of the cache. All are at least 1.
type HeadShape struct{ Rows, Heads, Group, Dim int }

// check panics where slices are too short; weights are [Heads*Group, Rows], their rows apart elements from each other.
func (s HeadShape) check(name string, weights []float32, apart int, one []float32, many int) {
	heads := s.Heads * s.Group
	if min(s.Rows, heads, s.Dim) < 1 || apart < s.Rows || len(weights) < (heads-1)*apart+s.Rows ||
		len(one) < heads*s.Dim || many < s.Rows*s.Heads*s.Dim {
		panic(fmt.Sprintf("vec.%s: %d weights, %d apart, %d elements of a query and %d of a cache for %+v", name, len(weights),
			apart, len(one), many, s))
	}
}

// DotHeads sets weights[h*apart+r] to the product of head h of the query q and of row r of k.
func DotHeads(weights []float32, apart int, q, k []float32, s HeadShape) {
	s.check("DotHeads", weights, apart, q, len(k))
	dotHeads(weights, apart, q, k, s)
}

// AddHeads adds to head h of y its weights times the rows of v, one after the other.
func AddHeads(weights []float32, apart int, y, v []float32, s HeadShape) {
	s.check("AddHeads", weights, apart, y, len(v))
	addHeads(weights, apart, y, v, s)
}

// DotHeadsF16 is DotHeads of keys in half-precision, with the bits of those that are widened before. It reports whether there is such a
// routine; if not, nothing is written.
func DotHeadsF16(weights []float32, apart int, q []float32, k []uint16, s HeadShape) bool {
	s.check("DotHeadsF16", weights, apart, q, len(k))
	return dotHeadsF16(weights, apart, q, k, s)
}

// AddHeadsF16 is the same of AddHeads.
func AddHeadsF16(weights []float32, apart int, y []float32, v []uint16, s HeadShape) bool {
	s.check("AddHeadsF16", weights, apart, y, len(v))
	return addHeadsF16(weights, apart, y, v, s)
}

// DotHeadsBF16 is DotHeads of keys in bfloat16, with the bits of those that are widened before. It reports whether there is such a
// routine; if not, nothing is written.
func DotHeadsBF16(weights []float32, apart int, q []float32, k []uint16, s HeadShape) bool {
	s.check("DotHeadsBF16", weights, apart, q, len(k))
	return dotHeadsBF16(weights, apart, q, k, s)
}

// AddHeadsBF16 is the same of AddHeads.
func AddHeadsBF16(weights []float32, apart int, y []float32, v []uint16, s HeadShape) bool {
	s.check("AddHeadsBF16", weights, apart, y, len(v))
	return addHeadsBF16(weights, apart, y, v, s)
}

func dotHeadsGo(weights []float32, apart int, q, k []float32, s HeadShape) {
	s.each(q, k, func(head, row int, q, k []float32) {
		sum := float32(0)
		for i := range q {
			sum += q[i] * k[i]
		}
		weights[head*apart+row] = sum
	})
}

func addHeadsGo(weights []float32, apart int, y, v []float32, s HeadShape) {
	s.each(y, v, func(head, row int, y, v []float32) {
		w := weights[head*apart+row]
		for i := range y {
			y[i] += w * v[i]
		}
	})
}

func (s HeadShape) each(one, many []float32, f func(head, row int, one, many []float32)) {
	for row := range s.Rows {
		for head := range s.Heads * s.Group {
			at := (row*s.Heads + head/s.Group) * s.Dim
			f(head, row, one[head*s.Dim:][:s.Dim], many[at:][:s.Dim])
		}
	}
}
