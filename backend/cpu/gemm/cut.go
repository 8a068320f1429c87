package gemm

import "unsafe"

// sharedLimit (a variable for tests) is the most floats of shared panels at a time (64 MiB).
var sharedLimit = 16 << 20

// cachedLimit is the same where B's panels are among them (2 MiB): a product of few columns
// reads all of them again for every few rows, and should find them in a cache.
const cachedLimit = 1 << 19

// mostKeptRows bounds the rows of a task that becomes 16 bits: about 1 MiB with the widest strip.
const mostKeptRows = 1024

// A cut is how a team shares a product.
type cut struct {
	width, rows int  // of a task: columns and rows of C
	mp, np      int  // rows of A and columns of B that are packed for all, or 0
	stretch     int  // of k, for which they are packed at a time
	own         bool // one task a thread, all as large, or a few: keptRows
}

// ownCut gives every thread one task that packs for itself, if they are about as large. Where a product has few rows
// and columns along many steps of k, as gradients of thin weights and of logits have, threads would wait for each
// other after every stretch, and read what others have packed out of their caches: that costs more than to read A
// twice, or to pack the smaller operand twice where it must be packed.
func ownCut(pl *plan, threads int) (c cut, ok bool) {
	kn := pl.kernel
	c = cut{width: pl.n, rows: pl.m, stretch: pl.k, own: true}
	even := func(n, whole int) (size int, ok bool) {
		size = roundUp((n+threads-1)/threads, whole)
		return size, 9*threads*size <= 10*n
	}
	wide := pl.wideA.data != nil || kn.parts != nil
	if wide || pl.narrowA() || pl.transA && pl.m > pl.n {
		c.rows, ok = even(pl.m, kn.rows)
		most := kn.strip
		if !pl.transA { // of two strips' tasks each would round, split or widen all of A
			most += kn.strip / 4
		}
		if ok = ok && c.rows >= 4*kn.rows && pl.n <= most; ok || !pl.narrowA() {
			return c, ok
		}
		c.rows = pl.m
	}
	c.width, ok = even(pl.n, kn.cols/2)
	return c, ok && c.width >= 2*kn.cols && c.width <= max(kn.strip, kn.widest) && pl.m <= mostOwnRows
}

// mostOwnRows is the most rows of A that all threads read.
const mostOwnRows = 512

// ownCuts is a variable for tests, which turn them off to see the others.
var ownCuts = true

func newCut(pl *plan, threads int) cut {
	kn := pl.kernel
	c := cut{width: min(kn.strip, max(64, roundUp((pl.n+4*threads-1)/(4*threads), kn.cols))), rows: pl.m, stretch: pl.k}
	if threads > 1 && (pl.n+c.width-1)/c.width < 3*threads { // too few strips: cut the rows as well
		if own, ok := ownCut(pl, threads); ok && ownCuts {
			own.rows = pl.keptRows(own.rows)
			return own
		}
		strips := (pl.n + kn.strip - 1) / kn.strip
		c.width = roundUp((pl.n+strips-1)/strips, kn.cols)
		c.rows = 16 * kn.rows
		if pl.transA { // as many tasks for everybody, not more: its columns would be packed in pieces too short
			tasks := roundUp((pl.m+c.rows-1)/c.rows*strips, threads)
			c.rows = min(c.rows, roundUp((pl.m*strips+tasks-1)/tasks, kn.rows))
		} else {
			c.rows = min(c.rows, max(4*kn.rows, roundUp((pl.m*strips+8*threads-1)/(8*threads), kn.rows)))
		}
		c.np = roundUp(pl.n, kn.cols)
	}
	// Panels of A are read faster than its rows, and a transposed A only so. Rows of one block of k lie as close as panels
	// do, and are fetched ahead as well, and so does AVX-512 with rows of float32 wherever they lie: there it takes more strips
	// to repay the copy.
	strips, repaid := (pl.n+c.width-1)/c.width, 4
	if kn.chunk > 0 && pl.k <= kn.kc || pl.readsRows() {
		repaid = 16
	}
	copied := kn.blocks == nil || pl.wideA.data != nil // else rows of tiles are read as fast where they lie
	if pl.transA && strips > 1 || strips >= repaid && pl.m > 4*kn.rows && copied {
		c.mp = roundUp(pl.m, kn.rows)
	}
	c.rows = pl.keptRows(c.rows)
	if c.mp+c.np > 0 {
		limit := sharedLimit
		if c.np > 0 {
			limit = min(limit, cachedLimit)
		}
		c.stretch = max(1, limit/((c.mp+c.np)*pl.depth)) * pl.depth
	}
	return c
}

// strips appends the columns where the strips begin, and n. Where a strip has all rows of C there are as many of a width
// as threads, and the last ones are narrower: threads of one speed end together, and nobody waits long for a slower one.
func (c *cut) strips(edges []int, n, threads int, kn *kernel) []int {
	narrower := threads > 1 && c.np == 0 && !c.own
	for j := 0; j < n; {
		width := c.width
		if left := n - j; narrower {
			width = min(width, left/(2*threads)/kn.cols*kn.cols)
			if width < leastPanels*kn.cols { // the last
				width = min(c.width, roundUp((left+threads-1)/threads, kn.cols))
			}
		}
		for i := 0; i < threads && j < n; i++ {
			edges = append(edges, j)
			j = min(j+width, n)
		}
	}
	return append(edges, n)
}

