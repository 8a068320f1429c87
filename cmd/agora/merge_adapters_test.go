package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// An adapter merged with itself by weights that sum to one is the same adapter to eval; a merged one
// goes where any adapter does.
func TestMergeAdapters(t *testing.T) {
	model, _ := realModel(t)
	adapter := trained(t, model, "--rank", "2", "--modules", "2")
	out := filepath.Join(t.TempDir(), "half")
	r := mustJSON[mergedAdapters](t, "merge-adapters", "--model", model, adapter, adapter, "--weights", "0.25,0.75",
		"--out", out)
	if r.Method != "cat" || len(r.Layers) == 0 || r.Layers[0].Rank != 8 || r.Layers[0].Lost != 0 {
		t.Errorf("%+v", r)
	}
	text := textFile(t, "Once upon a time there was a cat.")
	nll := func(adapter string) float64 {
		return mustJSON[evaluation](t, "eval", "--task", "perplexity", "--model", model, "--adapter", adapter,
			"--text", text).NLL
	}
	if a, b := nll(adapter), nll(out); math.Abs(a-b) > 1e-4 {
		t.Errorf("nll %g of the adapter, %g merged with itself", a, b)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	r = mustJSON[mergedAdapters](t, "merge-adapters", "--model", model, adapter, out, "--method", "dare_ties",
		"--rank", "3", "--seed", "1", "--out", cut)
	if r.Method != "dare-ties" || r.Layers[0].Rank != 3 || !(r.Layers[0].Lost > 0) {
		t.Errorf("%+v", r)
	}
	mustJSON[converted](t, "export", "--model", model, "--adapter", cut, "--to", "peft", "--out",
		filepath.Join(t.TempDir(), "peft"))

	for want, args := range map[string][]string{
		"--weights: want a number for each of 1 adapters, got 2": {adapter, "--weights", "1,2"},
		`--weights: want finite numbers, got "x"`:                {adapter, "--weights", "x"},
		"method: want one of [cat svd linear":                    {adapter, "--method", "sum"},
		"--model is missing":                                     {adapter, "--model", ""},
	} {
		args := append([]string{"merge-adapters", "--model", model, "--out", filepath.Join(t.TempDir(), "x")}, args...)
		if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s, want %q", args, code, stderr, want)
		}
	}
}
