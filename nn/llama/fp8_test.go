package llama

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/nn"
	"github.com/agora-ml/agora/tensor"
)

// compressedFP8 is a quantization_config of compressed-tensors as llm-compressor writes it.
func compressedFP8(weights map[string]any) map[string]any {
	w := map[string]any{"num_bits": 8, "type": "float", "symmetric": true, "dynamic": false, "observer": "minmax",
		"group_size": nil, "actorder": nil, "observer_kwargs": map[string]any{}, "block_structure": nil}
	for name, v := range weights {
		w[name] = v
	}
	return map[string]any{"quant_method": "compressed-tensors", "format": "float-quantized", "ignore": []string{"re:.*lm_head"},
		"quantization_status": "compressed", "kv_cache_scheme": nil, "global_compression_ratio": nil,
		"config_groups": map[string]any{"group_0": map[string]any{"targets": []string{"Linear"}, "weights": w,
			"input_activations":  map[string]any{"num_bits": 8, "type": "float", "dynamic": true, "strategy": "token"},
			"output_activations": nil}}}
}

// Weights are number x scale whatever parts of a matrix have one scale, and whatever the scales are called.
func TestFP8Scales(t *testing.T) {
	for name, c := range map[string]struct {
		config        map[string]any
		part          string
		shape         func(rows, columns int) []int
		rows, columns int // of a part
		alsoStatic    bool
	}{
		"fp8, parts of 128": {map[string]any{"quant_method": "fp8"}, "weight_scale_inv", scaleShape(128, 128), 128, 128, false},
		"fp8, wide parts": {map[string]any{"quant_method": "fp8", "weight_block_size": []int{32, 256}}, "weight_scale_inv",
			scaleShape(32, 256), 32, 256, false},
		"fp8, one scale": {map[string]any{"quant_method": "fp8", "weight_block_size": nil, "activation_scheme": "static"},
			"weight_scale_inv", func(int, int) []int { return []int{} }, 1000, 1000, true},
		"fbgemm": {map[string]any{"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0,
			"modules_to_not_convert": []string{"lm_head"}}, "weight_scale", scaleShape(1, 1000), 1, 1000, false},
		"compressed, rows": {compressedFP8(map[string]any{"strategy": "channel"}), "weight_scale", scaleShape(1, 1000), 1, 1000, false},
		"compressed, one": {compressedFP8(map[string]any{"strategy": "tensor"}), "weight_scale",
			func(int, int) []int { return []int{1} }, 1000, 1000, false},
		"compressed, parts": {compressedFP8(map[string]any{"strategy": "block", "block_structure": []int{128, 128}}),
			"weight_scale", scaleShape(128, 128), 128, 128, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string][]float32{}
			folder := edited(t, "qwen3-fp8", func(all map[string]safetensors.Tensor) {
				for weight := range want {
					delete(want, weight)
				}
				for weight, x := range all {
					if x.DType != safetensors.F8E4M3 {
						continue
					}
					delete(all, weight+"_scale_inv")
					layer := strings.TrimSuffix(weight, "weight")
					shape := c.shape(x.Shape[0], x.Shape[1])
					scales := make([]float32, tensor.Numel(shape))
					for i := range scales {
						scales[i] = 0.01 / float32(i+3)
					}
					all[layer+c.part] = safetensors.FromFloat32s("", shape, scales)
					if c.alsoStatic {
						all[layer+"activation_scale"] = safetensors.FromFloat32s("", []int{}, []float32{0.5})
					}
					across := (x.Shape[1] + c.columns - 1) / c.columns
					for i, code := range x.Data {
						row, column := i/x.Shape[1], i%x.Shape[1]
						scale := scales[row/c.rows*across+column/c.columns]
						want[weight] = append(want[weight], float32(float64(quant.FromE4M3(code))*float64(scale)))
					}
				}
			}, func(config map[string]any) {
				clear(config)
				for name, v := range c.config {
					config[name] = v
				}
			})
			for _, dt := range []tensor.DType{tensor.F32, tensor.Q8} {
				for name, p := range nn.Params(loadAs(t, open(t), folder, dt)) {
					w, ok := want[name]
					got, err := p.Value.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					if ok && !slices.Equal(got, w) {
						t.Errorf("%s, loaded as %s, has other numbers", name, dt)
					}
				}
			}
		})
	}
}

// scaleShape are the shapes of scales of so many rows and columns each.
func scaleShape(rows, columns int) func(int, int) []int {
	return func(r, c int) []int { return []int{(r + rows - 1) / rows, (c + columns - 1) / columns} }
}

func TestFP8Refused(t *testing.T) {
	config := func(name string, value any) string { return edited(t, "qwen3-fp8", nil, set(name, value)) }
	tensors := func(change func(map[string]safetensors.Tensor)) string { return edited(t, "qwen3-fp8", change, nil) }
	whole := func(config map[string]any) string {
		return edited(t, "qwen3-fp8", nil, func(c map[string]any) {
			clear(c)
			for name, v := range config {
				c[name] = v
			}
		})
	}
	const k = "model.layers.0.self_attn.k_proj.weight"
	refused(t, map[string]string{
		`weight_block_size: want two sizes, the second a multiple of 128, got [128,64]`: config("weight_block_size",
			[]int{128, 64}),
		`activation_scheme: want "dynamic" or "static", got "none"`: config("activation_scheme", "none"),
		`fmt: want "e4m3", got "e5m2"`:                              config("fmt", "e5m2"),
		`weight_scale_inv: want shape [4 2] of the scales of [128 144], got [1 2]`: config("weight_block_size",
			[]int{32, 128}),
		`k_proj.weight_scale_inv: want a tensor of a packed layer, got none`: tensors(without(k + "_scale_inv")),
		`q_proj.weight: want weights that are not packed, as quantization_config.modules_to_not_convert`: config(
			"modules_to_not_convert", []string{"q_proj"}),
		`want F8_E4M3, got F8_E5M2`: tensors(func(all map[string]safetensors.Tensor) {
			x := all[k]
			x.DType = safetensors.F8E5M2
			all[k] = x
		}),
		`weight_scale_inv: want F32 or BF16 or F16, got F8_E8M0`: tensors(func(all map[string]safetensors.Tensor) {
			all[k+"_scale_inv"] = safetensors.Tensor{DType: safetensors.F8E8M0, Shape: []int{1, 1}, Data: []byte{127}}
		}),
		`want numbers, got the code of NaN, 0x7f, in block 1 of FP8`: tensors(func(all map[string]safetensors.Tensor) {
			all[k].Data[130] = 0x7f
		}),
		`o_proj.weight: want numbers, got the code of NaN, 0xff`: tensors(func(all map[string]safetensors.Tensor) {
			all["model.layers.0.self_attn.o_proj.weight"].Data[143] = 0xff
		}),
		`k_proj.weight: want scales of FP8 of at most`: tensors(func(all map[string]safetensors.Tensor) {
			binary.LittleEndian.PutUint16(all[k+"_scale_inv"].Data, uint16(math.Float32bits(1e38)>>16))
		}),
		`format: want "float-quantized" (weights in FP8`: whole(map[string]any{"quant_method": "compressed-tensors",
			"format": "pack-quantized"}),
		`config_groups.group_0.weights.num_bits: want 8, got 4`: whole(compressedFP8(map[string]any{"num_bits": 4})),
		`strategy: want "tensor", "channel" or "block"`:         whole(compressedFP8(map[string]any{"strategy": "group"})),
		`config_groups: want one group`:                         whole(map[string]any{"quant_method": "compressed-tensors", "format": "float-quantized"}),
	})
}
