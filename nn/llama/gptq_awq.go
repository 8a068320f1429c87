package llama

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/agora-ml/agora/tensor"
)

// GPTQ (2210.17323) and AWQ (2306.00978) folders hold codes of four bits, eight in a word of 32, with a scale and a
// zero for each output and group of inputs: w = scale (q - zero). GPTQ's words are eight inputs of one output
// (https://github.com/AutoGPTQ/AutoGPTQ, qlinear_cuda.py), and its zeros are one less than they are, but in the
// format gptq_v2; AWQ's are eight outputs of one input in an order of its own
// (https://github.com/casper-hansen/AutoAWQ, packing_utils.py). Both are of matrices with inputs as rows.
//
// A weight becomes blocks of 64, 4.5 bits a weight and exact in f32, where a folder has 4.16 in groups of 128.

// awqOrder is which of eight outputs each four bits of a word are.
var awqOrder = [8]int{0, 2, 4, 6, 1, 3, 5, 7}

// groups4 is how codes, scales and zeros lie.
type groups4 struct {
	size      int // inputs of a group; -1: all
	awq       bool
	addToZero int
}

func readGPTQ(f *fields) *packing {
	g := groups4{size: f.groups(), addToZero: 1}
	switch format := f.str("checkpoint_format", f.str("format", "gptq")); format {
	case "gptq":
	case "gptq_v2":
		g.addToZero = 0
	default:
		f.fail("checkpoint_format", `"gptq" or "gptq_v2"`, fmt.Sprintf("%q", format))
	}
	f.knownGroups("checkpoint_format", "format")
	p := g.packing("gptq")
	p.some = f.has("modules_in_block_to_quantize")
	return p
}

func readAWQ(f *fields) *packing {
	g := groups4{size: f.groups(), awq: true}
	only(f, "zero_point", true)
	if version := strings.ToLower(f.str("version", f.str("format", "gemm"))); version != "gemm" {
		f.fail("version", `"gemm"`, fmt.Sprintf("%q", version))
	}
	f.knownGroups("version", "format", "checkpoint_format", "zero_point", "w_bit", "q_group_size",
		"modules_to_not_convert", "do_fuse", "fuse_max_seq_len", "modules_to_fuse", "exllama_config")
	p := g.packing("awq")
	p.skip = f.skipList("modules_to_not_convert")
	return p
}

// groups reads what both have: the bits of codes and the size of groups.
func (f *fields) groups() int {
	only(f, "bits", 4)
	only(f, "w_bit", 4)
	size := 128
	f.get("group_size", "a whole number", &size)
	f.get("q_group_size", "a whole number", &size)
	if size != -1 && (size < 1 || size > maxMatrix) {
		f.fail("group_size", "-1, or 1 or more", fmt.Sprint(size))
	}
	return size
}

// knownGroups refuses fields but these and those that say how a folder was made and which program runs it; which
// order its inputs were taken in shows in its tensors.
func (f *fields) knownGroups(more ...string) {
	f.known(append(more, "quant_method", "bits", "group_size", "desc_act", "sym", "static_groups", "true_sequential",
		"damp_percent", "damp_auto_increment", "act_group_aware", "mse", "lm_head", "meta", "backend", "tokenizer",
		"dataset", "batch_size", "pad_token_id", "max_input_length", "model_seqlen", "cache_block_outputs",
		"block_name_to_quantize", "module_name_preceding_first_block", "modules_in_block_to_quantize",
		"model_name_or_path", "model_file_base_name", "use_cuda_fp16", "use_exllama", "disable_exllama")...)
	only(f, "pack_dtype", "int32")
}

func (g groups4) packing(method string) *packing {
	return &packing{
		method: method,
		parts:  []string{"qweight", "qzeros", "scales", "g_idx"},
		read:   func(l *packedLayer) (packedWeight, error) { return readWords4(l, g) },
	}
}

