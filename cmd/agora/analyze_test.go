package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Full tuning and MultiLoRA of the same rows: what the table, the JSON and the picture say agrees.
func TestAnalyze(t *testing.T) {
	model, _ := realModel(t)
	multi := trained(t, model, "--rank", "2", "--modules", "3", "--save-every", "1", "--keep", "20")
	full := filepath.Join(filepath.Dir(multi), "full")
	if err := os.Rename(trained(t, model, "--method", "full"), full); err != nil {
		t.Fatal(err)
	}
	merged := filepath.Join(t.TempDir(), "merged")
	mustJSON[mergeReport](t, "merge", "--model", model, "--adapter", multi, "--out", merged)
	out := filepath.Join(t.TempDir(), "p.svg")
	a := mustJSON[analysis](t, "analyze", "--model", model, multi, full, merged, "--layers", "v_proj,k_proj",
		"--directions", "4", "--out", out)
	if len(a.Runs) != 3 || a.Runs[0].Method != "multilora" || a.Runs[1].Method != "full" || a.Runs[2].Method != "full" {
		t.Fatalf("runs %+v", a.Runs)
	}
	for i, l := range a.Runs[0].Layers {
		m := a.Runs[2].Layers[i] // the same change, decomposed as a whole
		if l.Layer != m.Layer || l.Shape != m.Shape || i == 0 && !strings.HasSuffix(l.Layer, "k_proj") {
			t.Fatalf("%s beside %s", l.Layer, m.Layer)
		}
		for k, v := range l.Singular {
			if math.Abs(v-m.Singular[k]) > 1e-5*l.Singular[0] {
				t.Errorf("%s: value %d is %g, of the merged model %g", l.Layer, k, v, m.Singular[k])
			}
		}
		if len(l.Singular) != 6 || math.Abs(l.Energy[6]-1) > 1e-12 || !(l.Energy[1] > 0 && l.Energy[1] < 1) ||
			!(l.Relative > 0) {
			t.Errorf("%s: %d values, energy %v, relative %g", l.Layer, len(l.Singular), l.Energy, l.Relative)
		}
		if l.StartShare == nil || !(*l.StartShare > 0) || m.StartShare != nil {
			t.Errorf("%s: share of the start %v, of the merged model %v", l.Layer, l.StartShare, m.StartShare)
		}
	}
	i := slices.IndexFunc(a.Similarities, func(s similarity) bool {
		return s.Run == a.Runs[0].Name && s.Full == "merged"
	})
	if i < 0 || len(a.Similarities[i].Phi) != 4 || math.Abs(a.Similarities[i].Phi[3][3]-1) > 1e-3 {
		t.Errorf("with its own merged model: %+v, want phi 1", a.Similarities)
	}
	if text, err := os.ReadFile(out); err != nil || !strings.Contains(string(text), "k_proj: singular values") {
		t.Errorf("picture: %v", err)
	}
	first := mustJSON[analysis](t, "analyze", "--model", model, filepath.Join(multi, "checkpoints", "step-000002"),
		"--layers", "k_proj")
	for _, l := range first.Runs[0].Layers { // the first rate is 0; then A and B have only decayed a little
		if l.StartShare == nil || math.Abs(*l.StartShare-1) > 1e-2 {
			t.Errorf("at the first change: %+v, want a share of the start of 1", l)
		}
	}
	if code, stdout, stderr := agora(t, "analyze", "--model", model, multi, full); code != 0 ||
		!strings.Contains(stdout, "effective rank") || !strings.Contains(stdout, "down_proj") {
		t.Errorf("exit code %d, printed %s%s", code, stdout, stderr)
	}
	for want, args := range map[string][]string{
		"--model is missing":             {multi},
		"want layers to look at, got no": {multi, "--model", model, "--layers", "x_proj"},
		"want adapter.json or":           {"--model", model, t.TempDir()},
		"ends in .png, .svg or .pdf":     {multi, "--model", model, "--out", "x.gif"},
		"got one that is there":          {multi, "--model", model, "--out", out},
	} {
		if code, _, stderr := agora(t, append([]string{"analyze"}, args...)...); code != 1 ||
			!strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s, want %q", args, code, stderr, want)
		}
	}
}
