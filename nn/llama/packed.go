package llama

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/tensor"
)

// A packing is how another program keeps the quantized matrices of a folder, by quantization_config: each as several
// tensors of the layer, which are read as one weight in blocks. What it leaves as it was stays so, too.
type packing struct {
	method string // quant_method, and the kind of its numbers, for people
	// parts are the last parts of the names of a packed layer's tensors, "weight" first if it is one.
	parts []string
	// alone are the file's types of a tensor called weight that show that it is packed.
	alone []string
	skip  skipList
	some  bool // layers that skip does not name may not be packed either
	// read checks a layer's parts, as far as their headers and small tensors tell.
	read func(l *packedLayer) (packedWeight, error)
}

// packedWeight is a weight as it is made of a layer's parts.
type packedWeight struct {
	info
	unpack func(ctx context.Context) ([]byte, error) // its bytes
}

// Packing returns how a folder's matrices are quantized, as quantization_config says it, such as
// "bitsandbytes (nf4)"; "" where they are not.
func (c *Config) Packing() string {
	if c.packing == nil {
		return ""
	}
	return c.packing.method
}

// packings read the rest of a quantization_config by its quant_method.
var packings = map[string]func(f *fields) *packing{
	"bitsandbytes": readBitsAndBytes, "fp8": readFP8, "fbgemm_fp8": readFbgemmFP8,
	"compressed-tensors": readCompressedTensors, "gptq": readGPTQ, "awq": readAWQ,
}

// packing reads quantization_config; nil: the weights are not quantized.
func (f *fields) packing() *packing {
	const field = "quantization_config"
	if !f.has(field) {
		return nil
	}
	q := f.object(field)
	if q == nil {
		return nil
	}
	method := q.str("quant_method", "")
	read, ok := packings[method]
	if !ok {
		q.fail("quant_method", oneOf(packingMethods())+" (other quantized folders are not read: take the original "+
			"model, or a GGUF file of it)", fmt.Sprintf("%q", method))
	} else if p := read(q); q.err == nil {
		return p
	}
	if f.err == nil {
		f.err = q.err
	}
	return nil
}

