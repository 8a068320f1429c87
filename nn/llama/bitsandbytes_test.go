package llama

import (
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
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

// With nf4 matrices are quantized as they are loaded; embedding and head are q8, and so are rows of 32 but not of 64
// numbers. A model that is quantized already stays as it is.
func TestQuantizedToNF4(t *testing.T) {
	c := small("llama")
	c.Hidden, c.Intermediate, c.Heads, c.KVHeads, c.HeadDim, c.InitRange = 128, 160, 4, 2, 32, 0.05
	d, folder := open(t), t.TempDir()
	m := create(t, d, c)
	if err := m.Save(folder); err != nil {
		t.Fatal(err)
	}
	nf4 := loadAs(t, d, folder, tensor.NF4)
	for name, p := range nn.Params(nf4) {
		want := tensor.NF4
		switch {
		case p.Value.Rank() == 1:
			want = tensor.F32
		case name == embeddingName || name == headName || p.Value.Dim(1) == 160:
			want = tensor.Q8
		}
		if got := p.Value.DType(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	b := Batch{Rows: 2, IDs: []int32{1, 5, 7, 2, 9, 3, 4, 30, 8, 6, 11, 12}}
	within(t, "nf4", logits(t, nf4, b), logits(t, m, b), 0.4)
	path := saveGGUF(t, nf4, GGUFOptions{DType: tensor.Q8})
	within(t, "nf4 as Q8_0", logits(t, load(t, d, path), b), logits(t, nf4, b), 0.05)
	if err := m.SaveGGUF(path, GGUFOptions{DType: tensor.NF4}); err == nil ||
		!strings.Contains(err.Error(), "saving as nf4: want f32, f16, bf16, q8, q4 or q4_k") {
		t.Errorf("saving as nf4: error %v", err)
	}
	packed := loadAs(t, d, filepath.Join(golden.Folder(t), "qwen3-fp8"), tensor.NF4)
	if got := packed.Blocks[0].MLP.Up.(*nn.Linear).Weight.Value.DType(); got != tensor.FP8 {
		t.Errorf("FP8 is loaded as %s where nf4 is asked for", got)
	}
}
