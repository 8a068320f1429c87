package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/multilora"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/ops"
)

// good fills a folder with everything that commands read: model, shards (the model again,
// in two files), own, peft and lora.gguf (an adapter in three forms), text.
func good(t *testing.T, dir string) {
	t.Helper()
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c := llama.Config{
		ModelType: "llama", Vocab: 282, Hidden: 32, Intermediate: 32, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 16,
		MaxPositions: 64,
		NormEps:      1e-5, InitRange: 0.1, BOS: 280, EOS: []int32{281}, RoPE: ops.RoPEScaling{Theta: 10000},
	}
	m, err := llama.New(d, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	cfg := multilora.Defaults()
	cfg.Method, cfg.Modules, cfg.Rank, cfg.Targets = multilora.MethodLoRA, 1, 2, []string{"v_proj", "down_proj"}
	for _, save := range []func() error{
		func() error { return m.Save(at("model")) },
		func() error { return split(at("model"), at("shards")) },
		func() error { return copyFile("../../tokenizer/testdata/bytes.json", at("model/tokenizer.json")) },
		func() error { return copyFile("../../tokenizer/testdata/bytes.json", at("shards/tokenizer.json")) },
		func() error { return os.WriteFile(at("text"), []byte("some text"), 0o666) },
		func() error {
			a, err := multilora.Attach(m, cfg, 1)
			if err != nil {
				return err
			}
			if err := a.Save(at("own")); err != nil {
				return err
			}
			if err := a.SavePEFT(at("peft")); err != nil {
				return err
			}
			return a.SaveGGUF(at("lora.gguf"), c)
		},
	} {
		if err := save(); err != nil {
			t.Fatal(err)
		}
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o666)
}

// split writes a model's folder again with its tensors in two shards.
func split(from, to string) error {
	file, err := safetensors.OpenModel(from)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.MkdirAll(to, 0o777); err != nil {
		return err
	}
	shards := []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
	sources, places := make([][]safetensors.Source, 2), map[string]string{}
	for i, name := range file.Names() {
		x, err := file.Tensor(name)
		if err != nil {
			return err
		}
		sources[i%2], places[name] = append(sources[i%2], x.Source()), shards[i%2]
	}
	for i, name := range shards {
		if err := safetensors.Write(filepath.Join(to, name), nil, sources[i]...); err != nil {
			return err
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": places})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, safetensors.IndexFile), index, 0o666); err != nil {
		return err
	}
	return copyFile(filepath.Join(from, llama.ConfigFile), filepath.Join(to, llama.ConfigFile))
}

// change rewrites a file by an edit of its bytes.
type change func(b []byte) []byte

func content(s string) change { return func([]byte) []byte { return []byte(s) } }

// deep is what no file has as many of inside each other. The texts are made when their turn comes: every process that
// is this program would hold them otherwise, also one in a small control group.
const deep = 1_000_000

func deepContent(begin string) change {
	return func(b []byte) []byte { return content(strings.Repeat(begin, deep))(b) }
}

func deepHeader(pattern, begin string) change {
	return func(b []byte) []byte { return header(pattern, strings.Repeat(begin, deep))(b) }
}

func cut(n int) change { return func(b []byte) []byte { return b[:len(b)-n] } }

// firstBytes keeps n of them.
func firstBytes(n int) change { return func(b []byte) []byte { return b[:n] } }

func more(n int) change { return func(b []byte) []byte { return append(b, make([]byte, n)...) } }

// number writes v over eight bytes.
func number(at int, v uint64) change {
	return func(b []byte) []byte {
		binary.LittleEndian.PutUint64(b[at:], v)
		return b
	}
}

// field sets a field of a JSON object.
func field(name string, value any) change {
	return func(b []byte) []byte {
		var object map[string]any
		if err := json.Unmarshal(b, &object); err != nil {
			panic(err)
		}
		object[name] = value
		b, err := json.Marshal(object)
		if err != nil {
			panic(err)
		}
		return b
	}
}

// renumber gives the letter e of a tokenizer.json an id that the model does not have.
func renumber(b []byte) []byte { return regexp.MustCompile(`"e":\d+`).ReplaceAll(b, []byte(`"e":380`)) }

// header replaces what a pattern finds in a safetensors file's header, and its length.
func header(pattern, by string) change {
	return func(b []byte) []byte {
		n := binary.LittleEndian.Uint64(b)
		old := b[8 : 8+n]
		text := regexp.MustCompile(pattern).ReplaceAll(old, []byte(by))
		if bytes.Equal(text, old) {
			panic("no " + pattern + " in " + string(old))
		}
		out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		return append(append(out, text...), b[8+n:]...)
	}
}

const (
	weigh = "model/model.safetensors"
	query = "model.layers.0.self_attn.q_proj.weight"
)

// badInputs are files that are not what they should be, and what a user is told.
var badInputs = []struct {
	name string
	file string // the one that is changed; removed where change is nil
	to   change
	on   string   // what inspect is given; "" for the folder of the file
	want []string // in the message
}{
	// Weights.
	{"truncated data", weigh, cut(10), "", []string{`tensor "model.norm.weight": want an end from 121856 to 121974, where the file ends`, "[121856 121984]"}},
	{"truncated header", weigh, firstBytes(100), "",
		[]string{"want 2112 bytes of header, got a file that has 92 bytes left"}},
	{"truncated length", weigh, firstBytes(5), "", []string{"want at least 8 bytes, got 5"}},
	{"empty", weigh, firstBytes(0), "", []string{"want a regular file with content", "of 0 bytes"}},
	{"oversized", weigh, more(16), "", []string{"want 121984 bytes of tensors, got 122000"}},
	{"a header of all memory", weigh, number(0, 1<<63), "",
		[]string{"want a header of at most 100000000 bytes, got 9223372036854775808"}},
	{"a header longer than the file", weigh, number(0, 99_999_999), "", []string{"want 99999999 bytes of header"}},
	{"overlapping", weigh, header(`"data_offsets":\[36096,`, `"data_offsets":[36092,`), "",
		[]string{`tensor "model.embed_tokens.weight": want data that begin at 36096`, "[36092 72192]"}},
	{"a lying shape", weigh, header(`"`+query+`":\{"dtype":"F32","shape":\[32,32\]`,
		`"`+query+`":{"dtype":"F32","shape":[32,33]`), "",
		[]string{query, "want 4224 bytes for F32 [32 33], got 4096"}},
	{"a shape past all numbers", weigh, header(`"shape":\[32,32\]`, `"shape":[4294967296,4294967296]`), "",
		[]string{"down_proj", "fits 64 bits, got [4294967296 4294967296]"}},
	{"an unknown dtype", weigh, header(`"F32"`, `"F8"`), "", []string{"want F64, F32, F16", `got "F8"`}},
	{"a wrong dtype", weigh, header(`"`+query+`":\{"dtype":"F32"`, `"`+query+`":{"dtype":"I32"`), "",
		[]string{query, "want F32, F16, BF16 or F64, got I32"}},
	{"a wrong shape", weigh, header(`"`+query+`":\{"dtype":"F32","shape":\[32,32\]`,
		`"`+query+`":{"dtype":"F32","shape":[64,16]`), "", []string{query, "want shape [32 32], got [64 16]"}},
	{"a missing tensor", weigh, header(query, "x"), "",
		[]string{"tensor " + query + ": want shape [32 32], got no such tensor"}},
	{"deep JSON in the header", weigh, deepHeader(`^.*$`, `{"a":`), "",
		[]string{`want dtype, shape and data_offsets, got "a"`}},
	{"a deep shape", weigh, deepHeader(`\[32,32\]`, "["), "",
		[]string{"down_proj", "want whole numbers"}},
	{"no weights", weigh, nil, "model", []string{"want model.safetensors or model.safetensors.index.json, got neither"}},
	{"no safetensors at all", weigh, content("PK\x03\x04 a zip"), "",
		[]string{"want a header of at most 100000000 bytes"}},

	// Shards.
	{"a missing shard", "shards/model-00002-of-00002.safetensors", nil, "shards",
		[]string{`model.safetensors.index.json: want the shard "model-00002-of-00002.safetensors"`,
			"got no such file"}},
	{"a truncated shard", "shards/model-00002-of-00002.safetensors", cut(1), "",
		[]string{"model-00002-of-00002.safetensors", "where the file ends"}},
	{"a tensor in no shard", "shards/" + safetensors.IndexFile,
		field("weight_map", map[string]string{query: "model-00001-of-00002.safetensors"}), "",
		[]string{`model-00001-of-00002.safetensors: tensor "lm_head.weight": want a tensor that model.safetensors.index.json places in this file`}},
	{"a shard elsewhere", "shards/" + safetensors.IndexFile,
		field("weight_map", map[string]string{query: "../model/model.safetensors"}), "",
		[]string{`want the name of a .safetensors file in the same folder, got "../model/model.safetensors"`}},
	{"an index that is a list", "shards/" + safetensors.IndexFile, content("[]"), "",
		[]string{`model.safetensors.index.json: want {, got "["`}},
	{"a deep index", "shards/" + safetensors.IndexFile, deepContent(`{"weight_map":`), "",
		[]string{`model.safetensors.index.json: tensor "weight_map": want a string`}},

	// Configuration.
	{"an unknown architecture", "model/config.json", field("model_type", "gpt2"), "",
		[]string{`model_type: want "gemma2", `, `got "gpt2"`}},
	{"an unknown activation", "model/config.json", field("hidden_act", "gelu"), "",
		[]string{`hidden_act: want "silu", got "gelu"`}},
	{"an unknown rope", "model/config.json", field("rope_parameters", map[string]any{"rope_type": "odd"}), "",
		[]string{`config.json: rope_parameters.rope_type: want "default", "linear", "dynamic"`, `got "odd"`}},
	{"quantized otherwise", "model/config.json", field("quantization_config", map[string]any{"bits": 4}), "",
		[]string{`quantization_config.quant_method: want "`, `got ""`}},
	{"too many layers", "model/config.json", field("num_hidden_layers", 60000), "",
		[]string{"model.safetensors: want the tensors of 60000 layers, got 21 tensors"}},
	{"more layers than any model", "model/config.json", field("num_hidden_layers", 1<<31-1), "",
		[]string{"num_hidden_layers: want 1 to 65536"}},
	{"a huge vocabulary", "model/config.json", field("vocab_size", 1<<30), "",
		[]string{"config.json: vocab_size × hidden_size: want matrices of at most 2147483647 numbers, got 1073741824 × 32"}},
	{"a huge width", "model/config.json", field("hidden_size", 1<<30), "",
		[]string{"config.json: vocab_size × hidden_size: want matrices of at most 2147483647 numbers, got 282 × 1073741824"}},
	{"a width that is text", "model/config.json", field("hidden_size", "32"), "",
		[]string{`hidden_size: want a whole number, got "32"`}},
	{"no width", "model/config.json", field("hidden_size", nil), "",
		[]string{"hidden_size: want 1 to 2147483647, got none"}},
	{"a deep configuration", "model/config.json", deepContent("["), "",
		[]string{"config.json: want a JSON object, got exceeded max depth"}},
	{"half a configuration", "model/config.json", cut(5), "", []string{"config.json: want a JSON object"}},

	// Adapters.
	{"half an adapter.json", "own/adapter.json", cut(5), "",
		[]string{"adapter.json", "want a JSON object", "got its end"}},
	{"an unknown field", "own/adapter.json", field("dora", true), "",
		[]string{"adapter.json", "field dora: want a known name, got another"}},
	{"an unknown method", "own/adapter.json", field("method", "loha"), "",
		[]string{"field method: want multilora, lora, rslora or dora", `"loha"`}},
	{"a huge rank", "own/adapter.json", field("rank", 1<<40), "", []string{"field rank: want 1 to 65536"}},
	{"a deep adapter.json", "own/adapter.json", deepContent("["), "",
		[]string{"adapter.json", "want a JSON object", "want an object, got a list"}},
	{"a truncated adapter", "own/adapter.safetensors", cut(1), "",
		[]string{"adapter.safetensors", `v_proj.B.0": want an end from 1664 to 1791, where the file ends`}},
	{"a truncated PEFT adapter", "peft/adapter_model.safetensors", cut(1), "",
		[]string{"adapter_model.safetensors", `v_proj.lora_B.weight": want an end from 1664 to 1791, where the file ends`}},
	{"half a PEFT configuration", "peft/adapter_config.json", cut(5), "",
		[]string{"adapter_config.json", "want a JSON object"}},
	{"a truncated GGUF adapter", "lora.gguf", cut(1), "lora.gguf",
		[]string{`lora.gguf: tensor "blk.1.ffn_down.weight.lora_b": want data of F32 [32 2] that end at 1791, where the file ends`}},
	{"half a GGUF header", "lora.gguf", firstBytes(60), "lora.gguf",
		[]string{"lora.gguf: want at most 2 keys, as many as the 36 bytes left may hold"}},
	{"a GGUF of all tensors", "lora.gguf", number(8, 1<<60), "lora.gguf",
		[]string{"lora.gguf: want at most", "tensors", "got 1152921504606846976"}},
	{"a GGUF of all keys", "lora.gguf", number(16, 1<<60), "lora.gguf",
		[]string{"lora.gguf: want at most", "keys", "got 1152921504606846976"}},
	{"a GGUF with a key of all memory", "lora.gguf", number(24, 1<<62), "lora.gguf",
		[]string{"lora.gguf: want at most", "bytes of text", "got 4611686018427387904"}},
	{"a GGUF of another version", "lora.gguf", func(b []byte) []byte { b[4] = 9; return b }, "lora.gguf",
		[]string{"lora.gguf: want version 2 or 3, got 9"}},
}

// badUses are inputs that only some commands read, or that are good but do not fit.
var badUses = []struct {
	name string
	file string // that is changed first; "" for none
	to   change
	args string // {} stands for the folder
	want []string
}{
	// Adapters beside a model that they do not fit, or with what is not supported.
	{"a tensor of the adapter less", "own/adapter.safetensors", header(`v_proj.A.0`, "v_proj.A.7"),
		"merge --model {}/model --adapter {}/own --out {}/out",
		[]string{"adapter.safetensors", "v_proj.A.0"}},
	{"an adapter's wrong shape", "own/adapter.safetensors", header(`"shape":\[2,32\]`, `"shape":[4,16]`),
		"merge --model {}/model --adapter {}/own --out {}/out",
		[]string{"adapter.safetensors", "want F32 [2 32]", "got F32 [4 16]"}},
	{"another rank", "own/adapter.json", field("rank", 3), "merge --model {}/model --adapter {}/own --out {}/out",
		[]string{"metadata config"}},
	{"a target that is not there", "peft/adapter_config.json", field("target_modules", []string{"qkv_proj"}),
		"import --model {}/model --adapter {}/peft --out {}/out",
		[]string{"adapter_config.json: field target_modules: want layers of the model", "got none of them"}},
	{"QALoRA", "peft/adapter_config.json", field("use_qalora", true),
		"import --model {}/model --adapter {}/peft --out {}/out",
		[]string{"adapter_config.json", "use_qalora", "got true"}},
	{"modules_to_save that are not saved", "peft/adapter_config.json", field("modules_to_save", []string{"lm_head"}),
		"import --model {}/model --adapter {}/peft --out {}/out",
		[]string{"adapter_model.safetensors", "base_model.model.lm_head.weight", "got no such tensor"}},
	{"an unknown PEFT field", "peft/adapter_config.json", field("use_magic", 3),
		"import --model {}/model --adapter {}/peft --out {}/out", []string{"use_magic", "got 3"}},
	{"no LoRA", "peft/adapter_config.json", field("peft_type", "IA3"),
		"import --model {}/model --adapter {}/peft --out {}/out", []string{"peft_type", `want "LORA", got "IA3"`}},
	{"a PEFT tensor less", "peft/adapter_model.safetensors", header(`1.mlp.down_proj.lora_B`, "1.mlp.up_proj.lora_B"),
		"merge --model {}/model --adapter {}/peft --out {}/out",
		[]string{"adapter_model.safetensors", "down_proj.lora_B"}},
	{"PEFT's wrong shape", "peft/adapter_model.safetensors", header(`"shape":\[16,2\]`, `"shape":[8,4]`),
		"export --to gguf --model {}/model --adapter {}/peft --out {}/out.gguf",
		[]string{"adapter_model.safetensors", "v_proj.lora_B", "[16 2]", "[8 4]"}},
	{"a deep PEFT configuration", "peft/adapter_config.json", deepContent(`{"a":`),
		"import --model {}/model --adapter {}/peft --out {}/out", []string{"adapter_config.json"}},
	{"a GGUF that is no adapter", "lora.gguf", func(b []byte) []byte {
		return bytes.Replace(b, []byte("adapter"), []byte("another"), 1)
	}, "import --model {}/model --adapter {}/lora.gguf --out {}/out",
		[]string{"lora.gguf", "general.type", `want "adapter"`, "another"}},
	{"no adapter at all", "", nil, "generate --model {}/model --adapter {}/shards --prompt a",
		[]string{"shards: want adapter.json or adapter_config.json", "neither"}},
	{"an adapter that is a text", "", nil, "generate --model {}/model --adapter {}/text --prompt a",
		[]string{"text: "}},
	{"an adapter that is not there", "", nil, "generate --model {}/model --adapter {}/nothing --prompt a",
		[]string{"nothing: no such file"}},

	// Tokenizers.
	{"a tokenizer of noise", "model/tokenizer.json", content("\x00\xff noise"), "tokenize --model {}/model --text a",
		[]string{"tokenizer.json"}},
	{"a picture for a tokenizer", "model/tokenizer.json", content("\x89PNG\r\n\x1a\n"),
		"generate --model {}/model --prompt a", []string{"tokenizer.json"}},
	{"an empty tokenizer", "model/tokenizer.json", content(""), "tokenize --model {}/model --text a",
		[]string{"tokenizer.json"}},
	{"half a tokenizer", "model/tokenizer.json", cut(100), "tokenize --model {}/model --text a",
		[]string{"tokenizer.json"}},
	{"a deep tokenizer", "model/tokenizer.json", deepContent(`{"model":`),
		"tokenize --model {}/model --text a", []string{"tokenizer.json"}},
	{"a tokenizer of another kind", "model/tokenizer.json",
		field("model", map[string]any{"type": "WordPiece", "vocab": map[string]int{"a": 0}}),
		"tokenize --model {}/model --text a",
		[]string{"tokenizer.json", "WordPiece"}},
	{"no tokenizer", "model/tokenizer.json", nil, "eval --task perplexity --model {}/model --text {}/text",
		[]string{"model: want tokenizer.json or tokenizer.model, got neither"}},
	{"an id past the vocabulary", "", nil, "tokenize --model {}/model --decode 1,282",
		[]string{`token id "282": want a number from 0 to 281`}},
	{"an id that is none", "", nil, "tokenize --model {}/model --decode one", []string{`token id "one"`}},
	{"a negative id", "", nil, "tokenize --model {}/model --decode -1", []string{`token id "-1"`}},

	// Texts.
	{"ids past the model's", "model/tokenizer.json", renumber,
		"eval --task perplexity --model {}/model --text {}/text",
		[]string{`token "e" (id 380): want an id below the 282 of the model's vocabulary, got one of the tokenizer's 381`}},
	{"ids past the model's, writing", "model/tokenizer.json", renumber,
		"generate --model {}/model --prompt e", []string{"token id 380 in row 0, token", "want 0 to 281"}},
	{"no text", "text", content(""), "eval --task perplexity --model {}/model --text {}/text",
		[]string{"text: ", "no token to count"}},
	{"no file of text", "", nil, "eval --task perplexity --model {}/model --text {}/none",
		[]string{"--text", "none: no such file"}},

	// Settings.
	{"an unknown task", "", nil, "eval --task joy --model {}/model --text {}/text",
		[]string{`--tasks: task "joy": want one of mmlu, boolq, multirc, rte, wic, gsm8k, all or perplexity`}},
	{"a window past the model", "", nil, "eval --task perplexity --model {}/model --text {}/text --window 65",
		[]string{"windows of 65 tokens: want 2 to the model's 64 positions"}},
	{"an unknown form", "", nil, "export --to onnx --model {}/model --adapter {}/own --out {}/out",
		[]string{`--to "onnx": want peft, gguf, safetensors or ollama`}},
	{"a merged form that is none", "", nil, "export --to peft --merged --model {}/model --adapter {}/own --out {}/out", []string{`--to "peft": want gguf, safetensors or ollama with --merged`}},
	{"a storage type of no model", "", nil, "merge --dtype i32 --model {}/model --adapter {}/own --out {}/out",
		[]string{`--dtype "i32": want one of [f32 bf16 f16]`}},
	{"an output folder with something in it", "", nil, "merge --model {}/model --adapter {}/own --out {}/model",
		[]string{"model: want a new or empty folder", "config.json"}},
	{"a PEFT folder with something in it", "", nil, "export --to peft --model {}/model --adapter {}/own --out {}/own",
		[]string{"own: want a new or empty folder", "adapter.json"}},
	{"a folder for a file", "", nil, "export --to gguf --model {}/model --adapter {}/own --out {}/own",
		[]string{"own: want the name of a file, got a folder"}},
	{"a folder for a model's file", "", nil, "export --to gguf --merged --model {}/model --out {}/own",
		[]string{"own: want the name of a file, got a folder"}},
	{"a failure in a new folder", "own/adapter.json", cut(5),
		"merge --model {}/model --adapter {}/own --out {}/new/folder", []string{"adapter.json"}},
	{"a vocabulary that GGUF cannot hold", "model/tokenizer.json",
		field("pre_tokenizer", map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}),
		"export --to gguf --merged --model {}/model --out {}/model.gguf",
		[]string{"model: pre_tokenizer: want a pattern of words that has a name in GGUF", "got another"}},
	{"two things to inspect", "", nil, "inspect {}/model --adapter {}/own",
		[]string{"want one folder or file to inspect, got 2"}},
	{"a folder of nothing", "", nil, "inspect {}",
		[]string{"want a folder with config.json, adapter.json or adapter_config.json, got none of them"}},
	{"no flag", "", nil, "merge --model {}/model --out {}/out", []string{"--adapter is missing"}},
	{"a chance of more than one", "", nil, "generate --model {}/model --prompt a --min-p 2",
		[]string{"--min-p 2: want 0 to 1"}},
}

func TestBadUse(t *testing.T) {
	pristine := t.TempDir()
	good(t, pristine)
	for _, c := range badUses {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
				t.Fatal(err)
			}
			if c.file != "" {
				breakFile(t, filepath.Join(dir, c.file), c.to)
			}
			refuses(t, dir, c.want, strings.Fields(strings.ReplaceAll(c.args, "{}", dir))...)
		})
	}
}

