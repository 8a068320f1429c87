package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// otherModel is a model of tinymodel's shape with other weights.
func otherModel(t *testing.T) string {
	t.Helper()
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.New(d, tinymodel.Config(), 6)
	if err != nil {
		t.Fatal(err)
	}
	dir := tinymodel.Write(t)
	if err := m.SaveAs(dir, tensor.F32); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shortRows are rows that fit into tinymodel's model.
func shortRows(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	var text strings.Builder
	for _, w := range []string{"cat", "dog", "bird", "fish", "cow", "hen", "ant", "bee"} {
		text.WriteString(`{"prompt": "Say ` + w + `: ", "completion": "the ` + w + `"}` + "\n")
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// tinyAdapter trains an adapter of tinymodel's model.
func tinyAdapter(t *testing.T, model string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "adapter")
	args := append([]string{"train", "--model", model, "--data", shortRows(t), "--max-tokens", "64", "--out", out,
		"--steps", "3", "--lr", "1e-2", "--held-out", "0"}, flags...)
	if code, _, stderr := agora(t, args...); code != 0 {
		t.Fatalf("agora %v: exit code %d\n%s", args, code, stderr)
	}
	return out
}

// Every command that takes an adapter refuses a model that it was not made for, or that
// holds it already, and goes on with --force; the same model in another storage is worth a
// line, the same one none.
func TestEveryCommandChecksTheBase(t *testing.T) {
	model, other, dir := tinymodel.Write(t), otherModel(t), t.TempDir()
	adapter := tinyAdapter(t, model)
	text := textFile(t, "The cat is happy.")
	merged, file := filepath.Join(dir, "merged"), filepath.Join(dir, "merged.gguf")
	if r := mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", adapter, "--out",
		merged); r.Base != multilora.MatchSame {
		t.Errorf("merge says base %q", r.Base)
	}
	if code, _, stderr := agora(t, "export", "--model", merged, "--merged", "--to", "safetensors", "--out",
		filepath.Join(dir, "again")); code != 0 {
		t.Fatal(stderr)
	}
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := llama.Load(t.Context(), d, merged, llama.LoadOptions{})
	if err == nil {
		err = m.SaveGGUF(file, llama.GGUFOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	out := func(name string) string {
		n++
		return filepath.Join(dir, "out"+strings.Repeat("x", n)+name)
	}
	commands := map[string]func() []string{
		"generate": func() []string { return []string{"generate", "--prompt", "T", "--max-tokens", "2"} },
		"eval":     func() []string { return []string{"eval", "--tasks", "perplexity", "--text", text} },
		"merge":    func() []string { return []string{"merge", "--out", out("")} },
		"peft":     func() []string { return []string{"export", "--to", "peft", "--out", out("")} },
		"gguf":     func() []string { return []string{"export", "--to", "gguf", "--out", out(".gguf")} },
		"own":      func() []string { return []string{"export", "--to", "safetensors", "--out", out("")} },
		"merged": func() []string {
			return []string{"export", "--to", "safetensors", "--merged", "--out", out("")}
		},
		"import":     func() []string { return []string{"import", "--out", out("")} },
		"lora again": func() []string { return []string{"merge", "--dtype", "bf16", "--out", out("")} },
	}
	for name, command := range commands {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct{ model, want, forced string }{
				{model, "", ""},
				{other, "want the model that the adapter was made for, got another one: tensor \"model.embed_tokens.weight\": 64 of 64 sampled numbers differ", "warning: " + adapter + ": the model is not the one that the adapter was made for"},
				{merged, "want a model without this adapter, got one that holds it already",
					"the model holds the adapter already, and has it twice now"},
				{filepath.Join(dir, "again"), "want a model without this adapter, got one that holds it already",
					"the model holds the adapter already, and has it twice now"},
				{file, "want a model without this adapter, got one that holds it already",
					"the model holds the adapter already, and has it twice now"},
			} {
				args := append(command(), "--model", c.model, "--adapter", adapter)
				if c.model == file && (name == "generate" || name == "eval") {
					args = append(args, "--tokenizer", model)
				}
				code, _, stderr := agora(t, args...)
				if c.want == "" {
					if code != 0 || strings.Contains(stderr, "made for") {
						t.Errorf("beside its own model: exit code %d, %s", code, stderr)
					}
					continue
				}
				if code != 1 || !strings.Contains(stderr, c.want) || !strings.Contains(stderr, "(--force goes on)") {
					t.Errorf("%s: exit code %d, want 1 and %q in %s", c.model, code, c.want, stderr)
				}
				if c.model == file && (name == "merged" || name == "merge" || name == "lora again") {
					continue // its tokenizer is none
				}
				if code, _, stderr := agora(t, append(args, "--force")...); code != 0 ||
					!strings.Contains(stderr, c.forced) {
					t.Errorf("%s --force: exit code %d, want 0 and %q in %s", c.model, code, c.forced, stderr)
				}
			}
		})
	}
	for _, dtype := range []string{"q4", "q8", "bf16", "f16"} {
		code, _, stderr := agora(t, "generate", "--model", model, "--adapter", adapter, "--prompt", "T",
			"--max-tokens", "2", "--dtype", dtype)
		if code != 0 || strings.Count(stderr, "the model is the one that the adapter was made for, in another storage: f32 there") != 1 {
			t.Errorf("--dtype %s: exit code %d, %s", dtype, code, stderr)
		}
	}
	// What was trained beside q4 is merged into 16 bits.
	adapter = tinyAdapter(t, model, "--dtype", "q4")
	half := filepath.Join(dir, "half")
	mustJSON[converted](t, "export", "--model", model, "--merged", "--to", "safetensors", "--dtype", "bf16", "--out",
		half)
	if r := mustJSON[mergeReport](t, "merge", "--model", half, "--adapter", adapter, "--out",
		out("")); r.Base != multilora.MatchStorage || r.DType != "bf16" {
		t.Errorf("merging into bf16 says base %q, %s", r.Base, r.DType)
	}
	if code, _, stderr := agora(t, "eval", "--tasks", "boolq", "--task-data", taskData(t), "--model", other,
		"--adapters", "base,"+adapter); code != 1 || !strings.Contains(stderr, "got another one") {
		t.Errorf("eval of several: exit code %d, %s", code, stderr)
	}
}

// An adapter of an earlier version is used with a line that says what is not known.
func TestAdapterOfAnEarlierVersion(t *testing.T) {
	model := tinymodel.Write(t)
	adapter := tinyAdapter(t, model)
	path := filepath.Join(adapter, multilora.InfoFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old, _, _ := strings.Cut(string(text), ",\n  \"fingerprint\"")
	if err := os.WriteFile(path, []byte(old+"\n}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{model, otherModel(t)} {
		code, _, stderr := agora(t, "generate", "--model", m, "--adapter", adapter, "--prompt", "T", "--max-tokens",
			"2")
		if want := path + " does not say which model the adapter was made for (it is of an earlier version, or imported): whether this is it cannot be checked"; code != 0 || strings.Count(stderr, want) != 1 {
			t.Errorf("exit code %d, want 0 and %q in %s", code, want, stderr)
		}
	}
	merged := filepath.Join(t.TempDir(), "merged")
	if r := mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", adapter, "--out",
		merged); r.Base != multilora.MatchUnknown {
		t.Errorf("merge says base %q", r.Base)
	}
	if code, _, stderr := agora(t, "merge", "--model", merged, "--adapter", adapter, "--out",
		merged+"2"); code != 1 || !strings.Contains(stderr, "got one that holds it already") {
		t.Errorf("merging twice: exit code %d, %s", code, stderr)
	}
}

// A PEFT adapter in a form that is not known says so in every command, and inspect tells all
// reasons.
func TestPEFTFormsAreNamed(t *testing.T) {
	model, dir := tinymodel.Write(t), t.TempDir()
	peft := filepath.Join(dir, "peft")
	mustJSON[converted](t, "export", "--model", model, "--adapter", tinyAdapter(t, model, "--targets", "q_proj"),
		"--to", "peft", "--out", peft)
	config := func(text string) {
		if err := os.WriteFile(filepath.Join(peft, multilora.PEFTConfigFile), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{`{"zzz": 1, "use_dora": true, "peft_type": "IA3"}`, `field peft_type: want "LORA", got "IA3"`},
		{`{"peft_type": "LORA", "use_qalora": true}`, "field use_qalora: want null, false or empty: QALoRA"},
		{`{"peft_type": "LORA", "use_qalora": true, "arrow_config": {"top_k": 1}}`,
			"field use_qalora: want null, false or empty: QALoRA, which sees means of its inputs (not supported), got true; field arrow_config: want"},
	} {
		config(c.text)
		for _, args := range [][]string{
			{"generate", "--prompt", "T"}, {"eval", "--tasks", "perplexity", "--text", textFile(t, "T")},
			{"merge", "--out", filepath.Join(dir, "m")},
			{"export", "--to", "gguf", "--out", filepath.Join(dir, "g")}, {"import", "--out", filepath.Join(dir, "i")},
		} {
			if code, _, stderr := agora(t, append(args, "--model", model, "--adapter", peft)...); code != 1 ||
				!strings.Contains(stderr, c.want) {
				t.Errorf("%s: exit code %d, want 1 and %q in %s", args[0], code, c.want, stderr)
			}
		}
		if code, _, stderr := agora(t, "train", "--model", model, "--from-adapter", peft, "--data", shortRows(t),
			"--max-tokens", "64", "--held-out", "0", "--out", filepath.Join(dir, "t")); code != 1 ||
			!strings.Contains(stderr, "--from-adapter: ") || !strings.Contains(stderr, c.want) {
			t.Errorf("train: exit code %d, want 1 and %q in %s", code, c.want, stderr)
		}
		reasons, _ := mustJSON[inspection](t, "inspect", peft).About["not_supported"].([]any)
		if want := 1 + strings.Count(c.want, "; "); len(reasons) != want {
			t.Errorf("inspect gives the reasons %q, want %d", reasons, want)
		}
		code, stdout, _ := agora(t, "inspect", peft)
		if code != 0 || strings.Count(stdout, "not_supported  ") != len(reasons) {
			t.Errorf("inspect: exit code %d, %s", code, stdout)
		}
	}
	code, _, stderr := agora(t, "train", "--model", model, "--targets", "q_proj,norm", "--data", shortRows(t),
		"--max-tokens", "64", "--held-out", "0", "--out", filepath.Join(dir, "t"))
	if want := `field targets: "norm": norm as a LoRA layer is not supported, it can train in full only (modules_to_save, --train-also)`; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("train --targets: exit code %d, want 1 and %q in %s", code, want, stderr)
	}
	if code, _, stderr := agora(t, "plan", "--model", model, "--targets", "norm", "--max-tokens",
		"64"); code != 1 || !strings.Contains(stderr, "norm as a LoRA layer is not supported") {
		t.Errorf("plan --targets: exit code %d, %s", code, stderr)
	}
}
