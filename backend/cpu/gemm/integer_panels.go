package gemm

import "unsafe"

// The integer products of panels. A panel is eight rows of B, AVX512_VNNI's is sixteen, of which a step is 32 numbers, as
// bytes whatever their blocks are, then the rows' scales, and as many of what else the kind has. A worker that has packed
// a panel uses it for all rows of A; for a single row, a block is multiplied in the registers that it is loaded to. A
// column's sum is one of exact integers, a step's, times scales, in order, so that a row has the same bits alone or among
// others, and on all these processors.
//
// The bytes lie as instructions multiply them. AVX2: four of each row, the next four and so on, by the same four numbers
// of a row of A, so that a register has a sum of each of eight columns of C, and none is added across. AVX512_VNNI: the
// same of sixteen columns, in one instruction that adds to 32 bits. arm64: eight of each of two rows, of the next two and
// so on, by eight numbers of two rows of A (SMMLA) or of one (SDOT); a single row is multiplied with blocks where they lie.

// A panelKind is how a kind of blocks is multiplied.
type panelKind struct {
	pack     func(panel, b unsafe.Pointer, ld, k int)
	multiply func(c unsafe.Pointer, ldc int, x unsafe.Pointer, apart int, panel unsafe.Pointer, second, steps, rows int)
	single   func(c, x, panel, b unsafe.Pointer, ld, k, panels int)
	zero     int // what its bytes are too large by
}

// A roundedGroup is 32 numbers of a row, x = scale * byte.
type roundedGroup struct {
	bytes [32]int8
	// -zero times sums of bytes, of all, of the first 16 and of the last: of those that are first or second of every
	// four, then of the others. AVX512_VNNI: as one int32.
	zeros [3][2]int16
	scale float32
	sum   float32 // of the bytes, times scale
	_     [12]byte
}

const (
	groupBytes = int(unsafe.Sizeof(roundedGroup{}))
	stepBytes  = 32*8 + 2*4*8
)

// roundGroupsGo rounds groups (roundGroup), with whole zeros in 32 bits or pairs in 16.
func roundGroupsGo(to, x unsafe.Pointer, groups, zero int, whole bool) {
	for g := range groups {
		group := (*roundedGroup)(unsafe.Add(to, groupBytes*g))
		scale := roundGroup(unsafe.Pointer(&group.bytes), unsafe.Add(x, 128*g))
		var total int32
		var halves [2][2]int32
		for i, b := range group.bytes {
			total += int32(b)
			halves[i/16][i/2%2] -= int32(zero) * int32(b)
		}
		for i, of := range [3][2]int32{{halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]}, halves[0], halves[1]} {
			if group.zeros[i] = [2]int16{int16(of[0]), int16(of[1])}; whole {
				group.zeros[i] = [2]int16{int16(of[0] + of[1]), int16((of[0] + of[1]) >> 16)}
			}
		}
		group.scale, group.sum = scale, float32(total)*scale
	}
}

// panelDepth is the most numbers of a row of B that are packed at a time: two panels stay in the level-1 cache.
// panelRows is the most rows of A of one call, a few microseconds.
const panelDepth, panelRows = 1024, 64

// streamedRows is the most rows of A for which weights are read as one stream.
const streamedRows = 4

// panelColumns is the columns of C that two panels of eight rows have, or one of sixteen.
const panelColumns = 16

// panelRoom is a worker's memory for panels, and for the last rows of B where they are not eight.
type panelRoom struct {
	panels []float32
	rest   []byte
}

func (r *panelRoom) bytes() int { return 4*cap(r.panels) + cap(r.rest) }

// panel is memory for two panels of so many steps, of size bytes each.
func (r *panelRoom) panel(steps, size int) unsafe.Pointer {
	r.panels = grow(r.panels, 2*steps*size/4+16)
	start := unsafe.Pointer(unsafe.SliceData(r.panels))
	return unsafe.Add(start, -uintptr(start)%64)
}

// sixteen is a copy of fewer rows of n bytes, ld apart, followed by zeros.
func (r *panelRoom) sixteen(b unsafe.Pointer, ld, n, rows int) unsafe.Pointer {
	r.rest = grow(r.rest, panelColumns*n)
	for i := range rows {
		copy(r.rest[i*n:(i+1)*n], unsafe.Slice((*byte)(unsafe.Add(b, i*ld)), n))
	}
	clear(r.rest[rows*n : panelColumns*n])
	return unsafe.Pointer(unsafe.SliceData(r.rest))
}