// The same commands accept the same files when nothing is wrong.
func TestGoodInput(t *testing.T) {
	dir := t.TempDir()
	good(t, dir)
	for i, args := range []string{
		"inspect {}/model", "inspect {}/shards", "inspect {}/own", "inspect {}/peft", "inspect {}/lora.gguf",
		"inspect --model {}/model",
		"merge --model {}/shards --adapter {}/own --out {}/0", "merge --model {}/model --adapter {}/peft --out {}/1",
		"merge --model {}/model --adapter {}/lora.gguf --out {}/2",
		"import --model {}/model --adapter {}/peft --out {}/3",
		"export --to peft --model {}/model --adapter {}/own --out {}/4",
		"eval --task perplexity --model {}/model --text {}/text",
		"generate --model {}/model --adapter {}/lora.gguf --prompt a --max-tokens 2",
		"tokenize --model {}/model --decode 1,281",
	} {
		if code, _, stderr := agora(t, strings.Fields(strings.ReplaceAll(args, "{}", dir))...); code != 0 {
			t.Errorf("%d: agora %s: exit code %d\n%s", i, args, code, stderr)
		}
	}
}

// What inspect refuses; merge must refuse it as well and leave nothing behind.
func TestBadInput(t *testing.T) {
	pristine := t.TempDir()
	good(t, pristine)
	for _, c := range badInputs {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, c.file)
			breakFile(t, path, c.to)
			on, adapter := c.on, "own"
			if on == "" {
				on = filepath.Dir(c.file)
			}
			model := on
			if !slices.Contains([]string{"model", "shards"}, model) {
				model, adapter = "model", on
			}
			refuses(t, dir, c.want, "inspect", filepath.Join(dir, on))
			refuses(t, dir, c.want, "merge", "--model", filepath.Join(dir, model), "--adapter",
				filepath.Join(dir, adapter), "--out", filepath.Join(dir, "out"))
		})
	}
}

