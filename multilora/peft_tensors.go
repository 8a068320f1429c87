package multilora

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/internal/torchfile"
	"github.com/agora-ml/agora/tensor"
)

// peftPrefix stands before the names of the model's modules.
const peftPrefix = "base_model.model."

// headParam is what PEFT calls the weight of a head, which it takes for another module
// than the embedding even where their weight is the same.
const headParam = headModule + ".weight"

// baseParam is what PEFT calls the weight of a layer that has an adapter. It saves that of an embedding and a head.
const baseParam = ".base_layer.weight"

// magnitudeParam is what PEFT saves a layer's magnitudes as. In memory it has ".weight" behind.
const magnitudeParam = ".lora_magnitude_vector"

// tokensParam is what PEFT saves a module's trained rows as.
const tokensParam = ".token_adapter.trainable_tokens_delta"

func peftTokensName(module string) string { return peftPrefix + module + tokensParam }

// peftPart is one tensor of a layer as PEFT saves it.
type peftPart struct {
	name       string
	shape      []int
	data       func(*module) *[]float32 // its numbers in the layer's module
	transposed bool                     // which has them the other way round
	again      bool                     // and which another part has as well
}

// peftParts lists the tensors of a layer: base_model.model.LAYER.lora_A.weight [r, in] and so on. Of an embedding
// PEFT's A [r, vocab] is our B the other way round, for it looks rows of its transpose up. A head that is the
// embedding has the same numbers once more, as its own.
func peftParts(s slot, own Config, tied bool) []peftPart {
	a := func(m *module) *[]float32 { return &m.a }
	b := func(m *module) *[]float32 { return &m.b }
	w, name := s.base.Weight.Value, peftPrefix+s.name
	out, in, rank := w.Dim(0), w.Dim(1), own.Rank
	if s.name != embeddingModule {
		parts := []peftPart{
			{name: name + ".lora_A.weight", shape: []int{rank, in}, data: a},
			{name: name + ".lora_B.weight", shape: []int{out, rank}, data: b},
		}
		if own.Bias {
			parts = append(parts, peftPart{name: name + ".lora_B.bias", shape: []int{out},
				data: func(m *module) *[]float32 { return &m.bias }})
		}
		if own.Method == MethodDoRA {
			parts = append(parts, peftPart{name: name + magnitudeParam, shape: []int{out},
				data: func(m *module) *[]float32 { return &m.magnitude }})
		}
		return parts
	}
	parts := []peftPart{
		{name: name + ".lora_embedding_A", shape: []int{rank, out}, data: b, transposed: true},
		{name: name + ".lora_embedding_B", shape: []int{in, rank}, data: a, transposed: true},
	}
	if tied {
		name = peftPrefix + headModule
		parts = append(parts,
			peftPart{name: name + ".lora_A.weight", shape: []int{rank, in}, data: a, again: true},
			peftPart{name: name + ".lora_B.weight", shape: []int{out, rank}, data: b, again: true})
	}
	return parts
}

// source is the part of a module, to be written.
func (p peftPart) source(m *module) safetensors.Source {
	values := *p.data(m)
	if p.transposed {
		values = transposed(values, p.shape[1], p.shape[0])
	}
	return safetensors.FromFloat32s(p.name, p.shape, values).Source()
}

// transposed turns a matrix, row-major, round.
func transposed(x []float32, rows, columns int) []float32 {
	y := make([]float32, 0, len(x))
	for c := range columns {
		for r := range rows {
			y = append(y, x[r*columns+c])
		}
	}
	return y
}

// peftFile is the tensors by their names on disk: in memory PEFT has the adapter's name,
// "default", in them, and some programs save that.
type peftFile struct {
	path    string
	tensors []safetensors.Tensor
	names   map[string]safetensors.Tensor
	close   func() error
}

// Close forgets the tensors.
func (f *peftFile) Close() error { return f.close() }

