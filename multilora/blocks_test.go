package multilora

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/agora-ml/agora/internal/ggufblocks"
	"github.com/agora-ml/agora/internal/golden"
	"github.com/agora-ml/agora/internal/half"
	"github.com/agora-ml/agora/internal/quant"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// An adapter trains over a Q4_K_M file, whose head and embedding are Q6_K, as over its dequantized weights in
// f32, to the bit, and the loss falls.
func TestTrainsOverQ4KM(t *testing.T) {
	m := random3Heads(t, open(t, 1), 768, 256)
	m.Config.ModelType = "qwen2"
	plain, path := filepath.Join(t.TempDir(), "f32.gguf"), filepath.Join(t.TempDir(), "q4_k_m.gguf")
	if err := m.SaveGGUF(plain, llama.GGUFOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := ggufblocks.Rewrite(plain, path, 1.0/16, ggufblocks.Q4_K_M); err != nil {
		t.Fatal(err)
	}
	d := open(t, 2)
	run := func(dt tensor.DType) (map[string][]float32, []float64) {
		m, err := llama.Load(t.Context(), d, path, llama.LoadOptions{DType: dt})
		if err != nil {
			t.Fatal(err)
		}
		return trainedParams(t, m, kinds()["scalar"], batch())
	}
	got, gotLoss := run(tensor.Q4)
	want, wantLoss := run(tensor.F32)
	sameTraining(t, got, want, gotLoss, wantLoss)
}

// An adapter trains over the packed weights of other programs' folders as over these widened to f32, to the bit.
func TestTrainsOverPackedFolders(t *testing.T) {
	for name, targets := range map[string][]string{
		"llama-nf4": nil, "llama-fp4": nil, "llama-gptq": nil, "llama-awq": nil, "qwen3-fp8": nil,
		"qwen3_moe-nf4": {"v_proj", "gate_proj", "down_proj"}, "qwen3_moe-fp8": {"up_proj", "down_proj"},
		"mixtral-gptq": {"q_proj", "w1", "w2"},
	} {
		d := open(t, 2)
		cfg := kinds()["scalar"]
		if targets != nil {
			cfg.Targets = targets
		}
		run := func(dt tensor.DType) (map[string][]float32, []float64) {
			m, err := llama.Load(t.Context(), d, filepath.Join(golden.Folder(t), name), llama.LoadOptions{DType: dt})
			if err != nil {
				t.Fatal(err)
			}
			return trainedParams(t, m, cfg, randomBatch(64))
		}
		got, gotLoss := run(tensor.Q4)
		want, wantLoss := run(tensor.F32)
		sameTraining(t, got, want, gotLoss, wantLoss)
	}
}

// A note on the storage of a base names its type, as quantizers make them of normal numbers: levels from the least number
// to the largest, or multiples of a step of which the largest number is the -16th.
func TestStorageIsNamed(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	f16 := func(x float32) float32 { return half.FromF16(half.ToF16(x)) }
	ranged := func(levels float32) func(group []float32) {
		return func(group []float32) {
			least := slices.Min(group)
			d, m := f16((slices.Max(group)-least)/levels), f16(least)
			for i, v := range group {
				q := min(max(float32(math.Round(float64((v-m)/d))), 0), levels)
				group[i] = float32(d*q) + m
			}
		}
	}
	for want, quantize := range map[tensor.DType]func(group []float32){
		tensor.Q4_1: ranged(15), tensor.Q5_1: ranged(31), tensor.Q5_0: func(group []float32) {
			d := f16(float32(mostOf(group)) / -16)
			for i, v := range group {
				group[i] = d * float32(min(max(math.Round(float64(v/d)), -16), 15))
			}
		},
	} {
		f, was := &Fingerprint{}, &Fingerprint{}
		for range 20 {
			values := make([]float32, 2*sampleLen)
			for i := range values {
				values[i] = float32(0.02 * r.NormFloat64())
			}
			was.Tensors = append(was.Tensors, TensorSample{Shape: []int{64, 64}, Values: slices.Clone(values)})
			quantize(values[:sampleLen])
			quantize(values[sampleLen:])
			f.Tensors = append(f.Tensors, TensorSample{Shape: []int{64, 64}, Values: values})
		}
		before := was.roundings()
		for i, got := range f.roundings() {
			if got.storage != want {
				t.Errorf("%s is named %s", want, got.storage)
			}
			if got.compare(&before[i]).differ > 0 {
				t.Errorf("%s: another model than before quantizing", want)
			}
		}
	}
}

// Groups of blocks of a file are told from numbers that were never in any: normal ones, also rounded to 16 bits.
func TestLevelsOfBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	found := func(values []float32) (tensor.DType, bool) {
		return (&rounding{values: values}).levels(0, make([]float64, sampleLen))
	}
	for _, c := range []struct {
		kind quant.Type
		want []tensor.DType // a block may have used no more levels than those of fewer bits
	}{
		{quant.Q4_1, []tensor.DType{tensor.Q4_1}}, {quant.Q4_K, []tensor.DType{tensor.Q4_K}},
		{quant.Q5_1, []tensor.DType{tensor.Q4_1, tensor.Q5_1}}, {quant.Q5_K, []tensor.DType{tensor.Q4_K, tensor.Q5_K}},
		{quant.Q5_0, []tensor.DType{tensor.Q5_0}}, {quant.Q6_K, []tensor.DType{tensor.Q6_K}},
		{quant.IQ4_NL, []tensor.DType{tensor.IQ4_NL}},
		{quant.NF4, []tensor.DType{tensor.NF4}}, {quant.FP4, []tensor.DType{tensor.FP4}},
		{quant.FP8, []tensor.DType{tensor.FP8}}, {quant.U4, []tensor.DType{tensor.U4}},
	} {
		values := make([]float32, 256)
		missed := 0
		for range 100 {
			blocks := c.kind.Random(r.Uint32, len(values), 0.25)
			if c.kind == quant.Q4_K || c.kind == quant.Q5_K || c.kind == quant.Q4_1 || c.kind == quant.Q5_1 {
				for at := 0; at < len(blocks); at += c.kind.Bytes(c.kind.Len()) { // scales above 0 of all 11 bits, as real ones
					blocks[at], blocks[at+1], blocks[at+2] = byte(r.Uint32()), blocks[at+1]&0x7f, byte(r.Uint32())
				}
			}
			c.kind.Decode(values, blocks)
			for at := 0; at < len(values); at += sampleLen {
				if dt, ok := found(values[at:][:sampleLen]); !ok || !slices.Contains(c.want, dt) {
					missed++
				}
			}
		}
		if missed > 72 { // scales of 0, groups with few levels, and those that are by chance what another type has
			t.Errorf("%s: %d of 800 groups are not recognized", c.kind, missed)
		}
	}
	exact := func(v float32) float32 { return v }
	for _, round := range []func(float32) float32{exact, narrows[0].round, narrows[1].round} {
		for range 5000 {
			values := make([]float32, sampleLen)
			for i := range values {
				values[i] = round(0.02 * float32(r.NormFloat64()))
			}
			if dt, ok := found(values); ok {
				t.Fatalf("normal numbers are taken for %s: %v", dt, values)
			}
		}
	}
}