// words4 is a matrix of four-bit codes in words.
type words4 struct {
	*packedLayer
	groups4
	in, out int
	group   []int32 // of each input; nil: in their order
}

// readWords4 checks a layer's tensors against each other and the configuration.
func readWords4(l *packedLayer, g groups4) (w packedWeight, err error) {
	t, err := l.part("qweight", "I32")
	if err != nil {
		return w, err
	}
	if len(t.Shape) != 2 || min(t.Shape[0], t.Shape[1]) < 1 || max(t.Shape[0], t.Shape[1]) > maxMatrix/8 {
		return w, l.fail("qweight", "a matrix", fmt.Sprint(t.Shape))
	}
	m := words4{packedLayer: l, groups4: g, in: 8 * t.Shape[0], out: t.Shape[1]}
	if g.awq {
		m.in, m.out = t.Shape[0], 8*t.Shape[1]
	}
	if m.size == -1 {
		m.size = m.in
	}
	groups := ceilDiv(m.in, m.size)
	if _, err = m.shaped("qzeros", []int{groups, ceilDiv(m.out, 8)}, "I32"); err != nil {
		return w, err
	}
	scales, err := m.shaped("scales", []int{groups, m.out}, "F16", "BF16", "F32")
	if err == nil {
		err = m.readOrder(groups)
	}
	if err != nil {
		return w, err
	}
	if m.out%8 != 0 {
		return w, l.fail("qweight", "a multiple of 8 outputs", fmt.Sprint(m.out))
	}
	dt := tensor.U4
	w = packedWeight{info{DType: dt, Shape: []int{m.out, m.in}, FileType: dt.String(), Known: true, Chosen: true}, m.unpack}
	if m.group != nil || m.size%dt.BlockLen() != 0 || m.in%dt.BlockLen() != 0 || scales.FileType != "F16" {
		w = packedWeight{info{DType: tensor.F32, Shape: w.Shape, FileType: "4 bits", Known: true}, m.widen}
	}
	return w, nil
}

// shaped is a part that must have this shape.
func (m *words4) shaped(part string, shape []int, types ...string) (info, error) {
	t, err := m.part(part, types...)
	if err == nil && !slices.Equal(t.Shape, shape) {
		err = m.fail(part, fmt.Sprintf("shape %v of groups of %d inputs", shape, m.size), fmt.Sprint(t.Shape))
	}
	return t, err
}

