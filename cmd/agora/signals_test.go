//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// every are calls of every command that end well, but for what is said of one. {…} are paths of
// workshop. Those of endless never end by themselves.
var every = map[string][]string{
	"agora":          {},
	"analyze":        {"analyze", "--device", "cpu", "--model", "{model}", "{adapter}"},
	"bench":          {"bench"},
	"bench dispatch": {"bench", "dispatch", "--device", "cpu", "--dispatches", "2", "--rounds", "1"},
	"bench gemm": {"bench", "gemm", "--device", "cpu", "--sizes", "8", "--rounds", "1", "--round", "1us",
		"--peak", "1"},
	"bench generate": {"bench", "generate", "--device", "cpu", "--shape", "{model}", "--prompt", "2", "--tokens", "2",
		"--rounds", "1"},
	"bench network": {"bench", "network"},
	"bench model":   {"bench", "model", "--shape", "{model}", "--dtype", "q4", "--out", "{new}"},
	"bench step": {"bench", "step", "--device", "cpu", "--shape", "{model}", "--steps", "1", "--warm-up", "1",
		"--peak", "1", "--max-tokens", "8", "--batch-rows", "1"},
	"compare":      {"compare", "--device", "cpu", "--scale", "small", "--plan", "--out", "{new}"},
	"data":         {"data"},
	"data preview": {"data", "preview", "--model", "{model}", "--data", "{rows}"},
	"demo":         {"demo", "--device", "cpu", "--steps", "1"},
	"doctor":       {"doctor"},
	"eval":         {"eval", "--device", "cpu", "--task", "perplexity", "--model", "{model}", "--text", "{rows}"},
	"export": {"export", "--device", "cpu", "--model", "{model}", "--adapter", "{adapter}", "--to", "peft",
		"--out", "{new}"},
	"generate": {"generate", "--device", "cpu", "--model", "{model}", "--prompt", "a", "--max-tokens", "3"},
	"import":   {"import", "--device", "cpu", "--model", "{model}", "--adapter", "{peft}", "--out", "{new}"},
	"inspect":  {"inspect", "{model}"},
	"merge-adapters": {"merge-adapters", "--device", "cpu", "--model", "{model}", "{adapter}", "{peft}", "--out",
		"{new}"},
	"merge": {"merge", "--device", "cpu", "--model", "{model}", "--adapter", "{adapter}", "--out", "{new}"},
	"plan": {"plan", "--device", "cpu", "--model", "{model}", "--data", "{rows}", "--max-tokens", "32",
		"--out", "{new}"},
	"plot":      {"plot", "{adapter}"},
	"tokenize":  {"tokenize", "--model", "{model}", "--text", "ab"},
	"tokenizer": {"tokenizer"},
	"tokenizer train": {"tokenizer", "train", "--data", "{rows}", "--vocab", "264", "--coverage", "1", "--out",
		"{new}"},
	"version": {"version"},
	"verify-resume": {"verify-resume", "{adapter}", "--device", "cpu", "--steps", "2", "--cuts", "1", "--save-every",
		"1", "--out", "{new}"},
	"train": {"train", "--device", "cpu", "--model", "{model}", "--data", "{rows}", "--steps", "2", "--max-tokens",
		"32", "--held-out", "0", "--out", "{new}"},
}

// endless wait for what never comes, or have more to do than anybody waits for.
var endless = map[string][]string{
	"bench dispatch":         {"bench", "dispatch", "--device", "cpu", "--rounds", "1000000"},
	"bench gemm":             {"bench", "gemm", "--device", "cpu", "--sizes", "512", "--rounds", "1000000"},
	"bench generate":         {"bench", "generate", "--device", "cpu", "--shape", "{model}", "--prompt", "2", "--tokens", "2", "--rounds", "1000000"},
	"bench step":             {"bench", "step", "--device", "cpu", "--shape", "{model}", "--steps", "1000000", "--peak", "1"},
	"compare":                {"compare", "--device", "cpu", "--scale", "full", "--out", "{new}"},
	"data preview, pipe":     {"data", "preview", "--model", "{model}", "--data", "{pipe}"},
	"data preview, stdin":    {"data", "preview", "--model", "{model}", "--data", "/dev/stdin"},
	"demo":                   {"demo", "--device", "cpu", "--steps", "1000000", "--out", "{new}"},
	"eval, pipe":             {"eval", "--device", "cpu", "--task", "perplexity", "--model", "{model}", "--text", "{pipe}"},
	"eval, stdin":            {"eval", "--device", "cpu", "--task", "perplexity", "--model", "{model}", "--text", "/dev/stdin"},
	"generate, chat":         {"generate", "--device", "cpu", "--model", "{model}", "--chat"},
	"tokenizer train, stdin": {"tokenizer", "train", "--data", "/dev/stdin", "--out", "{new}"},
	"tokenize, stdin":        {"tokenize", "--model", "{model}", "--file", "/dev/stdin"},
	"train, pipe": {"train", "--device", "cpu", "--model", "{model}", "--data", "{pipe}", "--max-tokens",
		"32", "--out", "{new}"},
	"train, stdin": {"train", "--device", "cpu", "--model", "{model}", "--data", "{rows},/dev/stdin", "--max-tokens",
		"32", "--out", "{new}"},
}

