package llama

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/internal/strictjson"
	"github.com/agora-ml/agora/tensor"
)

// bitsandbytes packs a matrix as one row of codes, two a byte, with a largest magnitude (absmax) for every 64: NF4
// or FP4, QLoRA (2305.14314), section 3. With double quantization, absmax less their mean are in 8 bits themselves,
// 256 with one scale. The layout is that of QuantState.as_dict(packed=True) in
// https://github.com/bitsandbytes-foundation/bitsandbytes/blob/main/bitsandbytes/functional.py, and the
// configuration that of transformers' BitsAndBytesConfig.
//
// A weight becomes blocks of 64 with absmax in f32, as the library widens it: 4.5 bits a weight, where its files
// have 4.5 or, double, 4.13.

// levels4 are the kinds of numbers, with their levels.
var levels4 = map[string]struct {
	dtype  tensor.DType
	levels [16]float32
}{"nf4": {tensor.NF4, quant.NormalFloat}, "fp4": {tensor.FP4, quant.Float4}}

func readBitsAndBytes(f *fields) *packing {
	kind := f.str("bnb_4bit_quant_type", "fp4")
	double := f.flag("bnb_4bit_use_double_quant", false)
	skip := f.skipList("llm_int8_skip_modules")
	eight := f.flag("load_in_8bit", f.flag("_load_in_8bit", false))
	switch four := f.flag("load_in_4bit", f.flag("_load_in_4bit", false)); {
	case eight || !four:
		f.fail("load_in_4bit", "true (8-bit folders of bitsandbytes are not read: take the original model)",
			fmt.Sprint(four))
	case kind != "nf4" && kind != "fp4":
		f.fail("bnb_4bit_quant_type", `"nf4" or "fp4"`, fmt.Sprintf("%q", kind))
	}
	f.known("quant_method", "load_in_4bit", "load_in_8bit", "_load_in_4bit", "_load_in_8bit", "bnb_4bit_quant_type",
		"bnb_4bit_use_double_quant", "llm_int8_skip_modules",
		// The types in which it computes and how bytes are called, and settings of 8 bits.
		"bnb_4bit_compute_dtype", "bnb_4bit_quant_storage", "llm_int8_threshold",
		"llm_int8_enable_fp32_cpu_offload", "llm_int8_has_fp16_weight")
	return &packing{
		method: "bitsandbytes (" + kind + ")",
		parts: []string{"weight", "weight.absmax", "weight.quant_map", "weight.nested_absmax", "weight.nested_quant_map",
			"weight.quant_state.bitsandbytes__nf4", "weight.quant_state.bitsandbytes__fp4"},
		alone: []string{"U8", "I8"},
		skip:  skip,
		read:  func(l *packedLayer) (packedWeight, error) { return readMatrix4(l, kind, double) },
	}
}

// quantState is the JSON of a packed matrix, whose bytes are a tensor. What is nested is there with double
// quantization alone.
type quantState struct {
	Type         string   `json:"quant_type"`
	Len          int      `json:"blocksize"` // codes that share an absmax
	DType        string   `json:"dtype"`     // of the weights before
	Shape        []int    `json:"shape"`
	NestedLen    int      `json:"nested_blocksize"` // absmax that share a scale
	NestedDType  string   `json:"nested_dtype"`     // of absmax
	NestedOffset *float64 `json:"nested_offset"`    // added to absmax
}

// double reports whether absmax are quantized themselves.
func (s *quantState) double() bool {
	return s.NestedLen != 0 || s.NestedDType != "" || s.NestedOffset != nil
}

// maxQuantState is more bytes than any has.
const maxQuantState = 4096

// parseQuantState reads and checks one. An error is told by what was wanted and what came.
func parseQuantState(text []byte) (s quantState, want, got string) {
	if len(text) > maxQuantState {
		return s, fmt.Sprintf("at most %d bytes of JSON", maxQuantState), fmt.Sprint(len(text))
	}
	if err := strictjson.UnmarshalKnown(text, &s); err != nil {
		return s, "JSON of a quantized matrix", err.Error()
	}
	numbers, fits := 1, len(s.Shape) == 2
	for _, n := range s.Shape {
		if fits = fits && n >= 1 && n <= maxMatrix/numbers; fits {
			numbers *= n
		}
	}
	switch {
	case !fits:
		return s, fmt.Sprintf("a shape of two dimensions and at most %d numbers", maxMatrix), fmt.Sprint(s.Shape)
	case s.Len < 64 || s.Len > 4096 || s.Len%64 != 0:
		return s, "a blocksize that is a multiple of 64, up to 4096", fmt.Sprint(s.Len)
	case !s.double():
	case s.NestedLen < 1 || s.NestedLen > 1<<16:
		return s, "a nested_blocksize of 1 to 65536", fmt.Sprint(s.NestedLen)
	case s.NestedDType != "float32":
		return s, `the nested_dtype "float32"`, fmt.Sprintf("%q", s.NestedDType)
	case s.NestedOffset == nil:
		return s, "a nested_offset", "none"
	case !(math.Abs(*s.NestedOffset) <= math.MaxFloat32):
		return s, "a nested_offset that is finite in f32", fmt.Sprint(*s.NestedOffset)
	}
	return s, "", ""
}

