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
	if len(table) == 0 || len(table)%2 != 0 || len(x)%len(table) != 0 {
		panic(fmt.Sprintf("vec.RoPERow: %d elements with a table of %d, want whole heads of an even size", len(x),
			len(table)))
	}
	half := len(table) / 2
	for h := 0; h < len(x); h += len(table) {
		y1, y2 := y[h:h+half], y[h+half:h+2*half]
		x1, x2 := x[h:h+half], x[h+half:h+2*half]
		rotate(y1, y2, x1, x2, table[:half], table[half:], sign)
	}
}

func rotateGo(y1, y2, x1, x2, cos, sin []float32, sign float32) {
	n := len(y1)
	y2, x1, x2, cos, sin = y2[:n], x1[:n], x2[:n], cos[:n], sin[:n]
	for i := range y1 {
		a, b, c, s := x1[i], x2[i], cos[i], sin[i]*sign
		y1[i] = a*c - b*s
		y2[i] = b*c + a*s
	}
}