// workshop are the inputs of every.
func workshop(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	w := map[string]string{"model": tinymodel.Write(t), "rows": filepath.Join(dir, "rows.txt"),
		"pipe": filepath.Join(dir, "pipe")}
	if err := os.WriteFile(w["rows"], []byte(strings.Repeat("abc ", 4)+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w["model"], "chat_template.jinja"),
		[]byte("{% for m in messages %}{{ m.content }}{% endfor %}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(w["pipe"], 0o666); err != nil {
		t.Fatal(err)
	}
	w["adapter"], w["peft"] = filepath.Join(dir, "adapter"), filepath.Join(dir, "peft")
	for _, args := range [][]string{
		{"train", "--device", "cpu", "--model", w["model"], "--data", w["rows"], "--steps", "2", "--max-tokens", "32",
			"--held-out", "0", "--out", w["adapter"]},
		{"export", "--device", "cpu", "--model", w["model"], "--adapter", w["adapter"], "--to", "peft", "--out",
			w["peft"]},
	} {
		if code, _, stderr := agora(t, args...); code != 0 {
			t.Fatalf("agora %v: exit code %d\n%s", args, code, stderr)
		}
	}
	return w
}

// filled puts the workshop's paths, and that of a new folder, into a command's arguments.
func filled(w map[string]string, args []string, new string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		for name, path := range w {
			arg = strings.ReplaceAll(arg, "{"+name+"}", path)
		}
		args[i] = strings.ReplaceAll(arg, "{new}", new)
	}
	return args
}

// full is a pipe that takes nothing any more: whoever writes to it waits.
func full(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 4096); ; {
		n, err := syscall.Write(fds[1], chunk)
		if err == syscall.EAGAIN && len(chunk) == 1 {
			break
		}
		if err == syscall.EAGAIN {
			chunk = chunk[:1]
		} else if err != nil || n < 1 {
			t.Fatal(n, err)
		}
	}
	if err := syscall.SetNonblock(fds[1], false); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "full pipe"), os.NewFile(uintptr(fds[1]), "full pipe")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// ends waits for a process and gives its exit code.
func ends(t *testing.T, c *exec.Cmd) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		if _, ok := err.(*exec.ExitError); err != nil && !ok {
			t.Fatal(err)
		}
		if s := c.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
			t.Errorf("%v: killed by %v", c.Args[1:], s.Signal())
		}
		return c.ProcessState.ExitCode()
	case <-time.After(patience):
		_ = c.Process.Kill() // it hangs
		t.Fatalf("%v does not end", c.Args[1:])
		return 0
	}
}

// The tables know every command.
func TestEveryCommandIsTried(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "agora ")
		if _, ok := every[name]; !ok {
			t.Errorf("the command %q is missing in the test's table", name)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(command())
}

// A command that has begun to wait, or to work, ends with the first signal, with the signal's
// exit code, and leaves nothing behind.
func TestSignalsEndEveryCommand(t *testing.T) {
	w := workshop(t)
	type call struct {
		name string
		args []string
		full bool // its output is a pipe that is full
	}
	var calls []call
	for name, args := range endless {
		calls = append(calls, call{name, args, false})
	}
	for name, args := range every {
		calls = append(calls, call{name + ", full pipe", args, true})
	}
	signals := []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}, {syscall.SIGHUP, 129}}
	for i, c := range calls {
		moments := []time.Duration{0, 50 * time.Millisecond, 400 * time.Millisecond}
		if c.full {
			moments = moments[2:]
		}
		for k, after := range moments {
			s := signals[(i+k)%len(signals)]
			chats := c.name == "generate, chat" && s.signal == syscall.SIGINT
			t.Run(fmt.Sprintf("%s/%v after %v", c.name, s.signal, after), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				p := process(filled(w, c.args, filepath.Join(dir, "new"))...)
				stdin, err := p.StdinPipe() // into which nobody writes
				if err != nil {
					t.Fatal(err)
				}
				defer stdin.Close()
				var said bytes.Buffer
				p.Stdout, p.Stderr = io.Discard, &said
				if c.full {
					_, p.Stdout = full(t)
				}
				started(t, p)
				time.Sleep(after)
				if err := p.Process.Signal(s.signal); err != nil {
					t.Fatal(err)
				}
				code := ends(t, p)
				finished := c.full && code == s.code &&
					strings.HasPrefix(c.name, "train") // it had trained, and could not say so
				entries, err := os.ReadDir(dir)
				if chats && code == 0 { // where a line is wanted it ends the chat; before that, the command
					code = s.code
				}
				if code != s.code || err != nil || strings.Contains(said.String(), "goroutine") {
					t.Errorf("exit code %d, want %d, said\n%s", code, s.code, said.String())
				}
				for _, e := range entries {
					if strings.HasPrefix(e.Name(), ".") || !finished && !c.full {
						t.Errorf("left behind: %s", e.Name())
					}
				}
			})
		}
	}
}

