//go:build unix

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostile is an input that was made to kill, hang or mislead, and what a user is told. In
// texts {} stands for the folder, which good has filled.
type hostile struct {
	name string
	make func(at func(name string) string) error // puts it there; may be nil
	args string
	want []string // of the message
	free int      // MiB of memory beyond mostResident that the command may take
	here bool     // in the test's own process: what could only hang it
}

const (
	mostResident = 200              // MiB of a command's memory, the program and its small model included
	mostCPU      = 60 * time.Second // of a command: only one that hangs comes near
)

// TestHostileInputs gives the commands what strangers may give them, in processes of their own
// but for what could only hang. Each must say what is wrong in a few lines, in little memory and without a trace of
// Go's, and leave everything as it is.
func TestHostileInputs(t *testing.T) {
	pristine := t.TempDir()
	goodRun(t, pristine)
	all := slices.Concat(specialFiles(), hostileFiles(), hostileSettings, hostileConfigs(), hostilePlaces)
	if len(all) < 250 {
		t.Errorf("only %d inputs", len(all))
	}
	names := map[string]bool{}
	for _, h := range all {
		if names[h.name] {
			t.Errorf("two are called %q", h.name)
		}
		names[h.name] = true
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "hostile") // a name without what commands part lists by
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
				t.Fatal(err)
			}
			if h.make != nil {
				if err := h.make(func(name string) string {
					return filepath.Join(dir, filepath.FromSlash(name))
				}); err != nil {
					t.Fatal(err)
				}
			}
			h.refused(t, dir)
		})
	}
}

func (h hostile) refused(t *testing.T, dir string) {
	t.Helper()
	before := listing(t, dir)
	var args []string
	for _, arg := range strings.Split(h.args, " ") {
		args = append(args, strings.ReplaceAll(strings.ReplaceAll(arg, "{}", dir), "␣", " "))
	}
	text, code := "", 0
	if h.here {
		var stdout, stderr string
		code, stdout, stderr = agora(t, args...)
		text = stdout + stderr
	} else {
		text, code = h.process(t, args)
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range h.want {
		if want = strings.ReplaceAll(want, "{}", dir); !strings.Contains(text, want) {
			t.Errorf("want %q in\n%.3000s", want, text)
		}
	}
	if !strings.Contains(text, "agora: ") || strings.Contains(text, "goroutine ") ||
		strings.Contains(text, "panic") || len(text) > 4000 {
		t.Errorf("want a short message, got %d bytes:\n%.3000s", len(text), text)
	}
	if after := listing(t, dir); !slices.Equal(before, after) {
		only := func(a, b []string) []string {
			return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
		}
		t.Errorf("the folder has changed:\n%s\nbefore\n%s", strings.Join(only(after, before), "\n"),
			strings.Join(only(before, after), "\n"))
	}
}

// process runs a command as a process of its own, whose memory and time are measured.
func (h hostile) process(t *testing.T, args []string) (text string, code int) {
	t.Helper()
	peak := filepath.Join(t.TempDir(), "peak")
	c := process(args...)
	c.Env = append(c.Env, peakFile+"="+peak)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	watch := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	_ = c.Wait() // the exit code tells
	watch.Stop()
	if cpu := c.ProcessState.UserTime() + c.ProcessState.SystemTime(); cpu > mostCPU {
		t.Errorf("%s of CPU time", cpu)
	}
	if b, err := os.ReadFile(peak); runtime.GOOS == "linux" {
		kib, bad := strconv.Atoi(string(b))
		if most := mostResident + h.free; err != nil || bad != nil || kib>>10 > most {
			t.Errorf("%d MiB of memory, want at most %d; %v, %v", kib>>10, most, err, bad)
		}
	}
	return out.String(), c.ProcessState.ExitCode()
}

// goodRun is good with a run that can be gone on with, and rows of chat.
func goodRun(t *testing.T, dir string) {
	t.Helper()
	good(t, dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	var rows strings.Builder
	for i := range 20 {
		fmt.Fprintf(&rows, `{"prompt":"%d","completion":"letters"}`+"\n", i)
	}
	for name, text := range map[string]string{
		"rows.jsonl": rows.String(), "chat.jsonl": `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}` + "\n",
		"model/chat_template.jinja": "{% for m in messages %}{{ m.content }}{% endfor %}", "run.yaml": "steps: 1\n",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, _, stderr := agora(t, "train", "--device", "cpu", "--model", at("model"), "--data", at("rows.jsonl"),
		"--max-tokens", "16", "--steps", "2", "--held-out", "0",
		"--save-every", "1", "--method", "lora", "--rank", "2", "--out", at("run"))
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if err := os.Remove(at("run/summary.json")); err != nil { // as if it had been killed
		t.Fatal(err)
	}
}

// listing is what a folder holds: names, kinds, sizes and times.
func listing(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		size, changed := info.Size(), info.ModTime().UnixNano()
		if e.IsDir() { // a lock's file, and those that try whether one can write, come and go
			size, changed = 0, 0
		}
		all = append(all, fmt.Sprintf("%q %s %d %d", path, info.Mode(), size, changed))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The makers of inputs.

// file has this text.
func file(name, text string) func(at func(string) string) error {
	return func(at func(string) string) error { return os.WriteFile(at(name), []byte(text), 0o666) }
}

// sparse is a file of so many bytes, which begins with a text and goes on with zeros.
func sparse(name, head string, size int64) func(at func(string) string) error {
	return func(at func(string) string) error {
		if err := os.WriteFile(at(name), []byte(head), 0o666); err != nil {
			return err
		}
		return os.Truncate(at(name), size)
	}
}

// changed is a file of good after a change.
func changed(name string, to change) func(at func(string) string) error {
	return func(at func(string) string) error {
		b, err := os.ReadFile(at(name))
		if err != nil {
			return err
		}
		return os.WriteFile(at(name), to(b), 0o666)
	}
}

// link is a link in place of what was there.
func link(name, to string) func(at func(string) string) error {
	return func(at func(string) string) error {
		return cmp.Or(os.RemoveAll(at(name)), os.Symlink(strings.ReplaceAll(to, "{}", at("")), at(name)))
	}
}

// made is a file that a function writes.
func made(name string, write func(w *bytes.Buffer) error) func(at func(string) string) error {
	return func(at func(string) string) error {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		return os.WriteFile(at(name), b.Bytes(), 0o666)
	}
}