func packingMethods() (names []string) {
	for name := range packings {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// skipList are the layers that were not packed, as a configuration names them.
type skipList struct {
	field   string // of quantization_config
	entries []skipped
}

// skipped is an entry of a skipList: transformers takes it as a regular expression for the beginning of a layer's
// name, or as its end (quantizers_utils.py, should_convert_module).
type skipped struct {
	begins *regexp.Regexp
	end    string
}

// skipList reads a list of layers.
func (f *fields) skipList(name string) skipList {
	list := skipList{field: name}
	var patterns []string
	f.get(name, "a list of layers", &patterns)
	for _, p := range patterns {
		p = strings.TrimPrefix(p, "re:") // compressed-tensors marks regular expressions
		begins, err := regexp.Compile("^(?:" + p + ")")
		if p == "" || err != nil {
			f.fail(name, "names of layers, or regular expressions", fileerror.Quote(p))
			continue
		}
		list.entries = append(list.entries, skipped{begins, p})
	}
	return list
}

// names reports whether a layer is in the list under any of its names.
func (s skipList) names(layer ...string) bool {
	for _, e := range s.entries {
		for _, name := range layer {
			if e.begins.MatchString(name) || strings.HasSuffix(name, e.end) {
				return true
			}
		}
	}
	return false
}

// packedFolder is a folder whose packed weights are seen as weights.
type packedFolder struct {
	source
	names   []string
	weights map[string]packedWeight
}

// packedLayer is the tensors of a packed layer.
type packedLayer struct {
	file  source
	layer string            // its name
	parts map[string]string // names of tensors by their last parts
}

// openPacked sees a folder as its packing says.
func openPacked(file source, p *packing) (source, error) {
	f := &packedFolder{source: file, weights: map[string]packedWeight{}}
	layers := map[string]*packedLayer{}
	for _, name := range file.Names() {
		layer, part, ok := p.split(file, name)
		if !ok {
			f.names = append(f.names, name)
			continue
		}
		l := layers[layer]
		if l == nil {
			l = &packedLayer{file, layer, map[string]string{}}
			layers[layer] = l
			f.names = append(f.names, layer+".weight")
		}
		l.parts[part] = name
	}
	slices.Sort(f.names)
	for i := 1; i < len(f.names); i++ {
		if f.names[i] == f.names[i-1] {
			return nil, &Error{File: file.Path(), Tensor: f.names[i], Want: "a weight that is packed or plain", Got: "both"}
		}
	}
	for _, name := range f.names {
		layer := strings.TrimSuffix(name, ".weight")
		l, ok := layers[layer]
		if err := p.agrees(file, layer, ok); err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		w, err := p.read(l)
		if err != nil {
			return nil, err
		}
		f.weights[name] = w
	}
	if len(layers) == 0 {
		return nil, &Error{File: file.Path(), Want: "weights that are packed by " + p.method +
			", as quantization_config says", Got: "none"}
	}
	return f, nil
}

// split cuts the name of a tensor of a packed layer.
func (p *packing) split(file source, name string) (layer, part string, ok bool) {
	for _, part := range p.parts {
		layer, ok := strings.CutSuffix(name, "."+part)
		if !ok {
			continue
		}
		if part == "weight" { // it is packed if it looks so, or if there is another part
			t, err := file.Info(name)
			ok = err == nil && slices.Contains(p.alone, t.FileType) ||
				slices.ContainsFunc(p.parts[1:], func(other string) bool { return file.Has(layer + "." + other) })
		}
		return layer, part, ok
	}
	return "", "", false
}

// agrees compares what is packed with the list of what is not.
func (p *packing) agrees(file source, layer string, packed bool) error {
	weight, other := layer+".weight", p.some
	names := []string{layer}
	if text, ok := file.(*textFolder); ok { // its lists name layers in one of several ways
		names, other = append(names, strings.TrimSuffix(text.names[weight], ".weight")), true
	}
	listed := p.skip.names(names...)
	switch {
	case packed && listed:
		return &Error{File: file.Path(), Tensor: weight, Want: "weights that are not packed, as quantization_config." +
			p.skip.field + " says", Got: "packed ones"}
	case packed || listed || other || !isLinear(weight) || !file.Has(weight):
		return nil
	}
	t, err := file.Info(weight)
	if err != nil {
		return err
	}
	return &Error{File: file.Path(), Tensor: weight, Want: fmt.Sprintf("weights that are packed by %s, as "+
		"quantization_config says (%s does not name the layer)", p.method, p.skip.field), Got: t.FileType}
}

// isLinear reports whether a weight is one that is packed if nothing else is said: of a linear layer in a block.
// Experts are packed or not: transformers 5 has them in no such layer, and bitsandbytes passes over them there.
func isLinear(weight string) bool {
	return strings.HasSuffix(weight, "_proj.weight") && !strings.Contains(weight, ".experts.")
}

func (f *packedFolder) Names() []string { return f.names }

func (f *packedFolder) Has(name string) bool {
	_, ok := slices.BinarySearch(f.names, name)
	return ok
}

func (f *packedFolder) Info(name string) (info, error) {
	if w, ok := f.weights[name]; ok {
		return w.info, nil
	}
	t, err := f.source.Info(name)
	t.Chosen = true
	return t, err
}

func (f *packedFolder) Tensor(ctx context.Context, name string) (stored, error) {
	w, ok := f.weights[name]
	if !ok {
		t, err := f.source.Tensor(ctx, name)
		t.Chosen = true
		return t, err
	}
	data, err := w.unpack(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("llama: %s: tensor %s: %w", f.Path(), name, err)
	}
	return stored{w.info, data}, err
}

// part is a tensor of the layer, without its values, which must be in one of these types of the file.
func (l *packedLayer) part(name string, types ...string) (info, error) {
	full, ok := l.parts[name]
	if !ok {
		return info{}, l.fail(name, "a tensor of a packed layer", "none")
	}
	t, err := l.file.Info(full)
	if err == nil && !slices.Contains(types, t.FileType) {
		err = l.fail(name, strings.Join(types, " or "), t.FileType)
	}
	return t, err
}

// fail is an error about a part.
func (l *packedLayer) fail(part, want, got string) error {
	name := l.parts[part]
	if name == "" {
		name = l.layer + "." + part
	}
	return &Error{File: l.file.Path(), Tensor: name, Want: want, Got: got}
}

// bytes are a part's.
func (l *packedLayer) bytes(ctx context.Context, name string) ([]byte, error) {
	t, err := l.file.Tensor(ctx, l.parts[name])
	return t.Data, err
}

// floats are the n values of a part in a type that is known.
func (l *packedLayer) floats(ctx context.Context, name string, n int) ([]float32, error) {
	t, err := l.file.Tensor(ctx, l.parts[name])
	if err != nil {
		return nil, err
	}
	values := make([]float32, n)
	t.DType.Decode(values, t.Data)
	return values, nil
}

// typeBytes are the sizes of an element of the types of safetensors that packed codes may be called.
var typeBytes = map[string]int{"U8": 1, "I8": 1, "F16": 2, "BF16": 2, "F32": 4, "F64": 8, "I32": 4}

// ceilDiv is how many parts n things, one or more, make.
func ceilDiv(n, by int) int { return (n-1)/by + 1 }

// widened are the first n numbers of each row of blocks, as bytes of f32.
func widened(dt tensor.DType, blocks []byte, row, n int) ([]byte, error) {
	if err := dt.CheckBlocks(blocks); err != nil {
		return nil, err
	}
	values := make([]float32, row)
	out := make([]byte, 0, len(blocks)/dt.Bytes(row)*n*4)
	for ; len(blocks) > 0; blocks = blocks[dt.Bytes(row):] {
		dt.Decode(values, blocks[:dt.Bytes(row)])
		for _, v := range values[:n] {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	return out, nil
}
