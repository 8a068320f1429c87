//go:build unix

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

const (
	mebi      = 1 << 20
	previewOf = "data preview --model {}/model --data {}/"
	trainOn   = "train --device cpu --model {}/model --data {}/rows.jsonl --max-tokens 16 --steps 2 --held-out 0 --out {}/out"
)

// hostileFiles are too large, or say so, or never end. They are made for this test alone: other
// tests run this program in little memory.
func hostileFiles() []hostile {
	return []hostile{
		// Packed.
		{name: "a bomb of zeros", make: bomb("a.txt.gz", "", "\x00"), args: previewOf + "a.txt.gz",
			want: []string{"{}/a.txt.gz: want text that unpacks to at most 200 times its size, got",
				"--max-data-bytes allows more"}},
		{name: "a bomb of letters", make: bomb("a.txt.gz", "", "a"), args: previewOf + "a.txt.gz",
			want: []string{"{}/a.txt.gz: want text that unpacks to at most 200 times its size"}},
		{name: "a bomb of blanks behind a row", make: bomb("a.jsonl.gz", `{"text":"a"}`, " "),
			args: previewOf + "a.jsonl.gz", want: []string{"{}/a.jsonl.gz: row 2 (line 1): want text that unpacks"}},
		{name: "a bomb of blanks before all rows", make: bomb("a.jsonl.gz", "", " "), args: previewOf + "a.jsonl.gz",
			want: []string{"{}/a.jsonl.gz: "}},
		{name: "a bomb of lines", make: bomb("a.jsonl.gz", `{"text":"a"}`, "\n"), args: previewOf + "a.jsonl.gz",
			want: []string{"{}/a.jsonl.gz: row 2 (line", "unpacks to at most 200 times"}},
		{name: "a bomb of a row", make: bomb("a.jsonl.gz", `{"text":"`, "a"), args: previewOf + "a.jsonl.gz",
			want: []string{"{}/a.jsonl.gz: row 1 (line 1): want "}},
		{name: "a bomb of rows", make: bomb("a.jsonl.gz", "", `{"text":"a"}`+"\n"),
			args: previewOf + "a.jsonl.gz --max-data-bytes 50000000",
			want: []string{"{}/a.jsonl.gz: row ", "want at most 50000000 bytes of rows in all",
				"--max-data-bytes allows more"}, free: 200},
		{name: "a bomb to train on", make: bomb("a.txt.gz", "", "a"),
			args: "train --device cpu --model {}/model --max-tokens 16 --out {}/out --data {}/a.txt.gz",
			want: []string{"{}/a.txt.gz: want text that unpacks"}},
		{name: "a bomb within a bound of the user's", make: bomb("a.txt.gz", "", "a"),
			args: previewOf + "a.txt.gz --max-data-bytes 5000000",
			want: []string{"want at most 5000000 bytes of rows in all, unpacked and 256 more for each of them, got more"}},
		{name: "packed that is not", make: file("a.jsonl.gz", `{"text":"a"}`), args: previewOf + "a.jsonl.gz",
			want: []string{"{}/a.jsonl.gz: want gzip, got: gzip: invalid header"}},
		{name: "packed and cut", make: made("a.txt.gz", func(w *bytes.Buffer) error {
			z := gzip.NewWriter(w)
			_, err := fmt.Fprint(z, strings.Repeat("some text ", 1000))
			w.Truncate(w.Len() / 2)
			return err
		}), args: previewOf + "a.txt.gz", want: []string{"{}/a.txt.gz: "}},

		// Sparse files of a TiB.
		{name: "rows of a TiB", make: sparse("a.jsonl", `{"text":"a"}`, 1<<40), args: previewOf + "a.jsonl",
			want: []string{"{}/a.jsonl: want at most ", "--max-data-bytes allows more"}},
		{name: "a document of a TiB", make: sparse("a.txt", "a", 1<<40), args: previewOf + "a.txt",
			want: []string{"{}/a.txt: want at most 1073741824 bytes of text in a file, got 1099511627776"}},
		{name: "a configuration of a TiB", make: sparse("model/config.json", "{", 1<<40), args: "inspect {}/model",
			want: []string{"{}/model/config.json: want at most ", "bytes, got 1099511627776"}},
		{name: "a tokenizer of a TiB", make: sparse("model/tokenizer.json", "{", 1<<40),
			args: "tokenize --model {}/model --text a",
			want: []string{"{}/model/tokenizer.json: want at most 268435456 bytes, got 1099511627776"}},
		{name: "a tokenizer's configuration of a TiB", make: sparse("model/tokenizer_config.json", "{", 1<<40),
			args: "tokenize --model {}/model --text a",
			want: []string{"{}/model/tokenizer_config.json: want at most ", "bytes, got 1099511627776"}},
		{name: "a template of a TiB", make: sparse("model/chat_template.jinja", "{", 1<<40),
			args: previewOf + "chat.jsonl", want: []string{"{}/model/chat_template.jinja: want at most ",
				"got 1099511627776"}},
		{name: "weights of a TiB", make: sparse(weigh, "\x02\x00\x00\x00\x00\x00\x00\x00{}", 1<<40),
			args: "inspect {}/model", want: []string{"{}/model/model.safetensors: want 0 bytes of tensors, got 1099511627766"}},
		{name: "a GGUF of a TiB", make: sparse("lora.gguf", "GGUF\x03\x00\x00\x00", 1<<40),
			args: "inspect {}/lora.gguf", want: []string{"{}/lora.gguf: want the end of a file without tensors"}},
		{name: "an index of a TiB", make: sparse("shards/model.safetensors.index.json", "{", 1<<40),
			args: "inspect {}/shards", want: []string{"model.safetensors.index.json: want at most 100000000 bytes, got 1099511627776"}},
		{name: "an adapter.json of a TiB", make: sparse("own/adapter.json", "{", 1<<40), args: "inspect {}/own",
			want: []string{"{}/own/adapter.json: want at most 1048576 bytes, got 1099511627776"}},
		{name: "an adapter_config.json of a TiB", make: sparse("peft/adapter_config.json", "{", 1<<40),
			args: "inspect {}/peft", want: []string{"{}/peft/adapter_config.json: want at most 1048576 bytes, got 1099511627776"}},
		{name: "settings of a TiB", make: sparse("run.yaml", "steps: 1\n", 1<<40), args: "train {}/run.yaml",
			want: []string{"{}/run.yaml: want at most 262144 bytes, got 1099511627776"}},
		{name: "a state of a TiB", make: sparse("run/checkpoints/step-000002/state.json", "{", 1<<40),
			args: "train --resume --out {}/run", want: []string{"step-000002/state.json", "1099511627776"}},
		{name: "metrics of a TiB", make: sparse("run/metrics.jsonl", "{", 1<<40), args: "plot {}/run",
			want: []string{"{}/run/metrics.jsonl: line 1: want at most"}},
		{name: "a text of a TiB", make: sparse("a", "a", 1<<40),
			args: "eval --task perplexity --model {}/model --text {}/a",
			want: []string{"{}/a: want at most 1073741824 bytes"}},
		{name: "a text to tokenize of a TiB", make: sparse("a", "a", 1<<40),
			args: "tokenize --model {}/model --file {}/a", want: []string{"{}/a: want at most 1073741824 bytes"}},

		// Large, and read whole.
		{name: "a tokenizer of 200 MiB of zeros", make: sparse("model/tokenizer.json", "{", 200*mebi),
			args: "tokenize --model {}/model --text a", want: []string{"{}/model/tokenizer.json: "}, free: 500},
		{name: "a header of 95 MiB of blanks", make: made(weigh,
			func(w *bytes.Buffer) error { return headerOf(w, "{"+strings.Repeat(" ", 95*mebi)+"}") }),
			args: "inspect {}/model", want: []string{"model.safetensors"}, free: 700},
		{name: "a header of very many tensors", make: made(weigh, func(w *bytes.Buffer) error {
			var b strings.Builder
			for i := range 100_000 {
				fmt.Fprintf(&b, `,"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
			}
			return headerOf(w, "{"+b.String()[1:]+"}")
		}), args: "inspect {}/model", want: []string{"model.safetensors"}, free: 300},

		// Headers that contradict themselves and the file.
		{name: "a GGUF of keys beyond the file", make: made("lora.gguf",
			func(w *bytes.Buffer) error { return ggufHead(w, 0, 1<<62) }), args: "inspect {}/lora.gguf",
			want: []string{"{}/lora.gguf: want at most 0 keys", "got 4611686018427387904"}},
		{name: "a GGUF of tensors beyond the file",
			make: made("lora.gguf", func(w *bytes.Buffer) error { return ggufHead(w, 1<<62, 0) }),
			args: "inspect {}/lora.gguf", want: []string{"{}/lora.gguf: want at most 0 tensors",
				"got 4611686018427387904"}},
		{name: "a GGUF of an array beyond the file", make: made("lora.gguf", func(w *bytes.Buffer) error {
			return ggufHead(w, 0, 1, "\x01\x00\x00\x00\x00\x00\x00\x00a", "\x09\x00\x00\x00", "\x08\x00\x00\x00",
				"\xff\xff\xff\xff\xff\xff\xff\x7f")
		}), args: "inspect {}/lora.gguf", want: []string{"{}/lora.gguf: key \"a\": want at most 0 strings",
			"got 9223372036854775807"}},
		{name: "a GGUF of arrays in arrays", make: made("lora.gguf", func(w *bytes.Buffer) error {
			return ggufHead(w, 0, 1, "\x01\x00\x00\x00\x00\x00\x00\x00a", "\x09\x00\x00\x00",
				strings.Repeat("\x09\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00", 100_000))
		}), args: "inspect {}/lora.gguf", want: []string{"{}/lora.gguf: key \"a\": want arrays at most ", "deep"}},
		{name: "a GGUF of big-endian machines", make: made("lora.gguf",
			func(w *bytes.Buffer) error { _, err := w.WriteString("GGUF\x00\x00\x00\x03"); return err }),
			args: "inspect {}/lora.gguf", want: []string{"{}/lora.gguf: want a little-endian file, got a big-endian one"}},
		{name: "a model of all the layers there can be",
			make: changed("model/config.json", field("num_hidden_layers", 1_000_000)), args: "inspect {}/model",
			want: []string{"config.json: num_hidden_layers: want 1 to 65536, got 1000000"}},
		{name: "a model wider than all memory", make: changed("model/config.json", field("hidden_size", 1<<30)),
			args: trainOn, want: []string{"config.json: ",
				" × hidden_size: want matrices of at most 2147483647 numbers"}},
		{name: "a plan for more than all memory", make: changed("model/config.json",
			fields(map[string]any{"hidden_size": 1 << 30, "num_hidden_layers": 65536, "intermediate_size": 1 << 30})),
			args: "plan --device cpu --model {}/model/config.json",
			want: []string{"× hidden_size: want matrices of at most 2147483647 numbers"}},
		{name: "a plan whose sums are more than a number",
			make: changed("model/config.json", fields(map[string]any{"hidden_size": 1 << 15, "num_hidden_layers": 50,
				"intermediate_size": 1 << 15, "vocab_size": 1 << 15})),
			args: "plan --device cpu --max-tokens 32 --model {}/model/config.json", want: []string{"the run needs "},
			free: 100},
		{name: "a vocabulary of all ids", make: changed("model/config.json", field("vocab_size", 1<<31-1)),
			args: "plan --device cpu --model {}/model/config.json",
			want: []string{"config.json: vocab_size × hidden_size: want matrices of at most 2147483647 numbers, got 2147483647 × 32"}},
		{name: "heads of nothing", make: changed("model/config.json", field("num_attention_heads", 0)),
			args: "inspect {}/model", want: []string{"config.json: num_attention_heads: want 1 to 2147483647, got 0"}},
		{name: "a negative width", make: changed("model/config.json", field("hidden_size", -32)),
			args: "inspect {}/model", want: []string{"config.json: hidden_size: want ", "2147483647, got -32"}},

		// Rows.
		{name: "a row a million deep", make: file("a.jsonl", strings.Repeat(`{"a":`, 1_000_000)),
			args: previewOf + "a.jsonl", want: []string{"{}/a.jsonl: row 1 (line 1): "}},
		{name: "a list a million deep in a row", make: file("a.jsonl",
			`{"messages":`+strings.Repeat(`[`, 1_000_000)+`}`), args: previewOf + "a.jsonl",
			want: []string{"{}/a.jsonl: row 1 (line 1): "}},
		{name: "no end of a text", make: file("a.jsonl", `{"text":"`+strings.Repeat("a", 17*mebi)),
			args: previewOf + "a.jsonl", want: []string{"{}/a.jsonl: row 1 (line 1): want at most 16777216 bytes, got more"}},
		{name: "rows in UTF-16", make: file("a.jsonl", "\xff\xfe{\x00\"\x00"), args: previewOf + "a.jsonl",
			want: []string{"{}/a.jsonl: "}},
		{name: "a document in UTF-16", make: file("a.txt", "\xff\xfea\x00"), args: previewOf + "a.txt",
			want: []string{"{}/a.txt: line 1: want text in UTF-8, got other bytes"}},
		{name: "data of a folder", args: previewOf + "model",
			want: []string{"{}/model: want a folder of files of rows, got"}},
		{name: "data of a device", make: link("a.txt", "/dev/zero"), args: previewOf + "a.txt",
			want: []string{"{}/a.txt: want a file or a pipe, got a device"}},
		{name: "data of nowhere", make: link("a.txt", "none"), args: previewOf + "a.txt",
			want: []string{`{}/a.txt: want a regular file, got a link to "none", where nothing is`}},
		{name: "data of a loop", make: link("a.txt", "a.txt"), args: previewOf + "a.txt",
			want: []string{"{}/a.txt: too many levels of symbolic links"}},
		{name: "data of the process's memory", make: link("a.txt", "/proc/self/mem"), args: previewOf + "a.txt",
			want: []string{"{}/a.txt: "}},
		{name: "a text of a device", make: link("a", "/dev/zero"),
			args: "eval --task perplexity --model {}/model --text {}/a",
			want: []string{"{}/a: want a file or a pipe, got a device"}},
		{name: "a text of a folder", args: "eval --task perplexity --model {}/model --text {}/model",
			want: []string{"{}/model: want a file or a pipe, got a folder"}},
		{name: "a text of a folder to tokenize", args: "tokenize --model {}/model --file {}/model",
			want: []string{"{}/model: want a file or a pipe, got a folder"}},
	}
}

// hostileSettings are numbers that no machine has memory or time for, and others that are none.
var hostileSettings = func() (all []hostile) {
	for _, s := range []struct{ flag, want string }{
		{"--max-tokens=2147483648", "--max-tokens: want at most 1073741824, got 2147483648"},
		{"--max-tokens=9223372036854775807", "--max-tokens: want at most 1073741824, got 9223372036854775807"},
		{"--max-tokens=65", "--max-tokens: want at most the 64 positions of the model, got 65"},
		{"--threads=5000", "cpu: threads: want 0 to 4096, got 5000"},
		{"--max-tokens=1", "--max-tokens: want at least 2, got 1"},
		{"--batch-rows=1000000000", "--batch-rows: want at most 65536, got 1000000000"},
		{"--accumulate=1000000000", "--accumulate: want at most 65536, got 1000000000"},
		{"--loaders=1000000000", "--loaders: want at most 1024, got 1000000000"},
		{"--rank=1000000000", "--rank: want at most 65536, got 1000000000"},
		{"--rank=21846", "rank: want 1 to 21845 with 3 modules, got 21846"},
		{"--rank=0", "--rank: want at least 1, got 0"},
		{"--method=multilora --modules=1000000000", "modules: want "},
		{"--steps=9223372036854775807", "--steps: want at most 4294967295, got 9223372036854775807"},
		{"--steps=99999999999999999999", "want a whole number"},
		{"--epochs=1e300", "--epochs: "},
		{"--epochs=NaN", "--epochs: "},
		{"--lr=inf", "--lr: "},
		{"--lr=NaN", "--lr: "},
		{"--held-out=9223372036854775807", "--held-out: want at most 1073741824, got 9223372036854775807"},
		{"--seed=-1", "want a whole number of at least 0"},
		{"--max-data-bytes=-1", "--max-data-bytes: want at least 0, got -1"},
		{"--max-data-bytes=99999999999999999999", "want a whole number"},
		{"--max-data-bytes=10", "want at most 10 bytes of rows in all"},
		{"--threads=1000000000", "--threads 1000000000: want at most 65536"},
		{"--threads=-1", "--threads -1: want at least 0"},
		{"--memory-limit=99999999999999G", `invalid argument "99999999999999G" for "--memory-limit" flag: want at most 1073741824 MiB`},
		{"--memory-limit=-1", `invalid argument "-1" for "--memory-limit" flag: want an amount of memory in MiB, or with a unit`},
		{"--memory-limit=1e30", "want an amount of memory in MiB"},
		{"--memory-limit=9223372036854775807", "want at most 1073741824 MiB"},
		{"--memory-limit=64k", "of memory, 0.1 MiB is available; with other settings:"},
	} {
		all = append(all, hostile{name: "train " + s.flag, args: trainOn + " " + s.flag, want: []string{s.want},
			make: nil})
	}
	for args, want := range map[string]string{
		"eval --task perplexity --model {}/model --text {}/text --window 9223372036854775807": "--window 9223372036854775807: want at most 1073741824",
		"generate --model {}/model --prompt a --max-tokens -1":                                "",
		"generate --model {}/model --prompt a --threads 99999999999":                          "--threads 99999999999: want at most 65536",
		"bench gemm --sizes 1000000000":                                                       "",
		"bench step --model {}/model/config.json --batch-rows 1000000000":                     "",
		"data preview --model {}/model --data {}/rows.jsonl --rows -9":                        "--rows -9: want at least 0",
		"plan --model llama-7b --device cpu --max-tokens 2048 --batch-rows 65536":             "--batch-rows: want at most 2097152 tokens of a micro-batch, got 65536 rows of 2048",
	} {
		all = append(all, hostile{name: args, args: args, want: []string{want}})
	}
	return all
}()

// hostileConfigs are YAML.
func hostileConfigs() (all []hostile) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x]\n")
	for i := range 30 {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i+1, i+1,
			strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	fill := func(part string, bytes int) string { return strings.Repeat(part, bytes/len(part)) }
	for _, c := range []struct{ name, text, want string }{
		{"100 KB of lists", fill("[", 100_000), "{}/run.yaml:1: want lists at most 8 deep, got a deeper one"},
		{"100 KB of mappings", fill("{a: ", 100_000), "{}/run.yaml:1: want lists at most 8 deep, got a deeper one"},
		{"100 KB of entries", fill("- ", 100_000), "{}/run.yaml:1: want lists at most 8 deep, got a deeper one"},
		{"100 KB of keys", fill("? ", 100_000), "{}/run.yaml:1: want lists at most 8 deep, got a deeper one"},
		{"lists over lines", fill("[\n", 100_000), "{}/run.yaml:9: want lists at most 8 deep, got a deeper one"},
		{"lists that quotes hide", fill(`["]", `, 100_000),
			"{}/run.yaml:1: want lists at most 8 deep, got a deeper one"},
		{"a billion laughs", laughs.String(), `{}/run.yaml:1: unknown setting "a0"`},
		{"an alias of itself", "data: &a [*a]\n", "{}/run.yaml:1: data: want one value, got a YAML anchor"},
		{"an alias of nothing", "lr: *a\n", "{}/run.yaml:1: "},
		{"a merge", "<<: {lr: 1}\n", `{}/run.yaml:1: unknown setting "<<"`},
		{"a setting twice", "steps: 1\nsteps: 2\n", "{}/run.yaml:2: "},
		{"a key twice in a value", "lr: {a: 1, a: 2}\n", "{}/run.yaml:1: "},
		{"two documents", "lr: 1\n---\nlr: 2\n", "{}/run.yaml:3: want one document, got another"},
		{"UTF-16", "\xff\xfel\x00r\x00", "{}/run.yaml:1: want text in UTF-8, got UTF-16: save the file as UTF-8"},
		{"UTF-16 of the other order", "\xfe\xff\x00l\x00r", "{}/run.yaml:1: want text in UTF-8, got UTF-16"},
		{"UTF-16 without a mark", "l\x00r\x00:\x00", `{}/run.yaml:1: want text, got the control character '\x00'`},
		{"Latin-1", "model: caf\xe9\n", "{}/run.yaml:1: want text in UTF-8, got the byte 0xe9"},
		{"a terminal's control", "model: \x1b[2J\n", `{}/run.yaml:1: want text, got the control character '\x1b'`},
		{"a tag", "lr: !!binary AAAA\n", "{}/run.yaml:1: lr: want one value, got a YAML tag"},
		{"a list of settings", "- lr\n", "{}/run.yaml:1: want lines of NAME: VALUE, got a list"},
		{"300 KB of comments", fill("# a\n", 300_000), "{}/run.yaml: want at most 262144 bytes, got 300000"},
		{"250 KB of anchors", fill("&a ", 250_000), "{}/run.yaml:1: "},
		{"250 KB of tags", fill("!a ", 250_000), "{}/run.yaml:1: "},
		{"250 KB of documents", fill("---\n", 250_000), "--model: want a folder or file, got none"},
		{"a name of 100 KB", fill("a", 100_000) + ": 1\n", `{}/run.yaml:1: unknown setting "aaa`},
		{"a value of 200 KB", "model: " + fill("a", 200_000) + "\n", "--data: want at least one file, got none"},
		{"nothing but a tab", "\t", ""},
		{"no end of a string", `model: "a`, "{}/run.yaml:1: "},
		{"JSON", `{"lr": [1]}`, "{}/run.yaml:1: lr: want one value, got a list"},
	} {
		all = append(all, hostile{name: "YAML, " + c.name, make: file("run.yaml", c.text), args: "train {}/run.yaml",
			want: []string{c.want}})
	}
	// Templates; package jinja has a table of its own.
	for name, text := range map[string]string{
		"a loop without end":        "{% for i in range(1000000000) %}{% for j in range(1000000000) %}{% endfor %}{% endfor %}",
		"a list of all memory":      "{{ range(1000000000000)|list|length }}",
		"a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"brackets a million deep":   "{{ " + strings.Repeat("(", 60_000) + "1" + strings.Repeat(")", 60_000) + " }}",
		"a file of the machine":     `{% include "/etc/passwd" %}`,
	} {
		all = append(all, hostile{name: "template, " + name, make: file("model/chat_template.jinja", text),
			args: previewOf + "chat.jsonl", want: []string{"chat_template.jinja"}, free: 200})
	}
	return all
}

// hostilePlaces are where nothing can be written, or where something of others is.
var hostilePlaces = []hostile{
	{name: "a lock of somebody else's text", make: file("out/../lock", ""), args: "train --resume --out {}/none",
		want: []string{"--resume: want --out to be the folder of a run"}},
	{name: "a lock that is a large file", make: func(at func(string) string) error {
		return os.WriteFile(at("run/.lock"), bytes.Repeat([]byte("precious "), 1000), 0o666)
	}, args: "train --resume --out {}/run", want: []string{"{}/run/.lock: want a lock's file of at most 512 bytes, got 9000: somebody else's"}},
	{name: "a new run beside a result", args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/run",
		want: []string{"--out: want a folder without an earlier run (or --resume to go on with it), got {}/run, which holds "}},
	{name: "a new run beside somebody's settings", make: func(at func(string) string) error {
		return os.MkdirAll(at("mine/config.yaml"), 0o777)
	}, args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/mine",
		want: []string{"got {}/mine, which holds config.yaml"}},
	{name: "a new run in a file", args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/text",
		want: []string{"--out: ", "{}/text: not a directory"}},
	{name: "a new run below a file", args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/text/out", want: []string{"--out: ", "not a directory"}},
	{name: "a new run where nothing leads", make: link("nowhere", "none/out"),
		args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/nowhere",
		want: []string{"--out: ", "{}/nowhere"}},
	{name: "a new run in a loop", make: link("loop", "loop"),
		args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/loop",
		want: []string{"--out: ", "{}/loop"}},
	{name: "a new run in a device", args: "train --device cpu --model {}/model --data {}/rows.jsonl --out /dev/full",
		want: []string{"--out: ", "/dev/full: not a directory"}},
	{name: "a new run where nobody may write", args: "train --device cpu --model {}/model --data {}/rows.jsonl --out /proc/agora", want: []string{"--out: ", "/proc/agora"}},
	{name: "a new run of a long name", args: "train --device cpu --model {}/model --data {}/rows.jsonl --out {}/" +
		strings.Repeat("n", 300), want: []string{"--out: ", "file name too long"}},
	{name: "a result where nobody may write", args: "merge --model {}/model --adapter {}/own --out /proc/agora",
		want: []string{"--out: ", "/proc/"}},
	{name: "a file where nobody may write", args: "export --to gguf --model {}/model --adapter {}/own --out /proc/agora.gguf", want: []string{"--out: ", "/proc/"}},
	{name: "a picture where nobody may write", args: "plot {}/run --out /proc/agora.png",
		want: []string{"--out: ", "/proc/"}},
	{name: "a model below a file", args: "inspect {}/text/model", want: []string{"{}/text/model: not a directory"}},
	{name: "a model of a long name", args: "inspect {}/" + strings.Repeat("n", 300),
		want: []string{"file name too long"}},
	{name: "a model of a name with a line's end", args: "inspect {}/a\nb", want: []string{"no such file or directory"}},
	{name: "a model of no name", args: "generate --model= --prompt a", want: []string{"--model is missing"}},
	{name: "an adapter that is the model", args: "generate --model {}/model --adapter {}/model --prompt a",
		want: []string{"{}/model: want adapter.json or adapter_config.json"}},
	{name: "a model that is a text", args: "generate --model {}/text --prompt a", want: []string{"text"}},
	{name: "a run that is a text", args: "plot {}/text", want: []string{"{}/text: "}},
	{name: "a run that is a model", args: "plot {}/model", want: []string{"metrics.jsonl: no such file"}},
	{name: "checkpoints that lead to themselves", make: link("run/checkpoints", "checkpoints"),
		args: "train --resume --out {}/run", want: []string{"{}/run/checkpoints"}},
	{name: "checkpoints that are a file", make: func(at func(string) string) error {
		if err := os.RemoveAll(at("run/checkpoints")); err != nil {
			return err
		}
		return os.WriteFile(at("run/checkpoints"), nil, 0o666)
	}, args: "train --resume --out {}/run", want: []string{"{}/run/checkpoints: not a directory"}},
}

// bomb is a packed file of 48 MiB, a head and then fillers.
func bomb(name, head, filler string) func(at func(string) string) error {
	return func(at func(string) string) error {
		b, err := bombOf(head, filler)
		if err != nil {
			return err
		}
		return os.WriteFile(at(name), b, 0o666)
	}
}

func bombOf(head, filler string) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write([]byte(head)); err != nil {
		return nil, err
	}
	part := bytes.Repeat([]byte(filler), mebi/len(filler))
	for range 48 {
		if _, err := z.Write(part); err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return b.Bytes(), err
}

// headerOf is a safetensors file that is nothing but this header.
func headerOf(w *bytes.Buffer, header string) error {
	w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header))))
	_, err := w.WriteString(header)
	return err
}

// ggufHead is the head of a GGUF file that says it has so many tensors and keys.
func ggufHead(w *bytes.Buffer, tensors, keys uint64, rest ...string) error {
	w.WriteString("GGUF\x03\x00\x00\x00")
	w.Write(binary.LittleEndian.AppendUint64(nil, tensors))
	w.Write(binary.LittleEndian.AppendUint64(nil, keys))
	_, err := w.WriteString(strings.Join(rest, ""))
	return err
}

// fields sets several fields of a JSON object.
func fields(values map[string]any) change {
	return func(b []byte) []byte {
		for name, value := range values {
			b = field(name, value)(b)
		}
		return b
	}
}
