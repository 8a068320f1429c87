package gemm

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Rows of A a multiple of 4 KiB apart are read where they lie, fewer at a time than others, with the same bits.
func TestRowsInOneSet(t *testing.T) {
	everyKernel(t, testRowsInOneSet)
}

func testRowsInOneSet(t *testing.T, k kernel) {
	t.Helper()
	if rows := k.rowsInPlace(waySize); rows != k.rows && (rows >= k.rows || k.whole[1].inPlace != nil && k.whole[1].inPlace[rows] == nil) {
		t.Fatalf("%s has no micro-kernel of %d rows", k.name, rows)
	}
	list := engines(t, k)
	r := rand.New(rand.NewPCG(14, 14))
	for trans := range 2 {
		p := newProblem(t, r, 9*k.rows+3, 7*k.cols+5, 600, false, trans == 1, trans == 1, formatF32)
		p.lda = waySize / 4
		p.a = random(p.m * p.lda)
		p.sameBits(t, list)
		p.run(t, list[1])
	}
}

// The last strips of products with many rows are two tasks each, for which every element is as in one.
func TestHalvedStrips(t *testing.T) {
	everyKernel(t, func(t *testing.T, k kernel) {
		list := engines(t, k)
		r := rand.New(rand.NewPCG(13, 13))
		for trans := range 4 {
			p := newProblem(t, r, 2*leastHalf*k.rows+trans, 7*k.cols+5, 60+trans, trans&1 != 0, trans&2 != 0, trans == 1, format(trans%3))
			p.sameBits(t, list)
			p.run(t, list[1])
		}
		for threads := 1; threads < 6; threads++ {
			for m := 1; m < 70*k.rows; m += 1 + m/5 {
				strips, kn := 1+m%9, k
				c := cut{rows: m}
				halved := c.halved(strips, m, threads, &kn)
				var done [9][]bool
				for task := range strips + halved {
					i0, i1, j := c.task(task, m, strips, halved, &kn)
					if done[j] == nil {
						done[j] = make([]bool, m)
					}
					for i := i0; i < i1; i++ {
						if done[j][i] {
							t.Fatalf("%d rows, %d strips: row %d of strip %d is in two tasks", m, strips, i, j)
						}
						done[j][i] = true
					}
				}
				for j, rows := range done[:strips] {
					if len(rows) < m || slices.Contains(rows, false) {
						t.Fatalf("%d rows, %d strips, of which %d are halved: not all rows of strip %d", m, strips, halved, j)
					}
				}
			}
		}
	})
}
