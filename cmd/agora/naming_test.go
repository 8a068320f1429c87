package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/tinymodel"
)

// A template that is broken is told by its own error, by every command that needs it, and by none
// that does not.
func TestBrokenTemplateIsNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	chats := write("chats.jsonl", `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`+"\n")
	texts := write("texts.txt", "abc abc")
	for name, template := range map[string]string{"syntax": "{% for m in messages %}",
		"unknown tag": "{% frobnicate %}", "an end alone": "{% endif %}"} {
		model := tinymodel.Write(t)
		if err := os.WriteFile(filepath.Join(model, "chat_template.jinja"), []byte(template), 0o666); err != nil {
			t.Fatal(err)
		}
		args := []string{"train", "--device", "cpu", "--model", model, "--max-tokens", "32", "--held-out", "0",
			"--steps", "1"}
		code, _, stderr := agora(t, append(slices.Clone(args), "--data", chats, "--out",
			filepath.Join(t.TempDir(), "run"))...)
		if code != 1 || !strings.Contains(stderr, "chat_template.jinja") || strings.Contains(stderr, "got none") {
			t.Errorf("train, %s: exit code %d, %s", name, code, stderr)
		}
		if code, _, stderr := agora(t, "data", "preview", "--model", model, "--data", chats, "--max-tokens",
			"32"); code != 1 || !strings.Contains(stderr, "chat_template.jinja") {
			t.Errorf("preview, %s: exit code %d, %s", name, code, stderr)
		}
		if code, _, stderr := agora(t, append(slices.Clone(args), "--data", texts, "--out",
			filepath.Join(t.TempDir(), "run"))...); code != 0 {
			t.Errorf("rows of text, %s: exit code %d, %s", name, code, stderr)
		}
	}
}

// A generation_config.json that has changed is named when a run is resumed.
func TestChangedGenerationConfigIsNamed(t *testing.T) {
	model, out := tinymodel.Write(t), filepath.Join(t.TempDir(), "run")
	generation := filepath.Join(model, "generation_config.json")
	if err := os.WriteFile(generation, []byte(`{"eos_token_id": 1}`), 0o666); err != nil {
		t.Fatal(err)
	}
	data := textFile(t, "abc abc")
	if code, _, stderr := agora(t, "train", "--device", "cpu", "--model", model, "--data", data, "--max-tokens", "32",
		"--held-out", "0",
		"--steps", "4", "--save-every", "2", "--out", out); code != 0 {
		t.Fatal(stderr)
	}
	for _, gone := range []string{"summary.json", filepath.Join("checkpoints", "step-000004")} {
		if err := os.RemoveAll(filepath.Join(out, gone)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(generation, []byte(`{"eos_token_id": [1, 2]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := agora(t, "train", "--device", "cpu", "--out", out, "--resume"); code != 1 ||
		!strings.Contains(stderr, ": model: "+generation+" is not the file that the run began with") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// What a type of RoPE is, is told before fields that only it has.
func TestRopeTypeIsNamed(t *testing.T) {
	for _, scaling := range []string{
		`{"rope_type": "mrope", "mrope_section": [1]}`, `{"type": "ntk", "alpha": 1000, "factor": 2}`,
	} {
		model := tinymodel.Write(t)
		path := filepath.Join(model, "config.json")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		config := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		delete(config, "rope_parameters")
		config["rope_scaling"] = json.RawMessage(scaling)
		changed, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, changed, 0o666); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := agora(t, "inspect", model); code != 1 ||
			!strings.HasPrefix(stderr, "agora: llama: "+path+`: rope_scaling.rope_type: want "default", "linear", `) {
			t.Errorf("%s: exit code %d, %s", scaling, code, stderr)
		}
	}
}
