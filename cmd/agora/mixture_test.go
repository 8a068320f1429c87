package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/agora-ml/agora/internal/bench"
	"github.com/agora-ml/agora/internal/testdevice"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/train"
)

// mixtures are small mixtures of experts of each family, and layers of theirs to adapt.
func mixtures(t *testing.T) map[string]mixture {
	t.Helper()
	out := map[string]mixture{}
	for kind, targets := range map[string]string{
		"qwen3_moe": "q_proj,v_proj,gate_proj,up_proj,down_proj", "mixtral": "v_proj,o_proj,w1,w3",
	} {
		words := pieces(nil)
		out[kind] = mixture{pieceModel(t, words, len(words.Pieces), func(c *llama.Config) {
			c.ModelType, c.Intermediate, c.Layers = kind, 64, 2
			c.Mixture = &llama.Mixture{Experts: 4, Chosen: 2, Intermediate: c.Intermediate, SumsToOne: true}
		}, nil), targets}
	}
	return out
}

type mixture struct{ model, targets string }

// A mixture of experts is told of, trained, resumed with the same bits, merged, run, and goes to llama.cpp and back.
func TestMixtureOfExperts(t *testing.T) {
	t.Setenv(asProgram, "1") // for verify-resume's processes
	for kind, m := range mixtures(t) {
		t.Run(kind, func(t *testing.T) {
			i := mustJSON[inspection](t, "inspect", m.model)
			// Of 2 layers with 4 experts of 3 matrices each, a token uses half.
			if idle := i.Parameters - i.Active; idle != 2*2*3*32*64 {
				t.Errorf("%d of %d parameters are idle", idle, i.Parameters)
			}
			g := mustJSON[bench.Generation](t, "bench", "generate", "--shape", filepath.Join(m.model, "config.json"), "--prompt",
				"2", "--tokens", "2", "--rounds", "1", "--device", testdevice.Name(), "--dtype", "f32")
			if want := 4 * (i.Active - 32*len(pieces(nil).Pieces)); g.Weights != want {
				t.Errorf("a token reads %d bytes of weights, want %d", g.Weights, want)
			}
			run, dir := filepath.Join(t.TempDir(), "run"), t.TempDir()
			settings := append(hardRun(t), "--model", m.model, "--device", testdevice.Name(), "--targets", m.targets,
				"--gradient-checkpointing", "--steps", "12", "--save-every", "4", "--eval-every", "6", "--lr", "3e-2")
			s := mustJSON[train.Summary](t, append(settings, "--out", run)...)
			if *s.HeldOutAfter >= *s.HeldOutBefore {
				t.Errorf("the held-out loss went from %g to %g", *s.HeldOutBefore, *s.HeldOutAfter)
			}
			v := mustJSON[verification](t, "verify-resume", run, "--cuts", "2", "--seed", "3", "--device",
				testdevice.Name(), "--out", filepath.Join(dir, "cuts"))
			if !v.Same || len(v.Cuts) == 0 {
				t.Errorf("resumed: %+v", v)
			}

			merged, file := filepath.Join(dir, "merged"), filepath.Join(dir, "model.gguf")
			mustJSON[mergeReport](t, "merge", "--model", m.model, "--adapter", run, "--out", merged)
			mustJSON[converted](t, "export", "--merged", "--model", merged, "--to", "gguf", "--out", file)
			says := func(args ...string) string {
				return mustJSON[generation](t, append([]string{"generate", "--prompt", "3:", "--greedy", "--max-tokens", "12",
					"--ignore-eos", "--device", testdevice.Name()}, args...)...).Text
			}
			want := says("--model", m.model, "--adapter", run)
			if base := says("--model", m.model); base == want {
				t.Errorf("the adapter changes nothing: %q", base)
			}
			for _, model := range []string{merged, file} {
				if got := says("--model", model); got != want {
					t.Errorf("%s says %q, base and adapter %q", filepath.Base(model), got, want)
				}
			}
		})
	}
}

// Where one expert trains alone, steps in which no token chooses it are steps, too.
func TestOneExpertTrains(t *testing.T) {
	for kind, m := range mixtures(t) {
		for _, more := range []string{"--gradient-checkpointing=false", "--gradient-checkpointing"} {
			s := mustJSON[train.Summary](t, append(hardRun(t), "--model", m.model, "--device", testdevice.Name(), "--targets",
				"model.layers.1.*.experts.3.*", more, "--batch-rows", "1", "--max-tokens", "4", "--steps", "6", "--save-every", "6",
				"--out", filepath.Join(t.TempDir(), "run"))...)
			if s.Steps != 6 || s.Trained == 0 {
				t.Errorf("%s: %+v", kind, s)
			}
		}
	}
}

// What cannot be made of a mixture is refused by name.
func TestMixtureRefused(t *testing.T) {
	m := mixtures(t)["qwen3_moe"]
	setField(t, filepath.Join(m.model, "config.json"), "output_router_logits", true)
	for want, args := range map[string][]string{
		"output_router_logits": {"inspect", m.model},
	} {
		if code, _, stderr := agora(t, args...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %s, want %s", args, code, stderr, want)
		}
	}
}
