package vec

import "fmt"

// RoPERow rotates the heads of one position. x and y hold whole heads of
// len(table) elements; table is the cosines of len(table)/2 angles, then their
// sines. In each head, element i of the first half and its partner in the
// second half turn by angle i:
//
//	y1 = x1*cos - sign*x2*sin
//	y2 = x2*cos + sign*x1*sin
//
// Sign -1 turns back: the gradient.
func RoPERow(y, x, table []float32, sign float32) {
	same("RoPERow", len(y), len(x))
	wholeHeads("RoPERow", len(x), len(table))
	if half := len(table) / 2; len(x) > 0 {
		rotate(y, y[half:], x, x[half:], table[:half], table[half:], sign, len(x)/len(table))
	}
}

// wholeHeads panics unless n elements are heads as a table of that size has angles for.
func wholeHeads(name string, n, table int) {
	if table == 0 || table%2 != 0 || n%table != 0 {
		panic(fmt.Sprintf("vec.%s: %d elements with a table of %d, want whole heads of an even size", name, n, table))
	}
}

// rotateGo takes the halves of the first of some heads, and goes on by whole heads.
func rotateGo(y1, y2, x1, x2, cos, sin []float32, sign float32, heads int) {
	n := len(cos)
	for h := range heads {
		at := 2 * n * h
		for i, c := range cos {
			a, b, s := x1[at+i], x2[at+i], sin[i]*sign
			y1[at+i] = a*c - b*s
			y2[at+i] = b*c + a*s
		}
	}
}
