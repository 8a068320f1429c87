package multilora

import (
	"fmt"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/nn/llama"
)

// ggufWriter collects the tensors of a LoRA as llama.cpp wants them.
type ggufWriter struct {
	path   string
	layout llama.GGUFLayout
	config llama.Config
	// alpha is what the file says. With common it is each layer's own; else a layer adds B A x as it is.
	alpha  float64
	common bool

	tensors []ggufTensor
	stacks  map[string]*expertStack
}

// ggufTensor is a tensor in the order of the file; parts are put one behind the other.
type ggufTensor struct {
	name  string
	shape []int
	data  []float32
}

// expertStack is the modules of a block's experts, which one tensor has: llama.cpp multiplies by those of the experts
// that were chosen. An expert that has none gets zeros, as do the last rows of one with a lower rank.
type expertStack struct {
	at      int       // of its two tensors
	experts []*module // by number
	ranks   []int
	rank    int // the highest
}

// add takes a layer of an adapter.
func (w *ggufWriter) add(a *Adapter, l adapted) error {
	ms, err := l.linear.read()
	if err != nil {
		return fmt.Errorf("multilora: saving layer %s: %w", l.name, err)
	}
	m, weight := ms[0], l.name+".weight"
	out, in, rank := l.linear.B.Value.Dim(0), l.linear.A.Value.Dim(1), l.linear.A.Value.Dim(0)
	if name, expert, ok := w.layout.Stack(weight); ok {
		w.stack(name, out, in).put(expert, rank, m)
		return nil
	}
	name, ok := w.layout.Name(weight)
	if !ok {
		return fmt.Errorf("multilora: saving %s: layer %s: want one that llama.cpp has a name for", w.path, l.name)
	}
	w.scale(m.b, rank, rank)
	if heads := w.layout.Heads(weight); heads > 0 {
		if m.b, err = llama.Interleave(m.b, out, heads); err != nil {
			return fmt.Errorf("multilora: saving layer %s: %w", l.name, err)
		}
	}
	tensors := []ggufTensor{{name + ".lora_a", []int{rank, in}, m.a}, {name + ".lora_b", []int{out, rank}, m.b}}
	if l.name == embeddingModule {
		if tiedHead(a.model) != nil {
			return fmt.Errorf("multilora: saving %s: %s is the head as well, and llama.cpp takes modules beside it "+
				"for the embedding alone: merge the adapter (export --merged)", w.path, l.name)
		}
		tensors[0] = ggufTensor{name + ".lora_a", []int{out, rank}, m.b}
		tensors[1] = ggufTensor{name + ".lora_b", []int{in, rank}, transposed(m.a, rank, in)}
	}
	w.tensors = append(w.tensors, tensors...)
	return nil
}

// scale makes a B of this rank, stored as one of another, count as it does here: llama.cpp multiplies by alpha and
// divides by the rank that it finds.
func (w *ggufWriter) scale(b []float32, rank, stored int) {
	factor := float64(stored) / w.alpha
	if w.common {
		factor = float64(stored) / float64(rank)
	}
	if factor == 1 {
		return
	}
	for i := range b {
		b[i] = float32(float64(b[i]) * factor)
	}
}

// stack is that of a weight [out, in] of all experts.
func (w *ggufWriter) stack(name string, out, in int) *expertStack {
	s, ok := w.stacks[name]
	if !ok {
		n := w.config.Mixture.Experts
		s = &expertStack{at: len(w.tensors), experts: make([]*module, n), ranks: make([]int, n)}
		if w.stacks == nil {
			w.stacks = map[string]*expertStack{}
		}
		w.stacks[name] = s
		w.tensors = append(w.tensors, ggufTensor{name + ".lora_a", []int{n, 0, in}, nil},
			ggufTensor{name + ".lora_b", []int{n, out, 0}, nil})
	}
	return s
}

// put takes an expert's module.
func (s *expertStack) put(expert, rank int, m module) {
	s.experts[expert], s.ranks[expert], s.rank = &m, rank, max(s.rank, rank)
}

// fill makes the two tensors of a stack.
func (w *ggufWriter) fill(s *expertStack) {
	a, b := &w.tensors[s.at], &w.tensors[s.at+1]
	in, out := a.shape[2], b.shape[1]
	a.shape[1], b.shape[2] = s.rank, s.rank
	a.data = make([]float32, len(s.experts)*s.rank*in)
	b.data = make([]float32, len(s.experts)*out*s.rank)
	for e, m := range s.experts {
		if m == nil {
			continue
		}
		rank := s.ranks[e]
		w.scale(m.b, rank, s.rank)
		copy(a.data[e*s.rank*in:], m.a)
		for o := range out {
			copy(b.data[(e*out+o)*s.rank:], m.b[o*rank:(o+1)*rank])
		}
	}
}

// sources are the tensors, to be written.
func (w *ggufWriter) sources() (sources []gguf.Source, err error) {
	for _, s := range w.stacks { // each fills its own
		w.fill(s)
	}
	for _, t := range w.tensors {
		x, err := gguf.FromFloat32s(t.name, gguf.F32, t.shape, t.data)
		if err != nil {
			return nil, err
		}
		sources = append(sources, x.Source())
	}
	return sources, nil
}
