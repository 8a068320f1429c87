package llama

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

const gptqQ = "model.layers.0.self_attn.q_proj"

// gptqWeights are what q_proj of llama-gptq stands for by GPTQ's formula, with a group for each input: word i/8 of
// qweight has input i of an output, scale and zero are those of its group.
func gptqWeights(all map[string]safetensors.Tensor, group func(input int) int, addToZero int) []float32 {
	const in, out = 64, 64
	word := func(name string, i int) uint32 { return binary.LittleEndian.Uint32(all[gptqQ+name].Data[4*i:]) }
	w := make([]float32, in*out)
	for o := range out {
		for i := range in {
			g := group(i)
			q := word(".qweight", i/8*out+o) >> (4 * (i % 8)) & 15
			zero := int(word(".qzeros", g*out/8+o/8)>>(4*(o%8))&15) + addToZero
			scale := half.FromF16(binary.LittleEndian.Uint16(all[gptqQ+".scales"].Data[2*(g*out+o):]))
			w[o*in+i] = float32(int(q)-zero) * scale
		}
	}
	return w
}

// loadedQ is q_proj as a folder loads it.
func loadedQ(t *testing.T, folder string, dt tensor.DType) (tensor.DType, []float32) {
	t.Helper()
	for name, p := range nn.Params(loadAs(t, open(t), folder, dt)) {
		if name == gptqQ+".weight" {
			values, err := p.Value.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			return p.Value.DType(), values
		}
	}
	t.Fatal("no q_proj")
	return 0, nil
}

// Zeros are one more than their codes, except in the second format; groups are those of g_idx, and where these are
// in no order the weights become numbers, which --dtype then decides about.
func TestGPTQForms(t *testing.T) {
	type tensors = map[string]safetensors.Tensor
	var want []float32
	keep := func(group func(int) int, addToZero int, change func(tensors)) func(tensors) {
		return func(all tensors) {
			if change != nil {
				change(all)
			}
			want = gptqWeights(all, group, addToZero)
		}
	}
	one, halves, parity := func(int) int { return 0 }, func(i int) int { return i / 32 }, func(i int) int { return i % 2 }
	twoGroups := func(all tensors) { // of 32 inputs
		for _, part := range []string{".qzeros", ".scales"} {
			x := all[gptqQ+part]
			x.Shape, x.Data = []int{2, x.Shape[1]}, append(x.Data, x.Data...)
			for i := range len(x.Data) / 2 {
				x.Data[i] ^= 0x11
			}
			all[gptqQ+part] = x
		}
	}
	withOrder := func(group func(int) int) func(tensors) {
		return func(all tensors) {
			for i := range 64 {
				binary.LittleEndian.PutUint32(all[gptqQ+".g_idx"].Data[4*i:], uint32(group(i)))
			}
		}
	}
	for name, c := range map[string]struct {
		tensors func(tensors)
		config  func(map[string]any)
		q4      tensor.DType // where --dtype q4 asks
	}{
		"as it is":     {keep(one, 1, nil), nil, tensor.U4},
		"second form":  {keep(one, 0, nil), set("checkpoint_format", "gptq_v2"), tensor.U4},
		"no order":     {keep(one, 1, without(gptqQ+".g_idx")), nil, tensor.U4},
		"all at once":  {keep(one, 1, onlyQ), set("group_size", -1), tensor.U4},
		"small groups": {keep(halves, 1, both(onlyQ, twoGroups, withOrder(halves))), set("group_size", 32), tensor.Q4},
		"any order":    {keep(parity, 1, both(onlyQ, twoGroups, withOrder(parity))), set("group_size", 32), tensor.Q4},
	} {
		t.Run(name, func(t *testing.T) {
			folder := edited(t, "llama-gptq", c.tensors, func(config map[string]any) {
				config["modules_in_block_to_quantize"] = [][]string{{"self_attn.q_proj"}}
				if c.config != nil {
					c.config(config)
				}
			})
			if _, got := loadedQ(t, folder, tensor.F32); !slices.Equal(got, want) {
				t.Error("other numbers in f32")
			}
			dt, got := loadedQ(t, folder, tensor.Q4)
			if dt != c.q4 {
				t.Errorf("it is %s, want %s", dt, c.q4)
			}
			if dt == tensor.U4 && !slices.Equal(got, want) {
				t.Error("other numbers in blocks")
			}
		})
	}
}

// both makes several changes.
func both(changes ...func(map[string]safetensors.Tensor)) func(map[string]safetensors.Tensor) {
	return func(all map[string]safetensors.Tensor) {
		for _, change := range changes {
			change(all)
		}
	}
}

// onlyQ makes plain weights of all packed layers but q_proj.
func onlyQ(all map[string]safetensors.Tensor) {
	for layer, shape := range map[string][]int{"self_attn.k": {32, 64}, "self_attn.v": {32, 64}, "self_attn.o": {64, 64},
		"mlp.gate": {192, 64}, "mlp.up": {192, 64}, "mlp.down": {64, 192}} {
		layer = "model.layers.0." + layer + "_proj"
		for _, part := range []string{".qweight", ".qzeros", ".scales", ".g_idx"} {
			delete(all, layer+part)
		}
		all[layer+".weight"] = safetensors.FromFloat32s("", shape, make([]float32, tensor.Numel(shape)))
	}
}

func TestGPTQAndAWQRefused(t *testing.T) {
	type tensors = map[string]safetensors.Tensor
	config := func(folder, name string, value any) string { return edited(t, folder, nil, set(name, value)) }
	change := func(f func(tensors)) string { return edited(t, "llama-gptq", f, nil) }
	refused(t, map[string]string{
		`bits: want 4, got 8`: config("llama-gptq", "bits", 8),
		`checkpoint_format: want "gptq" or "gptq_v2", got "marlin"`:            config("llama-gptq", "checkpoint_format", "marlin"),
		`dynamic: want no such field`:                                          config("llama-gptq", "dynamic", map[string]any{"-:x": 1}),
		`group_size: want -1, or 1 or more, got 0`:                             config("llama-gptq", "group_size", 0),
		`version: want "gemm", got "gemv"`:                                     config("llama-awq", "version", "GEMV"),
		`zero_point: want true, got false`:                                     config("llama-awq", "zero_point", false),
		`down_proj.qzeros: want shape [6 8] of groups of 32 inputs, got [3 8]`: config("llama-awq", "group_size", 32),
		`q_proj.weight: want weights that are not packed, as quantization_config.modules_to_not_convert`: config(
			"llama-awq", "modules_to_not_convert", []string{"q_proj"}),
		`q_proj.scales: want a tensor of a packed layer, got none`: change(without(gptqQ + ".scales")),
		`q_proj.g_idx: want groups 0 to 0, got 1`:                  change(func(all tensors) { all[gptqQ+".g_idx"].Data[0] = 1 }),
		`q_proj.weight: want finite scales of U4, got F16 0x7c00 in block 3`: change(func(all tensors) {
			binary.LittleEndian.PutUint16(all[gptqQ+".scales"].Data[6:], 0x7c00)
		}),
		`q_proj.weight: want a weight that is packed or plain, got both`: change(func(all tensors) {
			all[gptqQ+".weight"] = safetensors.FromFloat32s("", []int{64, 64}, make([]float32, 64*64))
		}),
		`q_proj.bias: want no such tensor`: change(func(all tensors) { all[gptqQ+".bias"].Data[0] = 1 }),
	})
}
