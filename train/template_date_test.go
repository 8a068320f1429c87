package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/tokenizer/chat"
)

// datedRun is a run on chats, of a model whose template writes the date.
func datedRun(t *testing.T) Config {
	t.Helper()
	cfg := smallRun(t)
	var rows strings.Builder
	for i := range 30 {
		fmt.Fprintf(&rows, `{"messages": [{"role": "user", "content": "%d"}, {"role": "assistant", "content": "%d"}]}`+"\n", i, i*i)
	}
	const template = "{{ strftime_now('%j') }}{% for m in messages %} {{ m.content }}{{ eos_token if m.role == 'assistant' }}{% endfor %}"
	for file, text := range map[string]string{cfg.paths()[0]: rows.String(),
		filepath.Join(cfg.Model, chat.JinjaFile): template} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// A run whose template asks for the time is told that of its start, on whatever day it goes
// on, and whether or not it had a checkpoint; the setting fixes it.
func TestTemplateDate(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first := time.Date(2026, 3, 29, 23, 59, 0, 0, time.FixedZone("", 2*3600))
	on := func(days int) Options { return Options{Clock: func() time.Time { return first.AddDate(0, 0, days) }} }
	result := func(cfg Config) string {
		text, err := os.ReadFile(filepath.Join(cfg.Out, "adapter.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		written := Defaults()
		if err := written.Read(filepath.Join(cfg.Out, ConfigFile)); err != nil {
			t.Fatal(err)
		}
		return written.TemplateDate + " " + string(text)
	}
	cfg := datedRun(t)
	out := cfg.Out
	if _, err := Run(t.Context(), d, cfg, watcher{}, on(0)); err != nil {
		t.Fatal(err)
	}
	want := result(cfg)
	if !strings.HasPrefix(want, "2026-03-29T23:59:00+02:00 ") {
		t.Fatalf("the run keeps %.30q", want)
	}

	// Interrupted, and gone on with a day later; and once more with no checkpoint left.
	cfg.Out = out + "-cut"
	ctx, interrupt := context.WithCancel(t.Context())
	if s, err := Run(ctx, d, cfg, watcher{func(step int) {
		if step == 7 {
			interrupt()
		}
	}}, on(0)); err != nil || !s.Interrupted {
		t.Fatalf("%+v, %v", s, err)
	}
	other := cfg
	other.TemplateDate = "2026-03-30"
	if _, err := Resume(t.Context(), d, other, watcher{}, on(1)); err == nil ||
		!strings.Contains(err.Error(), `--template-date: want "2026-03-29T23:59:00+02:00"`) {
		t.Errorf("with another date: %v", err)
	}
	if _, err := Resume(t.Context(), d, cfg, watcher{}, on(1)); err != nil || result(cfg) != want {
		t.Errorf("a day later: the same %v, %v", err == nil && result(cfg) == want, err)
	}
	for _, name := range []string{CheckpointsFolder, SummaryFile, "adapter.safetensors", "adapter.json"} {
		if err := os.RemoveAll(filepath.Join(cfg.Out, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Resume(t.Context(), d, cfg, watcher{}, on(2)); err != nil || result(cfg) != want {
		t.Errorf("with no checkpoint: the same %v, %v", err == nil && result(cfg) == want, err)
	}

	// The setting, and the same day as it says.
	for date, same := range map[string]bool{"2026-03-29": true, "2026-03-29T01:00:00Z": true, "2026-03-30": false} {
		cfg.Out, cfg.TemplateDate = out+"-"+date[:10]+date[len(date)-1:], date
		if _, err := Run(t.Context(), d, cfg, watcher{}, on(5)); err != nil {
			t.Fatal(err)
		}
		_, weights, _ := strings.Cut(want, " ")
		if got := result(cfg); got == date+" "+weights != same {
			t.Errorf("%s: the same weights %v, want %v", date, !same, same)
		}
	}
	for _, date := range []string{"yesterday", "2026-13-01", "2026-3-1", "29.03.2026"} {
		cfg.TemplateDate = date
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(),
			"--template-date: want a date such as 2026-11-28") {
			t.Errorf("%s: %v", date, err)
		}
	}
}

// A template that cannot be read is told of by its own error where rows need it, and only there.
func TestBrokenTemplate(t *testing.T) {
	d, err := device.Open("cpu")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, chats := range []bool{true, false} {
		cfg := datedRun(t)
		if !chats {
			cfg = smallRun(t)
		}
		cfg.Steps = 1
		name := filepath.Join(cfg.Model, chat.JinjaFile)
		if err := os.WriteFile(name, []byte("x\n{% for m in messages %}"), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Run(t.Context(), d, cfg, watcher{}, Options{})
		if says := name + ": line 2: want endfor or else, got the end of the template"; chats &&
			(err == nil || !strings.Contains(err.Error(), says)) || !chats && err != nil {
			t.Errorf("chats %v: %v, want %q", chats, err, says)
		}
	}
}
