//go:build unix

package main

import (
	"os"
	"path"
	"strings"
	"syscall"
)

// specials are what may stand where a regular file is meant, and what a user is told of it.
var specials = []struct {
	name string
	make func(path string) error
	want string
}{
	{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o666) }, "got a named pipe"},
	{"a socket", makeSocket, "got a socket"},
	{"a folder", func(path string) error { return os.Mkdir(path, 0o777) }, "got a folder"},
	{"a link to an endless device", func(path string) error { return os.Symlink("/dev/zero", path) }, "got a device"},
	{"a link to nowhere", func(path string) error { return os.Symlink("nowhere", path) },
		`got a link to "nowhere", where nothing is`},
	{"a link to itself", func(p string) error { return os.Symlink(path.Base(p), p) },
		"too many levels of symbolic links"},
	{"a link to a pipe", func(path string) error {
		if err := syscall.Mkfifo(path+".pipe", 0o666); err != nil {
			return err
		}
		return os.Symlink(path+".pipe", path)
	}, "got a named pipe"},
}

// makeSocket leaves a socket that nobody listens to. Its path may be longer than an address.
func makeSocket(path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	short, err := os.MkdirTemp("", "s")
	if err != nil {
		return err
	}
	defer os.Remove(short)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: short + "/s"}); err != nil {
		return err
	}
	return os.Rename(short+"/s", path)
}

// readers are the files that commands read, and such a command.
var readers = []struct{ file, args string }{
	{"model/config.json", "inspect {}/model"},
	{"model/generation_config.json", "inspect {}/model"},
	{"model/model.safetensors", "inspect {}/model"},
	{"model/tokenizer.json", "tokenize --model {}/model --text a"},
	{"model/tokenizer_config.json", "tokenize --model {}/model --text a"},
	{"model/special_tokens_map.json", "tokenize --model {}/model --text a"},
	{"model/chat_template.jinja", "data preview --model {}/model --data {}/chat.jsonl"},
	{"shards/model.safetensors.index.json", "inspect {}/shards"},
	{"shards/model-00002-of-00002.safetensors", "inspect {}/shards"},
	{"own/adapter.json", "inspect {}/own"},
	{"own/adapter.safetensors", "inspect {}/own"},
	{"peft/adapter_config.json", "inspect {}/peft"},
	{"peft/adapter_model.safetensors", "import --model {}/model --adapter {}/peft --out {}/out"},
	{"lora.gguf", "inspect {}/lora.gguf"},
	{"run.yaml", "train {}/run.yaml"},
	{"new.json", "train --from-scratch {}/new.json --tokenizer {}/model --data {}/rows.jsonl --out {}/out"},
	{"run/config.yaml", "train --resume --out {}/run"},
	{"run/summary.json", "train --resume --out {}/run"},
	{"run/metrics.jsonl", "plot {}/run"},
	{"run/checkpoints/step-000002/state.json", "train --resume --out {}/run"},
	{"run/.lock", "train --resume --out {}/run"},
}

// specialFiles puts each of the specials in the place of each of the files.
func specialFiles() (all []hostile) {
	for _, s := range specials {
		for _, r := range readers {
			want := []string{path.Base(r.file), s.want}
			if r.file == "lora.gguf" && s.want == "got a folder" { // it may be a model's
				want = []string{"lora.gguf: want a folder with config.json, adapter.json or adapter_config.json, got none of them"}
			}
			if r.file == "run/.lock" && strings.HasPrefix(s.name, "a link") { // it is not even followed
				want[1] = "got a link"
			}
			all = append(all, hostile{name: s.name + " for " + r.file, args: r.args, want: want, here: true,
				make: func(at func(string) string) error {
					if err := os.RemoveAll(at(r.file)); err != nil {
						return err
					}
					return s.make(at(r.file))
				}})
		}
	}
	return all
}
