package llama

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// packedFolders are the golden folders of other programs' packings: the type of their blocks, and the layers that
// are f32, because their rows would end inside blocks.
var packedFolders = map[string]struct {
	dtype tensor.DType
	wide  string
}{
	"llama-nf4": {tensor.NF4, ""},
	"llama-fp4": {tensor.FP4, "down_proj"},
}

// Packed weights stay in blocks in memory, the others as they are, and give the logits of the widened weights to
// the bit, which TestGoldenLLaMA compares with transformers'; what is saved is a plain folder of these.
func TestPackedFolders(t *testing.T) {
	for name, want := range packedFolders {
		t.Run(name, func(t *testing.T) {
			d, folder := open(t), filepath.Join(golden.Folder(t), name)
			wide := load(t, d, folder)
			b := Batch{Rows: 2, IDs: text(2, 12, wide.Config.Vocab)}
			logitsWide := logits(t, wide, b)
			for _, dt := range []tensor.DType{tensor.Q8, tensor.Q4} {
				m := loadAs(t, d, folder, dt)
				blank, err := BlankFrom(t.Context(), d, folder, LoadOptions{DType: dt})
				if err != nil {
					t.Fatal(err)
				}
				planned := map[string]tensor.DType{}
				for name, p := range nn.Params(blank) {
					planned[name] = p.Value.DType()
				}
				for name, p := range nn.Params(m) {
					dtype := want.dtype
					switch {
					case p.Value.Rank() == 1, strings.Contains(name, cmp.Or(want.wide, "none")):
						dtype = tensor.F32
					case name == embeddingName || name == headName:
						dtype = tensor.BF16
					}
					if got := p.Value.DType(); got != dtype || planned[name] != dtype {
						t.Errorf("%s is loaded as %s, planned as %s, want %s", name, got, planned[name], dtype)
					}
				}
				if !slices.Equal(logits(t, m, b), logitsWide) {
					t.Errorf("%s: other logits than the widened weights", dt)
				}
				ids := generate(t, m, []int32{1, 15}, 5)
				if want := generate(t, wide, []int32{1, 15}, 5); !slices.Equal(ids, want) {
					t.Errorf("%s: generated %v, the widened weights %v", dt, ids, want)
				}
				saved := t.TempDir()
				if err := m.Save(saved); err != nil {
					t.Fatal(err)
				}
				if text, err := os.ReadFile(filepath.Join(saved, ConfigFile)); err != nil ||
					strings.Contains(string(text), "quantization_config") {
					t.Errorf("the saved configuration is %s, error %v", text, err)
				}
				if !slices.Equal(logits(t, load(t, d, saved), b), logitsWide) {
					t.Errorf("%s: saved as f32, the model has other logits", dt)
				}
			}
		})
	}
}

// edited is a folder of testdata/golden with other tensors and another configuration.
func edited(t *testing.T, name string, tensors func(map[string]safetensors.Tensor),
	config func(map[string]any)) string {
	t.Helper()
	from, to := filepath.Join(golden.Folder(t), name), t.TempDir()
	file, err := safetensors.OpenModel(from)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all := map[string]safetensors.Tensor{}
	for _, name := range file.Names() {
		x, err := file.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = slices.Clone(x.Data)
		all[name] = x
	}
	if tensors != nil {
		tensors(all)
	}
	var sources []safetensors.Source
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x := all[name]
		x.Name = name
		sources = append(sources, x.Source())
	}
	if err := safetensors.Write(filepath.Join(to, safetensors.ModelFile), nil, sources...); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(from, ConfigFile))
	fields := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		config(fields["quantization_config"].(map[string]any))
	}
	if text, err = json.Marshal(fields); err == nil {
		err = os.WriteFile(filepath.Join(to, ConfigFile), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

const packedQ = "model.layers.0.self_attn.q_proj.weight"

// set makes a change of a field of quantization_config.
func set(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

// state makes a change of the JSON of a packed matrix.
func state(kind, old, new string) func(map[string]safetensors.Tensor) {
	return func(all map[string]safetensors.Tensor) {
		name := packedQ + ".quant_state.bitsandbytes__" + kind
		text := strings.Replace(string(all[name].Data), old, new, 1)
		all[name] = safetensors.Tensor{DType: safetensors.U8, Shape: []int{len(text)}, Data: []byte(text)}
	}
}

// without takes a tensor away.
func without(name string) func(map[string]safetensors.Tensor) {
	return func(all map[string]safetensors.Tensor) { delete(all, name) }
}

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

// refused checks that folders are not loaded, by what their errors say.
func refused(t *testing.T, folders map[string]string) {
	t.Helper()
	for want, folder := range folders {
		_, err := Load(t.Context(), open(t), folder, LoadOptions{DType: tensor.Q8})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
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

// A layer that the list names is read as it is: by its end, its beginning or a regular expression.
func TestLayerLeftAsItWas(t *testing.T) {
	for _, entry := range []string{"q_proj", "model.layers.0.self_attn.q_proj", "model.*q_proj"} {
		folder := edited(t, "llama-nf4", plainQ, set("llm_int8_skip_modules", []string{"lm_head", entry}))
		m := loadAs(t, open(t), folder, tensor.Q4)
		for name, p := range nn.Params(m) {
			if name == packedQ && p.Value.DType() != tensor.F32 {
				t.Errorf("with %s in the list, it is %s", entry, p.Value.DType())
			}
		}
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