// PEFTPickleFile is what PEFT called PEFTTensorFile before version 0.6: PyTorch's own form.
const PEFTPickleFile = "adapter_model.bin"

// PEFTTensors reads the tensors of a PEFT adapter's folder, in the file's order, as it names them. They are those of
// PEFTTensorFile, or, where that is not there, of PEFTPickleFile. They live until close is called.
func PEFTTensors(dir string) (path string, tensors []safetensors.Tensor, close func() error, err error) {
	path = filepath.Join(dir, PEFTTensorFile)
	if pickled := filepath.Join(dir, PEFTPickleFile); !regular.Exists(path) && regular.Exists(pickled) {
		tensors, err = torchfile.Read(pickled)
		return pickled, tensors, func() error { return nil }, err
	}
	file, err := safetensors.Open(path)
	if err != nil {
		return path, nil, nil, err
	}
	for _, name := range file.Names() {
		t, err := file.Tensor(name)
		if err != nil {
			return path, nil, nil, errors.Join(err, file.Close())
		}
		tensors = append(tensors, t)
	}
	return path, tensors, file.Close, nil
}

func openPEFT(dir string) (*peftFile, error) {
	path, tensors, closeFile, err := PEFTTensors(dir)
	if err != nil {
		return nil, err
	}
	f := &peftFile{path, tensors, map[string]safetensors.Tensor{}, closeFile}
	for _, t := range tensors {
		plain := plainName(t.Name)
		if other, twice := f.names[plain]; twice {
			return nil, errors.Join(fmt.Errorf("multilora: %s: tensor %s: want it once, got %s too",
				path, quoted(t.Name), quoted(other.Name)), f.Close())
		}
		f.names[plain] = t
	}
	return f, nil
}

// plainName is a tensor's name without the adapter's.
func plainName(name string) string {
	for _, end := range []string{".weight", ".bias", ""} {
		if stem, ok := strings.CutSuffix(name, ".default"+end); ok {
			name = stem + end
			break
		}
	}
	if stem, ok := strings.CutSuffix(name, magnitudeParam+".weight"); ok {
		return stem + magnitudeParam
	}
	return name
}

// read takes a layer's module from the file.
func (f *peftFile) read(parts []peftPart) (m module, err error) {
	for _, p := range parts {
		t := f.names[p.name]
		values, err := t.Float32s()
		if err != nil {
			return m, err
		}
		if p.transposed {
			values = transposed(values, p.shape[0], p.shape[1])
		}
		if to := p.data(&m); !p.again {
			*to = values
		} else if !slices.Equal(*to, values) {
			return m, fmt.Errorf("multilora: %s: tensor %q: want the numbers of the embedding's beside this model, "+
				"whose head is its embedding, got others", f.path, t.Name)
		}
	}
	return m, nil
}