// A model that gives no numbers says which of its weights is none, and not that it wants a wider type.
func TestMergeOfNoNumbers(t *testing.T) {
	dir := t.TempDir()
	good(t, dir)
	breakFile(t, filepath.Join(dir, "model/model.safetensors"), func(b []byte) []byte {
		return append(b[:len(b)-4], 0, 0, 0xc0, 0x7f)
	})
	refuses(t, dir, []string{"logits that are no numbers: tensor model.", "want finite numbers, got NaN at element "},
		"export", "--merged", "--to", "safetensors", "--dtype", "bf16", "--model", filepath.Join(dir, "model"),
		"--out", filepath.Join(dir, "out"))
}

func breakFile(t *testing.T, path string, to change) {
	t.Helper()
	if to == nil {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, to(b), 0o666); err != nil {
		t.Fatal(err)
	}
}

// refuses runs a command that must fail with all of these texts, exit code 1, without much
// memory, and leave the folder as it is.
func refuses(t *testing.T, dir string, want []string, args ...string) {
	t.Helper()
	before := snapshot(t, dir)
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	code, _, stderr := agora(t, args...)
	runtime.ReadMemStats(&m1)
	if code != 1 || strings.Contains(stderr, "goroutine") || len(stderr) > 2000 {
		t.Errorf("agora %s: exit code %d, want 1 and a short message, got\n%.2000s", args[0], code, stderr)
	}
	for _, text := range want {
		if !strings.Contains(stderr, text) {
			t.Errorf("agora %s: want %q in\n%.2000s", args[0], text, stderr)
		}
	}
	if n := m1.TotalAlloc - m0.TotalAlloc; n > 100<<20 {
		t.Errorf("agora %s: %d MiB allocated", args[0], n>>20)
	}
	if after := snapshot(t, dir); !maps.Equal(before, after) {
		t.Errorf("agora %s: the folder has changed: %v, before %v", args[0], slices.Sorted(maps.Keys(after)),
			slices.Sorted(maps.Keys(before)))
	}
}

// snapshot is the content of all files of a folder, its folders, and what else is in it.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			all[path] = ""
			return err
		}
		if !e.Type().IsRegular() {
			target, _ := os.Readlink(path) // of a link
			all[path] = e.Type().String() + target
			return nil
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
