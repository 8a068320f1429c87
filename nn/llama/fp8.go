package llama

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/fileerror"
	"github.com/agora-ml/agora/tensor"
)

// FP8 folders hold a matrix as E4M3 numbers, and scales of them beside it: one for each 128 x 128 of them
// ("DeepSeek-V3 Technical Report", 2412.19437, section 3.3; Qwen's FP8 folders), one a row, or one. Whatever the
// scales are called, a weight is number x scale. The configurations are those of transformers'
// FineGrainedFP8Config and FbgemmFp8Config, and of compressed-tensors
// (https://github.com/neuralmagic/compressed-tensors).
//
// A weight becomes blocks of 128 with their scale in f32: 8.25 bits a weight. Activations stay floats, where other
// programs round them to FP8, too.

// grid is how a matrix is cut into parts with one scale each.
type grid struct{ rows, columns int }

var (
	wholeMatrix = grid{math.MaxInt32, math.MaxInt32}
	eachRow     = grid{1, math.MaxInt32}
)

// over is how many parts there are of a matrix, down and across.
func (g grid) over(shape []int) [2]int {
	return [2]int{ceilDiv(shape[0], g.rows), ceilDiv(shape[1], g.columns)}
}

// readFP8 is of transformers' "fp8".
func readFP8(f *fields) *packing {
	g := grid{128, 128}
	if _, given := f.values["weight_block_size"]; given {
		g = f.grid("weight_block_size")
	}
	f.activations("activation_scheme")
	only(f, "fmt", "e4m3")
	skip := f.skipList("modules_to_not_convert")
	if !f.has(skip.field) {
		skip = f.skipList("ignored_layers")
	}
	// How the scales were rounded shows in their values; dequantize says what to do with the model.
	f.known("quant_method", "weight_block_size", "activation_scheme", "fmt", "modules_to_not_convert",
		"ignored_layers", "scale_fmt", "dequantize")
	return packedFP8("fp8", "weight_scale_inv", g, skip)
}

// readFbgemmFP8 is of transformers' "fbgemm_fp8", which has a scale a row.
func readFbgemmFP8(f *fields) *packing {
	skip := f.skipList("modules_to_not_convert")
	f.known("quant_method", "modules_to_not_convert", "activation_scale_ub")
	return packedFP8("fbgemm_fp8", "weight_scale", eachRow, skip)
}

// readCompressedTensors is of those folders whose weights are all FP8 of one form.
func readCompressedTensors(f *fields) *packing {
	if format := f.str("format", ""); format != "float-quantized" && format != "naive-quantized" {
		f.fail("format", `"float-quantized" (weights in FP8; of others take the original model)`,
			fmt.Sprintf("%q", format))
		return nil
	}
	f.known("quant_method", "format", "config_groups", "ignore", "quantization_status",
		"global_compression_ratio", "version", "transform_config", "sparsity_config")
	for _, name := range []string{"kv_cache_scheme", "sparsity_config", "transform_config"} {
		if o := f.object(name); o != nil && len(o.values) > 0 {
			f.fail(name, "none", fileerror.Short(f.values[name]))
		}
	}
	skip := f.skipList("ignore")
	groups := f.object("config_groups")
	if groups == nil || len(groups.values) != 1 {
		f.fail("config_groups", "one group", fileerror.Short(f.values["config_groups"]))
		return nil
	}
	var g grid
	for name := range groups.values {
		group := groups.object(name)
		if group == nil {
			f.fail("config_groups", "a group", name)
			return nil
		}
		g = group.weights()
		if f.err == nil {
			f.err = group.err
		}
	}
	return packedFP8("compressed-tensors (FP8)", "weight_scale", g, skip)
}

// weights reads a group of compressed-tensors.
func (f *fields) weights() (g grid) {
	var targets []string
	if f.get("targets", "a list of layers", &targets); !slices.Equal(targets, []string{"Linear"}) {
		f.fail("targets", `["Linear"]`, fileerror.Short(f.values["targets"]))
	}
	w := f.object("weights")
	if w == nil {
		f.fail("weights", "those of 8 bits", "none")
		return g
	}
	f.known("targets", "weights", "input_activations", "output_activations", "format")
	w.known("type", "num_bits", "symmetric", "strategy", "block_structure", "observer", "observer_kwargs",
		"scale_dtype", "zp_dtype")
	only(w, "type", "float")
	only(w, "num_bits", 8)
	only(w, "symmetric", true)
	switch strategy := w.str("strategy", ""); strategy {
	case "tensor":
		g = wholeMatrix
	case "channel":
		g = eachRow
	case "block":
		g = w.grid("block_structure")
	default:
		w.fail("strategy", `"tensor", "channel" or "block"`, fmt.Sprintf("%q", strategy))
	}
	if f.err == nil {
		f.err = w.err
	}
	return g
}

