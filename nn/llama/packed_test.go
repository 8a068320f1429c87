package llama

import (
	"encoding/json"
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

// packedFolders are the golden folders of other programs' packings: the type of their blocks, the layers that
// are f32, because their rows would end inside blocks, and whether routers of experts are packed as well.
var packedFolders = map[string]struct {
	dtype  tensor.DType
	wide   []string
	router bool
}{
	"llama-nf4":     {tensor.NF4, nil, false},
	"llama-fp4":     {tensor.FP4, []string{"down_proj.weight"}, false},
	"llama-gptq":    {tensor.U4, nil, false},
	"llama-awq":     {tensor.U4, nil, false},
	"qwen3-fp8":     {tensor.FP8, []string{"o_proj.weight", "down_proj.weight"}, false},
	"qwen3_moe-nf4": {tensor.NF4, nil, true},
	"qwen3_moe-fp8": {tensor.FP8, []string{"down_proj.weight"}, false},
	"mixtral-gptq":  {tensor.U4, nil, false},
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
					dtype, last := want.dtype, strings.Split(name, ".")
					switch {
					case p.Value.Rank() == 1, slices.Contains(want.wide, strings.Join(last[len(last)-2:], ".")):
						dtype = tensor.F32
					case name == embeddingName || name == headName || isRouter(name) && !want.router:
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
				for _, path := range []string{saved, saveGGUF(t, m, GGUFOptions{})} {
					if !slices.Equal(logits(t, load(t, d, path), b), logitsWide) {
						t.Errorf("%s: saved as f32 in %s, the model has other logits", dt, filepath.Base(path))
					}
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
	all := golden.Tensors(t, from)
	if tensors != nil {
		tensors(all)
	}
	golden.WriteTensors(t, filepath.Join(to, safetensors.ModelFile), nil, all)
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

// without takes a tensor away.
func without(name string) func(map[string]safetensors.Tensor) {
	return func(all map[string]safetensors.Tensor) { delete(all, name) }
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

// A packed language model is found among the parts of a folder, under the names that it has there.
func TestPackedTextPart(t *testing.T) {
	plain, dir := filepath.Join(golden.Folder(t), "llama-nf4"), t.TempDir()
	asTextPart(t, plain, dir, "model.language_model.", "mistral")
	text, err := os.ReadFile(filepath.Join(dir, ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	part := config["text_config"].(map[string]any)
	config["model_type"], config["quantization_config"] = "mistral3", part["quantization_config"]
	delete(part, "quantization_config")
	part["sliding_window"] = nil
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(filepath.Join(dir, ConfigFile), text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := open(t)
	b := Batch{Rows: 2, IDs: []int32{1, 5, 7, 2, 9, 3, 4, 30, 8, 6, 11, 12}}
	m := loadAs(t, d, dir, tensor.Q4)
	if got := m.Blocks[0].MLP.Up.(*nn.Linear).Weight.Value.DType(); got != tensor.NF4 {
		t.Errorf("it is loaded as %s", got)
	}
	if !slices.Equal(logits(t, m, b), logits(t, load(t, d, plain), b)) {
		t.Error("other logits than of the folder of the language model alone")
	}
}