// readOrder reads the groups of the inputs, which are in order unless GPTQ took the most active ones first.
func (m *words4) readOrder(groups int) error {
	if _, ok := m.parts["g_idx"]; !ok || m.awq {
		return nil
	}
	t, err := m.part("g_idx", "I32")
	if err != nil {
		return err
	}
	if !slices.Equal(t.Shape, []int{m.in}) {
		return m.fail("g_idx", fmt.Sprintf("shape [%d]", m.in), fmt.Sprint(t.Shape))
	}
	data, err := m.bytes(context.Background(), "g_idx")
	if err != nil {
		return err
	}
	all, inOrder := make([]int32, m.in), true
	for i := range all {
		all[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
		if all[i] < 0 || int(all[i]) >= groups {
			return m.fail("g_idx", fmt.Sprintf("groups 0 to %d", groups-1), fmt.Sprint(all[i]))
		}
		inOrder = inOrder && int(all[i]) == i/m.size
	}
	if !inOrder {
		m.group = all
	}
	return nil
}

// read gives the bytes of qweight, qzeros and scales.
func (m *words4) read(ctx context.Context) (codes, zeros, scales []byte, err error) {
	if codes, err = m.bytes(ctx, "qweight"); err != nil {
		return
	}
	if zeros, err = m.bytes(ctx, "qzeros"); err != nil {
		return
	}
	scales, err = m.bytes(ctx, "scales")
	return
}

// places are where the four bits of each of eight outputs are in a word.
func (m *words4) places() (shift [8]int) {
	for i := range 8 {
		output := i
		if m.awq {
			output = awqOrder[i]
		}
		shift[output] = 4 * i
	}
	return shift
}

// zero is that of a group and an output.
func (m *words4) zero(zeros []byte, shift *[8]int, group, output int) int {
	word := binary.LittleEndian.Uint32(zeros[4*(group*(m.out/8)+output/8):])
	return int(word>>shift[output%8]&15) + m.addToZero
}

// code is that of an input and an output.
func (m *words4) code(codes []byte, shift *[8]int, input, output int) byte {
	if !m.awq {
		return byte(binary.LittleEndian.Uint32(codes[4*(input/8*m.out+output):]) >> (input % 8 * 4) & 15)
	}
	return byte(binary.LittleEndian.Uint32(codes[4*(input*(m.out/8)+output/8):]) >> shift[output%8] & 15)
}

// unpack makes the blocks.
func (m *words4) unpack(ctx context.Context) ([]byte, error) {
	codes, zeros, scales, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	dt, shift := tensor.U4, m.places()
	length, size := dt.BlockLen(), dt.Bytes(dt.BlockLen())
	across := m.in / length
	blocks := make([]byte, m.out*across*size)
	for j := range across { // outputs, which are neighbors in the folder, last
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		group := j * length / m.size
		for o := range m.out {
			b := blocks[(o*across+j)*size:]
			copy(b[:2], scales[2*(group*m.out+o):])
			b[2] = byte(m.zero(zeros, &shift, group, o))
		}
		from, step := blocks[j*size+4:], across*size // of the first output's codes, and to the next one's
		if m.awq {
			m.turn(from, step, codes, &shift, j*length)
		} else {
			m.copyWords(from, step, codes, j*length)
		}
	}
	return blocks, nil
}

// copyWords puts GPTQ's words of 64 inputs from one on into the blocks of all outputs: their order is that of a block.
func (m *words4) copyWords(blocks []byte, step int, codes []byte, input int) {
	for w := range 8 {
		row := codes[4*(input/8+w)*m.out:]
		for o := range m.out {
			copy(blocks[o*step+4*w:][:4], row[4*o:])
		}
	}
}

// turn puts AWQ's codes of 64 inputs from one on, eight outputs a word, into the blocks of all outputs.
func (m *words4) turn(blocks []byte, step int, codes []byte, shift *[8]int, input int) {
	rowLen := m.out / 2 // bytes
	for k := range 32 {
		even := codes[(input+2*k)*rowLen:][:rowLen]
		odd := codes[(input+2*k+1)*rowLen:][:rowLen]
		for o := 0; o < m.out; o += 8 {
			a, b := binary.LittleEndian.Uint32(even[o/2:]), binary.LittleEndian.Uint32(odd[o/2:])
			for i, s := range shift {
				blocks[(o+i)*step+k] = byte(a>>s&15 | b>>s&15<<4)
			}
		}
	}
}

// widen makes the numbers where the inputs of a block have several scales.
func (m *words4) widen(ctx context.Context) ([]byte, error) {
	codes, zeros, _, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	scales, err := m.floats(ctx, "scales", ceilDiv(m.in, m.size)*m.out)
	if err != nil {
		return nil, err
	}
	for _, s := range scales {
		if !(math.Abs(float64(s)) <= math.MaxFloat32/16) {
			return nil, fmt.Errorf("want finite scales, got %v", s)
		}
	}
	shift, out := m.places(), make([]byte, 4*m.in*m.out)
	for i := range m.in {
		group := i / m.size
		if m.group != nil {
			group = int(m.group[i])
		}
		for o := range m.out {
			q := int(m.code(codes, &shift, i, o)) - m.zero(zeros, &shift, group, o)
			v := float32(q) * scales[group*m.out+o]
			binary.LittleEndian.PutUint32(out[4*(o*m.in+i):], math.Float32bits(v))
		}
	}
	return out, nil
}
