package llama

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/mapped"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// LoadOptions choose how Load stores a model.
type LoadOptions struct {
	// DType is the storage type of weights and activations: f32 (the zero value), f16
	// or bf16, whatever the file has. With q8, q4, q4_k or nf4 the matrices are quantized as they
	// are loaded, and everything else is f32; with q4 and nf4 the embedding and the head are q8,
	// with q4_k they are q6_k.
	// A matrix whose rows are no whole blocks of 32 stays f32, and one that a GGUF file or a folder of
	// bitsandbytes, GPTQ, AWQ or FP8 holds in blocks smaller than q8's (Q4_0, Q4_K, NF4, FP8 …) stays in those.
	DType tensor.DType
	// AsStored keeps the matrices of a quantized model as its files have them, blocks and what was left in
	// f32, f16 or bf16 beside them; a model that is not quantized is stored in ComputeDType. DType is f32 with it.
	AsStored bool
	// ComputeDType is the storage type of the activations of a model in q8 or q4, or as it is stored: f32
	// (the zero value), f16 or bf16. In another one they have that of the weights, which
	// is all that may be asked for.
	ComputeDType tensor.DType
	// Blocks, if not nil, keeps the weights of the blocks, of which two at a time are then on the device.
	// Embedding, last norm and head are there as ever.
	Blocks BlockStore
	// Offload leaves weights in the mapped file until they are used, where the file has them in the type they are to be
	// stored in: a model may then be larger than the memory. On the CPU they are used where they lie, with every
	// other tensor in memory as ever. Any other device has the embedding, the head and the last norm, and two blocks at a
	// time, as with Blocks; what the file has in another type is in the process's memory. The file stays open until the
	// device is closed, and must stay as it is. Blocks of quantized weights are not checked for scales that are no numbers.
	Offload bool
	// Progress, if not nil, is told how many of the tensors are loaded.
	Progress func(done, tensors int)
}

