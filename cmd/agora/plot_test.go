package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/curves"
)

// someRun is a run's folder with two steps in its metrics.
func someRun(t *testing.T, last string) string {
	t.Helper()
	dir := t.TempDir()
	metrics := `{"step":1,"loss":4,"lr":0.1,"grad_norm":1,"tokens_per_s":10,"seconds":1}` + "\n" +
		`{"step":2,"loss":3,"lr":0.1,"grad_norm":1,"tokens_per_s":10,"seconds":1}` + "\n" + last
	if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(metrics), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPlot(t *testing.T) {
	dir := someRun(t, "")
	out := filepath.Join(t.TempDir(), "curves.png")
	code, stdout, stderr := agora(t, "plot", dir, "--out", out)
	picture, err := os.ReadFile(out)
	if code != 0 || stdout != "" || err != nil || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("exit code %d, printed %q and %q; %d bytes of picture, %v", code, stdout, stderr, len(picture), err)
	}
	code, stdout, stderr = agora(t, "plot", dir)
	if code != 0 || !strings.Contains(stdout, "training, smoothed") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit code %d, printed\n%s%s", code, stdout, stderr)
	}
	if code, stdout, _ := agora(t, "plot", dir, "--out", out, "--overwrite", "--terminal"); code != 0 ||
		!strings.Contains(stdout, "training, smoothed") {
		t.Errorf("--terminal beside --out: exit code %d, printed\n%s", code, stdout)
	}
	s := mustJSON[[]curves.Summary](t, "plot", dir, dir)
	if len(s) != 2 || s[0].Path != dir || s[1].Curves["loss"].Last != (curves.Point{Step: 2, Value: 3}) {
		t.Errorf("--json: %+v", s)
	}
}

func TestPlotBadInput(t *testing.T) {
	dir := someRun(t, "")
	broken := someRun(t, `{"step":3,"loss":[]}`+"\n")
	out := filepath.Join(t.TempDir(), "curves.png")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{}, []string{"requires at least 1 arg"}},
		{[]string{dir, "--out", "curves.gif"}, []string{"curves.gif", ".png, .svg or .pdf"}},
		{[]string{dir, "--out", t.TempDir() + ".png/curves.png"}, []string{"curves.png"}},
		{[]string{filepath.Join(dir, "nothing"), "--out", out}, []string{"nothing"}},
		{[]string{dir, broken, "--out", out}, []string{broken, "line 3", "loss"}},
	} {
		code, stdout, stderr := agora(t, append([]string{"plot"}, c.args...)...)
		if code != 1 || stdout != "" {
			t.Errorf("plot %v: exit code %d, printed %q", c.args, code, stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("plot %v: want %q in %q", c.args, want, stderr)
			}
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Errorf("%s was written for broken input", out)
	}
}
