package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/regular"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/train"
)

// trained makes a small adapter of the real model.
func trained(t *testing.T, model string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapter")
	args := append([]string{"train", "--model", model, "--data", someRows(t), "--out", out, "--steps", "12", "--lr",
		"1e-2", "--held-out", "0"}, flags...)
	mustJSON[train.Summary](t, args...)
	return out
}

// reference is a text and another program's mean likelihood of it.
func reference(t *testing.T, model string) (ids []int32, meanNLL float64) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(model, "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		IDs     []int32
		MeanNLL float64 `json:"mean_nll"`
	}
	if err := json.Unmarshal(content, &ref); err != nil {
		t.Fatal(err)
	}
	return ref.IDs, ref.MeanNLL
}

func textFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func spelled(ids []int32) string {
	var fields []string
	for _, id := range ids {
		text, _ := json.Marshal(id)
		fields = append(fields, string(text))
	}
	return strings.Join(fields, " ")
}

func TestTokenizeAndEvalAreTheReference(t *testing.T) {
	model, _ := realModel(t)
	ids, meanNLL := reference(t, model)
	decoded := mustJSON[tokens](t, "tokenize", "--model", model, "--decode", spelled(ids))
	text := textFile(t, decoded.Text)
	encoded := mustJSON[tokens](t, "tokenize", "--model", model, "--file", text, "--bos")
	if !slices.Equal(encoded.IDs, ids) || encoded.Text != decoded.Text || len(encoded.Pieces) != len(ids) ||
		encoded.Pieces[0] != "<s>" {
		t.Errorf("tokenize gives %+v, want the reference's ids", encoded)
	}
	if code, stdout, _ := agora(t, "tokenize", "--model", model, "--text", "Once"); code != 0 ||
		stdout != "403\t\"▁Once\"\n" {
		t.Errorf("exit code %d, printed %q", code, stdout)
	}
	e := mustJSON[evaluation](t, "eval", "--task", "perplexity", "--model", model, "--text", text)
	if math.Abs(e.NLL-meanNLL) > 1e-4 || e.Counted != len(ids)-1 || e.Task != "perplexity" {
		t.Errorf("eval gives %+v, want nll %v over %d tokens", e, meanNLL, len(ids)-1)
	}
	adapted := mustJSON[evaluation](t, "eval", "--task", "perplexity", "--model", model, "--adapter",
		trained(t, model), "--text", text, "--window", "100")
	if math.Abs(adapted.NLL-e.NLL) < 0.01 || adapted.Windows != 3 {
		t.Errorf("with an adapter eval gives %+v, without %+v", adapted, e)
	}
}

