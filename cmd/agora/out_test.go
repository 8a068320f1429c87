package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What is there is replaced only where the user says so, and a source never, by whatever name
// it is called.
func TestNothingIsWrittenOver(t *testing.T) {
	dir := t.TempDir()
	good(t, dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	for from, to := range map[string]string{"link.gguf": "lora.gguf", "nowhere": "none", "nowhere.gguf": "none",
		"nowhere.png": "none"} {
		if err := os.Symlink(to, at(from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("lora.gguf"), at("hard.gguf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(at("run"), 0o777); err != nil {
		t.Fatal(err)
	}
	record := `{"step":1,"loss":1,"seconds":1,"time":1}` + "\n"
	for name, text := range map[string]string{"old.gguf": "old", "old.png": "old", "run/metrics.jsonl": record,
		"run/last.png": "old"} {
		if err := os.WriteFile(at(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	export := "export --to gguf --model {}/model --adapter {}/lora.gguf --out "
	folder := map[string]string{
		"merge":          "merge --model {}/model --adapter {}/own --out ",
		"merge-adapters": "merge-adapters --model {}/model {}/own {}/peft --out ",
		"import":         "import --model {}/model --adapter {}/peft --out ",
		"export":         "export --to peft --model {}/model --adapter {}/own --out ",
		"demo":           "demo --steps 1 --out ",
	}
	type refusal struct{ args, want string }
	cases := []refusal{
		{export + "{}/old.gguf", "--out {}/old.gguf: want the name of a new file (or --overwrite to replace it), got one that is there"},
		{export + "{}/lora.gguf", "want another file than the source {}/lora.gguf, got the same"},
		{export + "{}/lora.gguf --overwrite", "want another file than the source {}/lora.gguf, got the same"},
		{export + "{}/link.gguf --overwrite", "want another file than the source {}/lora.gguf, got the same"},
		{export + "{}/hard.gguf --overwrite", "want another file than the source {}/lora.gguf, got the same"},
		{export + "{}/model/config.json --overwrite",
			"want another file than the source {}/model/config.json, got the same"},
		{export + "{}/nowhere.gguf --overwrite", "want the name of a file, got a link that leads nowhere"},
		{export + "{}/own --overwrite", "want the name of a file, got a folder"},
		{export + "{}/none/a.gguf", "no such file or directory"},
		{export + "{}/text/a.gguf", "not a directory"},
		{export + "{}/" + strings.Repeat("n", 300), "file name too long"},
		{export + os.DevNull + " --overwrite", "want the name of a file, got a device"},
		{"export --to gguf --merged --model {}/model --out {}/model/tokenizer.json --overwrite",
			"want another file than the source {}/model/tokenizer.json, got the same"},
		{"plot {}/run --out {}/old.png", "--out {}/old.png: want the name of a new file (or --overwrite to replace it), got one that is there"},
		{"plot {}/run --out {}/nowhere.png --overwrite", "want the name of a file, got a link that leads nowhere"},
		{"generate --model {}/model --prompt a --profile {}/old.png",
			"--profile {}/old.png: want the name of a new file, got one that is there"},
		{"generate --model {}/model --prompt a --profile {}/own",
			"--profile {}/own: want the name of a file, got a folder"},
		{"generate --model {}/model --prompt a --profile " + os.DevNull, "want the name of a file, got a device"},
	}
	for _, command := range folder {
		cases = append(cases,
			refusal{command + "{}/own", `want a new or empty folder, got one that holds "adapter.json"`},
			refusal{command + "{}/text", "want a new or empty folder, got a regular file"},
			refusal{command + "{}/nowhere", "want a new or empty folder, got a link that leads nowhere"},
			refusal{command + "{}/text/deep", "not a directory"},
			refusal{command + "{}/" + strings.Repeat("n", 300), "file name too long"},
			refusal{command + os.DevNull, "want a new or empty folder, got a device"},
		)
	}
	if runtime.GOOS != "windows" {
		before := snapshot(t, dir)
		for _, c := range cases {
			args := strings.Fields(strings.ReplaceAll(c.args, "{}", dir))
			want := strings.ReplaceAll(c.want, "{}", dir)
			if code, stdout, stderr := agora(t, args...); code != 1 || stdout != "" || !strings.Contains(stderr, want) {
				t.Errorf("%s: exit code %d, %s\n%s want %s", c.args, code, stdout, stderr, want)
			}
		}
		for name, text := range snapshot(t, dir) {
			if before[name] != text {
				t.Errorf("%s was changed", name)
			}
		}
	}
	for out, args := range map[string]string{"old.gguf": export + "{}/old.gguf --overwrite",
		"old.png": "plot {}/run --out {}/old.png --overwrite"} {
		if code, _, stderr := agora(t, strings.Fields(strings.ReplaceAll(args, "{}", dir))...); code != 0 {
			t.Errorf("%s: exit code %d, %s", args, code, stderr)
		}
		if b, err := os.ReadFile(at(out)); err != nil || string(b) == "old" {
			t.Errorf("%s was not replaced: %v", out, err)
		}
	}
}
