package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tokenizer"
	"github.com/agora-ml/agora/train"
)

// unending is a tiny model whose files name no EOS, and its tokenizer.json elsewhere.
func unending(t *testing.T) (model, words string) {
	t.Helper()
	model = tinymodel.Write(t)
	setField(t, filepath.Join(model, "config.json"), "eos_token_id", nil)
	writeFiles(t, model, map[string]string{"tokenizer_config.json": `{"bos_token": "<s>"}`})
	words = filepath.Join(t.TempDir(), "tokenizer.json")
	if err := copyFile(filepath.Join(model, "tokenizer.json"), words); err != nil {
		t.Fatal(err)
	}
	return model, words
}

// setField sets a field of a JSON file.
func setField(t *testing.T, path, field string, value any) {
	t.Helper()
	var fields map[string]any
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &fields)
	}
	if err != nil {
		t.Fatal(err)
	}
	fields[field] = value
	if text, err = json.Marshal(fields); err == nil {
		err = os.WriteFile(path, text, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

const plainChat = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"

// Whatever names EOS, instruction data and chats whose template ends answers with no special
// token are taught it; where nothing does, they are refused with what to set.
func TestEOSOfInstructionData(t *testing.T) {
	const nobody = "want a token that ends an answer (EOS)"
	rows := map[string]string{
		"alpaca.jsonl":     `{"instruction": "q", "input": "", "output": "a"}`,
		"completion.jsonl": `{"prompt": "q", "completion": "a"}`,
		"chat.jsonl":       `{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}`,
		"text.jsonl":       `{"text": "ab"}`,
	}
	data := t.TempDir()
	writeFiles(t, data, rows)
	for name, c := range map[string]struct {
		set  func(model string) // what names it
		args []string
		want bool
	}{
		"nobody": {nil, nil, false},
		"generation_config": {func(model string) {
			writeFiles(t, model, map[string]string{"generation_config.json": `{"eos_token_id": [1]}`})
		}, nil, true},
		"config.json": {func(model string) {
			setField(t, filepath.Join(model, "config.json"), "eos_token_id", 1)
		}, nil, true},
		"tokenizer_config": {func(model string) {
			setField(t, filepath.Join(model, "tokenizer_config.json"), "eos_token", "</s>")
		}, nil, true},
		"a name of another case": {func(model string) {
			setField(t, filepath.Join(model, "tokenizer_config.json"), "EOS_token", "</s>")
			setField(t, filepath.Join(model, "config.json"), "Eos_token_id", 1)
		}, nil, false},
		"--eos-token": {nil, []string{"--eos-token", "</s>"}, true},
	} {
		model, words := unending(t)
		if c.set != nil {
			c.set(model)
		}
		writeFiles(t, model, map[string]string{"chat_template.jinja": plainChat})
		writeFiles(t, filepath.Dir(words), map[string]string{"chat_template.jinja": plainChat})
		for file := range rows {
			for _, from := range [][]string{nil, {"--tokenizer", words}, {"--tokenizer", filepath.Dir(words)}} {
				if name == "tokenizer_config" && from != nil ||
					file == "chat.jsonl" && len(from) > 0 && from[1] == words {
					continue // which is not read then; a file has no template
				}
				args := slices.Concat([]string{"data", "preview", "--model", model, "--data",
					filepath.Join(data, file), "--json"}, from, c.args)
				code, stdout, stderr := agora(t, args...)
				what := strings.Join(append([]string{name, file}, from...), " ")
				if refused := !c.want && file != "text.jsonl"; refused {
					if code != 1 || !strings.Contains(stderr, nobody) || !strings.Contains(stderr, "eos-token") {
						t.Errorf("%s: exit code %d, %s", what, code, stderr)
					}
					continue
				}
				var p preview
				if err := json.Unmarshal([]byte(stdout), &p); err != nil || code != 0 || len(p.Rows) == 0 {
					t.Errorf("%s: exit code %d, %v, %s\n%s", what, code, err, stderr, stdout)
					continue
				}
				r := p.Rows[0]
				last := len(r.IDs) - 1
				if taught := r.IDs[last] == 1 && r.Counted[last]; taught != c.want {
					t.Errorf("%s: the last of %q is EOS and counts: %v, want %v", what, r.Pieces, taught, c.want)
				}
			}
		}
	}
}

// A run of --tokenizer leaves a model that ends as it was taught, with the settings by which
// it generated.
func TestResultsKeepTheirEnds(t *testing.T) {
	model, words := unending(t)
	rows := someRows(t)
	generationConfig := `{"eos_token_id": 2, "temperature": 0.25}`
	settings := []string{"--data", rows, "--held-out", "0", "--steps", "1", "--max-tokens", "64", "--loss", "all",
		"--truncate", "start", "--tokenizer", words}
	ends := func(dir string) []int32 {
		t.Helper()
		c, err := llama.ReadConfig(dir)
		if err != nil {
			t.Fatal(err)
		}
		return c.EOS
	}
	text := func(path ...string) string {
		b, _ := os.ReadFile(filepath.Join(path...))
		return string(b)
	}
	newConfig := filepath.Join(t.TempDir(), "new.json")
	if err := copyFile(filepath.Join(model, "config.json"), newConfig); err != nil {
		t.Fatal(err)
	}
	setField(t, newConfig, "bos_token_id", nil)
	out := func(name string) string { return filepath.Join(t.TempDir(), name) }

	scratch := out("scratch")
	mustJSON[train.Summary](t, slices.Concat([]string{"train", "--from-scratch", newConfig, "--eos-token", "</s>",
		"--out", scratch}, settings)...)
	if got := ends(scratch); !slices.Equal(got, []int32{1}) ||
		!strings.Contains(text(scratch, "generation_config.json"), `"eos_token_id": 1`) {
		t.Errorf("from scratch: EOS %v, %s", got, text(scratch, "generation_config.json"))
	}
	if tok, err := tokenizer.Load(scratch); err != nil {
		t.Error(err)
	} else if id, ok := tok.EOS(); !ok || id != 1 {
		t.Errorf("from scratch: the result's tokenizer has EOS %d, %v", id, ok)
	}

	writeFiles(t, model, map[string]string{"generation_config.json": generationConfig})
	code, _, stderr := agora(t, slices.Concat([]string{"train", "--model", model, "--method", "full", "--out",
		out("bad")}, settings)...)
	if want := "generation_config.json: eos_token_id: want the id of a special token of " + words +
		`, got 2, there "\n"`; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d, %s, want %s", code, stderr, want)
	}
	for _, from := range [][]string{nil, {"--tokenizer", words}} {
		full := out("full")
		mustJSON[train.Summary](t, slices.Concat([]string{"train", "--model", model, "--method", "full",
			"--eos-token", "</s>", "--out", full}, settings, from)...)
		if got := ends(full); !slices.Equal(got, []int32{1, 2}) ||
			!strings.Contains(text(full, "generation_config.json"), `"temperature": 0.25`) {
			t.Errorf("full: EOS %v, %s", got, text(full, "generation_config.json"))
		}
		for _, name := range []string{"merge", "export"} {
			merged := out("merged")
			args := map[string][]string{
				"merge": {"export", "--merged", "--model", full, "--to", "safetensors", "--out", merged},
				"export": {"export", "--merged", "--model", model, "--to", "safetensors", "--dtype", "bf16", "--out",
					merged},
			}[name]
			if code, _, stderr := agora(t, args...); code != 0 {
				t.Fatal(stderr)
			}
			if got, want := text(merged, "generation_config.json"),
				text(args[3], "generation_config.json"); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}

// Generation stops at what training taught, and says if nothing can stop it.
func TestGenerationEnds(t *testing.T) {
	model, words := unending(t)
	const warning = "warning: neither the model nor its tokenizer names a token that ends a text"
	for _, c := range []struct {
		args []string
		warn bool
	}{
		{nil, true}, {[]string{"--eos-token", "</s>"}, false}, {[]string{"--tokenizer", words}, true},
		{[]string{"--ignore-eos"}, false},
		{[]string{"--tokenizer", words, "--eos-token", "</s>"}, false},
	} {
		code, _, stderr := agora(t, append([]string{"generate", "--model", model, "--prompt", "a", "--max-tokens",
			"3", "--greedy"}, c.args...)...)
		if code != 0 || strings.Contains(stderr, warning) != c.warn {
			t.Errorf("%v: exit code %d, %s", c.args, code, stderr)
		}
	}
	code, _, stderr := agora(t, "generate", "--model", model, "--prompt", "a", "--eos-token", "<nothing>")
	if code != 1 || !strings.Contains(stderr, `EOS: want a token of the vocabulary, got "<nothing>"`) {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	// What the model writes first ends the text, if it is named.
	g := mustJSON[generation](t, "generate", "--model", model, "--prompt", "a", "--max-tokens", "3", "--greedy")
	first := g.IDs[len(g.IDs)-3]
	tok, err := tokenizer.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	g = mustJSON[generation](t, "generate", "--model", model, "--prompt", "a", "--max-tokens", "3", "--greedy",
		"--eos-token", tok.Piece(first))
	if i := slices.Index(g.IDs, first); i != len(g.IDs)-1 {
		t.Errorf("got %v: %q was to end it", g.IDs, tok.Piece(first))
	}
}

// An adapter keeps the token that its training was told to end answers with: what generates with it stops there, unless told
// another.
func TestAdapterKeepsItsEnd(t *testing.T) {
	model, _ := unending(t)
	adapter := filepath.Join(t.TempDir(), "adapter")
	mustJSON[train.Summary](t, "train", "--model", model, "--eos-token", "</s>", "--out", adapter, "--data", someRows(t),
		"--held-out", "0", "--steps", "1", "--max-tokens", "64", "--truncate", "start")
	ends := func(given string) (int32, error) {
		f := modelFlags{model: model, adapter: adapterFlag{path: adapter}, eosToken: given}
		tok, err := f.loadTokenizer()
		if err != nil {
			return -1, err
		}
		id, ok := tok.EOS()
		if !ok {
			id = -1
		}
		return id, nil
	}
	if id, err := ends(""); id != 1 || err != nil {
		t.Errorf("the adapter's EOS is %d, %v, want 1", id, err)
	}
	if id, err := ends("<s>"); id == 1 || id < 0 || err != nil {
		t.Errorf("with --eos-token <s> EOS is %d, %v", id, err)
	}
	onward := filepath.Join(t.TempDir(), "onward")
	mustJSON[train.Summary](t, "train", "--model", model, "--from-adapter", adapter, "--out", onward, "--data", someRows(t),
		"--held-out", "0", "--steps", "1", "--max-tokens", "64", "--truncate", "start")
	if info, err := multilora.ReadInfo(onward); info.EOSToken != "</s>" || err != nil {
		t.Errorf("an adapter that went on from it has %q, %v", info.EOSToken, err)
	}
	merged := filepath.Join(t.TempDir(), "merged")
	mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", adapter, "--out", merged)
	tok, err := tokenizer.Load(merged)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.EOS(); id != 1 || !ok {
		t.Errorf("the EOS of the merged model is %d, %v, want 1", id, ok)
	}
	peft := filepath.Join(t.TempDir(), "peft")
	for i, want := range []string{`{"bos_token_id":0,"eos_token_id":1}`, `{"eos_token_id":[1],"temperature":0.25}`} {
		if i > 0 { // at first the model has no such file
			writeFiles(t, model, map[string]string{"generation_config.json": `{"temperature": 0.25}`})
		}
		out := peft + strconv.Itoa(i)
		mustJSON[converted](t, "export", "--model", model, "--adapter", adapter, "--to", "peft", "--out", out)
		if text, err := os.ReadFile(filepath.Join(out, "generation_config.json")); err != nil ||
			strings.Join(strings.Fields(string(text)), "") != want {
			t.Errorf("beside the adapter for PEFT: %v, %s, want %s", err, text, want)
		}
	}
	several := evalFlags{modelFlags: modelFlags{model: model}, taskFlags: taskFlags{adapters: []string{baseAlone, adapter}}}
	alone, err := several.loadTokenizer()
	if err != nil {
		t.Fatal(err)
	}
	words, err := several.tokenizers(alone)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := words(baseAlone).EOS(); ok {
		t.Error("the base has an EOS among several adapters")
	}
	if id, ok := words(adapter).EOS(); id != 1 || !ok {
		t.Errorf("the EOS of an adapter among several is %d, %v, want 1", id, ok)
	}
	setField(t, filepath.Join(adapter, "adapter.json"), "eos_token", "nowhere")
	if _, err := ends(""); err == nil || !strings.Contains(err.Error(), "adapter.json: field eos_token: ") ||
		!strings.Contains(err.Error(), `want a token of the vocabulary, got "nowhere"`) {
		t.Errorf("an EOS that the vocabulary has not: %v", err)
	}
}

// A model in a GGUF file, and Ollama's Modelfile, end a text where the model does and where the adapter in it does.
func TestMergedGGUFKeepsTheEndOfAnAdapter(t *testing.T) {
	model, _ := realModel(t)
	adapter, out := filepath.Join(t.TempDir(), "adapter"), filepath.Join(t.TempDir(), "ollama")
	mustJSON[train.Summary](t, "train", "--model", model, "--eos-token", "▁Once", "--out", adapter, "--data", someRows(t),
		"--held-out", "0", "--steps", "1", "--max-tokens", "64", "--truncate", "start")
	mustJSON[converted](t, "export", "--model", model, "--adapter", adapter, "--to", "ollama", "--out", out)
	c, err := llama.ReadConfig(filepath.Join(out, ollamaModel))
	if err != nil || !slices.Contains(c.EOS, 403) || !slices.Contains(c.EOS, 2) {
		t.Errorf("the merged GGUF file ends a text at %v, %v, want 403 and 2", c.EOS, err)
	}
	text, err := os.ReadFile(filepath.Join(out, modelfile))
	if err != nil || !strings.Contains(string(text), "PARAMETER stop \" Once\"\n") {
		t.Errorf("the Modelfile, %v, has no stop of the adapter: %s", err, text)
	}
}

// Where a model, its chat template and the adapter end texts with more tokens than GGUF has keys for, the adapter's has one, and
// the user is told which have none; a Modelfile has them all.
func TestMoreEndsThanGGUFHasKeys(t *testing.T) {
	v := pieces(nil)
	n := len(v.Pieces)
	letter := int32(slices.Index(v.Pieces, "a"))
	turnEnd := int32(n + 1)
	model := pieceModel(t, v, n+2, nil, map[string]string{
		"added_tokens.json":     fmt.Sprintf(`{"<|im_start|>": %d, "<|im_end|>": %d}`, n, n+1),
		"tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}`,
	})
	adapter, dir := filepath.Join(t.TempDir(), "adapter"), t.TempDir()
	mustJSON[train.Summary](t, "train", "--model", model, "--eos-token", "a", "--out", adapter, "--data", someRows(t),
		"--held-out", "0", "--steps", "1", "--max-tokens", "64", "--truncate", "start")
	base := filepath.Join(dir, "3.gguf") // of the fourth case
	for i, c := range []struct {
		template string
		eos      any // of config.json
		args     []string
		eot      int32
		without  string
	}{
		{"", []int32{2, 5, letter}, []string{"--model", model, "--adapter", adapter}, letter, "5"},
		{imChat, 2, []string{"--model", model, "--adapter", adapter}, letter, fmt.Sprint(turnEnd)},
		{imChat, []int32{2, 5}, []string{"--model", model}, turnEnd, "5"},
		{imChat, 2, []string{"--model", model}, turnEnd, ""},
		{imChat, 2, []string{"--model", base, "--adapter", adapter, "--force"}, letter, fmt.Sprint(turnEnd)},
	} {
		setField(t, filepath.Join(model, "config.json"), "eos_token_id", c.eos)
		writeFiles(t, model, map[string]string{"chat_template.jinja": c.template})
		out := filepath.Join(dir, fmt.Sprint(i)+".gguf")
		r := mustJSON[converted](t, slices.Concat([]string{"export", "--merged", "--to", "gguf", "--out", out}, c.args)...)
		f, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		eos, _ := f.Value("tokenizer.ggml.eos_token_id")
		eot, _ := f.Value("tokenizer.ggml.eot_token_id")
		f.Close()
		if eos != uint32(2) || eot != uint32(c.eot) {
			t.Errorf("case %d: a text ends with %v and %v, want 2 and %d", i, eos, eot, c.eot)
		}
		warning := "the file does not say that " + c.without + " does"
		if c.without == "" && len(r.Warnings) != 0 || c.without != "" && (len(r.Warnings) != 1 || !strings.HasSuffix(r.Warnings[0], warning)) {
			t.Errorf("case %d: warnings %q, want of %q", i, r.Warnings, c.without)
		}
	}

	setField(t, filepath.Join(model, "config.json"), "eos_token_id", []int32{2, letter + 1})
	out := filepath.Join(dir, "ollama")
	r := mustJSON[converted](t, "export", "--model", model, "--adapter", adapter, "--to", "ollama", "--out", out)
	text, err := os.ReadFile(filepath.Join(out, modelfile))
	if want := "PARAMETER stop \"<|im_end|>\"\nPARAMETER stop \"a\"\nPARAMETER stop \"</s>\"\nPARAMETER stop \"b\"\n"; err != nil ||
		!strings.HasSuffix(string(text), want) || len(r.Warnings) != 0 {
		t.Errorf("%v, warnings %q, the Modelfile is %s, want at its end %s", err, r.Warnings, text, want)
	}
	setField(t, filepath.Join(adapter, "adapter.json"), "eos_token", "nowhere")
	code, _, stderr := agora(t, "export", "--model", model, "--adapter", adapter, "--to", "ollama", "--out", out+"2")
	if code != 0 || strings.Count(stderr, `"nowhere" ends a text`) != 1 {
		t.Errorf("exit code %d, want one warning of an EOS that the vocabulary has not: %s", code, stderr)
	}
}