// check compares the tensors with what the configuration and the model want, before
// anything of that size is made.
func (f *peftFile) check(
	slots []slot, extras []*extra, tokens []*tokenRows, cfg Config, model Model, tied bool,
) error {
	known := map[string]bool{}
	check := func(name string, shape []int, w *tensor.Tensor) error {
		t, ok := f.names[name]
		if !ok {
			return fmt.Errorf("multilora: %s: tensor %q: want shape %v, got no such tensor", f.path, name, shape)
		}
		if !slices.Equal(t.Shape, shape) {
			return fmt.Errorf("multilora: %s: tensor %q: want shape %v beside this model's weight %s, got %v",
				f.path, t.Name, shape, w, t.Shape)
		}
		known[name] = true
		return nil
	}
	for _, s := range slots {
		w := s.base.Weight.Value
		for _, p := range peftParts(s, cfg.of(s.name), tiedHead(model) != nil) {
			if err := check(p.name, p.shape, w); err != nil {
				return err
			}
		}
		for _, name := range s.peftBases(model) {
			t, ok := f.names[name]
			if !ok {
				continue
			}
			if err := check(name, w.Shape(), w); err != nil {
				return err
			}
			if err := sameWeight(t, w); err != nil {
				return fmt.Errorf("multilora: %s: tensor %q: %w", f.path, t.Name, err)
			}
		}
	}
	for _, r := range tokens {
		if err := check(peftTokensName(r.name), r.shape(), r.base.Weight.Value); err != nil {
			return err
		}
	}
	for _, e := range extras {
		w := e.param.Value
		if err := check(peftPrefix+e.name, w.Shape(), w); err != nil {
			return err
		}
		head, ok := f.names[peftPrefix+headParam]
		switch own := f.names[peftPrefix+e.name]; {
		case !e.head || !ok && tied:
		case !ok || head.DType != own.DType || !bytes.Equal(head.Data, own.Data):
			return fmt.Errorf("multilora: %s: tensor %q: want the numbers of %q beside this model,"+
				" whose head is its embedding, got others or none",
				f.path, peftPrefix+headParam, own.Name)
		default:
			known[peftPrefix+headParam] = true
		}
	}
	for _, t := range f.tensors {
		if plain := plainName(t.Name); !known[plain] {
			return fmt.Errorf("multilora: %s: tensor %s: want lora_A and lora_B of the %d layers, and the %d "+
				"parameters,"+
				" that %s chooses in this model, got %s",
				f.path, quoted(t.Name), len(slots), len(extras), PEFTConfigFile, tensorKind(plain))
		}
	}
	return nil
}

// peftBases are the names under which PEFT saves the weight of the embedding or the head itself.
func (s slot) peftBases(model Model) []string {
	switch {
	case s.beside == nil:
		return nil
	case s.name == embeddingModule && tiedHead(model) != nil:
		return []string{peftPrefix + embeddingModule + baseParam, peftPrefix + headModule + baseParam}
	}
	return []string{peftPrefix + s.name + baseParam}
}

// sameWeight is an error unless a tensor is a weight: PEFT would put it into the model. A quantized weight differs
// by its rounding.
func sameWeight(t safetensors.Tensor, w *tensor.Tensor) error {
	d := w.Device()
	if d.IsMeta() {
		return nil
	}
	want, err := t.Float32s()
	if err != nil {
		return err
	}
	const piece = 1 << 22 // numbers at once, whole blocks of any storage
	var off, size float64
	for from := 0; from < len(want); from += piece {
		n := min(piece, len(want)-from)
		numbers := want[from:][:n]
		if !w.DType().IsQuantized() {
			scope := d.Scope()
			numbers, err = d.FromFloat32s(w.DType(), numbers, n).Float32s()
			scope.Close()
			if err != nil {
				return err
			}
		}
		got, err := w.View(from, n).Float32s()
		if err != nil {
			return err
		}
		for i, v := range got {
			diff := float64(v) - float64(numbers[i])
			off, size = off+diff*diff, size+float64(v)*float64(v)
		}
	}
	const rounding = 0.2 // of 4 bits, with room
	if off != 0 && (!w.DType().IsQuantized() || !(math.Sqrt(off) <= rounding*math.Sqrt(size))) {
		return errors.New("want the weight of this model, got another (PEFT saves an embedding or a head that has an " +
			"adapter, and puts it into the model): the adapter is of another base, or of one with other embeddings")
	}
	return nil
}

// tensorKind says what a tensor is by its name, that belongs to no LoRA as it is known here.
func tensorKind(name string) string {
	for _, k := range []struct{ part, kind string }{
		{magnitudeParam, "a magnitude of DoRA"},
		{".lora_A.bias", "a bias of lora_A, which is not supported"},
		{".lora_B.bias", "a bias of lora_B"},
		{tokensParam, "trained rows of a module"},
		{".lora_embedding_", "one of another layer"},
		{".lora_A.", "one of another layer"},
		{".lora_B.", "one of another layer"},
		{".base_layer.", "a weight of the model"},
	} {
		if strings.Contains(name, k.part) {
			return k.kind
		}
	}
	return "another"
}