// grid reads the sizes of the parts with one scale; null: there is one for all.
func (f *fields) grid(name string) grid {
	if !f.has(name) {
		return wholeMatrix
	}
	var size []int
	f.get(name, "two sizes", &size)
	length := tensor.FP8.BlockLen()
	if len(size) != 2 || size[0] < 1 || size[1] < 1 || max(size[0], size[1]) > maxMatrix || size[1]%length != 0 {
		f.fail(name, fmt.Sprintf("two sizes, the second a multiple of %d", length), fileerror.Short(f.values[name]))
		return wholeMatrix
	}
	return grid{size[0], size[1]}
}

// activations reads how other programs round activations.
func (f *fields) activations(name string) {
	if scheme := f.str(name, "dynamic"); scheme != "dynamic" && scheme != "static" {
		f.fail(name, `"dynamic" or "static"`, fmt.Sprintf("%q", scheme))
	}
}

func packedFP8(method, scale string, g grid, skip skipList) *packing {
	return &packing{
		method: method,
		// The scales of activations count where these are rounded.
		parts: []string{"weight", scale, "activation_scale", "input_scale"},
		alone: []string{"F8_E4M3", "F8_E5M2", "U8", "I8"},
		skip:  skip,
		read:  func(l *packedLayer) (packedWeight, error) { return readMatrix8(l, scale, g) },
	}
}

// matrix8 is a matrix of FP8 numbers.
type matrix8 struct {
	*packedLayer
	rows, columns int
	scale         string // the scales' part
	grid          grid
}

// readMatrix8 checks a layer's tensors against each other and the configuration.
func readMatrix8(l *packedLayer, scale string, g grid) (w packedWeight, err error) {
	t, err := l.part("weight", "F8_E4M3")
	if err != nil {
		return w, err
	}
	if len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[1] < 1 {
		return w, l.fail("weight", "a matrix", fmt.Sprint(t.Shape))
	}
	m := matrix8{l, t.Shape[0], t.Shape[1], scale, g}
	s, err := l.part(scale, "F32", "BF16", "F16")
	if err != nil {
		return w, err
	}
	want := g.over(t.Shape)
	same := slices.Equal(s.Shape, want[:]) || g == eachRow && slices.Equal(s.Shape, want[:1]) ||
		g == wholeMatrix && tensor.Numel(s.Shape) == 1
	if !same {
		return w, l.fail(scale, fmt.Sprintf("shape %v of the scales of %v", want, t.Shape), fmt.Sprint(s.Shape))
	}
	w = packedWeight{info{DType: tensor.FP8, Shape: t.Shape, FileType: strings.ToUpper(tensor.FP8.String()), Known: true,
		Chosen: true}, m.unpack}
	if m.columns%tensor.FP8.BlockLen() != 0 {
		w.DType = tensor.F32
	}
	return w, nil
}

// unpack makes the blocks, or the numbers where rows are no whole blocks.
func (m *matrix8) unpack(ctx context.Context) ([]byte, error) {
	dt := tensor.FP8
	parts := m.grid.over([]int{m.rows, m.columns})
	scales, err := m.floats(ctx, m.scale, parts[0]*parts[1])
	if err != nil {
		return nil, err
	}
	codes, err := m.bytes(ctx, "weight")
	if err != nil {
		return nil, err
	}
	length := dt.BlockLen()
	row := ceilDiv(m.columns, length) * length
	blocks := make([]byte, 0, dt.Bytes(m.rows*row))
	for i := range m.rows {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for j := 0; j < m.columns; j += length {
			scale := scales[i/m.grid.rows*parts[1]+j/m.grid.columns]
			blocks = binary.LittleEndian.AppendUint32(blocks, math.Float32bits(scale))
			blocks = append(blocks, codes[i*m.columns+j:i*m.columns+min(j+length, m.columns)]...)
		}
		blocks = append(blocks, make([]byte, row-m.columns)...)
	}
	if row == m.columns {
		return blocks, nil
	}
	return widened(dt, blocks, row, m.columns)
}
