package gemm

import "unsafe"

// Few rows of A and rows of B in blocks: these are turned to panels of bytes by the packers of integer products, which cost a
// quarter of what numbers do, and widened while they are multiplied. Numbers of C are summed as by panels of float32.

// bytePanels is how a kind of blocks is multiplied so.
type bytePanels struct {
	pack  func(panel, b unsafe.Pointer, ld, k int)
	zero  byte          // what its bytes are too large by
	tiles []func(*tile) // by rows of A: of two panels up to kernel.bytesPaired, else of one
}

// packedBytes is the most numbers of a row of B that are packed at a time.
const packedBytes = 16 << 10

// bytesOf is how B is multiplied so, if it is.
func (kn *kernel) bytesOf(p *product) *bytePanels {
	if kn.bytes == nil || !p.b.format.inBlocks() || p.k%p.b.format.blocks().Len() != 0 {
		return nil
	}
	kind := &kn.bytes[p.b.format.blocks()]
	if pl := newPlan(p, kn); kind.pack == nil || pl.packedAtOnce() > packedBytes {
		return nil
	}
	return kind
}

// packedAtOnce is the numbers of k that are packed at a time: whole steps of panels, blocks of B and blocks of k.
func (pl *plan) packedAtOnce() int {
	length, n := pl.b.format.blocks().Len(), pl.depth
	for n < pl.k && n%length != 0 {
		n += pl.depth
	}
	return min(n, pl.k)
}

// turnedBytes computes the columns of C from j on that two panels have.
func (w *Workspace) turnedBytes(p *turnedProduct, j int) {
	t, kind, lanes := &w.tile, p.bytes, p.group/2
	c := w.beginTurned(p, j, p.group)
	once, size := p.packedAtOnce(), lanes/8*stepBytes
	panel := w.panel(once/32, size)
	t.zero = kind.zero
	for kb, k0, k1 := 0, 0, 0; kb < p.k; kb += p.depth { // panels have numbers k0 to k1 of k
		t.k, t.acc = min(p.depth, p.k-kb), p.adds() || kb > 0
		if kb == k1 {
			k0, k1 = kb, min(p.k, kb+once)
			t.bs = (k1 - k0) / 32 * size
			for i := range 2 {
				kind.pack(unsafe.Add(panel, i*t.bs), p.b.block((j+i*lanes)*p.b.ld+k0), p.b.format.blocks().Bytes(p.b.ld), k1-k0)
			}
			p.fetchBlocks(j, k1, k1-k0)
		}
		step := unsafe.Add(panel, (kb-k0)/32*size)
		t.skip = (kb - k0) % 32 / 4
		for i := 0; i < p.m; i += p.rows {
			rows := min(p.rows, p.m-i)
			t.a, t.b, t.c = unsafe.Add(p.panels, 4*turnedRows*(i/p.rows*p.k+kb)), step, unsafe.Add(c, i*t.ldc)
			if rows <= p.kernel.bytesPaired {
				t.columns(p.group, p.group)
				w.turn(kind.tiles[rows])
				continue
			}
			t.columns(lanes, lanes)
			w.turn(kind.tiles[rows])
			t.b, t.c = unsafe.Add(step, t.bs), unsafe.Add(t.c, 4*lanes)
			w.turn(kind.tiles[rows])
		}
	}
	w.endTurned(p, c)
}