func TestInspect(t *testing.T) {
	model, _ := realModel(t)
	m := mustJSON[inspection](t, "inspect", model)
	if m.Kind != "model" || m.Parameters != 260032 || m.Bytes != 4*260032 || len(m.Tensors) != 47 ||
		m.About["model_type"] != "llama" ||
		m.Memory == nil || m.Memory.WeightsF32 != 4*260032 || m.Memory.CacheToken16 != 2*2*5*4*8 {
		t.Errorf("the model is %+v", m)
	}
	if i := slices.IndexFunc(m.Tensors, func(t tensorInfo) bool { return t.Name == "model.layers.0.self_attn.k_proj.weight" }); i < 0 ||
		m.Tensors[i].DType != "F32" || !slices.Equal(m.Tensors[i].Shape, []int{32, 64}) ||
		m.Tensors[i].Parameters != 2048 {
		t.Errorf("k_proj is missing or wrong in %+v", m.Tensors)
	}
	if !slices.Equal(m.Trains, []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}) ||
		!slices.Equal(m.Storage, []stored{{"F32", 4 * 260032}}) ||
		!slices.Equal(m.Exports, []exportAnswer{{To: "safetensors"}, {To: "gguf"}, {To: "ollama"}}) {
		t.Errorf("trains %v, stored as %v, exported to %v", m.Trains, m.Storage, m.Exports)
	}
	phi := mustJSON[inspection](t, "inspect", "../../testdata/golden/phi3")
	if !slices.Equal(phi.Trains, []string{"o_proj", "qkv_proj", "down_proj", "gate_up_proj"}) || len(phi.Exports) != 3 ||
		!strings.Contains(phi.Exports[1].Refused, "sliding_window: want none") ||
		!strings.Contains(phi.Exports[1].Refused, "tokenizer.json or tokenizer.model") {
		t.Errorf("a phi3 trains %v, is exported to %v", phi.Trains, phi.Exports)
	}
	odd := t.TempDir()
	writeFiles(t, odd, map[string]string{"config.json": `{"model_type": "llama", "hidden_act": "gelu", "hidden_size": 0,` +
		` "rope_scaling": {"rope_type": "odd"}, "quantization_config": {"bits": 4}}`})
	code, _, stderr := agora(t, "inspect", odd)
	for _, want := range []string{"hidden_size: want", "hidden_act: want", "rope_scaling.rope_type: want",
		"quantization_config.quant_method: want"} {
		if code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, %q lacks %q", code, stderr, want)
		}
	}
	adapter := trained(t, model, "--method", "lora", "--rank", "4", "--targets", "v_proj")
	if a := mustJSON[inspection](t, "inspect", adapter); a.Kind != "adapter" || len(a.Tensors) != 10 ||
		a.Parameters != 5*4*(64+32) ||
		a.About["method"] != "lora" || a.About["rank"] != 4.0 || a.About["form"] != "agora" || a.Memory != nil {
		t.Errorf("the adapter is %+v", a)
	}
	file := mustJSON[inspection](t, "inspect", filepath.Join(model, "model.safetensors"))
	if file.Kind != "safetensors" || !slices.EqualFunc(file.Tensors, m.Tensors,
		func(a, b tensorInfo) bool { return a.Name == b.Name && a.Bytes == b.Bytes }) {
		t.Errorf("the file is %+v", file)
	}
	code, stdout, _ := agora(t, "inspect", model)
	if code != 0 || !strings.Contains(stdout, "adapters on") || !strings.Contains(stdout, "export --to gguf") || !strings.Contains(stdout, "[32 64]") || !strings.Contains(stdout, "260032 in 47 tensors") {
		t.Errorf("exit code %d, printed\n%s", code, stdout)
	}
}

// perplexityOf is the likelihood of a fixed text.
func perplexityOf(t *testing.T, flags ...string) float64 {
	t.Helper()
	text := textFile(t, "Once upon a time, there was a little cat. The cat is happy.")
	return mustJSON[evaluation](t, append([]string{"eval", "--task", "perplexity", "--text", text}, flags...)...).NLL
}

func TestMerge(t *testing.T) {
	model, _ := realModel(t)
	adapter := trained(t, model)
	want := perplexityOf(t, "--model", model, "--adapter", adapter)
	exact := filepath.Join(t.TempDir(), "new", "merged")
	r := mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", adapter, "--out", exact)
	if r.DType != "f32" || len(r.Layers) != 35 || r.Layers[0].Change == 0 || r.LogitDifference > 1e-3 ||
		r.LargestLogit < 1 {
		t.Errorf("the report is %+v", r)
	}
	if got := perplexityOf(t, "--model", exact); math.Abs(got-want) > 1e-4 {
		t.Errorf("merged, the text has nll %v, want %v", got, want)
	}
	half := filepath.Join(t.TempDir(), "half")
	r = mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", adapter, "--out", half, "--dtype", "bf16")
	if r.DType != "bf16" || r.LogitDifference < 1e-3 || r.LogitDifference > r.LargestLogit/10 {
		t.Errorf("in bf16 the report is %+v", r)
	}
	if got := perplexityOf(t, "--model", half); math.Abs(got-want) > 0.05 || got == want {
		t.Errorf("merged in bf16, the text has nll %v, want about %v", got, want)
	}
	roundedOnce(t, exact, half)
	if m := mustJSON[inspection](t, "inspect", half); m.Bytes != 2*260032 {
		t.Errorf("bf16 weights have %d bytes", m.Bytes)
	}
	for _, name := range []string{"tokenizer.model", "generation_config.json"} {
		a, errA := os.ReadFile(filepath.Join(model, name))
		b, errB := os.ReadFile(filepath.Join(half, name))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s was not copied: %v, %v", name, errA, errB)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(half)); err != nil || len(left) != 1 {
		t.Errorf("beside the new folder there is %v (%v)", left, err)
	}
}

