package llama

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
)

// What a folder's tensors and its configuration say of each other must be the same, and errors name the field or
// the tensor.
func TestBitsAndBytesRefused(t *testing.T) {
	config := func(name string, value any) string { return edited(t, "llama-nf4", nil, set(name, value)) }
	tensors := func(change func(map[string]safetensors.Tensor)) string { return edited(t, "llama-nf4", change, nil) }
	inState := func(old, new string) string { return tensors(state("nf4", old, new)) }
	refused(t, map[string]string{
		`load_in_4bit: want true (8-bit folders`:               config("load_in_8bit", true),
		`bnb_4bit_quant_type: want "nf4" or "fp4", got "int4"`: config("bnb_4bit_quant_type", "int4"),
		`bnb_5bit: want no such field`:                         config("bnb_5bit", 1),
		`llm_int8_skip_modules: want names of layers`:          config("llm_int8_skip_modules", []string{"("}),
		`q_proj.weight: want weights that are not packed, as quantization_config.llm_int8_skip_modules`: config(
			"llm_int8_skip_modules", []string{"q_proj"}),
		`quant_state.bitsandbytes__fp4: want a tensor of a packed layer, got none`: config("bnb_4bit_quant_type", "fp4"),
		`want bnb_4bit_use_double_quant to be as in the configuration, false, got true`: config(
			"bnb_4bit_use_double_quant", false),
		`want bnb_4bit_use_double_quant to be as in the configuration, true, got false`: edited(t, "llama-fp4", nil,
			set("bnb_4bit_use_double_quant", true)),

		`bitsandbytes__nf4: want the quant_type nf4 of the configuration, got fp4`: inState(`"nf4"`, `"fp4"`),
		`want a blocksize that is a multiple of 64, up to 4096, got 32`: inState(`"blocksize": 64`,
			`"blocksize": 32`),
		`nf4: want a nested_blocksize of 1 to 65536, got 0`:                 inState(`"nested_blocksize": 256`, `"nested_blocksize": 0`),
		`nested_absmax: want 2 numbers, got 1`:                              inState(`"nested_blocksize": 256`, `"nested_blocksize": 32`),
		`nf4: want a nested_offset, got none`:                               tensors(noOffset),
		`want shape [64 64], got [32 128]`:                                  inState(`[64, 64]`, `[32, 128]`),
		`q_proj.weight: want 1024 bytes for the codes of [64 32], got 2048`: inState(`[64, 64]`, `[64, 32]`),

		`weight.absmax: want a tensor of a packed layer, got none`: tensors(without(packedQ + ".absmax")),
		`weight.quant_map: want the levels of nf4`:                 tensors(infinite(packedQ + ".quant_map")),
		`q_proj.weight: want scales of NF4 of at most`:             tensors(infinite(packedQ + ".nested_absmax")),
		`down_proj.weight: want scales of FP4 of at most`: edited(t, "llama-fp4",
			infinite("model.layers.0.mlp.down_proj.weight.absmax"), nil),
		`nested_absmax: want no such tensor of fp4 with`:                                            edited(t, "llama-fp4", nestedToo, nil),
		`q_proj.weight: want weights that are packed by bitsandbytes (nf4)`:                         tensors(plainQ),
		`want weights that are packed by bitsandbytes (nf4), as quantization_config says, got none`: tensors(noneIsPacked),
	})
}

// infinite makes a tensor's first number infinite.
func infinite(name string) func(map[string]safetensors.Tensor) {
	return func(all map[string]safetensors.Tensor) { binary.LittleEndian.PutUint32(all[name].Data, 0x7f800000) }
}

func noOffset(all map[string]safetensors.Tensor) {
	name := packedQ + ".quant_state.bitsandbytes__nf4"
	text, _, _ := strings.Cut(string(all[name].Data), `, "nested_offset"`)
	text += "}"
	all[name] = safetensors.Tensor{DType: safetensors.U8, Shape: []int{len(text)}, Data: []byte(text)}
}

func nestedToo(all map[string]safetensors.Tensor) {
	all[packedQ+".nested_absmax"] = safetensors.FromFloat32s("", []int{1}, []float32{1})
}

// plainQ puts a weight that is not packed where a packed one was.
func plainQ(all map[string]safetensors.Tensor) {
	for name := range all {
		if strings.HasPrefix(name, packedQ) {
			delete(all, name)
		}
	}
	all[packedQ] = safetensors.FromFloat32s("", []int{64, 64}, make([]float32, 64*64))
}

func noneIsPacked(all map[string]safetensors.Tensor) {
	for name := range all {
		if strings.Contains(name, "_proj.") {
			delete(all, name)
		}
	}
}

// state makes a change of the JSON of a packed matrix.
func state(kind, old, new string) func(map[string]safetensors.Tensor) {
	return func(all map[string]safetensors.Tensor) {
		name := packedQ + ".quant_state.bitsandbytes__" + kind
		text := strings.Replace(string(all[name].Data), old, new, 1)
		all[name] = safetensors.Tensor{DType: safetensors.U8, Shape: []int{len(text)}, Data: []byte(text)}
	}
}

func FuzzQuantState(f *testing.F) {
	f.Add(`{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [64, 64], "nested_blocksize": 256, ` +
		`"nested_dtype": "float32", "nested_offset": 0.2597503662109375}`)
	f.Add(`{"quant_type": "fp4", "blocksize": 128, "dtype": "float16", "shape": [3, 5]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, want, _ := parseQuantState([]byte(text))
		if want != "" {
			return
		}
		if len(s.Shape) != 2 || s.Shape[0] < 1 || s.Shape[1] < 1 || s.Shape[0] > maxMatrix/s.Shape[1] ||
			s.Len < 64 || s.Len%64 != 0 || s.double() && (s.NestedLen < 1 || s.NestedOffset == nil) {
			t.Errorf("%s is read as %+v", text, s)
		}
	})
}