// Numbers, also in 16 bits, and what blocks of a folder have made of them are of one model; of others they are not.
func TestNumbersAndTheirBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	draw := func() []float32 {
		values := make([]float32, 2*sampleLen)
		for i := range values {
			values[i] = narrows[1].round(0.02 * float32(r.NormFloat64()))
		}
		return values
	}
	differ := func(a, b []float32) int {
		sample := func(values []float32) *rounding {
			f := Fingerprint{Tensors: []TensorSample{{Name: "w", Shape: []int{4, 64}, Values: values}}}
			return &f.roundings()[0]
		}
		return sample(a).compare(sample(b)).differ
	}
	for name, quantize := range map[string]func(values []float32) []float32{
		"NF4": func(v []float32) []float32 { return nearest(v, quant.NormalFloat[:], 1) },
		"FP4": func(v []float32) []float32 { return nearest(v, quant.Float4[:], 1) },
		"FP8": func(v []float32) []float32 {
			var levels []float32
			for code := range 256 {
				if code&0x7f != 0x7f {
					levels = append(levels, quant.FromE4M3(byte(code)))
				}
			}
			return nearest(v, levels, 448)
		},
	} {
		missed := 0
		for range 200 {
			original := draw()
			if differ(original, quantize(original)) > 0 {
				missed++
			}
			if other := draw(); differ(other, quantize(original)) == 0 {
				t.Fatalf("%s: other numbers are taken for those: %v, %v", name, original, other)
			}
		}
		if missed > 2 {
			t.Errorf("%s: %d of 200 samples are not recognized", name, missed)
		}
	}
}

// nearest are the levels next to numbers, times the scale with which the largest number has the level most, which is
// a percent off, as double quantization leaves it.
func nearest(values, levels []float32, most float32) []float32 {
	scale := 1.01 * float32(math.Abs(mostOf(values))) / most
	out := make([]float32, len(values))
	for i, v := range values {
		at := 0
		for k, l := range levels {
			if math.Abs(float64(l*scale-v)) < math.Abs(float64(levels[at]*scale-v)) {
				at = k
			}
		}
		out[i] = levels[at] * scale
	}
	return out
}
