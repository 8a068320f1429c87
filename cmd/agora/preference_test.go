package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/curves"
	"github.com/agora-ml/agora/internal/tinymodel"
	"github.com/agora-ml/agora/train"
)

// Pairs are previewed, planned, learned from and drawn; sft refuses them and says who takes them.
func TestPreferenceTraining(t *testing.T) {
	model, dir := tinymodel.Write(t), t.TempDir()
	var rows strings.Builder
	for i := range 60 {
		fmt.Fprintf(&rows, `{"prompt": "Say %d.", "chosen": " please %d", "rejected": " never %d"}`+"\n", i, i*7, i*5)
	}
	file, out := filepath.Join(dir, "pairs.jsonl"), filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte(rows.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	settings := []string{"--model", model, "--data", file, "--max-tokens", "40"}
	seen := mustJSON[preview](t, append([]string{"data", "preview", "--objective", "dpo", "--rows", "2"},
		settings...)...)
	var judgments []string
	for _, r := range seen.Rows {
		judgments = append(judgments, fmt.Sprintf("%d %s", r.Source.Row, r.Judgment))
	}
	if got := strings.Join(judgments, ", "); got != "1 chosen, 1 rejected, 2 chosen, 2 rejected" {
		t.Errorf("preview shows %s", got)
	}
	_, text, _ := agora(t, append([]string{"data", "preview", "--objective", "orpo", "--rows", "1"}, settings...)...)
	for _, want := range []string{"pairs.jsonl row 1, chosen: ", "pairs.jsonl row 1, rejected: ",
		"preference, used: chosen 60, rejected 60, prompt 60"} {
		if !strings.Contains(text, want) {
			t.Errorf("preview: want %q in\n%s", want, text)
		}
	}
	plan := mustJSON[planReport](t, append([]string{"plan", "--objective", "dpo", "--batch-rows", "3"}, settings...)...)
	if plan.Rows != 6 || plan.Step != 240 {
		t.Errorf("3 pairs are planned as %d rows, %d tokens a step", plan.Rows, plan.Step)
	}
	args := append([]string{"train", "--objective", "dpo", "--beta", "0.3", "--lr", "1e-2", "--steps", "40",
		"--held-out", "12", "--out", out}, settings...)
	s := mustJSON[train.Summary](t, args...)
	if s.HeldOutRows != 12 || s.PreferenceBefore.Accuracy != 0.5 || s.PreferenceAfter.Accuracy <= 0.9 {
		t.Errorf("%d pairs held out, %+v before, %+v after", s.HeldOutRows, s.PreferenceBefore, s.PreferenceAfter)
	}
	drawn := mustJSON[[]curves.Summary](t, "plot", out)
	if c := drawn[0].Curves[curves.Accuracy]; c.Points != 40 {
		t.Errorf("the curve of accuracy has %d points", c.Points)
	}
	code, stdout, stderr := agora(t, "train", "--out", filepath.Join(dir, "again"), "--model", model, "--data", file,
		"--objective", "kto", "--desirable-weight", "2", "--steps", "4", "--max-tokens", "40", "--held-out", "4")
	for _, want := range []string{"accuracy       50.0 % of held-out answers before", "120 rows gave",
		"weigh unlike; alike with --undesirable-weight"} {
		if code != 0 || !strings.Contains(stdout+stderr, want) {
			t.Errorf("exit code %d, want %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	refuses(t, dir, []string{"pairs.jsonl row 1: want one answer to be learned for the objective sft, got two " +
		"answers, of which one is better (objective dpo, orpo or kto)"},
		append([]string{"train", "--out", filepath.Join(dir, "sft")}, settings...)...)
}