// started starts a process and waits until it catches signals.
func started(t *testing.T, p *exec.Cmd) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready")
	p.Env = append(p.Env, readyAt+"="+ready)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			return
		}
	}
	t.Fatal("the process does not start")
}

// A run of training that a signal, a terminal or a reader has left saves a checkpoint and can be
// resumed.
func TestTrainSavesHoweverItIsLeft(t *testing.T) {
	w := workshop(t)
	long := func(out string) []string {
		return append(filled(w, every["train"], out), "--steps", "1000000", "--save-every", "0")
	}
	for name, c := range map[string]struct {
		leave func(t *testing.T, p *exec.Cmd, stderr io.Closer)
		code  int
	}{
		"SIGINT":  {func(t *testing.T, p *exec.Cmd, _ io.Closer) { _ = p.Process.Signal(syscall.SIGINT) }, 130},
		"SIGTERM": {func(t *testing.T, p *exec.Cmd, _ io.Closer) { _ = p.Process.Signal(syscall.SIGTERM) }, 143},
		"SIGHUP, twice": {func(t *testing.T, p *exec.Cmd, _ io.Closer) {
			_ = p.Process.Signal(syscall.SIGHUP)
			_ = p.Process.Signal(syscall.SIGHUP)
		}, 129},
		"stderr closed": {func(t *testing.T, p *exec.Cmd, stderr io.Closer) { stderr.Close() }, 141},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "run")
			p := process(long(out)...)
			stderr, err := p.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			p.Stdout = &said
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			begun := make(chan struct{})
			go func() {
				defer close(begun)
				for deadline := time.Now().Add(patience); !hasRecord(filepath.Join(out, train.MetricsFile),
					recorded(3)) && time.Now().Before(deadline); {
					time.Sleep(5 * time.Millisecond)
				}
			}()
			if c.code != exitClosedPipe {
				go func() { _, _ = io.Copy(io.Discard, stderr) }()
			}
			<-begun
			c.leave(t, p, stderr)
			if code := ends(t, p); code != c.code {
				t.Fatalf("exit code %d, want %d", code, c.code)
			}
			steps := checkpointSteps(t, out)
			if len(steps) != 1 || steps[0] < 3 {
				t.Fatalf("checkpoints of the steps %v, want one", steps)
			}
			var s train.Summary
			text, err := os.ReadFile(filepath.Join(out, train.SummaryFile))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &s); err != nil || !s.Interrupted || s.Steps != steps[0] {
				t.Errorf("%v, the summary is %s", err, text)
			}
		})
	}
}

// What the parent has a process ignore, it ignores: nohup's SIGHUP.
func TestIgnoredSignals(t *testing.T) {
	w := workshop(t)
	args := filled(w, endless["tokenize, stdin"], "")
	p := process(args...)
	p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, p.Path}, args...)
	p.Path = "/bin/sh"
	stdin, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p.Stdout = &out
	started(t, p)
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "ab"); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if code := ends(t, p); code != 0 || out.Len() == 0 {
		t.Errorf("exit code %d, printed %q", code, &out)
	}
}

// Nothing is lost silently: a command whose output cannot be written says so and fails.
func TestFullOutput(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	w := workshop(t)
	calls := map[string][]string{"help of train": {"train", "--help"}, "version": {"--version"},
		"completion": {"completion", "bash"}}
	for name, args := range every {
		calls[name] = args
		if slices.Contains([]string{"agora", "bench", "data", "tokenizer"}, name) {
			continue
		}
		calls[name+", JSON"] = append(slices.Clone(args), "--json")
	}
	for name, args := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			var said bytes.Buffer
			p := process(filled(w, args, filepath.Join(t.TempDir(), "new"))...)
			p.Stdout, p.Stderr = full, &said
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			if code := ends(t, p); code != 1 || !strings.HasSuffix(said.String(),
				"agora: write /dev/stdout: no space left on device\n") {
				t.Errorf("exit code %d, said\n%s", code, said.String())
			}
		})
	}
}

// A reader that has had enough ends a command without a word, as it ends others.
func TestClosedPipe(t *testing.T) {
	w := workshop(t)
	for name, args := range every {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, pipe, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			var said bytes.Buffer
			p := process(filled(w, args, filepath.Join(t.TempDir(), "new"))...)
			p.Stdout, p.Stderr = pipe, &said
			err = p.Start()
			pipe.Close()
			if err != nil {
				t.Fatal(err)
			}
			if code := ends(t, p); code != 141 || strings.Contains(said.String(), "agora:") {
				t.Errorf("exit code %d, said\n%s", code, said.String())
			}
		})
	}
}
