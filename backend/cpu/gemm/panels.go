package gemm

import (
	"runtime"
	"unsafe"

	"github.com/agora-ml/agora/backend/cpu/internal/pages"
)

// panels is an engine's memory for packed panels, in huge pages: a strip of B spread over
// small ones has lines that push each other out of the level-2 cache.
type panels struct {
	floats  []float32
	mapped  []byte
	cleanup runtime.Cleanup
}

// bytes is the size of the mapping; nil has none.
func (p *panels) bytes() int {
	if p == nil {
		return 0
	}
	return len(p.mapped)
}

// grow returns memory for n floats, p itself where it is enough. What p held is lost.
func (p *panels) grow(n int) *panels {
	if n == 0 || p != nil && len(p.floats) >= n {
		return p
	}
	if p != nil {
		p.cleanup.Stop()
		unmap(p.mapped)
		*p = panels{}
	}
	mapped, err := pages.Map(panelBytes(n))
	if err != nil {
		panic("gemm: memory for packed panels: " + err.Error())
	}
	p = &panels{mapped: mapped, floats: unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(mapped))),
		len(mapped)/4)}
	p.cleanup = runtime.AddCleanup(p, unmap, mapped)
	return p
}

// at is the address of float i.
func (p *panels) at(i int) unsafe.Pointer { return unsafe.Pointer(&p.floats[i]) }

func unmap(mapped []byte) { _ = pages.Unmap(mapped) } // only a mapping that is not ours could fail

// panelBytes is the size of a mapping for n floats: whole huge pages.
func panelBytes(n int) int { return roundUp(4*n, pages.Huge) }

// ownStrips gives each worker memory for one strip of B.
func (e *Engine) ownStrips() {
	if e.strips != nil {
		return
	}
	n := e.kernel.floats(e.kernel.kc, max(e.kernel.strip, e.kernel.widest))
	e.strips = e.strips.grow(len(e.ws) * n)
	for i := range e.ws {
		e.ws[i].b = e.strips.floats[i*n : (i+1)*n : (i+1)*n]
	}
}