// panelProducts computes columns of C, which are rows of B as it lies.
func (e *Engine) panelProducts(p *product) {
	path, kind := e.integers, &e.integers.kinds[p.b.format.blocks()]
	x := e.rounded.room(p.m * (p.k / 32 * groupBytes) / 4)
	if p.m*p.k <= alone/4 {
		for i := range p.m {
			path.roundRow(p, kind, x, i)
		}
	} else {
		e.team.Run(p.m, func(_, i int) { path.roundRow(p, kind, x, i) })
	}
	tasks := 4 * e.team.Threads()
	grain := max(2*panelColumns, roundUp((p.n+tasks-1)/tasks, panelColumns))
	run, most := e.team.Run, panelColumns
	if p.m <= streamedRows {
		run, grain = e.team.Stream, 4*panelColumns
	}
	if p.alpha == 1 && (p.m <= path.singles || path.rows == panelColumns) {
		most *= 2
	}
	if p.m*p.n*p.k <= alone/4 {
		grain = p.n
	}
	run((p.n+grain-1)/grain, func(worker, task int) {
		lo, hi := task*grain, min((task+1)*grain, p.n)
		for lo < hi {
			n := min(most, hi-lo)
			if n > panelColumns {
				n = n / panelColumns * panelColumns
			}
			e.ws[worker].panelColumns(p, path, x, lo, n)
			lo += n
		}
	})
}

// roundRow rounds row i of A into the i-th of rows at x.
func (path *integerPath) roundRow(p *product, kind *panelKind, x unsafe.Pointer, i int) {
	path.round(unsafe.Add(x, i*(p.k/32*groupBytes)), p.a.at(i*p.a.ld), p.k/32, kind.zero)
}

// panelColumns computes n columns of C: two panels, or fewer; of AVX512_VNNI's sixteen rows one, or less, or two; for a single
// row some times panelColumns.
//
//go:noinline
func (w *Workspace) panelColumns(p *product, path *integerPath, x unsafe.Pointer, lo, n int) {
	t, apart := p.b.format.blocks(), p.k/32*groupBytes
	kind := &path.kinds[t]
	direct := n%panelColumns == 0 && p.alpha == 1
	depth, most := panelDepth, panelRows
	if p.m <= path.singles {
		most = 1
		if direct {
			depth = p.k
		}
	}
	step := path.rows / 8 * stepBytes
	panel := w.panel(panelDepth/32, step)
	for from := 0; from < p.k; from += depth {
		k := min(depth, p.k-from)
		b, ld := p.b.block(lo*p.b.ld+from), t.Bytes(p.b.ld)
		if n < panelColumns {
			b, ld = w.sixteen(b, ld, t.Bytes(k), n), t.Bytes(k)
		}
		second := 0
		if most > 1 {
			kind.pack(panel, b, ld, k)
			if path.rows < max(n, panelColumns) {
				second = k / 32 * step
				kind.pack(unsafe.Add(panel, second), unsafe.Add(b, path.rows*ld), ld, k)
			}
		}
		add := p.acc || from > 0
		for i := 0; i < p.m; i += most {
			rows := min(most, p.m-i)
			c, ldc := unsafe.Add(p.c, 4*(i*p.ldc+lo)), 4*p.ldc
			if !direct {
				c, ldc = unsafe.Pointer(&w.sums), 4*panelColumns
				clear(w.sums[:rows*panelColumns])
			} else if !add {
				for r := range rows {
					clear(unsafe.Slice((*float32)(unsafe.Add(c, r*ldc)), n))
				}
			}
			at := unsafe.Add(x, i*apart+from/32*groupBytes)
			if most == 1 {
				kind.single(c, at, panel, b, ld, k, (n+panelColumns-1)/panelColumns*2)
			} else {
				kind.multiply(c, ldc, at, apart, panel, second, k/32, rows)
			}
			if !direct {
				w.addSums(p, i, rows, lo, n, add)
			}
		}
	}
}

// addSums takes sums of sixteen columns, of which n count, to C.
func (w *Workspace) addSums(p *product, i, rows, lo, n int, add bool) {
	for r := range rows {
		c := p.cRow(i + r)[lo : lo+n]
		for j, s := range w.sums[r*panelColumns:][:n] {
			if s *= p.alpha; add {
				s += c[j]
			}
			c[j] = s
		}
	}
}