// leastPanels is the panels of the narrowest of the strips that have all rows of C, but for the last.
const leastPanels = 3

// halved is how many of so many strips are two tasks, of half of the rows each: where strips have all rows of C the last ones, one
// a thread. Whoever is done first waits for half a strip then, and B's panels, which each half packs again, are few beside it.
func (c *cut) halved(strips, m, threads int, kn *kernel) int {
	if threads == 1 || c.own || c.rows < m || m < 2*leastHalf*kn.rows {
		return 0
	}
	return min(threads, strips)
}

// leastHalf is the tiles of rows in half a strip that repay its packing.
const leastHalf = 16

// task is the rows [i0, i1) and the strip of a task, of m rows and so many strips, of which so many are halved.
func (c *cut) task(task, m, strips, halved int, kn *kernel) (i0, i1, strip int) {
	if whole := strips - halved; halved > 0 && task >= whole {
		half := roundUp((m+1)/2, kn.rows)
		i0 = (task - whole) % 2 * half
		return i0, min(i0+half, m), whole + (task-whole)/2
	}
	i0 = task / strips * c.rows
	return i0, min(i0+c.rows, m), task % strips
}

// shared is the floats of the panels that are packed for all.
func (c *cut) shared(pl *plan) int {
	k := min(c.stretch, pl.k)
	return c.mp*k + (k+pl.depth-1)/pl.depth*pl.kernel.floats(pl.depth, c.np)
}

// bandLimit (a variable for tests) is the most floats of a transposed A's panels at a time (32 MiB).
var bandLimit = 8 << 20

// leastBand is the least rows of a band that has all of k: fewer would not repay B's panels, which each packs again.
const leastBand = 512

// band is the rows of C for which A is packed at a time. Of a transposed one a block of k of many thousands, as the gradient of
// a head's weight has, would need more than sharedLimit. Of another one, where C is in 16 bits, several stretches of k would
// keep all of C in float32: a band has all of k. Every band costs a wait, and B packed once more.
func (c *cut) band(pl *plan) int {
	kn := pl.kernel
	rows, least := bandLimit/min(c.stretch, pl.k), kn.rows
	switch inFloats := kn.blocks == nil && pl.a.format != formatPairs; {
	case pl.transA && !inFloats:
		return pl.m
	case !pl.transA:
		if !pl.rounded() || c.stretch >= pl.k || c.np > 0 {
			return pl.m
		}
		rows, least = sharedLimit/roundUp(pl.k, pl.depth), leastBand
	}
	if rows = rows / kn.rows * kn.rows; c.mp <= rows || rows < least {
		return pl.m
	}
	bands := (pl.m + rows - 1) / rows
	return roundUp((pl.m+bands-1)/bands, kn.rows)
}

// rows is the product of rows [from, to) of op(A).
func (p product) rows(from, to int) product {
	p.m = to - from
	for _, a := range []*Matrix{&p.a, &p.wideA} {
		skip := from // elements
		if !p.transA {
			skip *= a.ld
		}
		if a.data != nil {
			a.data, a.len = a.at(skip), a.len-skip
		}
	}
	p.c = unsafe.Add(p.c, p.to.size()*from*p.ldc)
	if p.plus.data != nil {
		p.plus.data = p.plus.at(from * p.plus.ld)
	}
	return p
}

// SharedBytes is the scratch memory that an Engine of so many threads needs for C = op(A)
// op(B) beside its workers' own, for each of which 2 MiB are enough.
func SharedBytes(threads int, transA bool, m, n, k int) int {
	p := product{transA: transA, m: m, n: n, k: k}
	return p.bytes(threads, &kernels[0])
}

func (p *product) bytes(threads int, kn *kernel) int {
	if p.m < 2 || p.n < 2 || p.k < 1 || p.m*p.n*p.k <= alone {
		return 0
	}
	if p.a.ld == 0 {
		p.a.ld = p.k // rows that lie together; of a transposed A nobody asks
	}
	pl := newPlan(p, kn)
	c := newCut(&pl, threads)
	if band := c.band(&pl); band < p.m {
		part := *p
		part.m = band
		return part.bytes(threads, kn)
	}
	bytes := panelBytes(c.shared(&pl))
	if p.rounded() && c.stretch < p.k {
		bytes += 4 * p.m * p.n
	}
	return bytes
}

// BgemmBytes is SharedBytes for Bgemm with an A that is float32, or bfloat16, and a bfloat16 C, or a float32 one; false: it
// does not compute this.
func BgemmBytes(threads int, transA, wideA, rounded bool, m, n, k int) (int, bool) {
	if m < 2 || n < 2 || k < 2 || !multipliesAlong(k) {
		return 0, false
	}
	a, c := BF16([]uint16{0}, 1), Matrix{}
	before := 0 // bytes of an A that is rounded before
	if a0 := F32([]float32{0}, 1); wideA && roundedBefore(0, &a0, transA) {
		before = 2 * k * roundUp(m, 2)
	} else if wideA {
		a = a0
	}
	if rounded {
		c.format = formatBF16
	}
	p := newPairProduct(transA, false, m, n, k, 1, a, Matrix{}, c, false)
	return p.bytes(threads, &pairKernels()[0]) + before, true
}