// roundedOnce compares bf16 weights with exact ones: half a unit in the last of their 8
// bits apart at most, so nothing but the sum of weight and adapter was rounded.
func roundedOnce(t *testing.T, exact, rounded string) {
	t.Helper()
	a, b := openWeights(t, exact), openWeights(t, rounded)
	for _, name := range a.Names() {
		x, _ := a.Tensor(name)
		y, _ := b.Tensor(name)
		want, errA := x.Float32s()
		got, errB := y.Float32s()
		if errA != nil || errB != nil || len(got) != len(want) {
			t.Fatalf("tensor %s: %v, %v", name, errA, errB)
		}
		for i, v := range want {
			_, exponent := math.Frexp(float64(v))
			if math.Abs(float64(got[i])-float64(v)) > math.Ldexp(1.0001, exponent-9) {
				t.Errorf("tensor %s: element %d is %v of %v: rounded more than once", name, i, got[i], v)
				break
			}
		}
	}
}

// Whatever form an adapter goes through, it computes the same.
func TestExportAndImport(t *testing.T) {
	model, _ := realModel(t)
	adapter := trained(t, model)
	want := perplexityOf(t, "--model", model, "--adapter", adapter)
	dir := t.TempDir()
	for _, to := range []string{"peft", "gguf", "safetensors"} {
		out, back := filepath.Join(dir, "exported-"+to), filepath.Join(dir, "imported-"+to)
		r := mustJSON[converted](t, "export", "--model", model, "--adapter", adapter, "--to", to, "--out", out)
		if r.Form != to || r.Method != "lora" || r.Rank != 24 || len(r.Layers) != 35 {
			t.Errorf("export to %s reports %+v", to, r)
		}
		if got := perplexityOf(t, "--model", model, "--adapter", out); math.Abs(got-want) > 1e-5 {
			t.Errorf("as %s: nll %v, want %v", to, got, want)
		}
		if r := mustJSON[converted](t, "import", "--model", model, "--adapter", out, "--out",
			back); r.Form != "agora" || r.Method != "lora" {
			t.Errorf("import from %s reports %+v", to, r)
		}
		if got := perplexityOf(t, "--model", model, "--adapter", back); math.Abs(got-want) > 1e-5 {
			t.Errorf("%s imported: nll %v, want %v", to, got, want)
		}
		if i := mustJSON[inspection](t, "inspect", out); i.Parameters < 35*24 {
			t.Errorf("inspect of %s gives %+v", to, i)
		}
	}
	for _, name := range []string{"tokenizer.model", "generation_config.json"} { // a server looks for them there
		if !regular.Exists(filepath.Join(dir, "exported-peft", name)) {
			t.Errorf("the PEFT folder has no %s", name)
		}
	}
	out := filepath.Join(dir, "merged")
	if r := mustJSON[converted](t, "export", "--model", model, "--adapter", adapter, "--to", "safetensors",
		"--merged", "--out", out); r.DType != "f32" {
		t.Errorf("export --merged reports %+v", r)
	}
	if got := perplexityOf(t, "--model", out); math.Abs(got-want) > 1e-4 {
		t.Errorf("merged: nll %v, want %v", got, want)
	}
}