// matrix4 is a matrix of four-bit codes.
type matrix4 struct {
	*packedLayer
	quantState
	dtype tensor.DType
	n     int // codes
}

// readMatrix4 checks a layer's tensors against each other and the configuration.
func readMatrix4(l *packedLayer, kind string, double bool) (w packedWeight, err error) {
	state := "weight.quant_state.bitsandbytes__" + kind
	t, err := l.part(state, "U8")
	if err != nil {
		return w, err
	}
	text, err := l.bytes(context.Background(), state)
	if err != nil {
		return w, err
	}
	m := matrix4{packedLayer: l, dtype: levels4[kind].dtype}
	s, want, got := parseQuantState(text)
	switch {
	case want != "":
		return w, l.fail(state, want, got)
	case s.Type != kind:
		return w, l.fail(state, "the quant_type "+kind+" of the configuration", s.Type)
	case double != s.double():
		return w, l.fail(state, fmt.Sprintf("bnb_4bit_use_double_quant to be as in the configuration, %t", double),
			fmt.Sprint(!double))
	}
	m.quantState, m.n = s, s.Shape[0]*s.Shape[1]
	if t, err = l.part("weight", "U8", "I8", "F16", "BF16", "F32", "F64"); err != nil {
		return w, err
	}
	if got := tensor.Numel(t.Shape) * typeBytes[t.FileType]; got != (m.n+1)/2 {
		return w, l.fail("weight", fmt.Sprintf("%d bytes for the codes of %v", (m.n+1)/2, s.Shape), fmt.Sprint(got))
	}
	scales := ceilDiv(m.n, s.Len)
	counts := map[string]int{"weight.quant_map": 16, "weight.absmax": scales}
	types := map[string]string{"weight.absmax": "F32"}
	if double {
		types["weight.absmax"] = "U8"
		counts["weight.nested_absmax"], counts["weight.nested_quant_map"] = ceilDiv(scales, s.NestedLen), 256
	}
	for part := range l.parts {
		if _, ok := counts[part]; !ok && part != "weight" && part != state {
			return w, l.fail(part, "no such tensor of "+kind+" with bnb_4bit_use_double_quant "+fmt.Sprint(double), "one")
		}
	}
	for _, part := range []string{"weight.quant_map", "weight.absmax", "weight.nested_absmax", "weight.nested_quant_map"} {
		want, needed := counts[part]
		if !needed {
			continue
		}
		fileType := types[part]
		if fileType == "" {
			fileType = "F32"
		}
		if t, err = l.part(part, fileType); err != nil {
			return w, err
		}
		if got := tensor.Numel(t.Shape); got != want {
			return w, l.fail(part, fmt.Sprintf("%d numbers", want), fmt.Sprint(got))
		}
	}
	levels, err := l.floats(context.Background(), "weight.quant_map", 16)
	if want := levels4[kind].levels; err == nil && !slices.Equal(levels, want[:]) {
		err = l.fail("weight.quant_map", "the levels of "+kind, fmt.Sprint(levels))
	}
	w = packedWeight{info{DType: m.dtype, Shape: s.Shape, FileType: strings.ToUpper(kind), Known: true, Chosen: true},
		m.unpack}
	if s.Shape[1]%m.dtype.BlockLen() != 0 { // blocks would begin inside rows
		w.DType = tensor.F32
	}
	return w, err
}

// absmax are the scales.
func (m *matrix4) absmax(ctx context.Context) ([]float32, error) {
	n := ceilDiv(m.n, m.Len)
	if !m.double() {
		return m.floats(ctx, "weight.absmax", n)
	}
	codes, err := m.bytes(ctx, "weight.absmax")
	if err != nil {
		return nil, err
	}
	table, err := m.floats(ctx, "weight.nested_quant_map", 256)
	if err != nil {
		return nil, err
	}
	scales, err := m.floats(ctx, "weight.nested_absmax", ceilDiv(n, m.NestedLen))
	if err != nil {
		return nil, err
	}
	absmax, offset := make([]float32, n), float32(*m.NestedOffset)
	for i, code := range codes {
		absmax[i] = float32(table[code]*scales[i/m.NestedLen]) + offset // product and sum are rounded each
	}
	return absmax, nil
}

// unpack makes the blocks, or the numbers where blocks would begin inside rows.
func (m *matrix4) unpack(ctx context.Context) ([]byte, error) {
	absmax, err := m.absmax(ctx)
	if err != nil {
		return nil, err
	}
	codes, err := m.bytes(ctx, "weight")
	if err != nil {
		return nil, err
	}
	length := m.dtype.BlockLen()
	blocks := make([]byte, 0, m.dtype.Bytes(ceilDiv(m.n, length)*length))
	for at := 0; at < m.n; at += length {
		if at%convertPiece == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		blocks = binary.LittleEndian.AppendUint32(blocks, math.Float32bits(absmax[at/m.Len]))
		blocks = append(blocks, codes[at/2:min(at/2+length/2, len(codes))]...)
	}
	if m.Shape[1]%length == 0 {
		return blocks, nil
	}
	blocks = append(blocks, make([]byte, cap(blocks)-len(blocks))...) // the last one may be cut short
	return widened(m.dtype, blocks, ceilDiv(m.n, length)*length, m.n)
}
