package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/agora-ml/agora/encoding/gguf"
	"github.com/agora-ml/agora/encoding/safetensors"
	"github.com/agora-ml/agora/internal/printable"
)

// terminal is a pseudo-terminal that changes nothing: its master reads what is written to it.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err) // a container may have none
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := term.MakeRaw(int(slave.Fd())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

// onTerminal runs the program on a terminal and gives all that comes there. It types what is
// typed.
func onTerminal(t *testing.T, typed string, args ...string) string {
	t.Helper()
	master, slave := terminal(t)
	p := process(args...)
	p.Stdout, p.Stderr = slave, slave
	if typed != "" {
		p.Stdin = strings.NewReader(typed)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, master) // ends with an error: the last one has closed the terminal
	_ = ends(t, p)
	return shown.String()
}

// ours are the escapes of progress bars, of plots and previews: no others come from us.
var ours = regexp.MustCompile("\x1b\\[(0|7|2|1;32|3[1-6])m|\x1b\\[[0-2]?K|\r")

// steer would set colors, a title, clear the screen, go back over what is there and change the
// order of what follows; shown is what comes in its place.
const (
	steer = "\x1b[35;45m\x1b]0;mine\a\x1b[2J\x1b[Hx\rover\b\b\x7f\u009b31m\u0085\u202eb\u2066c\u2028\u2029"
	shown = `\x1b[35;45m\x1b]0;mine\x07\x1b[2J\x1b[Hx\rover\x08\x08\x7f\u009b31m\u0085\u202eb\u2066c\u2028\u2029`
)

// hostileModel is a tiny model whose every capital letter is a token that steers.
func hostileModel(t *testing.T, model, in string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a"+in+"b")
	if err := os.CopyFS(dir, os.DirFS(model)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for c := 'A'; c <= 'Z'; c++ {
		piece, err := json.Marshal(in + string(c))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.Replace(text, fmt.Appendf(nil, `"%c":`, c), append(piece, ':'), 1)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whatever models, tokenizers, data, paths, tensors and metadata hold, no terminal is steered by
// it: what would is shown as an escape.
func TestTerminalIsNotSteered(t *testing.T) {
	w := workshop(t)
	dir := filepath.Join(t.TempDir(), "in"+steer)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	model, run := hostileModel(t, w["model"], steer), filepath.Join(dir, "run"+steer)
	if err := os.CopyFS(run, os.DirFS(w["adapter"])); err != nil {
		t.Fatal(err)
	}
	tensors, words := filepath.Join(dir, "a.safetensors"), filepath.Join(dir, "a.gguf")
	if err := safetensors.Write(tensors, map[string]string{"key" + steer: steer}, safetensors.Source{
		Name: "name" + steer, DType: safetensors.F32, Shape: []int{1},
		Write: func(w io.Writer) error { _, err := w.Write(make([]byte, 4)); return err },
	}); err != nil {
		t.Fatal(err)
	}
	if err := gguf.Write(words, []gguf.KeyValue{{Key: "general.name", Value: steer}}); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal("X" + steer)
	if err != nil {
		t.Fatal(err)
	}
	on := func(args ...string) []string { return append(args, "--device", "cpu", "--model", model) }
	for name, c := range map[string]struct {
		typed string
		args  []string
		quiet bool // nothing of the steering text must be shown
	}{
		"inspect a folder":     {args: []string{"inspect", model}},
		"inspect tensors":      {args: []string{"inspect", tensors}},
		"inspect, JSON":        {args: []string{"inspect", tensors, "--json"}},
		"inspect GGUF":         {args: []string{"inspect", words}},
		"inspect nothing":      {args: []string{"inspect", filepath.Join(dir, "none")}},
		"generate":             {args: on("generate", "--prompt", "x", "--max-tokens", "60", "--ignore-eos", "--seed", "3")},
		"generate, its prompt": {args: on("generate", "--prompt", "x"+steer, "--max-tokens", "1"), quiet: true},
		"generate, JSON": {args: on("generate", "--prompt", "x", "--max-tokens", "60", "--ignore-eos",
			"--json", "--seed", "3")},
		"chat":             {"x\ny\n", on("generate", "--chat", "--max-tokens", "30", "--ignore-eos", "--seed", "3"), false},
		"tokenize":         {args: []string{"tokenize", "--model", model, "--decode", "36 37 38 39"}},
		"tokenize, pieces": {args: []string{"tokenize", "--model", model, "--text", "ab"}, quiet: true},
		"preview": {args: []string{"data", "preview", "--model", model, "--max-tokens", "32", "--data",
			write("rows.jsonl", `{"prompt": "x", "completion": `+string(quoted)+`}`+"\n")}},
		"preview of bad rows": {args: []string{"data", "preview", "--model", model, "--data",
			write("bad.jsonl", `{`+string(quoted)+`: 1}`)}},
		"train": {args: on("train", "--data", write("rows.txt", "abc abc"), "--steps", "1",
			"--max-tokens", "32", "--held-out", "0", "--out", filepath.Join(dir, "out"))},
		"train, no data": {args: on("train", "--data", filepath.Join(dir, "none.jsonl"), "--max-tokens", "32",
			"--out", filepath.Join(dir, "never"))},
		"train, a folder in use": {args: on("train", "--data", filepath.Join(dir, "rows.txt"), "--max-tokens", "32",
			"--out", run)},
		"configuration":            {args: []string{"train", write("run.yaml", string(quoted)+": 1\n")}},
		"plot":                     {args: []string{"plot", run, w["adapter"]}},
		"plot of none":             {args: []string{"plot", dir}},
		"eval":                     {args: on("eval", "--task", "perplexity", "--text", filepath.Join(dir, "none.txt"))},
		"merge":                    {args: on("merge", "--adapter", run, "--out", filepath.Join(dir, "merged"))},
		"export":                   {args: on("export", "--adapter", run, "--to", "peft", "--out", filepath.Join(dir, "peft"))},
		"analyze":                  {args: []string{"analyze", run, "--device", "cpu", "--model", model}},
		"merge adapters":           {args: on("merge-adapters", run, run, "--out", filepath.Join(dir, "sum"))},
		"plan":                     {args: []string{"plan", "--model", filepath.Join(dir, "none")}},
		"unknown command":          {args: []string{"x" + steer}},
		"unknown flag":             {args: []string{"doctor", "--x" + steer}},
		"bad value":                {args: []string{"generate", "--top-k", steer}},
		"template":                 {args: on("generate", "--chat", "--template", steer)},
		"comparison of a bad file": {args: []string{"compare", write("compare.yaml", string(quoted)+": 1\n"), "--plan"}},
		"doctor":                   {args: []string{"doctor"}, quiet: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := onTerminal(t, c.typed, c.args...)
			plain := ours.ReplaceAllString(got, "")
			if plain != printable.Text(plain) || strings.Contains(got, "\rover") {
				t.Errorf("the terminal got %q", got)
			}
			found := c.quiet || plain != "" && strings.HasSuffix(name, "JSON")
			for _, want := range []string{shown, strings.ReplaceAll(shown, `\`, `\\`), strconv.Quote(steer)[1:40]} {
				found = found || strings.Contains(plain, want)
			}
			if !found {
				t.Errorf("want %s, the terminal got %q", shown, got)
			}
		})
	}
}

// What is no terminal gets a text as the model has written it, and names escaped all the same.
func TestPipesGetTheText(t *testing.T) {
	w := workshop(t)
	model := hostileModel(t, w["model"], "\x1b[35m")
	if code, stdout, _ := agora(t, "tokenize", "--model", model, "--decode", "36"); code != 0 ||
		stdout != "\x1b[35mA\n" {
		t.Errorf("exit code %d, decoded %q", code, stdout)
	}
	if code, stdout, stderr := agora(t, "inspect", model); code != 0 || strings.Contains(stdout+stderr, "\x1b") ||
		!strings.Contains(stdout, `a\x1b[35mb`) {
		t.Errorf("exit code %d, printed %q", code, stdout)
	}
	if code, stdout, stderr := agora(t, "inspect", model+"none\nagora: fine"); code != 1 || stdout != "" ||
		strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, printed %q, %q", code, stdout, stderr)
	}
}