// A model in a GGUF file has the same configuration and, its rows in order again, the same
// weights; its vocabulary is the tokenizer's.
func TestExportModelToGGUF(t *testing.T) {
	model, _ := realModel(t)
	out := filepath.Join(t.TempDir(), "model.gguf")
	mustJSON[converted](t, "export", "--model", model, "--to", "gguf", "--merged", "--out", out)
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, want := range map[string]any{
		"general.architecture": "llama", "general.type": "model", "general.name": filepath.Base(model),
		"general.file_type": uint32(0),
	} {
		if v, _ := f.Value(key); v != want {
			t.Errorf("%s is %v, want %v", key, v, want)
		}
	}
	got, err := llama.ReadConfig(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := llama.Check(t.Context(), model)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hidden != want.Hidden || got.KVHeads != want.KVHeads || got.MaxPositions != want.MaxPositions ||
		got.NormEps != want.NormEps ||
		got.BOS != want.BOS || !slices.Equal(got.EOS, want.EOS) || got.RoPE != want.RoPE || got.Tied != want.Tied {
		t.Errorf("the file's configuration is %+v, want %+v", got, want)
	}
	checkWeights(t, f, model, want)
	pieces, err := gguf.Get[[]string](f, "tokenizer.ggml.tokens")
	if err != nil || len(pieces) != 512 || pieces[403] != "▁Once" {
		t.Errorf("%d pieces (%v)", len(pieces), err)
	}
	for dtype, typ := range map[string]gguf.Type{"bf16": gguf.BF16, "q8": gguf.Q8_0, "q4": gguf.Q4_0} {
		mustJSON[converted](t, "export", "--model", model, "--to", "gguf", "--merged", "--dtype", dtype, "--out", out,
			"--overwrite")
		f, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		matrix, _ := f.Tensor("blk.0.attn_q.weight")
		norm, _ := f.Tensor("blk.0.attn_norm.weight")
		if matrix.Type != typ || norm.Type != gguf.F32 {
			t.Errorf("%s: matrices in %s, norms in %s", dtype, matrix.Type, norm.Type)
		}
		f.Close()
	}
}

// checkWeights compares the tensors of a GGUF file with those of a folder, in f32.
func checkWeights(t *testing.T, f *gguf.File, model string, c llama.Config) {
	t.Helper()
	names := mustJSON[inspection](t, "inspect", model).Tensors
	if len(f.Tensors()) != len(names) {
		t.Errorf("%d tensors, want %d", len(f.Tensors()), len(names))
	}
	weights := openWeights(t, model)
	layout, err := c.GGUFLayout()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range f.Tensors() {
		name, ok := layout.HFName(x.Name)
		if !ok {
			t.Errorf("tensor %s has no name at Hugging Face", x.Name)
			continue
		}
		data := x.Data
		if heads := layout.Heads(name); heads > 0 {
			if data, err = llama.Deinterleave(data, x.Shape[0], heads); err != nil {
				t.Fatal(err)
			}
		}
		want, err := weights.Tensor(name)
		if err != nil || !slices.Equal(want.Shape, x.Shape) || string(want.Data) != string(data) {
			t.Errorf("tensor %s is not %s (%v)", x.Name, name, err)
		}
	}
}

func TestGenerateSettings(t *testing.T) {
	model, _ := realModel(t)
	write := func(flags ...string) generation {
		return mustJSON[generation](t, append([]string{"generate", "--model", model, "--prompt", "Once upon a time",
			"--max-tokens", "60"}, flags...)...)
	}
	greedy := write("--greedy")
	if got := write("--min-p", "1", "--seed", "3"); got.Text != greedy.Text {
		t.Errorf("--min-p 1 writes %q, want the greedy %q", got.Text, greedy.Text)
	}
	stopped := write("--greedy", "--stop", "Lily")
	before, _, found := strings.Cut(greedy.Text, "Lily")
	if !found || stopped.Text != before {
		t.Errorf("--stop Lily writes %q of %q", stopped.Text, greedy.Text)
	}
	if len(stopped.IDs) >= len(greedy.IDs) || !slices.Equal(stopped.IDs, greedy.IDs[:len(stopped.IDs)]) {
		t.Errorf("--stop gives ids %v, without it %v", stopped.IDs, greedy.IDs)
	}
	if got := write("--greedy", "--stop", "time"); got.Text == "Once upon a" ||
		!strings.HasPrefix(got.Text, "Once upon a time") {
		t.Errorf("a stop string in the prompt gives %q", got.Text)
	}
	// What might have become a stop string is given when the text ends without it.
	if got := write("--greedy", "--stop", greedy.Text[len(greedy.Text)-3:]+"\x00"); got.Text != greedy.Text {
		t.Errorf("with a stop string that never comes: %q, want %q", got.Text, greedy.Text)
	}
	penalized := write("--greedy", "--repetition-penalty", "100")
	seen := map[int32]int{}
	for _, id := range penalized.IDs {
		if seen[id]++; seen[id] == 3 { // twice in the prompt is not the model's doing
			t.Errorf("token %d again and again with a penalty of 100: %v", id, penalized.IDs)
		}
	}
	_, stdout, _ := agora(t, "generate", "--model", model, "--prompt", "Once upon a time", "--max-tokens", "60",
		"--greedy", "--stop", "Lily")
	if stdout != stopped.Text+"\n" {
		t.Errorf("printed %q, want %q", stdout, stopped.Text)
	}
}

func openWeights(t *testing.T, model string) *safetensors.File {
	t.Helper()
	f, err := safetensors.OpenModel(model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