// Load reads a model's folder (config.json, and model.safetensors or its shards) or a
// GGUF file. Every tensor is checked before the first is loaded, and none is held twice.
// The parameters are frozen. It ends with ctx's error when ctx ends.
func Load(ctx context.Context, d *tensor.Device, path string, o LoadOptions) (m *Model, err error) {
	tensor.NotNil("llama.Load", "a context", ctx)
	tensor.NotNil("llama.Load", "a device", d)
	if err := o.check(); err != nil {
		return nil, err
	}
	err = mapped.Guard(func() (err error) {
		m, err = loadAll(ctx, d, path, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func loadAll(ctx context.Context, d *tensor.Device, path string, o LoadOptions) (m *Model, err error) {
	m, file, err := prepare(ctx, d, path)
	if err != nil {
		return nil, err
	}
	kept := false
	defer func() {
		if !kept {
			err = errors.Join(err, file.Close())
		}
	}()
	if o, err = o.offloaded(d); err != nil {
		return nil, err
	}
	if o, err = o.of(file); err != nil {
		return nil, err
	}
	m.dtype = o.activations()
	if kept = o.Offload; kept {
		d.AtEnd(func() { _ = file.Close() })
	}
	if err := m.placeAs(file, o); err != nil {
		return nil, err
	}
	done, tensors := 0, len(maps.Collect(nn.Params(m)))
	for name, p := range nn.Params(m) {
		if err := m.loadOne(ctx, file, name, p, o); err != nil {
			return nil, err
		}
		mapped.DropPages() // there need not be room for all of the file beside what is made of it
		if done++; o.Progress != nil {
			o.Progress(done, tensors)
		}
	}
	if err := d.Flush(); err != nil {
		return nil, err
	}
	return m, nil
}

// loadOne gives a parameter its numbers, unless they stay in the file.
func (m *Model) loadOne(ctx context.Context, file source, name string, p *nn.Param, o LoadOptions) error {
	if p.Value.Borrowed() {
		return ctx.Err()
	}
	if o.Offload && m.elsewhere != nil {
		t, err := file.Info(name)
		if err != nil {
			return err
		}
		if s, ok := m.elsewhere.places[p]; ok && o.lying(name, t) != nil {
			o.Blocks.(*hostBlocks).keep(s.layer, s.at, t.Lying)
			return ctx.Err()
		}
	}
	t, err := file.Tensor(ctx, name)
	if err != nil {
		return err
	}
	if err = upload(ctx, p.Value, t); err == nil {
		err = m.elsewhere.put(p)
	}
	if err != nil {
		return fmt.Errorf("llama: %s: tensor %s: %w", file.Path(), name, err)
	}
	return nil
}

// placeAs gives the parameters memory in the types that a file's are loaded as.
func (m *Model) placeAs(file source, o LoadOptions) error {
	return m.place(o.Blocks, func(name string, _ *nn.Param) (layout, error) {
		t, err := file.Info(name)
		l := layout{dt: o.loadedType(name, t), shape: t.Shape}
		if o.Blocks == nil { // else the device's memory is not the process's
			l.lying = o.lying(name, t)
		}
		return l, err
	})
}

func (o LoadOptions) check() error {
	c := o.ComputeDType
	switch {
	case o.DType != tensor.F64 && !slices.Contains(tensor.WeightTypes(), o.DType):
		return fmt.Errorf("llama: loading as %s: want f32, f16, bf16, q8, q4, q4_k or nf4", o.DType)
	case o.AsStored && o.DType != tensor.F32:
		return fmt.Errorf("llama: loading as stored and as %s: want f32, of what is not quantized", o.DType)
	case c == tensor.F32 || (o.DType.IsQuantized() || o.AsStored) && c.Is16Bit() || o.DType.IsFloat() && c == o.DType:
		return nil
	default:
		return fmt.Errorf("llama: computing in %s with weights in %s: want f32, f16 or bf16 with q8, q4, q4_k or nf4,"+
			" and elsewhere the weights' type", c, o.DType)
	}
}

// activations is the storage type of the activations.
func (o LoadOptions) activations() tensor.DType {
	if o.DType.IsQuantized() || o.AsStored {
		return o.ComputeDType
	}
	return o.DType
}

// unquantized is the options for a model of which nothing is quantized.
func (o LoadOptions) unquantized() LoadOptions {
	if o.AsStored {
		o.DType, o.AsStored = o.ComputeDType, false
	}
	return o
}

// of is the options for a file's model: AsStored is for quantized ones alone.
func (o LoadOptions) of(file source) (LoadOptions, error) {
	if !o.AsStored {
		return o, nil
	}
	for _, name := range file.Names() {
		t, err := file.Info(name)
		if err != nil {
			return o, err
		}
		if t.DType.IsQuantized() {
			return o, nil
		}
	}
	return o.unquantized(), nil
}

// BlankFrom makes a model as Load would store that of a folder or a GGUF file, whose own blocks it
// heeds, with parameters of undefined values. They are frozen.
func BlankFrom(ctx context.Context, d *tensor.Device, path string, o LoadOptions) (m *Model, err error) {
	tensor.NotNil("llama.BlankFrom", "a context", ctx)
	tensor.NotNil("llama.BlankFrom", "a device", d)
	if err := o.check(); err != nil {
		return nil, err
	}
	err = mapped.Guard(func() error {
		blank, file, err := prepare(ctx, d, path)
		if err != nil {
			return err
		}
		o, err := o.of(file)
		if err != nil {
			return errors.Join(err, file.Close())
		}
		if o, err = o.offloaded(d); err != nil {
			return errors.Join(err, file.Close())
		}
		blank.dtype = o.activations()
		m = blank
		if o.Offload {
			d.AtEnd(func() { _ = file.Close() })
			return m.placeAs(file, o)
		}
		return errors.Join(m.placeAs(file, o), file.Close())
	})
	return m, err
}

// Check reads the configuration of a model's folder or GGUF file and compares all of its
// tensors' names, shapes and types with it, as Load does before it loads.
func Check(ctx context.Context, path string) (c Config, err error) {
	tensor.NotNil("llama.Check", "a context", ctx)
	err = mapped.Guard(func() error {
		m, file, err := prepare(ctx, nil, path)
		if err != nil {
			return err
		}
		c = m.Config
		return file.Close()
	})
	return c, err
}

// prepare makes the network without values and opens the checked file that has them.
func prepare(ctx context.Context, d *tensor.Device, path string) (*Model, source, error) {
	c, file, err := openSource(path)
	if err != nil {
		return nil, nil, err
	}
	// A lying num_hidden_layers must not cost memory.
	if names := file.Names(); c.Layers > len(names) || c.expertTensors() > len(names) {
		want := fmt.Sprintf("the tensors of %d layers", c.Layers)
		if c.Mixture != nil {
			want += fmt.Sprintf(", with those of %d experts", c.Mixture.Experts)
		}
		err = &Error{File: file.Path(), Want: want, Got: fmt.Sprintf("%d tensors", len(names))}
		return nil, nil, errors.Join(err, file.Close())
	}
	m, shapes := build(d, c)
	if err := checkTensors(ctx, m, shapes, file); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return m, file, nil
}

// checkTensors compares the names, shapes and types of a file with the model's.
func checkTensors(ctx context.Context, m *Model, shapes map[*nn.Param][]int, file source) error {
	fail := func(name, want string, got any) error {
		return &Error{File: file.Path(), Tensor: name, Want: want, Got: fmt.Sprint(got)}
	}
	wanted := map[string]bool{}
	for name, p := range nn.Params(m) {
		wanted[name] = true
		if !file.Has(name) {
			return fail(name, fmt.Sprintf("shape %v", shapes[p]), "no such tensor")
		}
		t, err := file.Info(name)
		if err != nil {
			return err
		}
		if !slices.Equal(t.Shape, shapes[p]) {
			return fail(name, fmt.Sprintf("shape %v", shapes[p]), t.Shape)
		}
		if !t.Known {
			return fail(name, knownTypes[gguf.IsFile(file.Path())], t.FileType)
		}
	}
	for _, name := range file.Names() {
		switch {
		case wanted[name]:
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // older checkpoints have it; it follows from the configuration
		case isIdleBias(ctx, file, name):
		case name == headName && m.Config.Tied && sameTensor(ctx, file, headName, embeddingName):
		default:
			return fail(name, "no such tensor in a "+m.Config.ModelType+" of this configuration", "one")
		}
	}
	return nil
}

// knownTypes are those of safetensors and of GGUF that can be loaded.
var knownTypes = map[bool]string{false: "F32, F16, BF16 or F64", true: "F32, F16, BF16, Q8_0, Q4_0, Q4_1, " +
	"Q5_0, Q5_1, IQ4_NL, Q4_K, Q5_K or Q6_K (llama-quantize makes them of the original; from this file with " +
	"--allow-requantize)"}

const (
	headName      = "lm_head.weight"
	embeddingName = "model.embed_tokens.weight"
)

// isIdleBias reports whether a tensor is a bias of zeros in a folder whose matrices are packed: some of GPTQ's have one
// for every layer.
func isIdleBias(ctx context.Context, file source, name string) bool {
	if _, packed := file.(*packedFolder); !packed || !strings.HasSuffix(name, ".bias") {
		return false
	}
	t, err := file.Tensor(ctx, name)
	return err == nil && t.Known && !slices.ContainsFunc(t.Data, func(b byte) bool { return b != 0 })
}

// sameTensor reports whether two tensors have equal bytes: some checkpoints hold a tied head twice.
func sameTensor(ctx context.Context, file source, a, b string) bool {
	x, errX := file.Tensor(ctx, a)
	y, errY := file.Tensor(ctx, b)
	return errX == nil && errY == nil && x.DType == y.DType && slices.Equal(x.Shape, y.Shape) &&
		bytes.Equal(x.Data, y.Data)
}
